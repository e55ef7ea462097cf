//! Requests that overlap: sends beside revocations, approvals, acknowledgements and each other.
//!
//! Whatever the order, a device gets each accepted envelope exactly once, and a revoked device
//! reads nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_protocol::id::EnvelopeId;
use eko_testkit::{ChainChanges as _, World, envelope, parallel, refused};
use futures_util::future::join_all;

use crate::mailboxes::{entry_counts, one_entry_each};
use crate::outcomes::accepted;
use crate::people::generous_server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_sends_and_a_revocation() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let third = world.further(&bob, "three").await;
    let outgoing: Vec<OutgoingEnvelope> =
        (0..64).map(|_| envelope(&alice, &[&bob, &second, &third])).collect();
    let (world, alice, bob) = (Arc::new(world), Arc::new(alice), Arc::new(bob));
    let sends = outgoing.iter().enumerate().map(|(index, outgoing)| {
        let (world, alice, outgoing) = (Arc::clone(&world), Arc::clone(&alice), outgoing.clone());
        async move {
            // Some sends fetch first, so that sends and deliveries come before, during and after
            // the revocation.
            for _ in 0..index / 8 {
                alice.fetch().await.unwrap();
            }
            let outcome = alice.send(&outgoing).await.unwrap();
            if index % 8 == 0 {
                world.deliver().await;
            }
            outcome
        }
    });
    let revocation = {
        let (bob, third) = (Arc::clone(&bob), third.id().clone());
        async move { bob.revoke(&third).await.unwrap() }
    };
    let (outcomes, _) = tokio::join!(parallel(sends), parallel([revocation]));
    world.deliver().await;

    let (mut accepted_envelopes, mut rejected_envelopes) = (Vec::new(), Vec::new());
    for (outgoing, outcome) in outgoing.iter().zip(outcomes) {
        match outcome {
            SendOutcome::Accepted { .. } => accepted_envelopes.push(outgoing),
            SendOutcome::Rejected(report) => {
                assert_eq!(report.stale_devices, [third.address()]);
                rejected_envelopes.push(outgoing);
            }
            other => panic!("{other:?}"),
        }
    }
    for device in [&*bob, &second] {
        assert_eq!(entry_counts(device).await, one_entry_each(accepted_envelopes.iter().copied()));
    }
    assert_eq!(refused(third.fetch().await), "401 device-revoked");
    // The rejected envelopes are sent again, under the same ids, to the devices that are left.
    let retries = rejected_envelopes.iter().map(|outgoing| async {
        let again = OutgoingEnvelope { id: outgoing.id.clone(), ..envelope(&alice, &[&bob, &second]) };
        accepted(alice.send(&again).await.unwrap());
    });
    join_all(retries).await;
    world.deliver().await;
    for device in [&*bob, &second] {
        assert_eq!(entry_counts(device).await, one_entry_each(&outgoing));
    }
}

/// The device is revoked after the send has read the device set and before it is queued.
#[tokio::test]
async fn a_revocation_in_the_middle_of_a_send() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    let held = world.calls.hold("SendMessageBatch", 0);
    let meanwhile = async {
        held.reached().await;
        bob.revoke(second.id()).await.unwrap();
        held.release();
    };
    let (outcome, ()) = tokio::join!(alice.send(&outgoing), meanwhile);
    accepted(outcome.unwrap());
    world.deliver().await;
    assert_eq!(entry_counts(&bob).await, one_entry_each([&outgoing]));
    assert_eq!(refused(second.fetch().await), "401 device-revoked");
    let next =
        format!("{}?after=000000000000-00000000000000000000000000000000", bob.origin().inbox(bob.user()));
    assert_eq!(refused(second.fetch_after(&next).await), "401 device-revoked");
}

