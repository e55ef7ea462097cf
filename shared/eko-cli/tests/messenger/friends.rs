//! Four users with a group, and what tests of groups ask of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::group::{GroupChange, GroupId, MasterKey, Proposal};
use eko_client::messenger::{Group, GroupEvent, Notice};
use eko_testkit::World;

use crate::people::{TestMessenger, first};
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

/// Four users with a group, of which Alice and Dave are the admins. Alice and Dave have networks of
/// their own, which can fail.
pub(crate) struct Friends {
    pub(crate) world: World,
    pub(crate) alice_line: TestNetwork,
    pub(crate) dave_line: TestNetwork,
    /// The network of Bob and Carol.
    pub(crate) line: TestNetwork,
    pub(crate) alice: TestMessenger,
    pub(crate) bob: TestMessenger,
    pub(crate) carol: TestMessenger,
    pub(crate) dave: TestMessenger,
}

impl Friends {
    /// Signs in a fifth user, whose store is a file.
    pub(crate) async fn restarting_user(&self, name: &str) -> (RestartingUser, TestMessenger) {
        RestartingUser::sign_in(&self.world, name).await
    }

    pub(crate) async fn meet() -> Self {
        let world = World::new().await;
        let [alice_line, dave_line, line] = [(); 3].map(|()| TestNetwork::to(&[&world]));
        let (alice, bob) = (first(&world, &alice_line, "alice").await, first(&world, &line, "bob").await);
        let (carol, dave) = (first(&world, &line, "carol").await, first(&world, &dave_line, "dave").await);
        Self { world, alice_line, dave_line, line, alice, bob, carol, dave }
    }

    pub(crate) fn everybody(&self) -> [&TestMessenger; 4] {
        [&self.alice, &self.bob, &self.carol, &self.dave]
    }

    /// Creates a group of all four, of which everybody knows, with Dave as the second admin.
    pub(crate) async fn group(&self) -> GroupId {
        let others = [&self.bob, &self.carol, &self.dave].map(|client| client.me());
        let (id, _) = self.alice.create_group("Friday", &others).await.unwrap();
        self.join(&id, &self.everybody()[1..]).await;
        let promotion = Proposal::Promote([self.dave.me().actor()].into());
        self.alice.change_group(&id, promotion).await.unwrap();
        for client in &self.everybody()[1..] {
            assert_eq!(self.look(client).await, changes([GroupChange::Promoted]));
        }
        id
    }

    /// Has these users join a group that they are invited to. Then everybody has looked.
    pub(crate) async fn join(&self, id: &GroupId, clients: &[&TestMessenger]) {
        for client in clients {
            assert_eq!(self.look(client).await, [GroupEvent::Invited]);
            client.join_group(id, None).await.unwrap();
        }
        for client in self.everybody() {
            self.look(client).await;
        }
    }

    /// Delivers everything that was sent, looks into a mailbox, and returns the events of groups.
    pub(crate) async fn look(&self, client: &TestMessenger) -> Vec<GroupEvent> {
        self.world.deliver().await;
        events(client.receive().await.unwrap().notices)
    }

    /// Looks as [`Friends::look`] does, and asserts that the last of these changes is told of, and
    /// nothing but these. What is sent at the same time may arrive in any order, and a state before
    /// that comes late is not told of.
    pub(crate) async fn look_for<const N: usize>(&self, client: &TestMessenger, expected: [GroupChange; N]) {
        let (told, expected) = (self.look(client).await, changes(expected));
        assert_eq!(told.iter().filter(|event| Some(*event) == expected.last()).count(), 1, "{told:?}");
        assert!(told.len() <= N && told.iter().all(|event| expected.contains(event)), "{told:?}");
    }

    /// Asserts that these users have the same state of the group, that no new key is due, and that
    /// the key is not `old`.
    pub(crate) async fn assert_renewed(&self, clients: &[&TestMessenger], id: &GroupId, old: &MasterKey) {
        for client in clients {
            self.look(client).await;
        }
        let groups: Vec<Group> = clients.iter().map(|client| group(client, id)).collect();
        for group in &groups {
            assert_eq!(group.state, groups[0].state);
            assert!(!group.rekey_due);
            assert_ne!(group.state.master_key(), old);
        }
        self.world.deliver().await;
    }
}

pub(crate) fn group(client: &TestMessenger, id: &GroupId) -> Group {
    client.groups().unwrap().into_iter().find(|group| group.state.id() == id).unwrap()
}

pub(crate) fn key(client: &TestMessenger, id: &GroupId) -> MasterKey {
    group(client, id).state.master_key().clone()
}

/// Returns the events of groups, without those that say that a member has joined or that something
/// waits.
pub(crate) fn events(notices: Vec<Notice>) -> Vec<GroupEvent> {
    let event = |notice| match notice {
        Notice::Group { event: GroupEvent::Joined | GroupEvent::Held(_), .. } => None,
        Notice::Group { event, .. } => Some(event),
        _ => None,
    };
    notices.into_iter().filter_map(event).collect()
}

pub(crate) fn changes<const N: usize>(changes: [GroupChange; N]) -> Vec<GroupEvent> {
    changes.map(GroupEvent::Changed).into()
}

/// Fails every request but the next `good` ones.
pub(crate) fn fail_after(line: &TestNetwork, good: usize, fault: NetworkFault) {
    let requests = AtomicUsize::new(0);
    line.fail(move || (requests.fetch_add(1, Ordering::Relaxed) >= good).then_some(fault));
}

/// Hides what these authors send from a user's mailbox, from now on.
pub(crate) fn hide(line: &TestNetwork, user: &TestMessenger, authors: &[&TestMessenger]) {
    let inbox = format!("/user/{}/inbox", user.me().user);
    let authors: Vec<String> = authors.iter().map(|author| author.me().actor()).collect();
    line.tamper(move |passing| {
        if passing.endpoint != ("GET", inbox.as_str()) {
            return None;
        }
        let mut page: serde_json::Value = serde_json::from_slice(passing.answer).unwrap();
        let items = page["orderedItems"].as_array_mut().unwrap();
        items.retain(|item| !authors.iter().any(|author| item["actor"] == *author));
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
}
