//! Internal addresses that our own clients name, as recipients and as targets of takes, or that
//! other servers name in answers to us: WebFinger, redirects of a POST, key packages, reports. The
//! server connects to none of them.

use eko_client::{Auth, Body};
use eko_testkit::{StrangerAnswer, StrangerRequest};
use http::Method;
use serde_json::{Value, json};

use crate::addresses::{Trap, TrapKind, traps};
use crate::scene::{AttackScene, envelope_id, web_finger_link};

#[tokio::test]
async fn as_the_recipient() {
    let scene = AttackScene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let to = format!("{}/users/eve", trap.base);
        let expected = match (trap.kind, trap.base.as_str()) {
            // The address has no normal form. What is no address in normal form is invalid, not
            // excluded.
            (TrapKind::Spelling, _) => "422 invalid #/to",
            (TrapKind::Literal | TrapKind::Local, _) => "403 not-federated",
            (TrapKind::Resolves, _) => "502 remote-failed",
        };
        assert_eq!(scene.alice_sends(&to, &trap.base, number).await, expected, "{trap:?}");
        scene.assert_contacted_only(&[&trap.name], &format!("{trap:?}"));
        assert_eq!(scene.dialled(), [], "{trap:?}");
    }
    scene.assert_unchanged_but_sent("an envelope to somewhere within").await;
}

#[tokio::test]
async fn as_the_target_of_a_take() {
    let scene = AttackScene::new().await;
    for trap in traps(&scene.internet) {
        let http_to_this_machine = ["http://127.0.0.1:9001", "http://localhost:9001"];
        let expected = match trap.kind {
            TrapKind::Literal if http_to_this_machine.contains(&trap.base.as_str()) => "403 not-federated",
            TrapKind::Spelling | TrapKind::Literal => "422 invalid #/object",
            TrapKind::Local => "403 not-federated",
            TrapKind::Resolves => "502 remote-failed",
        };
        for path in ["user/eve/keyPackages", "user/eve/keyPackage/00000000-0000-4000-8000-000000000001"] {
            let answer = scene.alice_takes(&format!("{}/{path}", trap.base)).await;
            assert_eq!(answer, expected, "{trap:?}");
        }
        scene.assert_contacted_only(&[&trap.name], &format!("{trap:?}"));
    }
    scene.assert_unchanged("a Take of somewhere within").await;
}

#[tokio::test]
async fn as_the_domain_of_a_handle() {
    let scene = AttackScene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let Some(host) = trap.base.strip_prefix("https://") else { continue };
        let (to, object) = match trap.kind {
            TrapKind::Spelling => ("422 invalid #/to", "422 invalid #/object"),
            TrapKind::Literal if host.starts_with('[') => ("422 invalid #/to", "422 invalid #/object"),
            TrapKind::Literal | TrapKind::Local => ("403 not-federated", "403 not-federated"),
            TrapKind::Resolves => ("502 remote-failed", "502 remote-failed"),
        };
        for handle in [format!("@eve@{host}"), format!("acct:eve@{host}")] {
            assert_eq!(scene.alice_sends(&handle, &trap.base, number).await, to, "{handle}");
            assert_eq!(scene.alice_takes(&handle).await, object, "{handle}");
        }
        scene.assert_contacted_only(&[&trap.name], &format!("{trap:?}"));
    }
    scene.assert_unchanged("what was for a handle within").await;
}

/// Has Alice send and take by a handle of Eve's server, and asserts that both fail.
async fn assert_handle_fails(scene: &AttackScene, name: &str, devices: &str, trap: &Trap) {
    let handle = format!("@{name}@b.example");
    assert_eq!(scene.alice_sends(&handle, devices, 1).await, "502 remote-failed", "{trap:?}");
    assert_eq!(scene.alice_takes(&handle).await, "502 remote-failed", "{trap:?}");
    scene.assert_contacted_only(&[&trap.name], &format!("{trap:?}"));
}

#[tokio::test]
async fn as_the_link_of_a_web_finger() {
    let scene = AttackScene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let name = format!("l{number}");
        scene.serve_web_finger(&name, web_finger_link(&format!("{}/users/eve", trap.base)));
        // An address of a device that is not in normal form would be refused before the look-up.
        let devices = if trap.kind == TrapKind::Spelling { &scene.eve.origin } else { &trap.base };
        assert_handle_fails(&scene, &name, devices, trap).await;
    }
    scene.assert_unchanged_but_sent("what was for a handle that leads within").await;
}

#[tokio::test]
async fn as_the_redirect_of_a_web_finger() {
    let scene = AttackScene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let target = format!("{}/.well-known/webfinger", trap.base);
        let name = format!("r{number}");
        scene.serve_web_finger(&name, StrangerAnswer::status(302).with("location", target));
        assert_handle_fails(&scene, &name, &scene.eve.origin, trap).await;
    }
    scene.assert_unchanged("what was for a handle that leads within").await;
}

