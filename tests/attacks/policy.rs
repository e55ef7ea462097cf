//! Domains that the federation policy excludes: nothing of theirs is accepted, nothing is fetched
//! from them or sent to them, and no other server leads there.

use eko_federation::policy::FederationPolicy;
use eko_service::config::Config;
use eko_testkit::{BARE, Stranger, StrangerAnswer};
use serde_json::{Value, json};

use crate::scene::{AttackScene, SCHEMES, like, web_finger_link};

/// Returns a change of the configuration that sets both lists.
pub(crate) fn lists(allow: &'static str, deny: &'static str) -> impl FnOnce(&mut Config) {
    move |config| {
        let policy = FederationPolicy {
            allow: FederationPolicy::list(allow).unwrap(),
            deny: FederationPolicy::list(deny).unwrap(),
        };
        config.federation.as_mut().unwrap().policy = policy;
    }
}

/// Asserts that nothing is accepted from an actor or sent to it, and that nobody is asked for it.
async fn assert_excluded(scene: &AttackScene, actor: &str) {
    let envelope = scene.envelope(actor, 1);
    let take: Value =
        json!({ "type": "Take", "actor": actor, "object": format!("{}/keyPackages", scene.bob.actor()) });
    let deletion = json!({ "type": "Delete", "actor": actor, "object": actor });
    let report =
        json!({ "type": "Delivered", "actor": actor, "to": scene.alice.actor(), "object": "urn:uuid:x" });
    for activity in [&envelope, &take, &deletion, &report, &like(actor)] {
        for path in ["/inbox", "/user/bob/inbox"] {
            for scheme in SCHEMES {
                let answer = scene.send(scene.signed(scheme, path, activity)).await;
                assert_eq!(answer, "403 not-federated", "{actor} {path}: {activity}");
            }
        }
    }
    let (origin, _) = actor.split_once("/users/").unwrap();
    let host = origin.strip_prefix("https://").unwrap();
    assert_eq!(scene.alice_sends(actor, actor, 1).await, "403 not-federated", "{actor}");
    assert_eq!(scene.alice_takes(&format!("{origin}/user/eve/keyPackages")).await, "403 not-federated");
    for handle in [format!("@eve@{host}"), format!("acct:EVE@{}", host.to_uppercase())] {
        assert_eq!(scene.alice_sends(&handle, actor, 1).await, "403 not-federated", "{handle}");
        assert_eq!(scene.alice_takes(&handle).await, "403 not-federated", "{handle}");
    }
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]), "{actor}");
    scene.assert_unchanged("what comes of a server that is excluded").await;
}

#[tokio::test]
async fn denied_domains() {
    let scene = AttackScene::with(BARE, lists("", "b.example, B\u{fc}cher.example")).await;
    for host in [
        "b.example",
        "sub.b.example",
        "deep.sub.b.example",
        "b.example:8443",
        "xn--bcher-kva.example",
        "shop.xn--bcher-kva.example",
    ] {
        assert_excluded(&scene, &format!("https://{host}/users/eve")).await;
    }
    // Other spellings of the host are no ids of actors. Other spellings of a handle are the same
    // handle.
    for host in ["B.EXAMPLE", "b.example.", "b\u{fc}cher.example"] {
        let envelope = scene.envelope(&format!("https://{host}/users/eve"), 1);
        let request = scene.signed_bytes(SCHEMES[0], "/inbox", &scene.eve.actor, envelope.to_string());
        assert_eq!(scene.send(request).await, "403 not-federated", "{host}");
    }
    let handle = "@eve@B\u{dc}CHER.example";
    assert_eq!(scene.alice_takes(handle).await, "403 not-federated");
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]));
    // A domain whose name ends like a denied one is not denied.
    let other = Stranger::new(&scene.internet, "notb.example").await;
    assert_eq!(scene.deliver(&like(&other.actor)).await, "202");
}

