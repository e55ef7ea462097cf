//! The outcomes of envelopes for another server, at once or later: its answer, its reports, and
//! what the author's device is told when it was out of reach.

use eko_client::device::SendOutcome;
use eko_protocol::activity::ReportKind;
use eko_testkit::StrangerAnswer;
use http::Method;
use serde_json::{Value, json};

use crate::stranger_scene::StrangerScene;
use crate::{HOUR_MS, MINUTE_MS, kinds};

/// The server answers 202 and rejects the envelope later.
#[tokio::test]
async fn taken_and_rejected_later() {
    let scene = StrangerScene::new().await;
    let tablet = scene.a.further(&scene.alice, "tablet").await;
    let outgoing = scene.envelope();
    assert!(matches!(scene.send(&outgoing).await.unwrap(), SendOutcome::Accepted { .. }));
    let reject = scene.report("Reject", &outgoing);
    for _ in 0..3 {
        assert_eq!(scene.eve.deliver(&scene.a, "/user/alice/inbox", &reject).await.0, 202);
        assert_eq!(scene.eve.deliver(&scene.a, "/inbox", &reject).await.0, 202);
        scene.settle().await;
        scene.internet.advance(MINUTE_MS);
    }
    let reports = scene.a.reports(&scene.alice).await;
    assert_eq!(kinds(&reports), [ReportKind::Reject]);
    assert_eq!(reports[0].summary.as_deref(), Some("as it happens"));
    // Only the device that sent the envelope gets the report.
    assert_eq!(scene.a.reports(&tablet).await, []);
}

#[tokio::test]
async fn every_kind_of_report() {
    let scene = StrangerScene::new().await;
    let outgoing = scene.envelope();
    scene.send(&outgoing).await.unwrap();
    for kind in ["Accept", "PartialDelivery", "Delivered"] {
        scene.internet.advance(1_000);
        let report = scene.report(kind, &outgoing);
        assert_eq!(scene.eve.deliver(&scene.a, "/user/alice/inbox", &report).await.0, 202);
        scene.settle().await;
    }
    let reports = scene.a.reports(&scene.alice).await;
    assert_eq!(kinds(&reports), [ReportKind::Confirm, ReportKind::PartialDelivery, ReportKind::Delivered]);
    // Two partial deliveries that name different devices are two reports.
    let mut other = scene.report("PartialDelivery", &outgoing);
    other["missingKeyPackages"] = json!(["https://eve.example/user/eve/keyPackage/x"]);
    scene.eve.deliver(&scene.a, "/user/alice/inbox", &other).await;
    scene.settle().await;
    assert_eq!(scene.a.reports(&scene.alice).await.len(), 4);
}

/// The outcome of each answer that comes while the sender waits.
#[tokio::test]
async fn what_a_direct_answer_means() {
    let scene = StrangerScene::new().await;
    let report = |kind: &str, id: &str| {
        json!({"type": kind, "actor": "https://eve.example/actor", "to": "https://a.example/user/mallory",
            "object": id, "eko:deviceSetOutOfDate": true, "unknown": "member"})
    };
    let ours = scene.envelope();
    let id = ours.id.as_str();
    let elsewhere = json!({"type": "Reject", "actor": "https://c.example/actor",
        "to": scene.alice.actor(), "object": id});
    let problem = json!({"type": "about:blank", "title": "No", "detail": "we do not like you"});
    let deleted = json!({"type": "https://eve.example/problems/user-deleted", "title": "Deleted"});
    for (name, answer, expected) in [
        ("200", StrangerAnswer::status(200), "accepted"),
        ("204", StrangerAnswer::status(204), "accepted"),
        ("207", StrangerAnswer::activity(207, &report("PartialDelivery", id)), "partial"),
        ("409", StrangerAnswer::activity(409, &report("Reject", id)), "rejected true"),
        ("404", StrangerAnswer::status(404), "404 not-found"),
        ("410 for now", StrangerAnswer::status(410), "404 not-found"),
        ("410 of a deleted user", StrangerAnswer::activity(410, &deleted), "410 user-deleted"),
        ("403", StrangerAnswer::activity(403, &problem), "rejected false"),
        ("400", StrangerAnswer::status(400), "rejected false"),
        ("413", StrangerAnswer::status(413), "rejected false"),
        ("422", StrangerAnswer::status(422), "rejected false"),
        ("409 without a report", StrangerAnswer::status(409), "rejected false"),
        ("409 of another server", StrangerAnswer::activity(409, &elsewhere), "rejected false"),
        (
            "409 on another envelope",
            StrangerAnswer::activity(409, &report("Reject", "urn:uuid:00000000-0000-4000-8000-000000000009")),
            "rejected false",
        ),
        ("207 with a Reject", StrangerAnswer::activity(207, &report("Reject", id)), "partial"),
        ("207 without a report", StrangerAnswer::status(207), "partial"),
        (
            "301",
            StrangerAnswer::status(301).with("location", "https://eve.example/elsewhere"),
            "rejected false",
        ),
        (
            "308 to another server",
            StrangerAnswer::status(308).with("location", "https://c.example/inbox"),
            "rejected false",
        ),
    ] {
        let status = answer.status.as_u16();
        let knocks = if matches!(status, 400 | 403) { 2 } else { 1 };
        for _ in 0..knocks {
            scene.eve.answer(answer.clone());
        }
        let said = match scene.send(&ours).await {
            Ok(SendOutcome::Accepted { .. }) => "accepted".to_owned(),
            Ok(SendOutcome::Partial(report)) => {
                assert_eq!(report.to, scene.alice.actor(), "{name}");
                "partial".to_owned()
            }
            Ok(SendOutcome::Rejected(report)) => {
                assert_eq!(report.to, scene.alice.actor(), "{name}");
                format!("rejected {}", report.device_set_out_of_date)
            }
            Ok(SendOutcome::Queued { .. }) => "queued".to_owned(),
            Err(error) => {
                let problem = error.problem().unwrap();
                format!("{} {}", problem.status, problem.slug())
            }
        };
        assert_eq!(said, expected, "{name}");
    }
    assert_eq!(scene.a.waiting().await, (0, 0));
    // A redirect within the same server is followed, and the request is signed again for its
    // target.
    scene.eve.answer(StrangerAnswer::status(307).with("location", "/user/eve/other"));
    assert!(matches!(scene.send(&ours).await.unwrap(), SendOutcome::Accepted { .. }));
    let posts = scene.eve.posts();
    let [.., first, second] = posts.as_slice() else { panic!() };
    assert_eq!((first.target.as_str(), second.target.as_str()), ("/user/eve/inbox", "/user/eve/other"));
    assert_ne!(first.headers["signature"], second.headers["signature"]);
    assert_eq!(first.body, second.body);
}