#[tokio::test]
async fn as_the_inbox_of_the_recipient() {
    let scene = AttackScene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let to = scene.actor(&format!("i{number}"), |document| {
            document["inbox"] = json!(format!("{}/inbox", trap.base));
        });
        assert_eq!(scene.alice_sends(&to, &to, number).await, "502 remote-failed", "{trap:?}");
        // The shared inbox of an actor is not used.
        let to = scene.actor(&format!("s{number}"), |document| {
            document["endpoints"] = json!({ "sharedInbox": format!("{}/inbox", trap.base) });
        });
        assert_eq!(scene.alice_sends(&to, &to, number).await, "201 Create", "{trap:?}");
        scene.assert_contacted_only(&[], &format!("{trap:?}"));
    }
    assert!(scene.eve.posts().iter().all(|post| post.target.starts_with("/users/s")));
    scene.assert_unchanged_but_sent("an envelope to an inbox within").await;
}

#[tokio::test]
async fn as_the_redirect_of_a_post() {
    let scene = AttackScene::new().await;
    let packages = format!("{}/user/eve/keyPackages", scene.eve.origin);
    let statuses = [307, 308, 301, 302, 303].into_iter().cycle();
    for ((number, trap), status) in traps(&scene.internet).iter().enumerate().zip(statuses) {
        let answer = StrangerAnswer::status(status).with("location", format!("{}/inbox", trap.base));
        scene.eve.answer(answer.clone());
        let to = &scene.eve.actor;
        assert_eq!(scene.alice_sends(to, to, number).await, "409 Reject", "{status}: {trap:?}");
        scene.eve.answer(answer);
        assert_eq!(scene.alice_takes(&packages).await, "502 remote-failed", "{status}: {trap:?}");
        scene.assert_contacted_only(&[], &format!("{trap:?}"));
    }
    scene.assert_unchanged_but_sent("what was redirected within").await;
}

#[tokio::test]
async fn in_the_answer_to_a_take() {
    let scene = AttackScene::new().await;
    let path = "/user/bob/keyPackages";
    let ours = scene.bob.call(Method::GET, path, Body::Empty, Auth::Nobody).await.unwrap();
    let right = String::from_utf8_lossy(&ours.body).replace("https://eko.example", &scene.eve.origin);
    let right: Value = serde_json::from_str(&right).unwrap();
    let packages = format!("{}/user/bob/keyPackages", scene.eve.origin);
    scene.eve.answer(StrangerAnswer::activity(200, &right));
    assert_eq!(scene.alice_takes(&packages).await, "200 Collection");
    for trap in traps(&scene.internet) {
        for pointer in ["/id", "/items/0/id", "/items/0/device"] {
            let mut body = right.clone();
            let member = body.pointer_mut(pointer).unwrap();
            *member = json!(member.as_str().unwrap().replace(&scene.eve.origin, &trap.base));
            scene.eve.answer(StrangerAnswer::activity(200, &body));
            assert_eq!(scene.alice_takes(&packages).await, "502 remote-failed", "{pointer}: {trap:?}");
        }
        scene.assert_contacted_only(&[], &format!("{trap:?}"));
    }
    scene.assert_unchanged("packages within").await;
}

#[tokio::test]
async fn in_a_report() {
    let mut scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    assert_eq!(scene.alice_sends(&eve, &eve, 1).await, "201 Create");
    scene.take_baseline().await;
    for trap in traps(&scene.internet) {
        let device = "00000000-0000-4000-8000-000000000001";
        // A `Reject` may be one of something else, and is ignored.
        let unread = "422 invalid #/missingKeyPackages/0";
        for (kind, member, path, expected) in [
            ("PartialDelivery", "missingKeyPackages", "keyPackage", unread),
            ("Reject", "missingKeyPackages", "keyPackage", "202"),
            ("Reject", "staleDevices", "device", "202"),
        ] {
            let mut report = json!({
                "type": kind,
                "actor": eve,
                "to": scene.alice.actor(),
                "object": envelope_id(1),
            });
            report[member] = json!([format!("{}/user/eve/{path}/{device}", trap.base)]);
            assert_eq!(scene.deliver(&report).await, expected, "{kind} {member}: {trap:?}");
        }
        scene.assert_contacted_only(&[], &format!("{trap:?}"));
    }
    scene.assert_unchanged("a report that leads within").await;
}

#[tokio::test]
async fn in_a_report_that_is_an_answer() {
    let scene = AttackScene::new().await;
    let (eve, alice) = (scene.eve.actor.clone(), scene.alice.actor());
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        let report = json!({
            "type": "PartialDelivery",
            "actor": eve,
            "to": alice,
            "object": envelope_id(number),
            "missingKeyPackages": [format!("{}/user/eve/keyPackage/x", trap.base)],
        });
        scene.eve.answer(StrangerAnswer::activity(207, &report));
        // The status says that devices were missed; the report that names others is not believed.
        assert_eq!(scene.alice_sends(&eve, &eve, number).await, "207 PartialDelivery", "{trap:?}");
        scene.assert_contacted_only(&[], &format!("{trap:?}"));
    }
    let posts: Vec<StrangerRequest> = scene.eve.posts();
    assert!(posts.iter().all(|post| post.target == "/users/eve/inbox"));
    scene.assert_unchanged_but_sent("a report that leads within").await;
}
