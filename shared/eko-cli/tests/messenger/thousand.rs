//! Tests with many messages: none is lost, none is shown twice, and those of one sender keep their
//! order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::store::EnvelopeState;
use eko_testkit::World;
use futures_util::future::join_all;

use crate::people::{TestMessenger, befriend, first, further, hear, say, shown, text};
use crate::test_network::{NetworkFault, TestNetwork};

async fn scene(world: &World, wire: &TestNetwork) -> [TestMessenger; 4] {
    let (alice, bob) = (first(world, wire, "alice").await, first(world, wire, "bob").await);
    let alice_two = further(world, wire, &alice, "two").await;
    let bob_two = further(world, wire, &bob, "two").await;
    for device in [&bob, &bob_two] {
        befriend(&alice, device).await;
    }
    [alice, alice_two, bob, bob_two]
}

async fn generous() -> World {
    World::with(|config| {
        config.limits.sender_budget = 1_000_000;
        config.limits.recipient_budget = 1_000_000;
        config.limits.account_budget = 1_000_000;
        config.limits.sender_bytes_budget = 1 << 40;
        config.limits.recipient_bytes_budget = 1 << 40;
        config.limits.account_bytes_budget = 1 << 40;
    })
    .await
}

#[tokio::test]
async fn a_thousand_one_after_another() {
    let world = generous().await;
    let wire = TestNetwork::to(&[&world]);
    let [alice, others @ ..] = scene(&world, &wire).await;
    let mut heard = [const { Vec::new() }; 3];
    let said: Vec<String> = (0..1000).map(|n| format!("message {n}")).collect();
    for words in &said {
        say(&alice, &others[1].me(), words).await;
        world.deliver().await;
        if words.ends_with('9') {
            for (heard, client) in heard.iter_mut().zip(&others) {
                heard.extend(hear(&world, client).await);
            }
            // More receipts than these wait for the next minute.
            world.advance(10_000);
        }
    }
    world.deliver().await;
    for (heard, client) in heard.iter().zip(&others) {
        assert!(*heard == said, "{} heard {} of 1000", client.device().address(), heard.len());
        assert_eq!(hear(&world, client).await, [""; 0]);
    }
    alice.receive().await.unwrap();
    world.deliver().await;
}

#[tokio::test]
async fn a_thousand_in_bursts_of_fifty() {
    let world = generous().await;
    let wire = TestNetwork::to(&[&world]);
    let [alice, others @ ..] = scene(&world, &wire).await;
    let bob = others[1].me();
    let mut heard = [const { Vec::new() }; 3];
    for burst in 0..20 {
        let sends = (0..50).map(|n| alice.send(&bob, text(&format!("message {}", burst * 50 + n))));
        for sent in sends_done(join_all(sends).await) {
            assert_eq!(sent.state(&alice.me()), EnvelopeState::Accepted, "{:?}", sent.envelopes);
        }
        world.deliver().await;
        for (heard, client) in heard.iter_mut().zip(&others) {
            heard.extend(hear(&world, client).await);
        }
        world.advance(60_000);
    }
    let said: Vec<String> = in_order(&alice, &bob.actor());
    assert_eq!(said.len(), 1000);
    for (heard, client) in heard.iter().zip(&others) {
        assert!(*heard == said, "{} heard {} of 1000", client.device().address(), heard.len());
    }
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
}

fn sends_done<R, E: std::fmt::Debug>(sends: Vec<Result<R, E>>) -> impl Iterator<Item = R> {
    sends.into_iter().map(|sent| sent.unwrap())
}

/// Returns the texts of a conversation in their order.
fn in_order(client: &TestMessenger, conversation: &str) -> Vec<String> {
    let history = client.history(Some(conversation), 10_000).unwrap();
    history.into_iter().map(|message| message.content.text).collect()
}

/// Every seventh request fails, in turns before and after the server has handled it, as on a bad
/// line.
#[tokio::test]
async fn none_is_lost_or_doubled_on_a_bad_line() {
    let world = generous().await;
    let wire = TestNetwork::to(&[&world]);
    let [alice, others @ ..] = scene(&world, &wire).await;
    let bob = others[1].me();
    say(&alice, &bob, "message 00").await;
    world.deliver().await;
    let requests = Arc::new(AtomicUsize::new(0));
    wire.fail(move || {
        let n = requests.fetch_add(1, Ordering::Relaxed);
        let fault = if n.is_multiple_of(2) { NetworkFault::LostAnswer } else { NetworkFault::LostRequest };
        (n % 7 == 6).then_some(fault)
    });
    let mut heard = [const { Vec::new() }; 3];
    for burst in 0..10 {
        let sends = (0..10).map(|n| alice.send(&bob, text(&format!("message {}", burst * 10 + n))));
        sends_done(join_all(sends).await).for_each(drop);
        while let Some(due) = alice.next_due_ms().unwrap() {
            world.advance((due - world.now_ms()).max(0));
            alice.flush().await.unwrap();
        }
        world.deliver().await;
        for (heard, client) in heard.iter_mut().zip(&others) {
            let mut quiet = 0;
            while quiet < 3 {
                // A failed look is repeated.
                let Ok(received) = client.receive().await else { continue };
                let new = shown(client, &received);
                quiet = if new.is_empty() { quiet + 1 } else { 0 };
                heard.extend(new);
                world.advance(6_000);
            }
        }
    }
    let said = in_order(&alice, &bob.actor());
    assert_eq!(said.len(), 101);
    for (heard, client) in heard.iter().zip(&others) {
        let mut sorted = heard.clone();
        sorted.sort();
        let mut all = said.clone();
        all.sort();
        assert_eq!(sorted, all, "{}", client.device().address());
    }
    wire.honest();
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
}
