//! Tests of groups: their life, changes at the same time, and messages that arrive before the
//! group.

use eko_client::group::{GroupId, Proposal};
use eko_client::messenger::{GroupEvent, MessengerError, Notice, SentActivity};
use eko_client::store::{EnvelopeState, HeldReason};
use eko_testkit::World;

use crate::friends::{Friends, group};
use crate::people::{TestMessenger, befriend, first, further, hear, say, text};
use crate::test_network::{FalseAnswer, TestNetwork};

fn all_accepted(sent: &SentActivity, envelopes: usize) {
    assert_eq!(sent.envelopes.len(), envelopes);
    assert!(sent.envelopes.iter().all(|envelope| envelope.state == EnvelopeState::Accepted), "{sent:?}");
}

/// Returns the changes of groups that a device is told of, sorted: what is sent at the same time may
/// arrive in any order.
async fn changes(world: &World, client: &TestMessenger) -> Vec<String> {
    world.deliver().await;
    let notices = client.receive().await.unwrap().notices;
    let change = |notice| match notice {
        Notice::Group { event: GroupEvent::Changed(change), .. } => Some(change.to_string()),
        Notice::Group { event: GroupEvent::Joined | GroupEvent::Held(_), .. } => None,
        Notice::Group { event, .. } => Some(format!("{event:?}")),
        _ => None,
    };
    let mut changes: Vec<String> = notices.into_iter().filter_map(change).collect();
    changes.sort();
    changes
}

/// Has a user join a group that the user is invited to.
async fn join(world: &World, client: &TestMessenger, id: &GroupId) {
    assert_eq!(changes(world, client).await, ["Invited"]);
    all_accepted(
        &client.join_group(id, None).await.unwrap().sent,
        client.groups().unwrap()[0].state.members().len() - 1,
    );
}

fn epochs(clients: &[&TestMessenger], id: &GroupId) -> Vec<(u64, String)> {
    let state = |client: &&TestMessenger| {
        let group = client.groups().unwrap().into_iter().find(|group| group.state.id() == id).unwrap();
        (group.state.epoch(), group.state.hash())
    };
    clients.iter().map(state).collect()
}

async fn three(world: &World, wire: &TestNetwork) -> [TestMessenger; 3] {
    [first(world, wire, "alice").await, first(world, wire, "bob").await, first(world, wire, "carol").await]
}

/// Asserts that two changes are told of, or only the later one: if that comes first, it is told with all
/// that differs.
fn both_or_the_later(told: &[String], both: [&str; 2], later: &str) {
    assert!(told == both || told == [later], "{told:?}");
}