/// A server that refuses an activity refuses it in both schemes. That says nothing of the scheme
/// that it takes: each first knock is still in the one that it took last.
#[tokio::test]
async fn a_refusal_says_nothing_of_the_scheme() {
    for taken in ["signature-input", "digest"] {
        let scene = StrangerScene::new().await;
        let takes = move |asked: &eko_testkit::StrangerRequest| asked.headers.contains_key(taken);
        let knows_one = move |asked: &eko_testkit::StrangerRequest| {
            (asked.method == Method::POST && !takes(asked)).then(|| StrangerAnswer::status(401))
        };
        scene.eve.script(knows_one);
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Accepted { .. }));
        scene.eve.script(|asked| (asked.method == Method::POST).then(|| StrangerAnswer::status(403)));
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Rejected(_)));
        scene.eve.script(knows_one);
        let before = scene.eve.posts().len();
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Accepted { .. }));
        assert_eq!(scene.eve.posts().len() - before, 1, "{taken}");
    }
}

/// The server asks for another signature (`Accept-Signature`): the second knock has it, and there is
/// no third one.
#[tokio::test]
async fn a_signature_that_is_asked_for_is_made_once() {
    let mut scene = StrangerScene::new().await;
    let asks = || StrangerAnswer {
        headers: vec![("accept-signature", r#"eve=("@method" "@authority");created;nonce="n1""#.to_owned())],
        ..StrangerAnswer::status(401)
    };
    scene.eve.script(move |asked| {
        let input = asked.headers.get("signature-input")?.to_str().unwrap();
        (!input.contains("n1")).then(asks)
    });
    assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Accepted { .. }));
    let posts = scene.eve.posts();
    assert_eq!(posts.len(), 2);
    let input = posts[1].headers["signature-input"].to_str().unwrap();
    let (covered, parameters) = input.split_once(";created=").unwrap();
    assert_eq!(covered, r#"eve=("@method" "@target-uri" "content-digest" "@authority")"#);
    let key = r#"keyid="https://a.example/user/alice#main-key""#;
    assert!(parameters.ends_with(&format!(r#";{key};alg="rsa-v1_5-sha256";nonce="n1""#)), "{input}");

    scene.eve.script(move |asked| (asked.method == Method::POST).then(asks));
    assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Queued { .. }));
    assert_eq!(scene.eve.posts().len(), 4);
    scene.a.leave_queues();
}

/// The server answers 500 five times, then 202: the message arrives, and its sender is told.
#[tokio::test]
async fn a_server_that_recovers() {
    let scene = StrangerScene::new().await;
    let outgoing = scene.envelope();
    for _ in 0..10 {
        // Each attempt knocks twice, once in each signature scheme.
        scene.eve.answer(StrangerAnswer::status(500));
    }
    assert!(matches!(scene.send(&outgoing).await.unwrap(), SendOutcome::Queued { .. }));
    let mut attempts = 1;
    while scene.a.waiting().await.0 > 0 {
        scene.internet.advance(5_000);
        attempts += scene.a.federate().await;
        assert!(attempts < 10, "{attempts} attempts");
    }
    assert_eq!(attempts, 6);
    scene.settle().await;
    let bodies: Vec<Value> = scene.eve.posts().iter().map(|asked| asked.json()).collect();
    assert_eq!(bodies.len(), 11);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "the same activity each time");
    assert_eq!(kinds(&scene.a.reports(&scene.alice).await), [ReportKind::Confirm]);
}

/// The server is gone for two days: it is tried some thirty times, then the message is given up and
/// its sender told why.
#[tokio::test]
async fn a_server_that_is_gone_for_two_days() {
    let scene = StrangerScene::new().await;
    // After a first envelope, the other server is known.
    scene.send(&scene.envelope()).await.unwrap();
    scene.internet.unplug(scene.eve.address);
    scene.internet.advance(MINUTE_MS);
    let outgoing = scene.envelope();
    assert!(matches!(scene.send(&outgoing).await.unwrap(), SendOutcome::Queued { .. }));
    let (mut looks, mut hours) = (0, 0.0);
    scene.internet.forget();
    while scene.a.waiting().await.0 > 0 {
        let step = if hours < 2.0 { 10_000 } else { 10 * MINUTE_MS };
        scene.internet.advance(step);
        hours += step as f64 / HOUR_MS as f64;
        looks += scene.a.federate().await;
        assert!(hours < 49.0, "it is given up after 48 hours");
    }
    assert!(hours >= 48.0, "given up after {hours} hours already");
    assert!((20..100).contains(&looks), "{looks} receives");
    let dials = scene.internet.dialled().len();
    assert!((15..80).contains(&dials), "{dials} dials");
    scene.a.deliver().await;
    scene.alice.refresh().await.unwrap();
    let reports = scene.a.reports(&scene.alice).await;
    assert_eq!(kinds(&reports), [ReportKind::Reject]);
    let summary = reports[0].summary.as_deref().unwrap();
    assert!(summary.contains("eve.example") && summary.contains("not delivered in time"), "{summary}");
    assert_eq!(scene.a.waiting().await, (0, 0));
}

/// The server is back, but fails on the one message that probes it. It is open for the others all
/// the same.
#[tokio::test]
async fn a_server_that_is_back_and_stumbles() {
    let scene = StrangerScene::new().await;
    scene.internet.unplug(scene.eve.address);
    scene.send(&scene.envelope()).await.unwrap();
    scene.send(&scene.envelope()).await.unwrap();
    scene.internet.plug(scene.eve.address);
    scene.internet.advance(10_000);
    scene.eve.answer(StrangerAnswer::status(500));
    scene.eve.answer(StrangerAnswer::status(500));
    scene.a.federate().await;
    assert_eq!(scene.a.waiting().await.0, 1, "the first stumbled, the second went through");
    assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Accepted { .. }));
    scene.internet.advance(MINUTE_MS);
    scene.settle().await;
    assert_eq!(scene.a.waiting().await.0, 0);
}

