//! Tests of what a new device takes over from a former one, and says in its place.

use std::path::Path;

use eko_client::content::MAX_PLAINTEXT;
use eko_client::device::RegistrationStatus;
use eko_client::group::{GroupId, Proposal};
use eko_client::messenger::JoinState;
use eko_client::store::{EnvelopeState, FormerDevice, OutboxEnvelope};
use eko_client::{DeviceStore, Environment};
use eko_testkit::{World, seeded};
use tempfile::TempDir;

use crate::people::{TestMessenger, befriend, code_of, first, hear, request, sign_in, text};
use crate::test_network::{NetworkFault, TestNetwork};

/// Alice's phone, her laptop, and what she has written on the laptop and could not send before it was
/// revoked; Bob and Carol.
struct Scene {
    world: World,
    wire: TestNetwork,
    phone: TestMessenger,
    bob: TestMessenger,
    carol: TestMessenger,
    id: GroupId,
    former: TempDir,
}

impl Scene {
    /// Plays until Alice has written to the group on the laptop. `before` is what the laptop does before
    /// that, also without a line.
    async fn begin(before: impl AsyncFnOnce(&TestMessenger, &GroupId)) -> Self {
        Self::begin_with(NetworkFault::LostRequest, before).await
    }

    /// Does as [`Scene::begin`], with another fault of the line.
    async fn begin_with(fault: NetworkFault, before: impl AsyncFnOnce(&TestMessenger, &GroupId)) -> Self {
        let world = World::new().await;
        let (wire, line) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
        let phone = first(&world, &wire, "alice").await;
        let (bob, carol) = (first(&world, &wire, "bob").await, first(&world, &wire, "carol").await);
        let former = TempDir::new().unwrap();
        let laptop = on_file(&world, &line, former.path(), "laptop").await;
        join(&world, &phone, &laptop).await;
        let (id, _) = phone.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
        world.deliver().await;
        for client in [&laptop, &bob, &carol] {
            client.receive().await.unwrap();
        }
        for client in [&bob, &carol] {
            client.join_group(&id, None).await.unwrap();
        }
        world.deliver().await;
        for client in [&phone, &laptop, &bob, &carol] {
            hear(&world, client).await;
        }
        line.fail(move || Some(fault));
        before(&laptop, &id).await;
        let sent = laptop.send_to_group(&id, text("not sent")).await.unwrap();
        assert_eq!(sent.state(&laptop.me()), EnvelopeState::ToSend);
        phone.revoke(laptop.device().id()).await.unwrap();
        Self { world, wire, phone, bob, carol, id, former }
    }

    /// Signs in a new device of Alice's that takes over from the laptop.
    async fn take_over(&self, is_reset: bool) -> TestMessenger {
        self.take_over_by(&self.phone, is_reset).await
    }

    /// Does as [`Scene::take_over`], with another device that approves the new one.
    async fn take_over_by(&self, approver: &TestMessenger, is_reset: bool) -> TestMessenger {
        let folder = TempDir::new().unwrap();
        let store = DeviceStore::open(&folder.path().join("eko.db")).unwrap();
        let (file, actor) = (self.former.path().join("eko.db"), self.phone.me().actor());
        let of_bob = FormerDevice { store: &file, actor: &self.bob.me().actor(), is_reset };
        assert!(store.carry_over(of_bob).is_err(), "it is Alice's");
        store.carry_over(FormerDevice { actor: &actor, ..of_bob }).unwrap();
        let environment = Environment { clock: self.world.clock(), random: seeded("alice/new") };
        let request = request(&self.world, "alice", false);
        let (new, _) = sign_in(&self.world, &self.wire, store, environment, request).await.unwrap();
        join(&self.world, approver, &new).await;
        new
    }

    async fn heard(&self, client: &TestMessenger) -> Vec<String> {
        self.world.deliver().await;
        hear(&self.world, client).await
    }
}

async fn on_file(world: &World, line: &TestNetwork, folder: &Path, label: &str) -> TestMessenger {
    let store = DeviceStore::open(&folder.join("eko.db")).unwrap();
    let environment = Environment { clock: world.clock(), random: seeded(format!("alice/{label}")) };
    let (client, registered) =
        sign_in(world, line, store, environment, request(world, "alice", false)).await.unwrap();
    assert_eq!(registered.status, RegistrationStatus::Pending);
    client
}

