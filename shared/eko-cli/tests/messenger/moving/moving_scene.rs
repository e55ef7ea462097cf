//! The people and servers of the tests of moves.

use eko_cli::LibSignal;
use eko_client::messenger::{Departure, Distrust, Notice, PreparedSignIn};
use eko_client::store::FormerDevice;
use eko_client::{DeviceStore, Environment};
use eko_testkit::{Internet, World, seeded};
use tempfile::TempDir;

use crate::people::{TestMessenger, befriend, further, hear, request, say, sign_in};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Alice and Bob, who are contacts, and the account `robert` to which Bob moves. Alice and `robert` are on
/// one server, Bob is on another one.
pub(crate) struct MovingScene {
    pub(crate) internet: Internet,
    pub(crate) a: World,
    pub(crate) b: World,
    pub(crate) b_address: std::net::SocketAddr,
    /// Alice's line.
    pub(crate) hers: TestNetwork,
    /// Bob's line.
    pub(crate) his: TestNetwork,
    pub(crate) alice: TestMessenger,
    pub(crate) bob: TestMessenger,
    /// The folder of Alice's device.
    pub(crate) her_folder: TempDir,
    /// The folder of Bob's device.
    pub(crate) folder: TempDir,
}

impl MovingScene {
    pub(crate) async fn begin() -> Self {
        let internet = Internet::new();
        let (a, _) = World::online(&internet, "a.example").await;
        let (b, b_address) = World::online(&internet, "b.example").await;
        let (hers, his) = (TestNetwork::to(&[&a, &b]), TestNetwork::to(&[&a, &b]));
        let (alice, her_folder) = on_file(&a, &hers, "alice").await;
        let (bob, folder) = on_file(&b, &his, "bob").await;
        befriend(&alice, &bob).await;
        let scene = Self { internet, a, b, b_address, hers, his, alice, bob, her_folder, folder };
        say(&scene.alice, &scene.bob.me(), "before").await;
        assert_eq!(scene.hear_on(&scene.b, &scene.bob).await, ["before"]);
        say(&scene.bob, &scene.alice.me(), "an answer").await;
        assert_eq!(scene.hear_on(&scene.a, &scene.alice).await, ["an answer"]);
        scene
    }

    pub(crate) async fn settle(&self) {
        for _ in 0..3 {
            self.a.deliver().await;
            self.b.deliver().await;
            self.a.federate().await;
            self.b.federate().await;
        }
        self.a.deliver().await;
        self.b.deliver().await;
    }

    pub(crate) async fn hear_on(&self, world: &World, client: &TestMessenger) -> Vec<String> {
        self.settle().await;
        hear(world, client).await
    }

    /// Signs in a second device of Bob's.
    pub(crate) async fn second(&self) -> TestMessenger {
        self.hear_on(&self.b, &self.bob).await;
        further(&self.b, &self.his, &self.bob, "two").await
    }

    /// Registers the account `robert`, with what Bob's device has left.
    pub(crate) async fn robert(&self) -> TestMessenger {
        let store = DeviceStore::in_memory().unwrap();
        let (file, actor) = (self.folder.path().join("eko.db"), self.bob.me().actor());
        store.carry_over(FormerDevice { store: &file, actor: &actor, is_reset: true }).unwrap();
        let environment = Environment { clock: self.a.clock(), random: seeded("robert/one") };
        let request = request(&self.a, "robert", false);
        let prepared =
            PreparedSignIn::new(self.his.clone(), store, environment, request).unwrap().after(actor);
        let token = self.a.issue("robert", Some(prepared.challenge().nonce())).await;
        prepared.complete(LibSignal, &token).await.unwrap().0
    }

    /// Brings over to `robert` what Bob's device has got since.
    pub(crate) fn bring_over(&self, robert: &TestMessenger) -> u64 {
        let (file, actor) = (self.folder.path().join("eko.db"), self.bob.me().actor());
        robert.bring_over(FormerDevice { store: &file, actor: &actor, is_reset: true }).unwrap()
    }

    /// Moves Bob to `robert`, and tells nobody but his server.
    pub(crate) async fn depart(&self, robert: &TestMessenger, is_server_gone: bool) -> Departure {
        self.bob.depart(robert, is_server_gone).await.unwrap()
    }

    /// Moves Bob to `robert`, who tells his contacts.
    pub(crate) async fn move_bob(&self) -> TestMessenger {
        let robert = self.robert().await;
        let departure = self.depart(&robert, false).await;
        robert.take_over(departure.nodes).await.unwrap();
        robert
    }

    /// Has Bob's server not answer Alice any more.
    pub(crate) fn lose_old_server(&self) {
        self.internet.unplug(self.b_address);
        self.hers.drop_requests(|request| {
            let is_old = request.uri().host() == Some("b.example");
            is_old.then(|| FalseAnswer { status: 503, body: Vec::new() })
        });
    }

    /// Looks into Alice's mailbox, and returns to whom she was told that Bob has moved.
    pub(crate) async fn told(&self) -> Vec<String> {
        self.settle().await;
        let notices = self.alice.receive().await.unwrap().notices;
        let to = |notice| match notice {
            Notice::Moved { actor, to } => {
                assert_eq!(actor, self.bob.me().actor());
                Some(to)
            }
            _ => None,
        };
        notices.into_iter().filter_map(to).collect()
    }

    pub(crate) fn texts(&self, conversation: &str) -> Vec<String> {
        let history = self.alice.history(Some(conversation), 20).unwrap();
        history.into_iter().map(|message| message.content.text).collect()
    }
}

/// Signs in a user's first device, whose store is in a folder.
async fn on_file(world: &World, line: &TestNetwork, name: &str) -> (TestMessenger, TempDir) {
    let folder = TempDir::new().unwrap();
    let store = DeviceStore::open(&folder.path().join("eko.db")).unwrap();
    let environment = Environment { clock: world.clock(), random: seeded(format!("{name}/one")) };
    let (client, _) = sign_in(world, line, store, environment, request(world, name, false)).await.unwrap();
    (client, folder)
}

/// Registers an account that takes over from another one, with nothing of it.
pub(crate) async fn moved_from(
    world: &World,
    line: &TestNetwork,
    old: &TestMessenger,
    name: &str,
) -> TestMessenger {
    let environment = Environment { clock: world.clock(), random: seeded(format!("{name}/one")) };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(world, name, false));
    let prepared = PreparedSignIn::new(line.clone(), store, environment, request).unwrap();
    let prepared = prepared.after(old.me().actor());
    let token = world.issue(name, Some(prepared.challenge().nonce())).await;
    prepared.complete(LibSignal, &token).await.unwrap().0
}

/// True if a notice tells of a false move of this account.
pub(crate) fn is_false_move_of(notice: &Notice, old: &str) -> bool {
    match notice {
        Notice::Refused { actor, why: Distrust::FalseMove { .. } }
        | Notice::Distrusted { actor, why: Distrust::FalseMove { .. } } => actor == old,
        _ => false,
    }
}