#[tokio::test]
async fn a_group_begins_talks_changes_and_ends_alike_for_all() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let [alice, bob, carol] = three(&world, &wire).await;
    let alice_two = further(&world, &wire, &alice, "two").await;
    let (id, sent) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    all_accepted(&sent, 3);
    assert_eq!(changes(&world, &alice_two).await, ["created"]);
    for client in [&bob, &carol] {
        join(&world, client, &id).await;
    }
    for client in [&alice, &alice_two, &bob, &carol] {
        assert_eq!(changes(&world, client).await, [""; 0]);
        assert_eq!(client.groups().unwrap()[0].unconfirmed, [].into());
    }
    // Every device reads every message.
    for (from, others) in [
        (&alice, [&alice_two, &bob, &carol]),
        (&bob, [&alice, &alice_two, &carol]),
        (&carol, [&alice, &alice_two, &bob]),
        (&alice_two, [&alice, &bob, &carol]),
    ] {
        let words = format!("from {}", from.device().address());
        from.send_to_group(&id, text(&words)).await.unwrap();
        world.deliver().await;
        for other in others {
            assert_eq!(hear(&world, other).await, std::slice::from_ref(&words));
        }
    }
    // Only an admin can change the group, and every device learns of a change.
    let refused = bob.change_group(&id, Proposal::Rename("Bob's".to_owned())).await;
    assert!(matches!(refused, Err(MessengerError::Group(_))), "{refused:?}");
    alice.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    alice.change_group(&id, Proposal::Promote([bob.me().actor()].into())).await.unwrap();
    for client in [&bob, &carol, &alice_two] {
        both_or_the_later(&changes(&world, client).await, ["promoted", "renamed"], "promoted");
    }
    // A removed member reads no later message, and nobody reads theirs.
    bob.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    for client in [&alice, &alice_two] {
        assert_eq!(changes(&world, client).await, ["removed"]);
    }
    alice.send_to_group(&id, text("without Carol")).await.unwrap();
    carol.send_to_group(&id, text("am I there?")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &carol).await, [""; 0]);
    assert_eq!(hear(&world, &bob).await, ["without Carol"]);
    // A member leaves, and the first admin who looks makes a new key.
    bob.change_group(&id, Proposal::Leave).await.unwrap();
    assert_eq!(changes(&world, &alice).await, ["left"]);
    both_or_the_later(&changes(&world, &alice_two).await, ["left", "rekeyed"], "rekeyed");
    let states = epochs(&[&alice, &alice_two], &id);
    assert_eq!(states[0], states[1]);
    assert_eq!(states[0].0, 6);
    assert!(!bob.groups().unwrap()[0].member);
    assert!(bob.send_to_group(&id, text("again")).await.is_err());
    world.deliver().await;
}

#[tokio::test]
async fn two_changes_at_once_end_in_one_state() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let [alice, bob, carol] = three(&world, &wire).await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    for client in [&bob, &carol] {
        join(&world, client, &id).await;
    }
    alice.change_group(&id, Proposal::Promote([bob.me().actor()].into())).await.unwrap();
    for client in [&bob, &carol] {
        changes(&world, client).await;
    }
    alice.change_group(&id, Proposal::Rename("hers".to_owned())).await.unwrap();
    bob.change_group(&id, Proposal::Rename("his".to_owned())).await.unwrap();
    for client in [&alice, &bob, &carol] {
        changes(&world, client).await;
    }
    let states = epochs(&[&alice, &bob, &carol], &id);
    assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
    // Messages still reach everybody.
    for (from, others) in [(&alice, [&bob, &carol]), (&bob, [&alice, &carol])] {
        from.send_to_group(&id, text("on")).await.unwrap();
        world.deliver().await;
        for other in others {
            assert_eq!(hear(&world, other).await, ["on"]);
        }
    }
    world.deliver().await;
}