/// An envelope that has expired is not tried any longer.
#[tokio::test]
async fn an_envelope_that_expires_while_it_waits() {
    let scene = StrangerScene::new().await;
    scene.internet.unplug(scene.eve.address);
    let mut outgoing = scene.envelope();
    outgoing.expires_ms = Some(scene.internet.now_ms() + HOUR_MS);
    scene.send(&outgoing).await.unwrap();
    for _ in 0..40 {
        scene.internet.advance(2 * MINUTE_MS);
        scene.settle().await;
    }
    scene.alice.refresh().await.unwrap();
    assert_eq!(kinds(&scene.a.reports(&scene.alice).await), [ReportKind::Reject]);
}

/// The other server rejects the envelope after it has waited. The device gets that server's own
/// report.
#[tokio::test]
async fn a_rejection_after_the_wait() {
    let scene = StrangerScene::new().await;
    let outgoing = scene.envelope();
    scene.eve.answer(StrangerAnswer::status(503));
    scene.send(&outgoing).await.unwrap();
    let mut reject = scene.report("Reject", &outgoing);
    reject["staleDevices"] = json!(["https://eve.example/user/eve/device/1"]);
    scene.eve.answer(StrangerAnswer::activity(409, &reject));
    scene.internet.advance(10_000);
    scene.settle().await;
    let reports = scene.a.reports(&scene.alice).await;
    assert_eq!(kinds(&reports), [ReportKind::Reject]);
    assert_eq!(reports[0].stale_devices, ["https://eve.example/user/eve/device/1"]);
    assert_eq!(scene.eve.posts().iter().filter(|asked| asked.method == Method::POST).count(), 2);
}
