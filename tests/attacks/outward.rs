//! Addresses within, named by our own clients as recipients and takers' targets, or by other servers in what they
//! answer to us: WebFinger, redirects of our POST, key packages, reports.

use eko_client::{Auth, Body};
use eko_testkit::{Answer, Asked};
use http::Method;
use serde_json::{Value, json};

use crate::addresses::{Kind, Trap, traps};
use crate::scene::{Scene, envelope_id};

/// The path and query of the WebFinger of a handle at `b.example`.
fn web_finger(name: &str) -> String {
    format!("/.well-known/webfinger?resource=acct%3A{name}%40b.example")
}

#[tokio::test]
async fn as_the_recipient() {
    let scene = Scene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let to = format!("{}/users/eve", trap.base);
        let expected = match (trap.kind, trap.base.as_str()) {
            // Not federated with, and no address in normal form.
            (Kind::Spelling, _) => "422 invalid #/to",
            (Kind::Literal | Kind::Local, _) => "403 not-federated",
            (Kind::Resolves, _) => "502 remote-failed",
        };
        assert_eq!(scene.alice_sends(&to, &trap.base, number).await, expected, "{trap:?}");
        scene.asked_only(&[&trap.name], &format!("{trap:?}"));
        assert_eq!(scene.dialled(), [], "{trap:?}");
    }
    scene.unchanged_but_sent("an envelope to somewhere within").await;
}

#[tokio::test]
async fn as_the_target_of_a_take() {
    let scene = Scene::new().await;
    for trap in traps(&scene.internet) {
        let http_to_this_machine = ["http://127.0.0.1:9001", "http://localhost:9001"];
        let expected = match trap.kind {
            Kind::Literal if http_to_this_machine.contains(&trap.base.as_str()) => "403 not-federated",
            Kind::Spelling | Kind::Literal => "422 invalid #/object",
            Kind::Local => "403 not-federated",
            Kind::Resolves => "502 remote-failed",
        };
        for path in ["user/eve/keyPackages", "user/eve/keyPackage/00000000-0000-4000-8000-000000000001"] {
            let said = scene.alice_takes(&format!("{}/{path}", trap.base)).await;
            assert_eq!(said, expected, "{trap:?}");
        }
        scene.asked_only(&[&trap.name], &format!("{trap:?}"));
    }
    scene.unchanged("a Take of somewhere within").await;
}

#[tokio::test]
async fn as_the_domain_of_a_handle() {
    let scene = Scene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let Some(host) = trap.base.strip_prefix("https://") else { continue };
        let (to, object) = match trap.kind {
            Kind::Spelling => ("422 invalid #/to", "422 invalid #/object"),
            Kind::Literal if host.starts_with('[') => ("422 invalid #/to", "422 invalid #/object"),
            Kind::Literal | Kind::Local => ("403 not-federated", "403 not-federated"),
            Kind::Resolves => ("502 remote-failed", "502 remote-failed"),
        };
        for handle in [format!("@eve@{host}"), format!("acct:eve@{host}")] {
            assert_eq!(scene.alice_sends(&handle, &trap.base, number).await, to, "{handle}");
            assert_eq!(scene.alice_takes(&handle).await, object, "{handle}");
        }
        scene.asked_only(&[&trap.name], &format!("{trap:?}"));
    }
    scene.unchanged("what was for a handle within").await;
}

/// Alice sends and takes by a handle of Eve's server; both fail there.
async fn by_handle(scene: &Scene, name: &str, devices: &str, trap: &Trap) {
    let handle = format!("@{name}@b.example");
    assert_eq!(scene.alice_sends(&handle, devices, 1).await, "502 remote-failed", "{trap:?}");
    assert_eq!(scene.alice_takes(&handle).await, "502 remote-failed", "{trap:?}");
    scene.asked_only(&[&trap.name], &format!("{trap:?}"));
}

#[tokio::test]
async fn as_the_link_of_a_web_finger() {
    let scene = Scene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let href = format!("{}/users/eve", trap.base);
        let link = json!({ "rel": "self", "type": "application/activity+json", "href": href });
        let mut answer = Answer::activity(200, &json!({ "links": [link] }));
        answer.media_type = "application/jrd+json";
        scene.eve.document(&web_finger(&format!("l{number}")), answer);
        by_handle(&scene, &format!("l{number}"), &trap.base, trap).await;
    }
    scene.unchanged_but_sent("what was for a handle that leads within").await;
}

#[tokio::test]
async fn as_the_redirect_of_a_web_finger() {
    let scene = Scene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let target = format!("{}/.well-known/webfinger", trap.base);
        let answer = Answer::status(302).with("location", target);
        scene.eve.document(&web_finger(&format!("r{number}")), answer);
        by_handle(&scene, &format!("r{number}"), &scene.eve.origin, trap).await;
    }
    scene.unchanged("what was for a handle that leads within").await;
}

