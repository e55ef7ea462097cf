//! Tests of the groups' records at the server: a new device has all groups, and a device completes what
//! another one of its user could not send.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Instant;

use eko_client::group::{GroupId, Proposal};
use eko_client::messenger::{COMPLETED_AFTER_MS, GroupEvent, Notice, TOLD_FOR_DAYS};
use eko_client::{DeviceStore, Environment};
use eko_testkit::{World, seeded};
use serde_json::Value;

use crate::people::{TestMessenger, befriend, first, further, hear, request, say, sign_in, text};
use crate::resending::damage;
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

pub(crate) const DAY_MS: i64 = 24 * 3_600_000;

/// Returns the names of the groups that a device knows and its user is in.
pub(crate) fn names(client: &TestMessenger) -> Vec<String> {
    let groups = client.groups().unwrap().into_iter().filter(|group| group.member);
    let mut names: Vec<String> = groups.map(|group| group.state.name().to_owned()).collect();
    names.sort();
    names
}

/// Returns the hashes of the states of a group.
fn states(clients: &[&TestMessenger], id: &GroupId) -> Vec<String> {
    let state = |client: &&TestMessenger| {
        client.groups().unwrap().into_iter().find(|group| group.state.id() == id).unwrap().state.hash()
    };
    clients.iter().map(state).collect()
}

pub(crate) async fn look(world: &World, client: &TestMessenger) -> Vec<Notice> {
    world.deliver().await;
    let notices = client.receive().await.unwrap().notices;
    world.deliver().await;
    notices
}

#[tokio::test]
async fn a_new_device_has_all_groups_right_after_its_approval() {
    let world = World::with(|config| config.limits.account_budget = 100_000).await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let mut due = Vec::new();
    for number in 0..200 {
        let name = format!("Group {number:03}");
        alice.create_group(&name, &[]).await.unwrap();
        due.push(name);
    }
    let second = further(&world, &wire, &alice, "two").await;
    world.deliver().await;
    let began = Instant::now();
    second.receive().await.unwrap();
    println!("200 groups after {:?}", began.elapsed());
    assert_eq!(names(&second), due);
    world.deliver().await;
}

/// The new device is one of the group at once: it writes, it reads, and it changes the group.
#[tokio::test]
async fn a_new_device_takes_part() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    look(&world, &bob).await;
    bob.join_group(&id, None).await.unwrap();
    look(&world, &alice).await;
    alice.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    look(&world, &bob).await;
    // The device that joins is Alice's, and Bob's.
    for (owner, other) in [(&alice, &bob), (&bob, &alice)] {
        look(&world, owner).await;
        let new = further(&world, &wire, owner, "two").await;
        assert_eq!(look(&world, &new).await.len(), 0, "nothing of it is news");
        assert_eq!(names(&new), ["Saturday"]);
        assert!(new.groups().unwrap()[0].unconfirmed.is_empty());
        new.send_to_group(&id, text("from the new one")).await.unwrap();
        world.deliver().await;
        for client in [owner, other] {
            assert_eq!(hear(&world, client).await, ["from the new one"]);
        }
        other.send_to_group(&id, text("to the new one")).await.unwrap();
        world.deliver().await;
        assert_eq!(hear(&world, &new).await, ["to the new one"]);
        hear(&world, owner).await;
    }
    world.deliver().await;
}

