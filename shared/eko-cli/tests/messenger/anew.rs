//! Tests of messages that are sent anew, to all devices: whatever became of the first envelope, the reader has
//! them once, and waits for nothing.

use eko_client::messenger::Notice;
use eko_client::store::{AWAITED_DAYS, EnvelopeState};
use eko_protocol::id::EnvelopeId;
use eko_testkit::{Internet, World};
use serde_json::{Value, json};

use crate::forced::damaged;
use crate::people::{TestMessenger, befriend, first, hear, say, shown, text};
use crate::resending::damage;
use crate::test_network::{FalseAnswer, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// Asserts that a reader has these messages, with nothing between them and nothing awaited.
fn assert_whole(reader: &TestMessenger, texts: &[&str]) {
    let history = reader.history(None, 100).unwrap();
    let found: Vec<_> = history.iter().map(|it| (it.content.text.as_str(), it.missing_before)).collect();
    assert_eq!(found, texts.iter().map(|text| (*text, 0)).collect::<Vec<_>>());
    assert_eq!(reader.awaited(None).unwrap(), []);
}

/// Damages one envelope in a page of a mailbox, and puts it first or last.
fn rearranged(page: &[u8], garbled: &EnvelopeId, is_first: bool) -> Option<FalseAnswer> {
    let mut page: Value = serde_json::from_slice(page).ok()?;
    let entries = page["orderedItems"].as_array_mut()?;
    let is_it = |entry: &Value| entry.to_string().contains(garbled.as_str());
    let one = json!({ "orderedItems": [entries.remove(entries.iter().position(is_it)?)] });
    let damaged: Value = serde_json::from_slice(&damaged(one.to_string().as_bytes())?.body).ok()?;
    let at = if is_first { 0 } else { entries.len() };
    entries.insert(at, damaged["orderedItems"][0].clone());
    Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
}

/// Alice forgets Bob while her server still tries to reach his. He cannot decrypt the first envelope, which
/// comes before the second one or after it.
#[tokio::test]
async fn what_is_sent_after_somebody_was_forgotten_takes_the_first_ones_place() {
    for is_first in [true, false] {
        let internet = Internet::new();
        let (a, _) = World::online(&internet, "a.example").await;
        let (b, b_address) = World::online(&internet, "b.example").await;
        let (hers, his) = (TestNetwork::to(&[&a, &b]), TestNetwork::to(&[&a, &b]));
        let (alice, bob) = (first(&a, &hers, "alice").await, first(&b, &his, "bob").await);
        befriend(&alice, &bob).await;
        say(&alice, &bob.me(), "one").await;
        b.deliver().await;
        assert_eq!(hear(&b, &bob).await, ["one"]);
        a.deliver().await;
        hear(&a, &alice).await;
        internet.unplug(b_address);
        let sent = alice.send(&bob.me(), text("two")).await.unwrap();
        assert_eq!(sent.state(&alice.me()), EnvelopeState::Queued);
        alice.forget(&bob.me()).unwrap();
        alice.flush().await.unwrap();
        internet.plug(b_address);
        a.advance(10_000);
        a.federate().await;
        b.deliver().await;
        let garbled = sent.envelopes[0].id.clone();
        his.tamper(move |passing| {
            (passing.endpoint == ("GET", "/user/bob/inbox"))
                .then(|| rearranged(passing.answer, &garbled, is_first))
                .flatten()
        });
        let received = bob.receive().await.unwrap();
        his.honest();
        assert_eq!(shown(&bob, &received), ["two"]);
        let awaited = Notice::Awaited { actor: alice.me().actor() };
        assert_eq!(received.notices, if is_first { vec![awaited] } else { vec![] });
        assert_whole(&bob, &["one", "two"]);
        for world in [&a, &b, &a, &b] {
            world.federate().await;
            world.deliver().await;
        }
        let notices = alice.receive().await.unwrap().notices;
        assert!(notices.iter().all(|notice| matches!(notice, Notice::Settled(_))), "{notices:?}");
    }
}

/// Bob can decrypt neither the message, nor the answer of Alice's device, nor what she sends again herself.
/// Her device sends that one again by itself.
#[tokio::test]
async fn what_the_user_sends_again_fills_the_place() {
    for is_garbled in [false, true] {
        let world = World::new().await;
        let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
        let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
        befriend(&alice, &bob).await;
        say(&alice, &bob.me(), "one").await;
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, ["one"]);
        world.deliver().await;
        hear(&world, &alice).await;
        let look_in_vain = async || {
            world.deliver().await;
            damage(&his, "bob");
            bob.receive().await.unwrap();
            his.honest();
            world.advance(3_600_000);
            bob.receive().await.unwrap();
            world.deliver().await;
            alice.receive().await.unwrap().notices
        };
        let sent = say(&alice, &bob.me(), "two").await;
        assert_eq!(look_in_vain().await, []);
        let not_read = Notice::NotRead { actor: bob.me().actor(), id: sent.id.clone() };
        assert_eq!(look_in_vain().await, [not_read]);
        say(&bob, &alice.me(), "three").await;
        assert_eq!(alice.send_again(&sent.id).await.unwrap().state(&alice.me()), EnvelopeState::Accepted);
        if is_garbled {
            assert_eq!(look_in_vain().await, []);
            assert_eq!(bob.awaited(None).unwrap().len(), 1);
        }
        world.deliver().await;
        let received = bob.receive().await.unwrap();
        assert_eq!(shown(&bob, &received), ["two"], "{is_garbled}");
        // It stands where it was awaited.
        assert_whole(&bob, &["one", "two", "three"]);
        world.deliver().await;
        hear(&world, &alice).await;
        assert_eq!(alice.sent(&sent.id).unwrap().state(&alice.me()), EnvelopeState::Delivered);
        world.deliver().await;
        world.advance((AWAITED_DAYS + 1) * DAY_MS);
        bob.receive().await.unwrap();
        assert_whole(&bob, &["one", "two", "three"]);
    }
}
