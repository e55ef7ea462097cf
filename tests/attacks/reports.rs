//! Reports on envelopes, from servers that were never sent them, on envelopes that were never sent,
//! repeated, and too many.

use eko_protocol::activity::ReportKind;
use eko_protocol::http_signature::Scheme;
use eko_testkit::{Stranger, StrangerAnswer};
use serde_json::{Value, json};

use crate::scene::{AttackScene, envelope_id};

/// The kinds of activities that are read as reports.
const KINDS: [&str; 5] = ["Delivered", "PartialDelivery", "Reject", "Confirm", "Accept"];

/// Returns a report on an envelope of Alice's, for Alice.
fn report(scene: &AttackScene, kind: &str, actor: &str, number: usize) -> Value {
    json!({ "type": kind, "actor": actor, "to": scene.alice.actor(), "object": envelope_id(number) })
}

/// Starts a scene in which Alice has sent envelope 1 to Eve.
async fn scene_with_a_sent_envelope() -> AttackScene {
    let mut scene = AttackScene::new().await;
    assert_eq!(scene.alice_sends(&scene.eve.actor, &scene.eve.actor, 1).await, "201 Create");
    scene.take_baseline().await;
    scene
}

/// Delivers what is queued and returns the kinds of reports that Alice's device has.
async fn report_kinds(scene: &AttackScene) -> Vec<ReportKind> {
    scene.world.deliver().await;
    scene.world.reports(&scene.alice).await.iter().map(|report| report.kind).collect()
}

#[tokio::test]
async fn from_a_third_server() {
    let scene = scene_with_a_sent_envelope().await;
    let mallory = Stranger::new(&scene.internet, "c.example").await;
    for kind in KINDS {
        let mut forged = report(&scene, kind, &mallory.actor, 1);
        let deliver = async |body: &Value, path: &str| {
            let url = format!("https://eko.example{path}");
            let request = mallory.signed(Scheme::Rfc9421, &url, body, scene.world.now_ms());
            scene.send(request).await
        };
        for path in ["/inbox", "/user/alice/inbox"] {
            assert_eq!(deliver(&forged, path).await, "202", "{kind}");
        }
        assert_eq!(deliver(&forged, "/user/bob/inbox").await, "422 invalid #/to", "{kind}");
        // The report's actor is Eve, our server, or Bob.
        for (actor, expected) in [
            (scene.eve.actor.as_str(), "401 bad-signature"),
            ("https://eko.example/actor", "403 not-federated"),
            ("https://eko.example/user/bob", "403 not-federated"),
        ] {
            forged["actor"] = json!(actor);
            assert_eq!(deliver(&forged, "/inbox").await, expected, "{kind}: {actor}");
        }
        // The envelope is an object that claims to be Eve's.
        let mut object = report(&scene, kind, &mallory.actor, 1);
        object["object"] = json!({ "id": envelope_id(1), "to": mallory.actor, "actor": scene.eve.actor });
        object["attributedTo"] = json!(scene.eve.actor);
        assert_eq!(deliver(&object, "/inbox").await, "202", "{kind}");
    }
    scene.assert_unchanged("a report of a third server").await;
    assert_eq!(report_kinds(&scene).await, []);
}

#[tokio::test]
async fn from_the_same_name_in_another_place() {
    let scene = scene_with_a_sent_envelope().await;
    for host in ["b.example.evil.example", "notb.example", "sub.b.example"] {
        let near = Stranger::new(&scene.internet, host).await;
        let body = report(&scene, "Delivered", &near.actor, 1);
        let request = near.signed(Scheme::Cavage, "https://eko.example/inbox", &body, scene.world.now_ms());
        assert_eq!(scene.send(request).await, "202", "{host}");
    }
    scene.assert_unchanged("a report of a server with a name like that").await;
}