/// Bob is invited by a friend and by a stranger, and approves a device before he joins. One invitation has been
/// led on by a change that invites nobody.
#[tokio::test]
async fn a_new_device_has_the_invitations() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let carol = first(&world, &wire, "carol").await;
    befriend(&alice, &bob).await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    let (declined, _) = alice.create_group("Sunday", &[bob.me()]).await.unwrap();
    carol.create_group("Strangers", &[bob.me()]).await.unwrap();
    look(&world, &bob).await;
    alice.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    look(&world, &bob).await;
    bob.decline_group(&declined, None).unwrap();
    let new = further(&world, &wire, &bob, "two").await;
    world.deliver().await;
    let told = new.receive().await.unwrap().notices;
    assert_eq!(told.len(), 2, "{told:?}");
    let open = |client: &TestMessenger| {
        let all = client.invitations().unwrap().into_iter();
        let mut all: Vec<_> = all.map(|it| (it.state.name().to_owned(), it.by, it.stranger)).collect();
        all.sort();
        all
    };
    assert_eq!(open(&new), open(&bob));
    assert_eq!(new.held().unwrap(), []);
    new.join_group(&id, None).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.send_to_group(&id, text("welcome")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &new).await, ["welcome"]);
    look(&world, &bob).await;
    assert_eq!(names(&bob), ["Friday"]);
    world.deliver().await;
}

/// A device that was away for long, and whose messages have expired, reads what the others know.
#[tokio::test]
async fn a_device_that_was_away_catches_up() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let second = further(&world, &wire, &alice, "two").await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    look(&world, &second).await;
    for name in ["Saturday", "Sunday"] {
        alice.change_group(&id, Proposal::Rename(name.to_owned())).await.unwrap();
    }
    world.deliver().await;
    world.advance(31 * DAY_MS);
    look(&world, &second).await;
    assert_eq!(names(&second), ["Sunday"]);
    let states = states(&[&alice, &second], &id);
    assert_eq!(states[0], states[1]);
    world.deliver().await;
}

