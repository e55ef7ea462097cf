//! Tests of envelopes that the own server could not deliver at once.

use eko_client::group::Proposal;
use eko_client::messenger::{Notice, SENDER_PAUSE_MINUTES};
use eko_client::store::EnvelopeState;
use eko_testkit::{CallFault, Internet, World};

use crate::people::{TestMessenger, code_of, device, first, hear, know, say, shown, text};
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

/// Returns the states of the envelopes of which a device is told, without those that are delivered.
async fn settled(world: &World, client: &TestMessenger) -> Vec<EnvelopeState> {
    world.deliver().await;
    let received = client.receive().await.unwrap();
    shown(client, &received);
    let state = |notice| match notice {
        Notice::Settled(envelope) => Some(envelope.state),
        _ => None,
    };
    let states = received.notices.into_iter().filter_map(state);
    states.filter(|state| *state != EnvelopeState::Delivered).collect()
}

#[tokio::test]
async fn an_envelope_that_waited_is_confirmed_completed_or_sent_anew() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, b_address) = World::online(&internet, "b.example").await;
    let wire = TestNetwork::to(&[&a, &b]);
    let (alice, bob) = (first(&a, &wire, "alice").await, first(&b, &wire, "bob").await);
    say(&alice, &bob.me(), "hello").await;
    b.deliver().await;
    assert_eq!(hear(&b, &bob).await, ["hello"]);

    // The envelope waits, and arrives.
    internet.unplug(b_address);
    let sent = alice.send(&bob.me(), text("while you were away")).await.unwrap();
    assert_eq!(sent.state(&alice.me()), EnvelopeState::Queued);
    internet.plug(b_address);
    a.advance(10_000);
    a.federate().await;
    assert_eq!(settled(&a, &alice).await, [EnvelopeState::Accepted]);
    b.deliver().await;
    assert_eq!(hear(&b, &bob).await, ["while you were away"]);

    // While the next envelope waits, Bob adds a device. The envelope is completed for it.
    internet.unplug(b_address);
    alice.send(&bob.me(), text("to one, and then to two")).await.unwrap();
    internet.plug(b_address);
    let (bob_two, _) = device(&b, &wire, "bob", "two").await;
    b.deliver().await;
    hear(&b, &bob).await;
    bob.approve(&code_of(&bob_two)).await.unwrap();
    a.advance(10_000);
    a.federate().await;
    // The report makes the envelope due again, and the same look into the mailbox sends the rest.
    assert_eq!(settled(&a, &alice).await, [EnvelopeState::ToSend]);
    assert_eq!(alice.sent(&last(&alice)).unwrap().state(&alice.me()), EnvelopeState::Accepted);
    b.deliver().await;
    for client in [&bob, &bob_two] {
        assert_eq!(hear(&b, client).await, ["to one, and then to two"]);
    }

    // While the next envelope waits, one device is revoked. Nothing was queued, and everything is
    // sent again to the remaining device.
    internet.unplug(b_address);
    alice.send(&bob.me(), text("to the one that is left")).await.unwrap();
    internet.plug(b_address);
    bob_two.revoke(bob.device().id()).await.unwrap();
    a.advance(10_000);
    a.federate().await;
    assert_eq!(settled(&a, &alice).await, [EnvelopeState::ToSend]);
    assert_eq!(alice.sent(&last(&alice)).unwrap().state(&alice.me()), EnvelopeState::Accepted);
    b.deliver().await;
    assert_eq!(hear(&b, &bob_two).await, ["to the one that is left"]);
    for _ in 0..3 {
        b.deliver().await;
        b.federate().await;
        a.deliver().await;
    }
}

fn last(client: &TestMessenger) -> String {
    client.history(None, 1).unwrap().remove(0).content.id
}

#[tokio::test]
async fn a_budget_is_waited_out() {
    let world = World::with(|config| config.limits.sender_budget = 2).await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    for n in 0..3 {
        alice.send(&bob.me(), text(&format!("message {n}"))).await.unwrap();
    }
    let due = alice.next_due_ms().unwrap().unwrap();
    assert!(due > world.now_ms());
    assert!(alice.flush().await.unwrap().is_empty(), "it is not due");
    world.advance(due - world.now_ms());
    let tried = alice.flush().await.unwrap();
    assert_eq!(tried.iter().map(|envelope| envelope.state).collect::<Vec<_>>(), [EnvelopeState::Accepted]);
    assert_eq!(alice.next_due_ms().unwrap(), None);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["message 0", "message 1", "message 2"]);
    world.deliver().await;
}

