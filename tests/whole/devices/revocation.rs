//! Revoked devices: from that moment on they can do nothing, and nobody writes to them.

use eko_client::device::{JoinKind, RegistrationStatus, SendOutcome};
use eko_testkit::{BARE, ChainChanges as _, envelope, refused};

use super::try_everything;
use crate::people::alice_and_bobs_two;

#[tokio::test]
async fn a_revoked_device_is_out_at_once() {
    let (world, alice, bob, mut second) = alice_and_bobs_two().await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let entry = second.fetch().await.unwrap().entries[0].address.clone();
    bob.revoke(second.id()).await.unwrap();

    insta::assert_json_snapshot!(try_everything(&world, &mut second, &alice).await, @r#"
    [
      "fetch: 401 device-revoked",
      "send: 401 device-revoked",
      "take: 401 device-revoked",
      "take through the outbox: 401 device-revoked",
      "publish: 401 device-revoked",
      "rotate: 401 device-revoked",
      "check: 401 device-revoked",
      "append: 401 device-revoked",
      "acknowledge: 401 device-revoked",
      "discard: 401 device-revoked"
    ]
    "#);
    assert_eq!(refused(second.pending_devices().await), "401 device-revoked");
    let next =
        format!("{}?after=0190a6c5d4c0-00000000000000000000000000000000", bob.origin().inbox(bob.user()));
    assert_eq!(refused(second.fetch_after(&next).await), "401 device-revoked");
    let token = world.id_token(&second).await;
    assert_eq!(refused(second.sign_in_again(&token).await), "401 device-revoked");
    assert_eq!(refused(second.register(&token, second.as_further()).await), "409 device-id-used");
    assert_eq!(refused(second.refresh().await), "401 unauthenticated");

    // It cannot acknowledge the message on behalf of the other device.
    let before = world.stored().await;
    assert_eq!(refused(second.acknowledge(std::slice::from_ref(&entry)).await), "401 device-revoked");
    assert_eq!(refused(second.discard(&entry).await), "401 device-revoked");
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(world.queued().await, (0, 0));
    assert_eq!(world.messages(&bob).await.len(), 1);
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_device_revokes_itself_and_the_last_one_leaves_a_reset_only() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    bob.revoke(bob.id()).await.unwrap();
    assert_eq!(refused(bob.fetch().await), "401 device-revoked");
    second.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    let SendOutcome::Rejected(report) = alice.send(&envelope(&alice, &[&second])).await.unwrap() else {
        panic!("was not rejected")
    };
    assert_eq!((report.stale_devices, report.missing_key_packages), (vec![second.address()], vec![]));
    assert_eq!(alice.take(bob.user()).await.unwrap().packages, []);
    let third = world.device("bob", "three", BARE);
    let token = world.id_token(&third).await;
    assert_eq!(refused(third.register(&token, third.as_further()).await), "409 no-active-device");
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(third.register(&token, JoinKind::Reset).await.unwrap().status, RegistrationStatus::Active);
    world.send(&alice, &[&third]).await;
    world.deliver().await;
    assert_eq!(world.messages(&third).await.len(), 1);
}
