//! Letters under way to a deleted account are dropped where they arrive.

use eko_client::Device;
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::letter::Letter;
use eko_store::deliveries::{DeviceCiphertext, LetterDelivery};
use eko_testkit::{ChainChanges as _, DirectTransport, World};

use super::delete;
use crate::people::{alice_and_bobs_two, sign_in_again};
use crate::{HOUR_MS, MINUTE_MS};

/// Returns a letter of Alice's for Bob that was accepted at a time.
fn letter(
    alice: &Device<DirectTransport>,
    bob: &Device<DirectTransport>,
    accepted_ms: i64,
) -> LetterDelivery {
    LetterDelivery {
        to: bob.user().clone(),
        letter: Letter {
            header: EnvelopeHeader {
                author: alice.actor(),
                id: alice.envelope_id(),
                from: alice.address(),
                published_ms: None,
                expires_ms: None,
                notify: true,
                device_set: None,
                franking: None,
            },
            activity: None,
            accepted_ms,
            is_request: false,
        },
        ttl: i64::MAX,
        ciphertexts: vec![DeviceCiphertext { device: bob.id().clone(), content: vec![7] }],
        is_dropped: false,
    }
}

/// Returns the number of items of Bob's.
async fn items_of_bob(world: &World) -> usize {
    world.stored().await.keys("#bob", "").len()
}

/// The queue delivers a letter before the first pass, between the passes, or after a backlog of hours.
#[tokio::test]
async fn a_letter_leaves_no_entry_whenever_it_is_delivered() {
    for minutes in [0, 5, 300] {
        let (world, alice, bob, second) = alice_and_bobs_two().await;
        world.advance(HOUR_MS);
        sign_in_again(&world, &alice).await;
        let accepted_ms = world.now_ms();
        // A letter that is accepted stays in the queue, and so does a receipt.
        world.send(&alice, &[&bob, &second]).await;
        assert_eq!(delete(&world, &bob).await, "204");
        world.deliver().await;
        world.advance(2 * MINUTE_MS);
        world.deliver().await;
        if minutes > 60 {
            world.erase().await;
            assert_eq!(items_of_bob(&world).await, 1);
        }
        world.advance(minutes * MINUTE_MS);
        world.state.store().queue_letter(letter(&alice, &bob, accepted_ms)).await.unwrap();
        world.deliver().await;
        world.erase().await;
        assert_eq!(items_of_bob(&world).await, 1, "{minutes} minutes");
        assert_eq!(world.queued().await, (0, 0), "{minutes} minutes");
    }
}

/// Letters that come out of a backlog cost one read for all of a batch.
#[tokio::test]
async fn a_backlog_to_a_deleted_user_costs_one_read_a_batch() {
    let (world, alice, bob, _) = alice_and_bobs_two().await;
    world.advance(HOUR_MS);
    sign_in_again(&world, &alice).await;
    let accepted_ms = world.now_ms();
    assert_eq!(delete(&world, &bob).await, "204");
    world.erase().await;
    for _ in 0..10 {
        world.state.store().queue_letter(letter(&alice, &bob, accepted_ms)).await.unwrap();
    }
    world.calls.reset();
    assert_eq!(world.deliver().await, 10);
    let mut made = world.calls.made();
    made.retain(|call| call.ends_with("GetItem") || call.ends_with("WriteItem"));
    assert_eq!(made, ["BatchGetItem"]);
    assert_eq!(items_of_bob(&world).await, 1);
}

/// A letter that comes out of a backlog has no entry for a device that was revoked meanwhile.
#[tokio::test]
async fn a_late_letter_leaves_no_entry_for_a_revoked_device() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let accepted_ms = world.now_ms();
    bob.revoke(second.id()).await.unwrap();
    world.erase().await;
    for device in [&bob, &second] {
        let late = LetterDelivery {
            ciphertexts: vec![DeviceCiphertext { device: device.id().clone(), content: vec![7] }],
            ..letter(&alice, &bob, accepted_ms)
        };
        world.state.store().queue_letter(late).await.unwrap();
    }
    world.deliver().await;
    let stored = world.stored().await;
    let entries = |device: &Device<DirectTransport>| stored.keys(device.id().as_str(), "M#").len();
    assert_eq!((entries(&bob), entries(&second)), (1, 0));
}
