//! New devices: each waits until an active device approves it, and may do nothing until then.

use eko_client::device::RegistrationStatus;
use eko_protocol::chain::NodeKind;
use eko_protocol::key_package::PublishedKeys;
use eko_testkit::{BARE, ChainChanges as _, World, refusal, refused};
use http::header;

use super::{approval, try_everything};
use crate::people::alice_and_bob;
use crate::redactions::redacted;
use crate::requests::{get, get_public, post};

#[tokio::test]
async fn a_device_joins_and_is_revoked() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let second = world.device("bob", "two", BARE);
    let registered = second.register(&world.id_token(&second).await, second.as_further()).await.unwrap();
    assert_eq!(registered.status, RegistrationStatus::Pending);
    assert_eq!(registered.device_set.length, 1);
    let _redacted = redacted();

    // The active device gets a notice in its mailbox, and finds the new device in the list of
    // pending ones as well.
    world.deliver().await;
    let page = bob.fetch().await.unwrap();
    insta::assert_json_snapshot!(page.entries[0].activity, @r#"
    {
      "actor": "https://eko.example/actor",
      "eko:entry": "https://eko.example/user/bob/inbox/019c0b3be2c0-5cd5914c7b800682b1e99059f52bd971",
      "eko:received": "2026-01-29T19:30:00Z",
      "object": {
        "actor": "https://eko.example/user/bob",
        "id": "https://eko.example/user/bob/device/d349574d-8be4-49d8-b90d-21e220cfae89",
        "identityKey": "[key]",
        "joiningMac": "[MAC]",
        "keyPackage": "https://eko.example/user/bob/keyPackage/d349574d-8be4-49d8-b90d-21e220cfae89",
        "possession": "[signature]",
        "published": "2026-01-29T19:30:00Z",
        "registrationId": 13600,
        "type": [
          "Object",
          "PendingDevice"
        ]
      },
      "to": "https://eko.example/user/bob",
      "type": "Offer"
    }
    "#);
    let pending = get(&bob, "/user/bob/devices/pending").await;
    insta::assert_json_snapshot!("pending_devices", pending.json().unwrap());
    let [waiting] = <[_; 1]>::try_from(bob.pending_devices().await.unwrap()).unwrap();
    assert_eq!((waiting.device, waiting.name.as_deref()), (second.described(), Some("two")));

    let node = approval(&bob, &second).await;
    let answer = post(&bob, "/user/bob/devices", &node).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers[header::LOCATION], "https://eko.example/user/bob/devices/1");
    assert_eq!(bob.pending_devices().await.unwrap(), []);
    assert_eq!(second.fetch().await.unwrap().entries, []);

    bob.revoke(second.id()).await.unwrap();
    insta::assert_json_snapshot!(
        "chain_with_a_revocation",
        get(&bob, "/user/bob/devices").await.json().unwrap()
    );
    let (nodes, state) = bob.chain(bob.user()).await.unwrap();
    let kinds: Vec<_> = nodes.iter().map(|node| (node.seq(), node.device().to_owned())).collect();
    assert_eq!(kinds, [(0, bob.address()), (1, second.address()), (2, second.address())]);
    assert!(matches!(nodes[2].kind(), NodeKind::Revoke));
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [bob.id()]);

    // All that is left of the revoked device is its record, so that its id is not used again.
    world.empty(&bob).await;
    world.erase().await;
    let stored = world.stored().await;
    let left: Vec<_> = stored.keys(second.id().as_str(), "").into_iter().map(|(_, sk)| sk.as_str()).collect();
    assert_eq!(left, ["DEVICE"]);
}

#[tokio::test]
async fn a_pending_device_reads_its_own_state_and_nothing_else() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut second = world.pending(&bob, "two").await;
    let third = world.pending(&bob, "three").await;
    let seen = second.pending_devices().await.unwrap();
    assert_eq!(seen.iter().map(|waiting| &waiting.device.id).collect::<Vec<_>>(), [second.id()]);
    assert_eq!(bob.pending_devices().await.unwrap().len(), 2);
    insta::assert_json_snapshot!(try_everything(&world, &mut second, &alice).await, @r#"
    [
      "fetch: 403 device-pending",
      "send: 403 device-pending",
      "take: 403 device-pending",
      "take through the outbox: 403 device-pending",
      "publish: 403 device-pending",
      "rotate: 403 device-pending",
      "check: 403 device-pending",
      "append: 403 device-pending",
      "acknowledge: 403 device-pending",
      "discard: 403 device-pending"
    ]
    "#);
    // It keeps its session, and works as soon as it is approved.
    second.refresh().await.unwrap();
    bob.approve(second.id()).await.unwrap();
    assert_eq!(second.fetch().await.unwrap().entries, []);
    assert_eq!(refused(third.fetch().await), "403 device-pending");
    world.deliver().await;
}

#[tokio::test]
async fn a_pending_device_has_a_key_package_from_its_approval_on() {
    let (world, alice, bob) = alice_and_bob().await;
    let waiting = world.pending(&bob, "two").await;
    let package = format!("/user/bob/keyPackage/{}", waiting.id());
    let get = async || get_public(&alice, &package).await;
    assert_eq!(refusal(&get().await), "404 not-found");
    assert_eq!(alice.key_packages(bob.user()).await.unwrap().packages.len(), 1);
    assert_eq!(
        refused(alice.take_devices(bob.user(), &[bob.id().clone(), waiting.id().clone()]).await),
        "422 invalid #/object/1"
    );
    bob.approve(waiting.id()).await.unwrap();
    assert_eq!(get().await.status, 200);
    waiting
        .publish(&PublishedKeys {
            signed_pre_key: waiting.keys().first().signed_pre_key.clone(),
            ..PublishedKeys::default()
        })
        .await
        .unwrap();
    world.deliver().await;
}

#[tokio::test]
async fn a_user_has_sixteen_devices_and_eight_that_wait() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let mut labels = (2..).map(|number| format!("device {number}"));
    let mut waiting = Vec::new();
    let mut approved = 1;
    while approved < 16 {
        let device = world.device("bob", &labels.next().unwrap(), BARE);
        device.register(&world.id_token(&device).await, device.as_further()).await.unwrap();
        bob.approve(device.id()).await.unwrap();
        approved += 1;
    }
    for _ in 0..8 {
        let device = world.device("bob", &labels.next().unwrap(), BARE);
        device.register(&world.id_token(&device).await, device.as_further()).await.unwrap();
        waiting.push(device);
    }
    let before = world.stored().await;
    let ninth = world.device("bob", &labels.next().unwrap(), BARE);
    let token = world.id_token(&ninth).await;
    assert_eq!(refused(ninth.register(&token, ninth.as_further()).await), "429 too-many");
    assert_eq!(refused(bob.approve(waiting[0].id()).await), "422 invalid #/device");
    assert_eq!(world.stored().await.difference(&before), []);
    bob.revoke(bob.chain(bob.user()).await.unwrap().1.active.keys().find(|id| *id != bob.id()).unwrap())
        .await
        .unwrap();
    bob.approve(waiting[0].id()).await.unwrap();
    ninth.register(&token, ninth.as_further()).await.unwrap();
    world.deliver().await;
}