/// The first one takes longer, because it begins the session. It is not the one that finds the budget
/// spent.
#[tokio::test]
async fn none_overtakes_another_one_that_waits() {
    let world = World::with(|config| config.limits.sender_budget = 3).await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let lines: Vec<String> = (0..8).map(|n| format!("line {n}")).collect();
    let me = bob.me();
    for line in &lines {
        alice.put_message(&me, text(line)).await.unwrap();
    }
    alice.flush().await.unwrap();
    let states = |client: &TestMessenger| -> Vec<EnvelopeState> {
        let history = client.history(None, 100).unwrap();
        history.iter().map(|it| client.sent(&it.content.id).unwrap().state(&client.me())).collect()
    };
    use EnvelopeState::{Accepted, ToSend};
    assert_eq!(states(&alice)[..5], [Accepted, Accepted, Accepted, ToSend, ToSend]);
    assert!(states(&alice)[3..].iter().all(|state| *state == ToSend));
    // Only the first of those that wait is refused.
    let asked = wire.asked.lock().unwrap().iter().filter(|url| url.ends_with("/outbox")).count();
    assert_eq!(asked, 4);
    while let Some(due) = alice.next_due_ms().unwrap() {
        world.advance(due - world.now_ms());
        alice.flush().await.unwrap();
    }
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, lines);
    assert!(bob.history(None, 100).unwrap().iter().all(|it| it.missing_before == 0));
    world.deliver().await;
}

/// While the server fails, an envelope waits twice as long each time, as the server asks at least,
/// and five minutes at most.
#[tokio::test]
async fn a_failing_server_is_asked_less_and_less() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    world.calls.fail("SendMessageBatch", CallFault::Down, usize::MAX);
    alice.send(&bob.me(), text("are you there?")).await.unwrap();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let wait_ms = alice.next_due_ms().unwrap().unwrap() - world.now_ms();
        waits.push(wait_ms / 1_000);
        world.advance(wait_ms - 1);
        assert!(alice.flush().await.unwrap().is_empty(), "it is not due");
        world.advance(1);
        assert_eq!(alice.flush().await.unwrap().len(), 1);
    }
    // The answer 503 asks for five seconds.
    assert_eq!(waits, [5, 5, 5, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    world.calls.fail("SendMessageBatch", CallFault::Down, 0);
    world.advance(300_000);
    alice.flush().await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["are you there?"]);
    world.deliver().await;
}

#[tokio::test]
async fn a_sender_whose_server_is_away_is_read_later() {
    let internet = Internet::new();
    let (a, a_address) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let (wire, bobs) = (TestNetwork::to(&[&a, &b]), TestNetwork::to(&[&b]));
    let (alice, bob) = (first(&a, &wire, "alice").await, first(&b, &bobs, "bob").await);
    say(&alice, &bob.me(), "who am I?").await;
    b.deliver().await;
    // Bob's server cannot reach Alice's, which has the chain of the sending device.
    internet.unplug(a_address);
    let received = bob.receive().await.unwrap();
    assert!(matches!(&received.notices[..], [Notice::Waits { actor, .. }] if *actor == alice.me().actor()));
    assert!(bob.receive().await.unwrap().notices.is_empty(), "it is told once");
    internet.plug(a_address);
    b.advance(SENDER_PAUSE_MINUTES * 60_000);
    assert_eq!(hear(&b, &bob).await, ["who am I?"]);
    bobs.reach(&a);
    for _ in 0..3 {
        hear(&b, &bob).await;
        b.deliver().await;
        b.federate().await;
        a.deliver().await;
    }
}