/// Loses what is sent to a user, from now on.
fn lose_all_to(wire: &TestNetwork, actor: String) {
    wire.drop_requests(move |request| {
        let is_to = request.uri().path() == "/user/alice/outbox"
            && serde_json::from_slice::<Value>(request.body()).is_ok_and(|sent| sent["to"] == *actor);
        is_to.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
}

/// Alice's phone renames the group and invites Carol to it, does not reach Carol, and is lost. Alice's
/// tablet tells Carol in its place, an hour later, and then Bob of another change.
#[tokio::test]
async fn another_device_completes_a_change() {
    let world = World::new().await;
    let [hers, theirs] = [(); 2].map(|()| TestNetwork::to(&[&world]));
    let phone = first(&world, &hers, "alice").await;
    let (bob, carol) = (first(&world, &theirs, "bob").await, first(&world, &theirs, "carol").await);
    for friend in [&bob, &carol] {
        befriend(&phone, friend).await;
    }
    let tablet = further(&world, &theirs, &phone, "tablet").await;
    let (id, _) = phone.create_group("Friday", &[bob.me()]).await.unwrap();
    for client in [&tablet, &bob] {
        look(&world, client).await;
    }
    bob.join_group(&id, None).await.unwrap();
    for client in [&tablet, &phone] {
        look(&world, client).await;
    }
    lose_all_to(&hers, carol.me().actor());
    phone.change_group(&id, Proposal::Add([carol.me().actor()].into())).await.unwrap();
    for client in [&bob, &tablet, &carol] {
        look(&world, client).await;
    }
    assert_eq!(carol.invitations().unwrap().len(), 0);
    // Neither is the phone given less than an hour, nor does the tablet look more than once a day.
    world.advance(COMPLETED_AFTER_MS);
    look(&world, &tablet).await;
    look(&world, &carol).await;
    assert_eq!(carol.invitations().unwrap().len(), 0);
    world.advance(DAY_MS);
    look(&world, &tablet).await;
    look(&world, &carol).await;
    let invitations = carol.invitations().unwrap();
    assert_eq!(invitations.len(), 1);
    assert_eq!(invitations[0].by, phone.me().actor());
    carol.join_group(&id, None).await.unwrap();
    for client in [&bob, &tablet, &carol] {
        look(&world, client).await;
    }
    let all = states(&[&bob, &carol, &tablet], &id);
    assert!(all.iter().all(|state| *state == all[0]), "{all:?}");
    // Carol is a member, so this is no invitation.
    lose_all_to(&hers, bob.me().actor());
    phone.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    for client in [&bob, &tablet, &carol] {
        look(&world, client).await;
    }
    assert_eq!([&bob, &carol].map(names), [["Friday"], ["Saturday"]]);
    world.advance(DAY_MS);
    for client in [&tablet, &bob] {
        look(&world, client).await;
    }
    assert_eq!(names(&bob), ["Saturday"]);
    // The record says that everybody was told, so that no third device tells them.
    look(&world, &tablet).await;
    let third = further(&world, &theirs, &tablet, "three").await;
    look(&world, &third).await;
    world.advance(2 * DAY_MS);
    let asked = theirs.asked.lock().unwrap().len();
    look(&world, &third).await;
    let asked = theirs.asked.lock().unwrap().split_off(asked);
    assert!(asked.iter().all(|url| !url.ends_with("/outbox")), "{asked:?}");
    world.deliver().await;
}

/// Refuses what is sent to a user from now on, and counts it.
fn refuse_all_to(wires: &[&TestNetwork], actor: &str) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    for wire in wires {
        let (count, actor) = (Arc::clone(&count), actor.to_owned());
        wire.drop_requests(move |request| {
            let is_to = request.uri().path() == "/user/alice/outbox"
                && serde_json::from_slice::<Value>(request.body())
                    .is_ok_and(|sent| sent["type"] == "Create" && sent["to"] == *actor);
            let body = serde_json::json!({ "type": "x/refused", "title": "no", "status": 403 }).to_string();
            is_to.then(|| {
                count.fetch_add(1, Ordering::Relaxed);
                FalseAnswer { status: 403, body: body.into_bytes() }
            })
        });
    }
    count
}

/// Alice with a phone and a tablet in a group with Carol, whom the phone cannot tell of a new name.
struct UntoldScene {
    world: World,
    phone: TestMessenger,
    /// The time by which the clock of the phone is behind.
    behind_ms: Arc<AtomicI64>,
    tablet: TestMessenger,
    carol: TestMessenger,
    id: GroupId,
}

impl UntoldScene {
    async fn new(networks: impl FnOnce(&World) -> [TestNetwork; 3]) -> (Self, [TestNetwork; 3]) {
        let world = World::new().await;
        let [hers, other, theirs] = networks(&world);
        let behind_ms = Arc::new(AtomicI64::new(0));
        let (true_clock, behind) = (world.clock(), Arc::clone(&behind_ms));
        let clock = Arc::new(move || true_clock() - behind.load(Ordering::SeqCst));
        let environment = Environment { clock, random: seeded("alice/one") };
        let (store, request) = (DeviceStore::in_memory().unwrap(), request(&world, "alice", false));
        let (phone, _) = sign_in(&world, &hers, store, environment, request).await.unwrap();
        let carol = first(&world, &theirs, "carol").await;
        befriend(&phone, &carol).await;
        let tablet = further(&world, &other, &phone, "tablet").await;
        let (id, _) = phone.create_group("Friday", &[carol.me()]).await.unwrap();
        for client in [&tablet, &carol] {
            look(&world, client).await;
        }
        carol.join_group(&id, None).await.unwrap();
        for client in [&tablet, &phone] {
            look(&world, client).await;
        }
        (Self { world, phone, behind_ms, tablet, carol, id }, [hers, other, theirs])
    }

    /// Both devices look once a day. Returns the notices that somebody could not be told.
    async fn look_daily(&self, days: usize) -> Vec<String> {
        let mut not_told = Vec::new();
        for _ in 0..days {
            self.world.advance(DAY_MS);
            for client in [&self.phone, &self.tablet] {
                for notice in look(&self.world, client).await {
                    if let Notice::Group { by, event: GroupEvent::NotTold, .. } = &notice {
                        not_told.push(by.clone());
                    }
                    client.note_told(&notice).unwrap();
                }
            }
        }
        not_told
    }
}

fn three(world: &World) -> [TestNetwork; 3] {
    [(); 3].map(|()| TestNetwork::to(&[world]))
}

/// The phone goes on in not reaching Carol, whom the tablet has told.
#[tokio::test]
async fn whoever_was_told_by_another_device_is_not_told_again() {
    let (scene, [hers, other, _]) = UntoldScene::new(three).await;
    let UntoldScene { world, phone, tablet, carol, id, .. } = &scene;
    refuse_all_to(&[&hers], &carol.me().actor());
    phone.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    look(world, tablet).await;
    assert_eq!(scene.look_daily(2).await, [""; 0]);
    look(world, carol).await;
    assert_eq!(names(carol), ["Saturday"]);
    scene.look_daily(1).await;
    let before = [&hers, &other].map(|wire| wire.asked.lock().unwrap().len());
    assert_eq!(scene.look_daily(6).await, [""; 0]);
    for (wire, before) in [&hers, &other].into_iter().zip(before) {
        let asked = wire.asked.lock().unwrap().split_off(before);
        let sent = asked.iter().filter(|url| url.ends_with("/outbox"));
        assert_eq!(sent.count(), 0, "{asked:#?}");
    }
    assert_eq!(scene.look_daily(30).await, [""; 0]);
    world.deliver().await;
}

/// The phone could not reach Carol, and its clock was wrong when it made the change.
#[tokio::test]
async fn whoever_is_to_be_told_is_not_given_up_untried_because_of_a_clock() {
    let (scene, [hers, _, _]) = UntoldScene::new(three).await;
    let UntoldScene { world, phone, behind_ms, tablet, carol, id } = &scene;
    refuse_all_to(&[&hers], &carol.me().actor());
    behind_ms.store(TOLD_FOR_DAYS * DAY_MS, Ordering::SeqCst);
    phone.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    behind_ms.store(0, Ordering::SeqCst);
    look(world, tablet).await;
    assert_eq!(scene.look_daily(3).await, [""; 0]);
    look(world, carol).await;
    assert_eq!(names(carol), ["Saturday"]);
    world.deliver().await;
}

/// Nobody reaches Carol for weeks, and then she writes.
#[tokio::test]
async fn whoever_cannot_be_reached_is_told_ever_more_seldom_and_not_for_good() {
    let (scene, [hers, other, _]) = UntoldScene::new(three).await;
    let UntoldScene { world, phone, tablet, carol, id, .. } = &scene;
    let count = refuse_all_to(&[&hers, &other], &carol.me().actor());
    phone.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    look(world, tablet).await;
    assert_eq!(scene.look_daily(29).await, [""; 0]);
    let tried = count.load(Ordering::Relaxed);
    assert!((3..=8).contains(&tried), "{tried}");
    assert_eq!(scene.look_daily(12).await, [carol.me().actor()], "the user is told once");
    assert_eq!(count.load(Ordering::Relaxed), tried);
    hers.honest();
    other.honest();
    carol.send_to_group(id, text("am I late?")).await.unwrap();
    for client in [phone, tablet, carol] {
        look(world, client).await;
    }
    assert_eq!(names(carol), ["Saturday"]);
    world.deliver().await;
    for client in [phone, tablet, carol] {
        look(world, client).await;
    }
    world.deliver().await;
}

/// Returns the sealed record of a user's only group.
async fn sealed(client: &TestMessenger) -> Vec<u8> {
    client.device().group_states().await.unwrap().states.remove(0).1.content
}

/// A device that is revoked does not open what is sealed after that.
#[tokio::test]
async fn a_revocation_renews_the_key() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let second = further(&world, &wire, &alice, "two").await;
    let third = further(&world, &wire, &alice, "three").await;
    let (id, _) = alice.create_group("Friday", &[]).await.unwrap();
    for client in [&second, &third] {
        look(&world, client).await;
        assert_eq!(names(client), ["Friday"]);
    }
    let before = sealed(&alice).await;
    alice.revoke(third.device().id()).await.unwrap();
    look(&world, &alice).await;
    // The id of the key, which is behind the version. What the revoked device can read and write is
    // replaced, although the group has not changed.
    let renewed = sealed(&alice).await;
    assert_ne!(before[1..17], renewed[1..17]);
    // The second device hears of the new key before it has read the revocation, and makes no other one.
    look(&world, &second).await;
    second.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    assert_eq!(renewed[1..17], sealed(&alice).await[1..17]);
    look(&world, &alice).await;
    let fourth = further(&world, &wire, &second, "four").await;
    look(&world, &fourth).await;
    assert_eq!(names(&fourth), ["Saturday"]);
    assert!(third.receive().await.is_err());
    world.deliver().await;
    world.erase().await;
}

