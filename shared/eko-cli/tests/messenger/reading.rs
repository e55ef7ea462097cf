//! Tests of users who read and do not write, and of what is told of reading.

use eko_client::messenger::{Notice, ReceivedBatch, StoreView, TYPING_LIVES_MS, TYPING_PAUSE_MS};
use eko_protocol::timestamp;
use eko_testkit::World;
use serde_json::json;

use crate::forging::ForgingSessions;
use crate::people::{TestMessenger, befriend, first, further, hear, say, shown, text};
use crate::test_network::{NetworkFault, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// libsignal ends a session that is not answered for 30 days. Another one takes its place.
#[tokio::test]
async fn somebody_who_has_not_looked_for_a_month_is_written_to() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    world.advance(31 * DAY_MS);
    say(&alice, &bob.me(), "a month later").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["a month later"]);
    say(&bob, &alice.me(), "I was away").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["I was away"]);
    world.deliver().await;
}

/// Bob reads for a month and says nothing.
#[tokio::test]
async fn somebody_who_only_reads_is_written_to_and_writes_back() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    for day in 0..=31 {
        let words = format!("day {day}");
        say(&alice, &bob.me(), &words).await;
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, [words]);
        world.advance(DAY_MS);
    }
    say(&bob, &alice.me(), "I read it all").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["I read it all"]);
    world.deliver().await;
}

/// Lets a device show what came, and its user read it.
async fn read_all(world: &World, client: &TestMessenger) -> Vec<String> {
    let received = client.receive().await.unwrap();
    let texts = shown(client, &received);
    world.deliver().await;
    world.advance(1);
    client.put_reading(&received.messages).unwrap();
    client.send_receipts().await.unwrap();
    world.deliver().await;
    texts
}

#[tokio::test]
async fn one_receipt_tells_that_everything_up_to_it_was_read() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let mut ids = Vec::new();
    for words in ["one", "two", "three"] {
        ids.push(say(&alice, &bob.me(), words).await.id);
    }
    world.deliver().await;
    assert_eq!(read_all(&world, &bob).await, ["one", "two", "three"]);
    ids.push(say(&alice, &bob.me(), "not shown yet").await.id);
    let notices = alice.receive().await.unwrap().notices;
    let reads: Vec<_> = notices.iter().filter(|notice| matches!(notice, Notice::Read { .. })).collect();
    assert_eq!(reads, [&Notice::Read { actor: bob.me().actor(), id: ids[2].clone(), before: 2 }]);
    let seen = |id: &String| alice.sent(id).unwrap().envelopes[0].seen;
    assert_eq!(ids.iter().map(seen).collect::<Vec<_>>(), [true, true, true, false]);
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
}

#[tokio::test]
async fn nobody_is_told_of_reading_who_is_no_contact_or_if_it_is_switched_off() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    assert!(bob.tells_reading().unwrap());
    bob.tell_reading(false).unwrap();
    assert!(!bob.tells_reading().unwrap());
    let sent = say(&alice, &bob.me(), "secret").await;
    world.deliver().await;
    assert_eq!(read_all(&world, &bob).await, ["secret"]);
    alice.receive().await.unwrap();
    assert!(!alice.sent(&sent.id).unwrap().envelopes[0].seen);
    bob.tell_reading(true).unwrap();
    // What Alice's own device has sent is nothing that somebody else wrote.
    alice.put_reading(&alice.history(None, 10).unwrap()).unwrap();
    assert_eq!(alice.next_due_ms().unwrap(), None);
    world.deliver().await;
}