#[tokio::test]
async fn servers_that_are_not_allowed() {
    let scene = AttackScene::with(BARE, lists("good.example", "bad.good.example")).await;
    for host in [
        "b.example",
        "notgood.example",
        "good.example.evil.example",
        "bad.good.example",
        "worse.bad.good.example",
    ] {
        assert_excluded(&scene, &format!("https://{host}/users/eve")).await;
    }
    for host in ["good.example", "sub.good.example"] {
        let good = Stranger::new(&scene.internet, host).await;
        assert_eq!(scene.deliver(&like(&good.actor)).await, "202", "{host}");
    }
}

#[tokio::test]
async fn our_own_server() {
    let scene = AttackScene::new().await;
    for actor in [scene.bob.actor(), scene.alice.actor(), "https://eko.example/actor".to_owned()] {
        for path in ["/inbox", "/user/bob/inbox"] {
            for scheme in SCHEMES {
                let request = scene.signed(scheme, path, &scene.envelope(&actor, 1));
                assert_eq!(scene.send(request).await, "403 not-federated", "{actor} {path}");
            }
        }
    }
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]));
    scene.assert_unchanged("an envelope of ours from elsewhere").await;
}

#[tokio::test]
async fn a_server_that_federates_with_nobody() {
    let scene = AttackScene::with(BARE, |config| config.federation = None).await;
    for path in ["/inbox", "/user/bob/inbox"] {
        let request = scene.signed(SCHEMES[0], path, &scene.envelope(&scene.eve.actor, 1));
        assert_eq!(scene.send(request).await, "403 not-federated", "{path}");
    }
    assert_eq!(scene.alice_sends(&scene.eve.actor, &scene.eve.actor, 1).await, "422 invalid #/to");
    assert_eq!(scene.alice_takes("@eve@b.example").await, "422 invalid #/object");
    assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]));
    scene.assert_unchanged("an envelope from elsewhere").await;
}

#[tokio::test]
async fn servers_that_lead_there() {
    let scene = AttackScene::with(BARE, lists("", "denied.example")).await;
    let denied = Stranger::new(&scene.internet, "denied.example").await;
    let sub = Stranger::new(&scene.internet, "sub.denied.example").await;
    for (number, other) in [&denied, &sub].into_iter().enumerate() {
        // The denied server appears as an actor behind a redirect, as an inbox, in WebFinger, and
        // as the target of a redirected POST.
        scene.eve.document("/users/moved", StrangerAnswer::status(307).with("location", &other.actor));
        let moved = format!("{}/users/moved", scene.eve.origin);
        assert_eq!(scene.deliver(&like(&moved)).await, "401 bad-signature");
        let inbox = scene.actor(&format!("inbox{number}"), |document| {
            document["inbox"] = json!(format!("{}/inbox", other.actor));
        });
        assert_eq!(scene.deliver(&like(&inbox)).await, "401 bad-signature");
        let name = format!("linked{number}");
        scene.serve_web_finger(&name, web_finger_link(&other.actor));
        assert_eq!(scene.alice_takes(&format!("@{name}@b.example")).await, "502 remote-failed");
        let name = format!("redirected{number}");
        let there = format!("{}/.well-known/webfinger", other.origin);
        scene.serve_web_finger(&name, StrangerAnswer::status(302).with("location", there));
        assert_eq!(scene.alice_takes(&format!("@{name}@b.example")).await, "502 remote-failed");
        scene.eve.answer(StrangerAnswer::status(308).with("location", format!("{}/inbox", other.actor)));
        assert_eq!(scene.alice_sends(&scene.eve.actor, &scene.eve.actor, number).await, "409 Reject");
        assert_eq!(other.asked().len(), 0, "{}", other.origin);
    }
    scene.assert_contacted_only(&[], "a domain that is denied");
    scene.assert_unchanged_but_sent("what leads to a domain that is denied").await;
}