/// A message that waited for a server is sent before later ones, though it is not due yet.
#[tokio::test]
async fn a_later_message_does_not_overtake_those_that_wait() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    say(&alice, &bob.me(), "hello").await;
    world.deliver().await;
    hear(&world, &bob).await;
    let down = async |words: &[&str]| {
        wire.fail(|| Some(NetworkFault::LostRequest));
        for words in words {
            let sent = alice.send(&bob.me(), text(words)).await.unwrap();
            assert_eq!(sent.state(&alice.me()), EnvelopeState::ToSend);
        }
    };
    let heard = async || {
        world.deliver().await;
        let received = bob.receive().await.unwrap();
        assert!(received.messages.iter().all(|message| message.missing_before == 0));
        shown(&bob, &received)
    };
    down(&["1", "2", "3"]).await;
    wire.honest();
    say(&alice, &bob.me(), "4").await;
    assert_eq!(heard().await, ["1", "2", "3", "4"]);

    // What is tried again by itself does not overtake either, though it is due earlier.
    down(&["5"]).await;
    for _ in 0..6 {
        world.advance(64_000);
        alice.flush().await.unwrap();
    }
    down(&["6"]).await;
    wire.honest();
    world.advance(1_000);
    alice.flush().await.unwrap();
    assert_eq!(heard().await, ["5", "6"]);
    world.deliver().await;
}

/// Bob is removed while a note waits for him at Alice's server.
#[tokio::test]
async fn a_former_member_who_is_forgotten_gets_no_note_of_the_group_anew() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, b_address) = World::online(&internet, "b.example").await;
    let wire = TestNetwork::to(&[&a, &b]);
    let (alice, bob) = (first(&a, &wire, "alice").await, first(&b, &wire, "bob").await);
    know(&alice, &bob.me()).await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    internet.unplug(b_address);
    let sent = alice.send_to_group(&id, text("among us")).await.unwrap();
    let state = || alice.sent(&sent.id).unwrap().envelopes[0].state;
    assert_eq!(state(), EnvelopeState::Queued);
    alice.change_group(&id, Proposal::Remove([bob.me().actor()].into())).await.unwrap();
    alice.forget(&bob.me()).unwrap();
    assert_eq!(state(), EnvelopeState::Failed);
    internet.plug(b_address);
    a.advance(10_000);
    for _ in 0..3 {
        for world in [&a, &b] {
            world.federate().await;
            world.deliver().await;
        }
    }
}

/// The report comes after Alice has forgotten Bob, whose server says that there is nobody of that name.
#[tokio::test]
async fn a_report_on_an_envelope_to_somebody_forgotten_stops_nothing() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, b_address) = World::online(&internet, "b.example").await;
    let (hers, wire) = (TestNetwork::to(&[&a, &b]), TestNetwork::to(&[&a, &b]));
    let (alice, bob) = (first(&a, &hers, "alice").await, first(&b, &wire, "bob").await);
    let carol = first(&a, &wire, "carol").await;
    say(&alice, &bob.me(), "hello").await;
    b.deliver().await;
    assert_eq!(hear(&b, &bob).await, ["hello"]);
    internet.unplug(b_address);
    let sent = alice.send(&bob.me(), text("while you were away")).await.unwrap();
    internet.plug(b_address);
    let (bob_two, _) = device(&b, &wire, "bob", "two").await;
    b.deliver().await;
    hear(&b, &bob).await;
    bob.approve(&code_of(&bob_two)).await.unwrap();
    alice.forget(&bob.me()).unwrap();
    assert_eq!(alice.sent(sent.id.as_str()).unwrap().state(&alice.me()), EnvelopeState::ToSend);
    hers.drop_requests(|request| {
        let url = request.uri().to_string();
        let is_chain = url == "https://b.example/user/bob/devices" || url.ends_with("/proxy");
        is_chain.then(|| FalseAnswer { status: 404, body: Vec::new() })
    });
    a.advance(10_000);
    a.federate().await;
    say(&carol, &alice.me(), "are you there?").await;
    assert_eq!(settled(&a, &alice).await, []);
    assert_eq!(hear(&a, &alice).await, ["are you there?"]);
    assert!(!alice.people().unwrap().contains(&bob.me().actor()));
    for _ in 0..3 {
        for world in [&a, &b] {
            world.federate().await;
            world.deliver().await;
        }
    }
}