#[tokio::test]
async fn in_a_group_the_author_alone_is_told() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let carol = first(&world, &wire, "carol").await;
    for (one, other) in [(&alice, &bob), (&alice, &carol), (&bob, &carol)] {
        befriend(one, other).await;
    }
    let (group, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    world.deliver().await;
    for member in [&bob, &carol] {
        member.receive().await.unwrap();
        member.join_group(&group, None).await.unwrap();
    }
    world.deliver().await;
    alice.receive().await.unwrap();
    let sent = alice.send_to_group(&group, text("hello")).await.unwrap();
    world.deliver().await;
    carol.receive().await.unwrap();
    world.deliver().await;
    assert_eq!(read_all(&world, &bob).await, ["hello"]);
    alice.receive().await.unwrap();
    for envelope in alice.sent(&sent.id).unwrap().envelopes {
        assert_eq!(envelope.seen, envelope.recipient == bob.me().actor(), "{}", envelope.recipient);
    }
    let hers = carol.receive().await.unwrap().notices;
    assert!(!hers.iter().any(|notice| matches!(notice, Notice::Read { .. })), "{hers:?}");
    world.deliver().await;
    alice.receive().await.unwrap();
}

#[tokio::test]
async fn writing_is_told_to_contacts_now_or_never() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let typing = async || {
        alice.send_typing(&bob.me().actor()).await.unwrap();
        world.deliver().await;
        let notices = bob.receive().await.unwrap().notices;
        notices.into_iter().filter(|notice| matches!(notice, Notice::Typing { .. })).collect::<Vec<_>>()
    };
    assert_eq!(typing().await, [], "they are no contacts");
    world.advance(TYPING_PAUSE_MS);
    befriend(&alice, &bob).await;
    let actor = alice.me().actor();
    assert_eq!(typing().await, [Notice::Typing { actor: actor.clone(), conversation: actor }]);
    let sent = String::from_utf8_lossy(&wire.seen.lock().unwrap().concat()).into_owned();
    assert!(sent.contains(r#""notify":false"#) && sent.contains(r#""expires""#) && !sent.contains("Typing"));
    assert_eq!(typing().await, [], "they were told a moment ago");
    // Whoever deletes what they wrote writes no more, and may begin again at once.
    let ended = async || {
        alice.end_typing(&bob.me().actor()).await.unwrap();
        world.deliver().await;
        bob.receive().await.unwrap().notices
    };
    let actor = alice.me().actor();
    assert_eq!(ended().await, [Notice::TypingEnded { actor: actor.clone(), conversation: actor.clone() }]);
    assert_eq!(ended().await, [], "nobody believes that Alice writes");
    assert_eq!(typing().await, [Notice::Typing { actor: actor.clone(), conversation: actor }]);
    world.advance(TYPING_PAUSE_MS);
    alice.tell_typing(false).unwrap();
    assert_eq!(typing().await, [], "it is switched off");
    alice.tell_typing(true).unwrap();
    // What cannot be sent is dropped when its time is over.
    wire.fail(|| Some(NetworkFault::LostRequest));
    let _ = alice.send_typing(&bob.me().actor()).await;
    wire.honest();
    world.advance(TYPING_LIVES_MS);
    alice.flush().await.unwrap();
    assert_eq!((alice.next_due_ms().unwrap(), world.deliver().await), (None, 0));
    // What comes late is not shown.
    alice.send_typing(&bob.me().actor()).await.unwrap();
    world.deliver().await;
    world.advance(TYPING_LIVES_MS);
    assert_eq!(bob.receive().await.unwrap().notices, []);
    world.deliver().await;
}

#[tokio::test]
async fn only_who_takes_part_in_a_conversation_can_have_read_it() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let for_mallory = say(&alice, &mallory.me(), "for Mallory").await;
    let for_bob = say(&alice, &bob.me(), "for Bob").await;
    say(&bob, &alice.me(), "for Alice").await;
    world.deliver().await;
    hear(&world, &alice).await;
    let his = alice.history(None, 1).unwrap().remove(0).content;
    assert_eq!(his.text, "for Alice");
    for (id, told) in [(&for_bob.id, false), (&his.id, false), (&for_mallory.id, true)] {
        let read = id.clone();
        sessions.forge(move |activity| {
            activity["type"] = json!("Read");
            activity["object"] = json!(read);
        });
        mallory.send(&alice.me(), text("I have read it")).await.unwrap();
        world.deliver().await;
        let notice = Notice::Read { actor: mallory.me().actor(), id: id.clone(), before: 0 };
        assert_eq!(alice.receive().await.unwrap().notices.contains(&notice), told);
    }
    for (id, seen) in [(&for_bob.id, false), (&for_mallory.id, true)] {
        assert_eq!(alice.sent(id).unwrap().envelopes[0].seen, seen);
    }
    hear(&world, &bob).await;
    world.deliver().await;
}