#[tokio::test]
async fn a_revocation_between_two_pages() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let sends: Vec<OutgoingEnvelope> = (0..101).map(|_| envelope(&alice, &[&bob, &second])).collect();
    join_all(sends.iter().map(|outgoing| alice.send(outgoing))).await;
    world.deliver().await;
    let next = second.fetch().await.unwrap().next.unwrap();
    bob.revoke(second.id()).await.unwrap();
    assert_eq!(refused(second.fetch_after(&next).await), "401 device-revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_and_an_approval() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    let outgoing: Vec<OutgoingEnvelope> = (0..24).map(|_| envelope(&alice, &[&bob])).collect();
    let sends = join_all(outgoing.iter().map(|outgoing| alice.send(outgoing)));
    let (outcomes, approved) = tokio::join!(sends, bob.approve(waiting.id()));
    approved.unwrap();
    let mut partial = Vec::new();
    for (outgoing, outcome) in outgoing.iter().zip(outcomes) {
        match outcome.unwrap() {
            SendOutcome::Accepted { .. } => {}
            SendOutcome::Partial(report) => {
                assert_eq!(report.missing_key_packages, [bob.origin().key_package(bob.user(), waiting.id())]);
                let rest = OutgoingEnvelope { id: outgoing.id.clone(), ..envelope(&alice, &[&waiting]) };
                accepted(alice.send(&rest).await.unwrap());
                partial.push(outgoing);
            }
            other => panic!("{other:?}"),
        }
    }
    world.deliver().await;
    assert_eq!(entry_counts(&bob).await, one_entry_each(&outgoing));
    assert_eq!(entry_counts(&waiting).await, one_entry_each(partial));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_envelope_sent_many_times_at_once() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let outgoing = envelope(&alice, &[&bob, &second]);
    let (world, alice) = (Arc::new(world), Arc::new(alice));
    let sends = (0..16).map(|index| {
        let (world, alice, outgoing) = (Arc::clone(&world), Arc::clone(&alice), outgoing.clone());
        async move {
            // The clock moves between the sends: one envelope stays one entry all the same.
            for _ in 0..index {
                tokio::task::yield_now().await;
            }
            world.advance(1);
            let outcome = alice.send(&outgoing).await.unwrap();
            world.advance(1);
            (outcome, alice.send(&outgoing).await.unwrap())
        }
    });
    let sends = parallel(sends);
    let activities: BTreeSet<String> = sends
        .await
        .into_iter()
        .flat_map(|(first, second)| [first, second])
        .map(|outcome| match outcome {
            SendOutcome::Accepted { activity } => activity,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(activities.len(), 1);
    world.deliver().await;
    for device in [&bob, &second] {
        assert_eq!(entry_counts(device).await, one_entry_each([&outgoing]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parts_of_one_envelope_sent_at_once() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let third = world.further(&bob, "three").await;
    let whole = envelope(&alice, &[&bob, &second, &third]);
    let parts: Vec<OutgoingEnvelope> = whole
        .messages
        .iter()
        .map(|one| OutgoingEnvelope { messages: vec![one.clone()], ..whole.clone() })
        .collect();
    let outcomes = join_all(parts.iter().map(|part| alice.send(part))).await;
    // The part that is accepted last completes the envelope.
    let accepted = outcomes.into_iter().filter(|o| matches!(o, Ok(SendOutcome::Accepted { .. }))).count();
    assert_eq!(accepted, 1);
    world.deliver().await;
    for device in [&bob, &second, &third] {
        assert_eq!(entry_counts(device).await, one_entry_each([&whole]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_confirm_at_once() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let mut sent = Vec::new();
    for _ in 0..8 {
        sent.push(world.send(&alice, &[&bob, &second]).await.id);
    }
    world.deliver().await;
    // Each device acknowledges twice.
    let devices = [&bob, &second, &bob, &second];
    join_all(devices.map(|device| world.confirm(device))).await;
    assert_eq!((entry_counts(&bob).await, entry_counts(&second).await), (BTreeMap::new(), BTreeMap::new()));
    // Two acknowledgements of one device that overlap may both queue the receipt, under the time of
    // the first one: it becomes one entry. The other device queues none.
    assert!((8..=16).contains(&world.deliver().await));
    let mut reported: Vec<EnvelopeId> = world.reports(&alice).await.into_iter().map(|r| r.envelope).collect();
    reported.sort();
    sent.sort();
    assert_eq!(reported, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pumps_deliver_at_once() {
    let world = generous_server().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let outgoing: Vec<OutgoingEnvelope> = (0..40).map(|_| envelope(&alice, &[&bob])).collect();
    for outcome in join_all(outgoing.iter().map(|outgoing| alice.send(outgoing))).await {
        accepted(outcome.unwrap());
    }
    let taken: usize = join_all((0..4).map(|_| world.deliver())).await.into_iter().sum();
    assert_eq!(taken, 40);
    assert_eq!(entry_counts(&bob).await, one_entry_each(&outgoing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_stays_within_its_budget() {
    let world = World::with(|config| config.limits.sender_budget = 10).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let carol = world.user("carol").await;
    let outgoing: Vec<OutgoingEnvelope> = (0..16).map(|_| envelope(&alice, &[&bob])).collect();
    let outcomes = join_all(outgoing.iter().map(|outgoing| alice.send(outgoing))).await;
    let (accepted, refusals): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(accepted.len(), 10);
    for refusal in refusals {
        assert_eq!(refused(refusal), "429 too-many");
    }
    // Carol has a budget of her own, and Alice has a new one a minute later.
    world.send(&carol, &[&bob]).await;
    world.advance(60_000);
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    assert_eq!(entry_counts(&bob).await.len(), 12);
}