#[tokio::test]
async fn on_what_was_never_sent() {
    let scene = scene_with_a_sent_envelope().await;
    for kind in KINDS {
        // Other software has `Accept` and `Reject` for other things. Nothing else is lost behind a 202.
        let is_own = !matches!(kind, "Accept" | "Reject");
        let unread = |pointer| if is_own { pointer } else { "202" };
        for (name, expected, change) in [
            ("another envelope", "202", ("object", json!(envelope_id(2)))),
            ("an URL", "202", ("object", json!("https://b.example/message/1"))),
            ("no envelope", unread("422 invalid #/object"), ("object", json!("x"))),
            ("nothing", unread("422 invalid #/object"), ("object", json!(null))),
            (
                "two envelopes",
                unread("422 invalid #/object"),
                ("object", json!([envelope_id(1), envelope_id(1)])),
            ),
            ("another author", "202", ("to", json!(scene.bob.actor()))),
            ("nobody here", "202", ("to", json!("https://eko.example/user/nobody"))),
            (
                "two authors",
                unread("422 invalid #/to"),
                ("to", json!([scene.alice.actor(), scene.bob.actor()])),
            ),
            ("elsewhere", "422 invalid #/to", ("to", json!("https://c.example/users/eve"))),
            ("our server", "422 invalid #/to", ("to", json!("https://eko.example/actor"))),
            ("a device", "422 invalid #/to", ("to", json!(scene.alice.address()))),
        ] {
            let mut forged = report(&scene, kind, &scene.eve.actor, 1);
            forged[change.0] = change.1;
            assert_eq!(scene.deliver(&forged).await, expected, "{kind}: {name}");
        }
    }
    scene.assert_unchanged("a report on what was never sent").await;
}

#[tokio::test]
async fn on_an_envelope_between_users_here() {
    let mut scene = AttackScene::new().await;
    scene.world.send(&scene.alice, &[&scene.bob]).await;
    scene.world.deliver().await;
    let [message] = scene.world.messages(&scene.bob).await.try_into().unwrap();
    scene.take_baseline().await;
    for kind in KINDS {
        let mut forged = report(&scene, kind, &scene.eve.actor, 1);
        forged["object"] = json!(message.letter.header.id);
        assert_eq!(scene.deliver(&forged).await, "202", "{kind}");
    }
    scene.assert_unchanged("a report of another server on what never left").await;
}

#[tokio::test]
async fn the_same_again() {
    let mut scene = scene_with_a_sent_envelope().await;
    let delivered = report(&scene, "Delivered", &scene.eve.actor, 1);
    for path in ["/inbox", "/user/alice/inbox", "/inbox"] {
        let request = scene.signed(Scheme::Cavage, path, &delivered);
        assert_eq!(scene.send(request).await, "202");
        // Members that are not read do not make it another report.
        let mut dressed = delivered.clone();
        dressed["id"] = json!(format!("https://b.example/activity{path}"));
        dressed["published"] = json!("2026-01-29T19:30:00Z");
        dressed["eko:entry"] = json!("https://eko.example/user/alice/inbox/x");
        assert_eq!(scene.send(scene.signed(Scheme::Rfc9421, path, &dressed)).await, "202");
        assert_eq!(report_kinds(&scene).await, [ReportKind::Delivered]);
    }
    // The report is acknowledged, and sent again.
    scene.world.confirm(&scene.alice).await;
    scene.take_baseline().await;
    assert_eq!(scene.deliver(&delivered).await, "202");
    assert_eq!(report_kinds(&scene).await, []);
    scene.assert_unchanged("a report for the second time").await;
}

#[tokio::test]
async fn different_ones_without_end() {
    let mut scene = scene_with_a_sent_envelope().await;
    for number in 0..40 {
        let mut reject = report(&scene, "Reject", &scene.eve.actor, 1);
        reject["summary"] = json!(format!("reason {number} {}", "x".repeat(100_000)));
        assert_eq!(scene.deliver(&reject).await, "202", "{number}");
    }
    scene.world.deliver().await;
    let reports = scene.world.reports(&scene.alice).await;
    assert_eq!(reports.len(), 32);
    assert!(reports.iter().all(|report| report.summary.as_ref().unwrap().len() == 1024), "cut");
    scene.take_baseline().await;
    for kind in KINDS {
        assert_eq!(scene.deliver(&report(&scene, kind, &scene.eve.actor, 1)).await, "202", "{kind}");
    }
    scene.assert_unchanged("a report beyond all").await;
}