/// The process that revokes a device dies at each of its requests. Whatever record it has left, the other
/// device reads it, and the record says whom nobody has told.
#[tokio::test]
async fn no_record_is_sealed_under_a_key_that_the_others_may_never_get() {
    for place in 0.. {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (user, phone) = RestartingUser::sign_in(&world, "alice").await;
        let second = further(&world, &wire, &phone, "two").await;
        let third = further(&world, &wire, &phone, "three").await;
        phone.create_group("Friday", &[]).await.unwrap();
        look(&world, &second).await;
        let before = sealed(&second).await;
        phone.revoke(third.device().id()).await.unwrap();
        let passed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&passed);
        user.line.fail(move || {
            (counted.fetch_add(1, Ordering::Relaxed) >= place).then_some(NetworkFault::LostRequest)
        });
        let _ = phone.receive().await;
        drop(phone);
        user.line.honest();
        let left = sealed(&second).await;
        look(&world, &second).await;
        if left[1..17] != before[1..17] {
            assert_eq!(sealed(&second).await[1..17], left[1..17], "{place}");
        }
        let phone = user.open();
        for client in [&phone, &second, &phone, &second] {
            look(&world, client).await;
            world.advance(600_000);
        }
        assert_ne!(sealed(&second).await[1..17], before[1..17], "{place}");
        let fourth = further(&world, &wire, &second, "four").await;
        look(&world, &fourth).await;
        assert_eq!(names(&fourth), ["Friday"], "{place}");
        world.deliver().await;
        if passed.load(Ordering::Relaxed) <= place {
            assert!(place > 2, "{place}");
            break;
        }
    }
}