async fn join(world: &World, approver: &TestMessenger, new: &TestMessenger) {
    world.deliver().await;
    approver.receive().await.unwrap();
    approver.approve(&code_of(new)).await.unwrap();
    assert_eq!(new.join().await.unwrap(), JoinState::Joined);
}

/// Returns the states of the last message of a device, by recipient.
fn last_states(client: &TestMessenger) -> Vec<(String, EnvelopeState, Option<String>)> {
    let last = client.history(None, 1).unwrap().remove(0);
    let sent = client.sent(&last.content.id).unwrap();
    sent.envelopes.into_iter().map(|it| (it.recipient, it.state, it.reason)).collect()
}

#[tokio::test]
async fn nothing_is_said_to_somebody_who_was_removed_meanwhile() {
    let scene = Scene::begin(async |_, _| {}).await;
    let Scene { phone, bob, carol, id, .. } = &scene;
    let new = scene.take_over(false).await;
    phone.change_group(id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    scene.heard(bob).await;
    scene.heard(&new).await;
    assert_eq!(scene.heard(bob).await, ["not sent"]);
    assert_eq!(scene.heard(carol).await, [""; 0]);
    assert!(last_states(&new).iter().all(|(recipient, ..)| *recipient != carol.me().actor()));
    assert_eq!(scene.heard(phone).await, ["not sent"], "the former device has sent no copy");
    scene.world.deliver().await;
}

/// The server has what the laptop has sent, and the laptop does not know.
#[tokio::test]
async fn what_the_former_device_had_sent_is_shown_once_and_nothing_is_missing() {
    let scene = Scene::begin_with(NetworkFault::LostAnswer, async |_, _| {}).await;
    let Scene { phone, bob, carol, id, .. } = &scene;
    let new = scene.take_over(false).await;
    new.send_to_group(id, text("after")).await.unwrap();
    scene.heard(&new).await;
    for friend in [bob, carol, phone] {
        assert_eq!(scene.heard(friend).await, ["not sent", "after"]);
    }
    new.send_to_group(id, text("and after that")).await.unwrap();
    for friend in [bob, carol, phone] {
        assert_eq!(scene.heard(friend).await, ["and after that"]);
        let history = friend.history(Some(id.as_str()), 100).unwrap();
        assert!(history.iter().all(|message| message.missing_before == 0), "{history:?}");
    }
    scene.world.deliver().await;
}

#[tokio::test]
async fn nothing_is_said_in_a_group_that_the_new_device_is_not_in() {
    let scene = Scene::begin(async |_, _| {}).await;
    let Scene { world, phone, bob, id, .. } = &scene;
    phone.change_group(id, Proposal::Promote([bob.me().actor()].into())).await.unwrap();
    scene.heard(bob).await;
    phone.change_group(id, Proposal::Leave).await.unwrap();
    scene.heard(bob).await;
    // After a reset no group is taken over.
    let new = scene.take_over(true).await;
    assert!(new.groups().unwrap().is_empty());
    scene.heard(&new).await;
    assert_eq!(scene.heard(bob).await, [""; 0]);
    let states = last_states(&new);
    let why = Some("this device is not in the group".to_owned());
    assert!(
        !states.is_empty() && states.iter().all(|it| it.1 == EnvelopeState::Failed && it.2 == why),
        "{states:?}"
    );
    world.deliver().await;
}

/// Alice has replaced all her devices since the laptop was in the group. The members know none of hers.
#[tokio::test]
async fn a_group_that_a_reset_has_ended_stays_ended_whoever_takes_over_from_a_former_device() {
    let scene = Scene::begin(async |_, _| {}).await;
    let Scene { world, wire, bob, id, .. } = &scene;
    let environment = Environment { clock: world.clock(), random: seeded("alice/anew") };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(world, "alice", true));
    let (anew, _) = sign_in(world, wire, store, environment, request).await.unwrap();
    let new = scene.take_over_by(&anew, false).await;
    for device in [&new, &anew] {
        scene.heard(device).await;
        assert!(device.groups().unwrap().is_empty());
    }
    assert!(new.ended_groups().unwrap()[id.as_str()].member);
    let states = last_states(&new);
    let why = Some("this device is not in the group".to_owned());
    assert!(states.iter().all(|it| it.1 == EnvelopeState::Failed && it.2 == why), "{states:?}");
    assert!(new.send_to_group(id, text("am I in?")).await.is_err());
    assert_eq!(scene.heard(bob).await, [""; 0]);
    world.deliver().await;
}