#[tokio::test]
async fn as_the_inbox_of_the_recipient() {
    let scene = Scene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let to = scene.actor(&format!("i{number}"), |document| {
            document["inbox"] = json!(format!("{}/inbox", trap.base));
        });
        assert_eq!(scene.alice_sends(&to, &to, number).await, "502 remote-failed", "{trap:?}");
        // Its other inboxes are not used at all.
        let to = scene.actor(&format!("s{number}"), |document| {
            document["endpoints"] = json!({ "sharedInbox": format!("{}/inbox", trap.base) });
        });
        assert_eq!(scene.alice_sends(&to, &to, number).await, "201 Create", "{trap:?}");
        scene.asked_only(&[], &format!("{trap:?}"));
    }
    assert!(scene.eve.posts().iter().all(|post| post.target.starts_with("/users/s")));
    scene.unchanged_but_sent("an envelope to an inbox within").await;
}

#[tokio::test]
async fn as_the_redirect_of_a_post() {
    let scene = Scene::new().await;
    let packages = format!("{}/user/eve/keyPackages", scene.eve.origin);
    let statuses = [307, 308, 301, 302, 303].into_iter().cycle();
    for ((number, trap), status) in traps(&scene.internet).iter().enumerate().zip(statuses) {
        let answer = Answer::status(status).with("location", format!("{}/inbox", trap.base));
        scene.eve.answer(answer.clone());
        let to = &scene.eve.actor;
        assert_eq!(scene.alice_sends(to, to, number).await, "409 Reject", "{status}: {trap:?}");
        scene.eve.answer(answer);
        assert_eq!(scene.alice_takes(&packages).await, "502 remote-failed", "{status}: {trap:?}");
        scene.asked_only(&[], &format!("{trap:?}"));
    }
    scene.unchanged_but_sent("what was redirected within").await;
}

#[tokio::test]
async fn in_the_answer_to_a_take() {
    let scene = Scene::new().await;
    let path = "/user/bob/keyPackages";
    let ours = scene.bob.call(Method::GET, path, Body::Empty, Auth::Nobody).await.unwrap();
    let right = String::from_utf8_lossy(&ours.body).replace("https://eko.example", &scene.eve.origin);
    let right: Value = serde_json::from_str(&right).unwrap();
    let packages = format!("{}/user/bob/keyPackages", scene.eve.origin);
    scene.eve.answer(Answer::activity(200, &right));
    assert_eq!(scene.alice_takes(&packages).await, "200 Collection");
    for trap in traps(&scene.internet) {
        for pointer in ["/id", "/items/0/id", "/items/0/device"] {
            let mut body = right.clone();
            let member = body.pointer_mut(pointer).unwrap();
            *member = json!(member.as_str().unwrap().replace(&scene.eve.origin, &trap.base));
            scene.eve.answer(Answer::activity(200, &body));
            assert_eq!(scene.alice_takes(&packages).await, "502 remote-failed", "{pointer}: {trap:?}");
        }
        scene.asked_only(&[], &format!("{trap:?}"));
    }
    scene.unchanged("packages within").await;
}

#[tokio::test]
async fn in_a_report() {
    let mut scene = Scene::new().await;
    let eve = scene.eve.actor.clone();
    assert_eq!(scene.alice_sends(&eve, &eve, 1).await, "201 Create");
    scene.settle().await;
    for trap in traps(&scene.internet) {
        let device = "00000000-0000-4000-8000-000000000001";
        for (kind, member, path) in [
            ("PartialDelivery", "missingKeyPackages", "keyPackage"),
            ("Reject", "missingKeyPackages", "keyPackage"),
            ("Reject", "staleDevices", "device"),
        ] {
            let mut report = json!({
                "type": kind,
                "actor": eve,
                "to": scene.alice.actor(),
                "object": envelope_id(1),
            });
            report[member] = json!([format!("{}/user/eve/{path}/{device}", trap.base)]);
            assert_eq!(scene.deliver(&report).await, "202", "{kind} {member}: {trap:?}");
        }
        scene.asked_only(&[], &format!("{trap:?}"));
    }
    scene.unchanged("a report that leads within").await;
}

#[tokio::test]
async fn in_a_report_that_is_an_answer() {
    let scene = Scene::new().await;
    let (eve, alice) = (scene.eve.actor.clone(), scene.alice.actor());
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let report = json!({
            "type": "PartialDelivery",
            "actor": eve,
            "to": alice,
            "object": envelope_id(number),
            "missingKeyPackages": [format!("{}/user/eve/keyPackage/x", trap.base)],
        });
        scene.eve.answer(Answer::activity(207, &report));
        assert_eq!(scene.alice_sends(&eve, &eve, number).await, "409 Reject", "{trap:?}");
        scene.asked_only(&[], &format!("{trap:?}"));
    }
    let posts: Vec<Asked> = scene.eve.posts();
    assert!(posts.iter().all(|post| post.target == "/users/eve/inbox"));
    scene.unchanged_but_sent("a report that leads within").await;
}