#[tokio::test]
async fn a_message_is_found_by_its_author_though_another_has_its_id() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let sent = say(&bob, &alice.me(), "the true one").await;
    let id = sent.id.clone();
    sessions.forge(move |activity| activity["id"] = json!(id));
    mallory.send(&alice.me(), text("the other one")).await.unwrap();
    world.deliver().await;
    hear(&world, &alice).await;
    for (author, words) in [(bob.me(), "the true one"), (mallory.me(), "the other one")] {
        let found = alice.message(&author.actor(), &sent.id).unwrap().unwrap();
        assert_eq!(found.content.text, words);
    }
    assert_eq!(alice.messages_with_id(&sent.id).unwrap().len(), 2);
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
}

#[tokio::test]
async fn the_time_of_receipt_is_shown_where_the_authors_cannot_be_true() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&alice, &mallory.me(), "hello").await;
    let now_ms = world.now_ms();
    let plausible = [now_ms - 31 * DAY_MS, now_ms - 1_000, now_ms, now_ms + 60_000];
    let implausible = [0, now_ms - 33 * DAY_MS, now_ms + 3_600_000, now_ms + 1_000 * DAY_MS];
    for published_ms in plausible.into_iter().chain(implausible) {
        let published = timestamp::format(published_ms);
        sessions.forge(move |activity| {
            activity["published"] = json!(published);
            for signed in ["eko:deviceSet", "eko:signature"] {
                activity.as_object_mut().unwrap().remove(signed);
            }
        });
        mallory.send(&alice.me(), text("when?")).await.unwrap();
        world.deliver().await;
        let message = alice.receive().await.unwrap().messages.pop().unwrap();
        alice.note_shown(message.position).unwrap();
        assert_eq!((message.content.published_ms, message.content.received_ms), (published_ms, now_ms));
        let shown_ms = if plausible.contains(&published_ms) { published_ms } else { now_ms };
        assert_eq!(message.content.time_ms(), shown_ms);
    }
    world.deliver().await;
}

/// Bob has two devices, and reads on both. Alice wrote on her phone, and hears of it once on her laptop.
/// Two programs of one device show a message, and its author gets one receipt.
#[tokio::test]
async fn each_reader_is_told_of_once() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (laptop, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let phone = further(&world, &wire, &laptop, "phone").await;
    let tablet = further(&world, &wire, &bob, "tablet").await;
    befriend(&phone, &bob).await;
    befriend(&laptop, &tablet).await;
    say(&phone, &bob.me(), "one").await;
    world.deliver().await;
    let reads = |received: ReceivedBatch| {
        received.notices.iter().filter(|notice| matches!(notice, Notice::Read { .. })).count()
    };
    laptop.receive().await.unwrap();
    let mut told = 0;
    for device in [&bob, &tablet] {
        let received = device.receive().await.unwrap();
        assert_eq!(shown(device, &received), ["one"]);
        let mut views = [StoreView::of(None), StoreView::of(Some(phone.me().actor()))];
        for view in &mut views {
            assert_eq!(device.look_into_store(view).unwrap().shown.len(), 0, "it was shown");
        }
        for _ in views {
            device.put_reading(&received.messages).unwrap();
            device.send_receipts().await.unwrap();
            world.deliver().await;
        }
        told += reads(laptop.receive().await.unwrap());
    }
    assert_eq!((told, reads(phone.receive().await.unwrap())), (1, 1));
    for client in [&laptop, &phone, &bob, &tablet] {
        world.deliver().await;
        hear(&world, client).await;
    }
    world.deliver().await;
}
