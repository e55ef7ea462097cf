//! The list of an account's devices, by which the erasure finds them: it may be long, and it may be missing.

use std::collections::BTreeSet;

use eko_protocol::address::Origin;
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::id::{DeviceId, EnvelopeId};
use eko_store::sent::SentEnvelopeName;
use eko_testkit::{BARE, ChainChanges as _, World};

use super::delete;
use crate::people::sign_in_again;
use crate::{HOUR_MS, MINUTE_MS};

/// An account from before there was the list has an active device, a revoked one and a pending one.
#[tokio::test]
async fn an_account_that_is_older_than_the_list_leaves_nothing() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let revoked = world.further(&bob, "two").await;
    bob.revoke(revoked.id()).await.unwrap();
    let _pending = world.pending(&bob, "three").await;
    world.erase().await;
    world.advance(HOUR_MS);
    for device in [&alice, &bob] {
        sign_in_again(&world, device).await;
    }
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    world.remove_partition("C#bob").await;
    assert_eq!(delete(&world, &bob).await, "204");
    world.erase().await;
    let left: Vec<_> = world.stored().await.keys("#bob", "").into_iter().cloned().collect();
    assert_eq!(left, [("U#bob".to_owned(), "DEVICES".to_owned())]);
}

/// An account had more devices than one step looks at, and than one batch deletes.
#[tokio::test]
async fn many_devices_go_in_pages() {
    let world = World::new().await;
    let bob = world.user_with("bob", BARE).await;
    world.advance(HOUR_MS);
    sign_in_again(&world, &bob).await;
    let id = |n: usize| DeviceId::parse(&format!("0f3c9b1e-5a57-4b0e-9c39-{n:012x}")).unwrap();
    let former: BTreeSet<DeviceId> = (0..60).map(id).collect();
    world.state.store().list_devices(bob.user(), &former).await.unwrap();
    assert_eq!(delete(&world, &bob).await, "204");
    world.calls.record();
    for _ in 0..3 {
        world.advance(15 * MINUTE_MS);
        while world.deliver().await > 0 {
            world.advance(1_000);
        }
    }
    let recorded = world.calls.recorded();
    let queued = recorded.iter().filter(|call| call.operation == "SendMessageBatch");
    let longest = queued.map(|call| call.request.to_string().len()).max().unwrap();
    assert!(longest < 1_000, "the order has {longest} bytes");
    assert_eq!(world.stored().await.keys("#bob", "").len(), 1);
}

/// Servers that have written to a user, first in the order of the keys, take half of the places of those
/// that are told. So many records go in fewer steps than they have pages.
#[tokio::test]
async fn those_who_wrote_leave_room_for_those_who_were_written_to() {
    const WRITERS: usize = 700;
    let mut world = World::new().await;
    let bob = world.user_with("bob", BARE).await;
    world.advance(HOUR_MS);
    sign_in_again(&world, &bob).await;
    let (store, now_ms) = (world.state.store(), world.now_ms());
    for n in 0..WRITERS {
        let origin = Origin::parse(&format!("https://s{n}.example")).unwrap();
        let header = EnvelopeHeader {
            author: format!("{origin}/user/eve"),
            id: EnvelopeId::parse("urn:uuid:00000000-0000-4000-8000-000000000001").unwrap(),
            from: format!("{origin}/user/eve/device/1"),
            published_ms: None,
            expires_ms: None,
            notify: false,
            device_set: None,
            franking: None,
        };
        let devices = BTreeSet::from([bob.id().clone()]);
        let ttl = now_ms / 1_000 + 2_000_000;
        store.accept_envelope(bob.user(), &header, Some(&origin), &devices, now_ms, ttl).await.unwrap();
    }
    let there = Origin::parse("https://b.example").unwrap();
    let id = EnvelopeId::parse("urn:uuid:00000000-0000-4000-8000-000000000002").unwrap();
    let sent = SentEnvelopeName { author: bob.user(), recipient_origin: &there, id: &id };
    store.record_sent(sent, bob.id(), now_ms, now_ms / 1_000 + 2_000_000).await.unwrap();
    assert_eq!(delete(&world, &bob).await, "204");
    world.calls.record();
    world.erase().await;
    assert_eq!(world.stored().await.keys("#bob", "").len(), 1);
    assert_eq!(world.waiting().await.0, 501, "b.example, and 500 of the others");
    let recorded = world.calls.recorded();
    let orders = recorded.iter().filter(|call| {
        call.operation == "SendMessageBatch"
            && call.request["QueueUrl"].as_str().unwrap().ends_with("deliveries")
    });
    assert!(orders.count() < WRITERS / 100);
    world.leave_queues();
}
