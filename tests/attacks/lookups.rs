//! Look-ups at other servers for those who may not cause any: devices that are not active, accounts
//! over their budget, and envelopes that would be refused anyway. Nobody is asked for them.

use eko_client::Device;
use eko_testkit::{BARE, ChainChanges as _, DirectTransport};
use serde_json::json;

use crate::scene::{AttackScene, web_finger_link};

/// Has a device send and take by handle and by id, and asserts that both are answered by `expected`
/// and that no name was resolved.
async fn assert_nobody_is_asked(scene: &AttackScene, device: &Device<DirectTransport>, expected: &str) {
    let origin = &scene.eve.origin;
    for to in ["@eve@b.example", "acct:eve@b.example", "@eve@elsewhere.example"] {
        assert_eq!(scene.sends(device, to, origin, 1).await, expected, "{to}");
        assert_eq!(scene.takes(device, to).await, expected, "{to}");
    }
    assert_eq!(scene.sends(device, &scene.eve.actor, &scene.eve.actor, 1).await, expected);
    let package = format!("{origin}/user/eve/keyPackage/00000000-0000-4000-8000-000000000001");
    for object in [format!("{origin}/user/eve/keyPackages"), package] {
        assert_eq!(scene.takes(device, &object).await, expected, "{object}");
    }
    assert_eq!(scene.internet.resolved(), Vec::<String>::new());
    assert_eq!(scene.dialled(), []);
}

#[tokio::test]
async fn for_a_pending_or_a_revoked_device() {
    let mut scene = AttackScene::new().await;
    let pending = scene.world.pending(&scene.alice, "pending").await;
    let revoked = scene.world.further(&scene.alice, "stolen").await;
    scene.alice.revoke(revoked.id()).await.unwrap();
    scene.world.deliver().await;
    scene.take_baseline().await;
    assert_nobody_is_asked(&scene, &pending, "403 device-pending").await;
    assert_nobody_is_asked(&scene, &revoked, "401 device-revoked").await;
    scene.assert_unchanged_but_sent("an envelope of a device that may not send").await;
    assert_eq!(scene.world.stored().await.keys("R#", ""), Vec::<&(String, String)>::new());
    // What they tried was not charged to their user.
    scene.serve_web_finger("eve", web_finger_link(&scene.eve.actor));
    assert_eq!(scene.alice_sends("@eve@b.example", &scene.eve.actor, 2).await, "201 Create");
}

#[tokio::test]
async fn for_an_account_over_its_budget() {
    let scene = AttackScene::with(BARE, |config| config.limits.account_budget = 4).await;
    scene.serve_web_finger("eve", web_finger_link(&scene.eve.actor));
    // A look-up is a request of its own, whatever becomes of the envelope.
    assert_eq!(scene.alice_sends("@eve@b.example", &scene.eve.actor, 1).await, "201 Create");
    assert_eq!(scene.alice_sends("@nobody@b.example", &scene.eve.actor, 2).await, "404 not-found");
    assert_eq!(scene.alice_takes("@nobody@b.example").await, "404 not-found");
    scene.internet.forget();
    assert_nobody_is_asked(&scene, &scene.alice, "429 too-many").await;
    scene.world.advance(60_000);
    assert_eq!(scene.alice_sends("@eve@b.example", &scene.eve.actor, 3).await, "201 Create");
}

#[tokio::test]
async fn for_an_envelope_that_is_not_well_formed_or_somebody_elses() {
    let scene = AttackScene::new().await;
    let good = json!({
        "type": "Create", "actor": scene.alice.actor(), "to": "@eve@b.example",
        "object": {
            "type": "SignalEnvelope", "id": crate::scene::envelope_id(1),
            "messages": [{
                "to": format!("{}/device/1", scene.eve.actor),
                "from": scene.alice.address(),
                "content": "c2VjcmV0",
            }],
        },
    });
    for (pointer, value, expected) in [
        ("/actor", json!(scene.bob.actor()), "403 not-yours #/actor"),
        ("/object/messages/0/from", json!(scene.bob.address()), "403 not-yours #/object/messages/0/from"),
        ("/object/messages/0/content", json!(""), "422 invalid #/object/messages/0/content"),
        ("/object/messages", json!([]), "422 invalid #/object/messages"),
        ("/object/expires", json!("2020-01-01T00:00:00Z"), "422 invalid #/object/expires"),
        ("/object/id", json!("x"), "422 invalid #/object/id"),
    ] {
        let mut bad = good.clone();
        match bad.pointer_mut(pointer) {
            Some(member) => *member = value,
            None => bad["object"]["expires"] = value,
        }
        assert_eq!(scene.post(&scene.alice, "/user/alice/outbox", &bad).await, expected, "{pointer}");
    }
    assert_eq!(scene.internet.resolved(), Vec::<String>::new());
    scene.assert_unchanged("an envelope that is not well formed").await;
}