/// The members of the group do not have the state that the former device has made.
#[tokio::test]
async fn a_group_is_not_taken_over_with_a_change_that_was_not_sent() {
    let scene = Scene::begin(async |laptop, id| {
        laptop.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    })
    .await;
    let new = scene.take_over(false).await;
    assert!(new.groups().unwrap().is_empty());
    scene.heard(&new).await;
    assert_eq!(scene.heard(&scene.bob).await, [""; 0]);
    let states = last_states(&new);
    assert!(states.len() > 1 && states.iter().all(|it| it.1 == EnvelopeState::Failed), "{states:?}");
    scene.world.deliver().await;
}

/// An earlier version of the library let a note be longer, since it had no key.
#[tokio::test]
async fn a_note_that_is_too_long_now_holds_up_nothing_else() {
    let scene = Scene::begin(async |laptop, id| {
        laptop.send_to_group(id, text("long")).await.unwrap();
    })
    .await;
    let file = rusqlite::Connection::open(scene.former.path().join("eko.db")).unwrap();
    let long = "x".repeat(MAX_PLAINTEXT);
    file.execute("UPDATE messages SET text = ?1 WHERE text = 'long'", [&long]).unwrap();
    drop(file);
    let new = scene.take_over(false).await;
    scene.heard(&new).await;
    for friend in [&scene.bob, &scene.carol] {
        assert_eq!(scene.heard(friend).await, ["not sent"]);
    }
    let history = new.history(Some(scene.id.as_str()), 9).unwrap();
    let message = history.iter().find(|message| message.content.text == long).unwrap();
    let sent = new.sent(&message.content.id).unwrap().envelopes;
    let is_told = |it: &OutboxEnvelope| {
        it.state == EnvelopeState::Failed && it.reason.as_deref() == Some("it is too long")
    };
    assert!(sent.len() > 1 && sent.iter().all(is_told), "{sent:?}");
    assert!(new.taken_over().unwrap().is_empty());
    scene.world.deliver().await;
}

/// The row of the own chain is lost, of a device that has begun it anew.
#[tokio::test]
async fn a_device_that_came_by_a_reset_keeps_the_groups_of_since_without_its_own_chain() {
    let (world, folder) = (World::new().await, TempDir::new().unwrap());
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let files = ["one.db", "two.db"].map(|name| folder.path().join(name));
    let [one, two] = files.each_ref().map(|file| DeviceStore::open(file).unwrap());
    let environment = |label: &str| Environment { clock: world.clock(), random: seeded(label) };
    let asked = request(&world, "bob", false);
    let (former, _) = sign_in(&world, &wire, one, environment("bob/one"), asked).await.unwrap();
    befriend(&alice, &former).await;
    alice.create_group("before", &[former.me()]).await.unwrap();
    world.deliver().await;
    former.receive().await.unwrap();
    let taken = FormerDevice { store: &files[0], actor: &former.me().actor(), is_reset: true };
    two.carry_over(taken).unwrap();
    world.advance(2_000);
    let asked = request(&world, "bob", true);
    let (bob, _) = sign_in(&world, &wire, two, environment("bob/two"), asked).await.unwrap();
    let seen = alice.verification(&bob.me()).await.unwrap();
    alice.accept(&bob.me(), &seen).unwrap();
    let (id, _) = alice.create_group("since", &[bob.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    bob.join_group(&id, None).await.unwrap();
    let names = || bob.groups().unwrap().iter().map(|it| it.state.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(), ["since"]);

    let file = rusqlite::Connection::open(&files[1]).unwrap();
    assert_eq!(file.execute("DELETE FROM chains WHERE actor = ?1", [bob.me().actor()]).unwrap(), 1);
    assert_eq!(bob.join().await.unwrap(), JoinState::Joined);
    assert_eq!(names(), ["since"]);
    world.deliver().await;
    alice.receive().await.unwrap();
    bob.send_to_group(&id, text("still here")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["still here"]);
    world.deliver().await;
    bob.receive().await.unwrap();
}
