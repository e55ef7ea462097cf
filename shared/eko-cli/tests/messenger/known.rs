//! Tests of who may write: the server is told whom the user knows, and only if that matters.

use std::collections::BTreeSet;

use eko_client::group::{GroupState, Proposal, propose};
use eko_client::messenger::{FELLOWS_OF_GROUP, FORGOTTEN_AFTER_DAYS, Notice};
use eko_protocol::limits::MAX_KNOWN;
use eko_protocol::settings::WhoMayWrite;
use eko_testkit::World;

use crate::controls::{control, send_control, signing};
use crate::forging::ForgingSessions;
use crate::people::{TestMessenger, befriend, first, further, hear, know, say};
use crate::test_network::{FalseAnswer, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// Returns the number of actors whom Alice's server takes for known.
async fn known_to_server(world: &World) -> usize {
    let stored = world.stored().await;
    let known = stored.keys("U#alice", "A#").into_iter();
    known.filter(|key| stored.items[*key].contains("\"c\"")).count()
}

/// Sets the number of actors whom Alice's server counts as known.
async fn set_count(world: &World, number: u64) {
    world.set_number(("U#alice", "DEVICES"), "kn", number).await;
}

/// Looks into a mailbox, and notes that the notices were shown. Returns the number of those that the server
/// could not be told of everybody.
async fn untold_in_look(world: &World, client: &TestMessenger) -> usize {
    world.deliver().await;
    let notices = client.receive().await.unwrap().notices;
    for notice in &notices {
        client.note_told(notice).unwrap();
    }
    notices.iter().filter(|notice| **notice == Notice::KnownUntold).count()
}

#[tokio::test]
async fn known_people_write_as_before_and_others_ask() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let mallory = first(&world, &wire, "mallory").await;
    befriend(&alice, &bob).await;
    alice.let_write(WhoMayWrite::Known).await.unwrap();
    assert_eq!(alice.who_may_write().await.unwrap(), WhoMayWrite::Known);
    for number in 0..5 {
        say(&bob, &alice.me(), &format!("{number}")).await;
        say(&mallory, &alice.me(), &format!("buy {number}")).await;
    }
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert_eq!(received.messages.len(), 5);
    assert_eq!(received.notices, [Notice::Request { actor: mallory.me().actor() }]);
    let [request] = <[_; 1]>::try_from(alice.requests().unwrap()).unwrap();
    assert_eq!(request.messages.len(), 3);
    world.deliver().await;
    // Whom Alice writes to may answer.
    say(&alice, &mallory.me(), "no").await;
    say(&mallory, &alice.me(), "a pity").await;
    world.deliver().await;
    assert!(hear(&world, &alice).await.contains(&"a pity".to_owned()));
    world.deliver().await;
    for device in [&bob, &mallory] {
        device.receive().await.unwrap();
    }
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
}

/// Another device reads the setting, and then tells the server of those whom it meets.
#[tokio::test]
async fn another_device_keeps_to_the_setting() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, carol) = (first(&world, &wire, "alice").await, first(&world, &wire, "carol").await);
    let phone = further(&world, &wire, &alice, "two").await;
    alice.let_write(WhoMayWrite::Nobody).await.unwrap();
    world.advance(25 * 3_600_000);
    phone.receive().await.unwrap();
    say(&phone, &carol.me(), "hello").await;
    world.deliver().await;
    assert_eq!(hear(&world, &carol).await, ["hello"]);
    say(&carol, &phone.me(), "so it is").await;
    world.deliver().await;
    assert_eq!(hear(&world, &phone).await, ["so it is"]);
    world.deliver().await;
    alice.receive().await.unwrap();
    carol.receive().await.unwrap();
    world.deliver().await;
}

/// An admin adds made-up members and removes them, over and over. They take a bounded number of places, which
/// become free some days after.
#[tokio::test]
async fn members_who_come_and_go_leave_room_for_contacts() {
    let world = World::with(|config| config.limits.account_budget = 100_000).await;
    let wire = TestNetwork::to(&[&world]);
    let sessions = ForgingSessions::default();
    let alice = first(&world, &wire, "alice").await;
    let mallory = sessions.first(&world, &wire, "mallory").await;
    alice.let_write(WhoMayWrite::Known).await.unwrap();
    know(&alice, &mallory.me()).await;
    mallory.verification(&alice.me()).await.unwrap();
    mallory.accept_contact(&alice.me()).unwrap();
    let (id, _) = mallory.create_group("Friday", &[alice.me()]).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.join_group(&id, None).await.unwrap();
    world.deliver().await;
    mallory.receive().await.unwrap();
    let mut state: GroupState = mallory.groups().unwrap().remove(0).state;
    let mut change = async |proposal: Proposal| {
        let (change, next) = signing(&mallory, |signer| propose(&state, proposal, signer)).unwrap();
        let control = control(&mallory, change, Some(&state), &next);
        send_control(&sessions, &mallory, &alice.me(), &control).await;
        state = next;
        let untold = untold_in_look(&world, &alice).await;
        world.advance(60_000);
        untold
    };
    let crowd = |round: usize| {
        (0..250).map(|n| format!("https://nowhere.example/user/u{round}_{n}")).collect::<BTreeSet<_>>()
    };
    let mut untold = 0;
    for round in 0..4 {
        untold += change(Proposal::Add(crowd(round))).await;
        assert!(known_to_server(&world).await <= FELLOWS_OF_GROUP + 1, "{round}");
        untold += change(Proposal::Remove(crowd(round))).await;
    }
    assert_eq!(known_to_server(&world).await, FELLOWS_OF_GROUP + 1);
    assert_eq!(untold, 1, "the user is told once");
    let mut looks = 0;
    world.advance(FORGOTTEN_AFTER_DAYS * DAY_MS);
    while known_to_server(&world).await > 1 {
        world.advance(60_000);
        untold_in_look(&world, &alice).await;
        looks += 1;
        assert!(looks < 20, "{}", known_to_server(&world).await);
    }
    // Mallory is a contact, in the group or not.
    assert_eq!(known_to_server(&world).await, 1);
    world.deliver().await;
}