/// Nothing but the activity with the new key is lost.
#[tokio::test]
async fn a_record_waits_for_its_key() {
    let world = World::new().await;
    let [hers, line] = [(); 2].map(|()| TestNetwork::to(&[&world]));
    let phone = first(&world, &hers, "alice").await;
    let second = further(&world, &line, &phone, "two").await;
    let third = further(&world, &line, &phone, "three").await;
    phone.create_group("Friday", &[]).await.unwrap();
    look(&world, &second).await;
    let before = sealed(&second).await;
    phone.revoke(third.device().id()).await.unwrap();
    lose_all_to(&hers, phone.me().actor());
    for _ in 0..3 {
        look(&world, &phone).await;
        world.advance(60_000);
    }
    assert_eq!(sealed(&second).await[1..17], before[1..17], "the others do not have the new key");
    hers.honest();
    world.advance(60_000);
    look(&world, &phone).await;
    let renewed = sealed(&second).await;
    assert_ne!(renewed[1..17], before[1..17]);
    look(&world, &second).await;
    assert_eq!(sealed(&second).await, renewed, "the second device reads it");
    world.deliver().await;
}

/// The activity that could not be read is the only one from which a new device could learn the key.
#[tokio::test]
async fn keys_that_could_not_be_read_are_passed_on_again() {
    let world = World::new().await;
    let [hers, line] = [(); 2].map(|()| TestNetwork::to(&[&world]));
    let alice = first(&world, &hers, "alice").await;
    alice.create_group("Friday", &[]).await.unwrap();
    let second = further(&world, &line, &alice, "two").await;
    world.deliver().await;
    damage(&line, "alice");
    second.receive().await.unwrap();
    line.honest();
    assert_eq!(names(&second), [""; 0]);
    for client in [&second, &alice, &second] {
        look(&world, client).await;
    }
    assert_eq!(names(&second), ["Friday"]);
    world.deliver().await;
}