/// Removes the entries of this author from every page of Carol's mailbox.
fn hide(wire: &TestNetwork, author: String) {
    wire.tamper(move |passing| {
        if passing.endpoint != ("GET", "/user/carol/inbox") {
            return None;
        }
        let mut page: serde_json::Value = serde_json::from_slice(passing.answer).unwrap();
        page["orderedItems"].as_array_mut().unwrap().retain(|item| item["actor"] != *author);
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
}

#[tokio::test]
async fn what_comes_before_its_group_is_held() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let [alice, bob, carol] = three(&world, &wire).await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    join(&world, &bob, &id).await;
    // The server shows Bob's message to Carol, but not yet Alice's, which told her of the group.
    bob.send_to_group(&id, text("hello, Carol")).await.unwrap();
    world.deliver().await;
    hide(&wire, alice.me().actor());
    assert_eq!(hear(&world, &carol).await, [""; 0]);
    let held: Vec<_> = carol.held().unwrap().into_iter().map(|held| (held.actor, held.why)).collect();
    let of_bob = (bob.me().actor(), HeldReason::NotJoined);
    assert_eq!(held, [of_bob.clone(), of_bob], "his Join, and his message");
    wire.honest();
    assert_eq!(hear(&world, &carol).await, [""; 0], "she has not joined yet");
    carol.join_group(&id, None).await.unwrap();
    assert_eq!(hear(&world, &carol).await, ["hello, Carol"]);
    assert_eq!(carol.held().unwrap(), []);
    assert_eq!(carol.groups().unwrap()[0].unconfirmed, [].into(), "both have shown the state");
    world.deliver().await;
}

/// Erin is added to a group of four. She hears of Bob by a receipt and of Carol by a message, and of
/// neither that they have joined: they were there before her.
#[tokio::test]
async fn whoever_was_there_before_is_not_said_to_join() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    let erin = first(world, line, "erin").await;
    befriend(alice, &erin).await;
    alice.change_group(&id, Proposal::Add([erin.me().actor()].into())).await.unwrap();
    for client in [bob, &erin] {
        friends.look(client).await;
    }
    erin.join_group(&id, None).await.unwrap();
    // What comes in one millisecond is in no order.
    world.advance(1);
    erin.send_to_group(&id, text("I am here")).await.unwrap();
    world.deliver().await;
    let told = |notices: Vec<Notice>| {
        let joined = |it: &Notice| matches!(it, Notice::Group { event: GroupEvent::Joined, .. });
        notices.into_iter().filter(joined).count()
    };
    assert_eq!(told(bob.receive().await.unwrap().notices), 1, "Erin has joined");
    world.deliver().await;
    assert_eq!(told(erin.receive().await.unwrap().notices), 0);
    let unheard = || group(&erin, &id).unconfirmed;
    assert_eq!(unheard(), [carol, dave].map(|client| client.me().actor()).into());
    friends.look(carol).await;
    carol.send_to_group(&id, text("welcome")).await.unwrap();
    world.deliver().await;
    assert_eq!(told(erin.receive().await.unwrap().notices), 0);
    assert_eq!(unheard(), [dave.me().actor()].into());
    for client in [alice, dave, bob, carol] {
        friends.look(client).await;
    }
    world.deliver().await;
}

/// Alice's phone joins a group of a stranger's, in which a contact of hers writes. Her tablet, which was away,
/// reads the entries of the stranger last.
#[tokio::test]
async fn a_device_that_reads_an_invitation_last_tells_nothing_that_is_over() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (phone, carol) = (first(&world, &wire, "alice").await, first(&world, &wire, "carol").await);
    let bob = first(&world, &wire, "bob").await;
    befriend(&phone, &carol).await;
    befriend(&carol, &bob).await;
    let tablet = further(&world, &wire, &phone, "tablet").await;
    let look = async |client: &TestMessenger| {
        world.deliver().await;
        world.advance(1_000);
        client.receive().await.unwrap()
    };
    say(&phone, &carol.me(), "hello").await;
    for client in [&tablet, &carol, &phone] {
        look(client).await;
    }
    bob.verification(&phone.me()).await.unwrap();
    let (id, _) = bob.create_group("Friday", &[phone.me(), carol.me()]).await.unwrap();
    for client in [&phone, &carol] {
        look(client).await;
        client.join_group(&id, None).await.unwrap();
    }
    for client in [&phone, &carol] {
        look(client).await;
    }
    carol.send_to_group(&id, text("all here?")).await.unwrap();
    let received = look(&tablet).await;
    let events: Vec<_> = received
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Group { event, .. } => Some(event.clone()),
            _ => None,
        })
        .collect();
    assert!(
        events.iter().all(|event| !matches!(event, GroupEvent::Held(_) | GroupEvent::Invited)),
        "nothing is held, and nobody invited: {events:?}"
    );
    assert!(events.contains(&GroupEvent::Joined), "{events:?}");
    assert!(tablet.groups().unwrap()[0].member && tablet.invitations().unwrap().is_empty());
    let said = received.messages.iter().map(|it| &*it.content.text);
    assert_eq!(said.collect::<Vec<_>>(), ["hello", "all here?"]);
    for client in [&phone, &carol, &bob, &tablet] {
        look(client).await;
    }
    world.deliver().await;
}