/// Whoever has left the last group with Alice is a stranger some days later, and known again in another group.
#[tokio::test]
async fn a_former_member_is_a_stranger_again() {
    for is_lost in [false, true] {
        let world = World::new().await;
        let [hers, wire] = [(); 2].map(|()| TestNetwork::to(&[&world]));
        let alice = first(&world, &hers, "alice").await;
        let (bob, carol) = (first(&world, &wire, "bob").await, first(&world, &wire, "carol").await);
        befriend(&alice, &bob).await;
        befriend(&bob, &carol).await;
        alice.let_write(WhoMayWrite::Known).await.unwrap();
        let (id, _) = bob.create_group("Friday", &[alice.me(), carol.me()]).await.unwrap();
        untold_in_look(&world, &alice).await;
        alice.join_group(&id, None).await.unwrap();
        untold_in_look(&world, &alice).await;
        assert_eq!(known_to_server(&world).await, 2);
        bob.receive().await.unwrap();
        bob.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
        untold_in_look(&world, &alice).await;
        world.advance((FORGOTTEN_AFTER_DAYS - 1) * DAY_MS);
        untold_in_look(&world, &alice).await;
        assert_eq!(known_to_server(&world).await, 2, "another device may know of another group");
        world.advance(DAY_MS);
        if is_lost {
            // The request arrives, and the answer does not.
            hers.tamper(|passing| {
                let is_undo = serde_json::from_slice::<serde_json::Value>(passing.request)
                    .is_ok_and(|sent| sent["type"] == "Undo");
                is_undo.then(|| FalseAnswer { status: 503, body: Vec::new() })
            });
        }
        world.deliver().await;
        let _ = alice.receive().await;
        hers.honest();
        assert_eq!(known_to_server(&world).await, 1);
        // In another group she is known again, though the answer was lost.
        bob.receive().await.unwrap();
        let (other, _) = bob.create_group("Sunday", &[alice.me(), carol.me()]).await.unwrap();
        untold_in_look(&world, &alice).await;
        alice.join_group(&other, None).await.unwrap();
        untold_in_look(&world, &alice).await;
        assert_eq!(known_to_server(&world).await, 2, "lost {is_lost}");
        world.deliver().await;
        for client in [&bob, &carol] {
            client.receive().await.unwrap();
        }
        world.deliver().await;
    }
}

/// A contact whom the server has refused for lack of room is told of again, and the user is told once.
#[tokio::test]
async fn a_refused_contact_is_told_of_again() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, carol) = (first(&world, &wire, "alice").await, first(&world, &wire, "carol").await);
    alice.let_write(WhoMayWrite::Nobody).await.unwrap();
    set_count(&world, MAX_KNOWN).await;
    befriend(&alice, &carol).await;
    let untold = [untold_in_look(&world, &alice).await, untold_in_look(&world, &alice).await];
    assert_eq!(untold, [1, 0]);
    assert_eq!(known_to_server(&world).await, 0);
    set_count(&world, 0).await;
    world.advance(DAY_MS);
    assert_eq!(untold_in_look(&world, &alice).await, 0);
    assert_eq!(known_to_server(&world).await, 1);
    say(&carol, &alice.me(), "here").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["here"]);
    world.deliver().await;
    carol.receive().await.unwrap();
    world.deliver().await;
}

/// A device that was stolen has told the server of people without end. After its revocation the others undo
/// that, but for the people whom they know.
#[tokio::test]
async fn what_a_revoked_device_has_told_is_undone() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let carol = first(&world, &wire, "carol").await;
    let stolen = further(&world, &wire, &alice, "stolen").await;
    befriend(&alice, &bob).await;
    alice.let_write(WhoMayWrite::Known).await.unwrap();
    for n in 0..7 {
        stolen.device().accept_actor(&format!("https://nowhere.example/user/u{n}")).await.unwrap();
    }
    set_count(&world, MAX_KNOWN).await;
    alice.revoke(stolen.device().id()).await.unwrap();
    befriend(&alice, &carol).await;
    let mut untold = 0;
    for _ in 0..3 {
        untold += untold_in_look(&world, &alice).await;
        world.advance(DAY_MS);
    }
    assert_eq!(untold, 1);
    untold_in_look(&world, &alice).await;
    assert_eq!(known_to_server(&world).await, 2);
    for client in [&bob, &carol] {
        say(client, &alice.me(), "still here").await;
    }
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert_eq!(received.messages.len(), 2, "{:?}", received.notices);
    world.deliver().await;
}