/// Two devices that change different things at once end with one record.
#[tokio::test]
async fn two_devices_at_once() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let second = further(&world, &wire, &alice, "two").await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    look(&world, &second).await;
    alice.change_group(&id, Proposal::Rename("hers".to_owned())).await.unwrap();
    second.change_group(&id, Proposal::Rename("the other's".to_owned())).await.unwrap();
    for client in [&alice, &second, &alice, &second] {
        look(&world, client).await;
    }
    let both = states(&[&alice, &second], &id);
    assert_eq!(both[0], both[1]);
    let third = further(&world, &wire, &alice, "three").await;
    look(&world, &third).await;
    assert_eq!(states(&[&third], &id), both[..1]);
    world.deliver().await;
}

/// Whoever has left, or was removed, keeps no record, and a new device knows nothing of the group.
#[tokio::test]
async fn a_group_that_was_left_is_forgotten() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    look(&world, &bob).await;
    bob.join_group(&id, None).await.unwrap();
    assert_eq!(bob.device().group_states().await.unwrap().states.len(), 1);
    bob.change_group(&id, Proposal::Leave).await.unwrap();
    assert_eq!(bob.device().group_states().await.unwrap().states, []);
    let second = further(&world, &wire, &bob, "two").await;
    look(&world, &second).await;
    assert_eq!(names(&second), [""; 0]);
    let notices = look(&world, &alice).await;
    let is_left = |notice: &Notice| matches!(notice, Notice::Group { event: GroupEvent::Changed(_), .. });
    assert!(notices.iter().any(is_left), "{notices:?}");
    say(&alice, &bob.me(), "bye").await;
    world.deliver().await;
}

/// Whichever request or answer is lost while a group is made and changed, and a device approved: each
/// later look makes good for it.
#[tokio::test]
async fn a_lost_request_leaves_nothing_undone() {
    for fault in [NetworkFault::LostRequest, NetworkFault::LostAnswer] {
        for place in 0.. {
            let world = World::new().await;
            let wire = TestNetwork::to(&[&world]);
            let alice = first(&world, &wire, "alice").await;
            let second = further(&world, &wire, &alice, "two").await;
            look(&world, &second).await;
            let passed = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&passed);
            wire.fail(move || (counted.fetch_add(1, Ordering::Relaxed) == place).then_some(fault));
            if alice.create_group("Friday", &[]).await.is_ok()
                && let Some(group) = alice.groups().unwrap().pop()
            {
                let change = Proposal::Rename("Saturday".to_owned());
                let _ = alice.change_group(group.state.id(), change).await;
            }
            let is_over = passed.load(Ordering::Relaxed) <= place;
            wire.honest();
            world.advance(600_000);
            for client in [&alice, &second] {
                look(&world, client).await;
            }
            let due = names(&alice);
            assert_eq!(due.len(), 1, "{fault:?} {place}");
            let third = further(&world, &wire, &alice, "three").await;
            look(&world, &third).await;
            assert_eq!(names(&third), due, "{fault:?} {place}");
            assert_eq!(third.device().group_states().await.unwrap().states.len(), 1, "{fault:?} {place}");
            world.deliver().await;
            if is_over {
                assert!(place > 2, "{place}");
                break;
            }
        }
    }
}