#[tokio::test]
async fn before_anything_was_delivered() {
    let scene = AttackScene::new().await;
    scene.internet.unplug(scene.eve.address);
    assert_eq!(scene.alice_sends(&scene.eve.actor, &scene.eve.actor, 1).await, "202 Create");
    scene.internet.plug(scene.eve.address);
    scene.world.advance(60_000);
    // The envelope was for Eve's server, so its report counts, once.
    for _ in 0..2 {
        assert_eq!(scene.deliver(&report(&scene, "Delivered", &scene.eve.actor, 1)).await, "202");
    }
    assert_eq!(report_kinds(&scene).await, [ReportKind::Delivered]);
    // The report does not take the envelope out of the queue. Beside it is the order to wake what
    // waits for a server that is back.
    assert_eq!(scene.world.waiting().await, (2, 0));
    scene.world.advance(1_000);
    scene.world.federate().await;
    assert_eq!(scene.eve.posts().len(), 1);
    assert_eq!(report_kinds(&scene).await, [ReportKind::Delivered, ReportKind::Confirm]);
}

#[tokio::test]
async fn as_answers_that_speak_for_others() {
    let scene = AttackScene::new().await;
    let right = |number| report(&scene, "PartialDelivery", &scene.eve.actor, number);
    type ReportChange = fn(&mut Value);
    let cases: [(&str, u16, ReportChange); 10] = [
        ("another server's", 207, |body| body["actor"] = json!("https://c.example/users/eve")),
        ("ours", 207, |body| body["actor"] = json!("https://eko.example/actor")),
        ("on another envelope", 207, |body| body["object"] = json!(envelope_id(99))),
        ("no report", 207, |body| body["type"] = json!("Note")),
        ("another kind", 207, |body| body["type"] = json!("Delivered")),
        ("another status", 409, |_| {}),
        ("a graph", 207, |body| body["@graph"] = json!([])),
        ("deep", 207, |body| body["x"] = (0..40).fold(json!(1), |inner, _| json!([inner]))),
        ("many devices", 207, |body| {
            body["missingKeyPackages"] = (0..100).map(|n| json!(format!("https://b.example/{n}"))).collect();
        }),
        ("no object", 207, |body| *body = json!([])),
    ];
    for (number, (name, status, change)) in cases.into_iter().enumerate() {
        let mut body = right(number);
        change(&mut body);
        scene.eve.answer(StrangerAnswer::activity(status, &body));
        let answer = scene.alice_sends(&scene.eve.actor, &scene.eve.actor, number).await;
        // The status says that the envelope was accepted. The report says nothing.
        let expected = if status == 207 { "207 PartialDelivery" } else { "409 Reject" };
        assert_eq!(answer, expected, "{name}");
    }
    scene.assert_unchanged_but_sent("a report that speaks for others").await;
    // The author is told, whoever the report names in `to`.
    let mut to_bob = right(50);
    to_bob["to"] = json!(scene.bob.actor());
    scene.eve.answer(StrangerAnswer::activity(207, &to_bob));
    assert_eq!(scene.alice_sends(&scene.eve.actor, &scene.eve.actor, 50).await, "207 PartialDelivery");
    scene.assert_unchanged_but_sent("a report for somebody else").await;
}

#[tokio::test]
async fn from_a_neighbour_of_the_recipient() {
    let scene = scene_with_a_sent_envelope().await;
    // Another actor of the same server may report, but under its own key only.
    let neighbour = scene.actor("neighbour", |_| {});
    let body = report(&scene, "Delivered", &neighbour, 1).to_string();
    let forged = scene.signed_by(&scene.eve.key, &scene.eve.key_id(), Scheme::Cavage, body);
    assert_eq!(scene.send(forged).await, "401 bad-signature");
    scene.assert_unchanged("a report under a neighbour's key").await;
}
