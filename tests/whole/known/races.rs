//! Other writes between the moment at which a send reads who its author is and the one at which it counts
//! a request.

use eko_client::Device;
use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_protocol::block::BlockedParty;
use eko_protocol::settings::WhoMayWrite;
use eko_testkit::{CallFault, DirectTransport, World, envelope};

use super::{let_write, shown};
use crate::outcomes::accepted;
use crate::people::alice_and_bob;

/// The number of times that the SDK tries a call.
const TRIES: usize = 3;

/// Sends an envelope, and does something else after its author was looked up and before it is counted.
async fn send_beside<T>(
    world: &World,
    alice: &Device<DirectTransport>,
    outgoing: &OutgoingEnvelope,
    meanwhile: impl AsyncFnOnce() -> T,
) -> SendOutcome {
    let held = world.calls.hold("TransactWriteItems", 0);
    let other = async {
        held.reached().await;
        meanwhile().await;
        held.release();
    };
    let (sent, ()) = tokio::join!(alice.send(outgoing), other);
    sent.unwrap()
}

/// Returns the items of what Bob has to do with others.
async fn acquaintances(world: &World) -> Vec<String> {
    let stored = world.stored().await;
    stored.keys("U#bob", "A#").into_iter().map(|key| stored.items[key].clone()).collect()
}

/// Whoever is accepted meanwhile is known, for good, and the envelope comes unless its author is blocked.
#[tokio::test]
async fn an_acceptance_beside_an_envelope() {
    for (setting, is_blocked, hides, comes) in [
        (WhoMayWrite::Known, false, false, vec![(false, true)]),
        (WhoMayWrite::Known, false, true, vec![(false, true)]),
        (WhoMayWrite::Known, true, false, vec![]),
        (WhoMayWrite::Nobody, false, false, vec![(false, true)]),
        (WhoMayWrite::Nobody, true, false, vec![]),
    ] {
        let (world, alice, bob) = alice_and_bob().await;
        let_write(&bob, setting).await;
        if is_blocked {
            bob.change_block(&BlockedParty::parse(&alice.actor()).unwrap(), false).await.unwrap();
        }
        if hides {
            world.calls.hide_refused_items();
        }
        let outgoing = envelope(&alice, &[&bob]);
        let accept = async || bob.accept_actor(&alice.actor()).await.unwrap();
        accepted(send_beside(&world, &alice, &outgoing, accept).await);
        let what = format!("{setting:?} blocked {is_blocked} hides {hides}");
        assert_eq!(shown(&world, &bob).await, comes, "{what}");
        let known = acquaintances(&world).await;
        assert_eq!(known.len(), 1, "{what}");
        assert!(!known[0].contains("ttl") && !known[0].contains("\"r\""), "{what}: {known:?}");
    }
}

/// Whoever is accepted and then forgotten meanwhile is a stranger, whose envelope is a request.
#[tokio::test]
async fn an_acceptance_that_is_undone_beside_an_envelope() {
    for hides in [false, true] {
        let (world, alice, bob) = alice_and_bob().await;
        let_write(&bob, WhoMayWrite::Known).await;
        world.send(&alice, &[&bob]).await;
        if hides {
            world.calls.hide_refused_items();
        }
        let outgoing = envelope(&alice, &[&bob]);
        let accept = async || {
            bob.accept_actor(&alice.actor()).await.unwrap();
            bob.forget_actor(&alice.actor()).await.unwrap();
        };
        accepted(send_beside(&world, &alice, &outgoing, accept).await);
        assert_eq!(shown(&world, &bob).await, [(true, true), (true, true)], "hides {hides}");
        assert_eq!(acquaintances(&world).await.len(), 1);
    }
}

/// Of two copies one is counted, and both are queued: the process of the one that is may die before it
/// queues its own.
#[tokio::test]
async fn two_copies_of_an_envelope() {
    for hides in [false, true] {
        let (world, alice, bob) = alice_and_bob().await;
        let_write(&bob, WhoMayWrite::Known).await;
        if hides {
            world.calls.hide_refused_items();
        }
        let outgoing = envelope(&alice, &[&bob]);
        let dies = async || {
            world.calls.fail("SendMessageBatch", CallFault::Down, TRIES);
            alice.send(&outgoing).await.unwrap_err();
        };
        accepted(send_beside(&world, &alice, &outgoing, dies).await);
        assert_eq!(shown(&world, &bob).await, [(true, true)], "hides {hides}");
    }
}

/// Two envelopes at the same moment are two requests, of which one wakes: the first ones of a stranger, and
/// those of one who was here a while ago, whose requests are still stored or go meanwhile.
#[tokio::test]
async fn two_envelopes_of_a_stranger() {
    for (returns, hides) in [(false, false), (false, true), (true, false), (true, true)] {
        let (world, alice, bob) = alice_and_bob().await;
        let_write(&bob, WhoMayWrite::Known).await;
        if returns {
            world.send(&alice, &[&bob]).await;
            assert_eq!(shown(&world, &bob).await.len(), 1);
            world.confirm(&bob).await;
            world.deliver().await;
            world.advance(31 * crate::DAY_MS);
            for device in [&alice, &bob] {
                device.refresh().await.unwrap();
            }
        }
        if hides {
            world.calls.hide_refused_items();
        }
        let outgoing = envelope(&alice, &[&bob]);
        let other = async || world.send(&alice, &[&bob]).await;
        accepted(send_beside(&world, &alice, &outgoing, other).await);
        let mut came = shown(&world, &bob).await;
        came.sort();
        assert_eq!(came, [(true, false), (true, true)], "returns {returns} hides {hides}");
    }
}

/// The expired requests of a stranger go while the stranger returns.
#[tokio::test]
async fn requests_that_go_beside_an_envelope() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    world.send(&alice, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await.len(), 1);
    world.confirm(&bob).await;
    world.deliver().await;
    world.advance(31 * crate::DAY_MS);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
    }
    let outgoing = envelope(&alice, &[&bob]);
    let go = async || {
        assert_eq!(acquaintances(&world).await.len(), 1);
        // As the time to live deletes it: at a moment of DynamoDB's choice.
        for (pk, sk) in world.stored().await.keys("U#bob", "A#").into_iter().cloned() {
            let text = aws_sdk_dynamodb::types::AttributeValue::S;
            let delete = world.cloud.clients.dynamodb.delete_item().table_name(world.cloud.names().table);
            delete.key("pk", text(pk)).key("sk", text(sk)).send().await.unwrap();
        }
        assert_eq!(acquaintances(&world).await.len(), 0);
    };
    accepted(send_beside(&world, &alice, &outgoing, go).await);
    assert_eq!(shown(&world, &bob).await, [(true, true)]);
}

/// No more come than may, however many are under way.
#[tokio::test]
async fn many_envelopes_of_a_stranger() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    let outgoing: Vec<OutgoingEnvelope> = (0..12).map(|_| envelope(&alice, &[&bob])).collect();
    let sent = futures_util::future::join_all(outgoing.iter().map(|one| alice.send(one))).await;
    for outcome in sent {
        accepted(outcome.unwrap());
    }
    let mut came = shown(&world, &bob).await;
    came.sort();
    assert_eq!(came, [(true, false), (true, false), (true, true)]);
}
