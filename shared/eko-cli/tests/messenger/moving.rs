//! Tests of moves to another account: correspondents follow what both chains prove, whoever is gone, and
//! nothing else.

use eko_cli::LibSignal;
use eko_client::messenger::{Departure, Distrust, MessengerError, Notice, PreparedSignIn, Trust};
use eko_client::store::{EnvelopeState, FormerDevice};
use eko_client::{DeviceStore, Environment};
use eko_protocol::block::BlockedParty;
use eko_protocol::chain::{ChainNode, MoveTarget, NextNode};
use eko_protocol::settings::WhoMayWrite;
use eko_testkit::{Internet, World, seeded};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::distrust::{distrust, inserted, show_chain_of};
use crate::forging::ForgingSessions;
use crate::people::{TestMessenger, befriend, first, further, hear, know, request, say, sign_in, text};
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

/// Alice and Bob, who are contacts, and the account `robert` to which Bob moves. Alice and `robert` are on
/// one server, Bob is on another one.
struct MovingScene {
    internet: Internet,
    a: World,
    b: World,
    b_address: std::net::SocketAddr,
    /// Alice's line.
    hers: TestNetwork,
    /// Bob's line.
    his: TestNetwork,
    alice: TestMessenger,
    bob: TestMessenger,
    /// The folder of Bob's device.
    folder: TempDir,
}

impl MovingScene {
    async fn begin() -> Self {
        let internet = Internet::new();
        let (a, _) = World::online(&internet, "a.example").await;
        let (b, b_address) = World::online(&internet, "b.example").await;
        let (hers, his) = (TestNetwork::to(&[&a, &b]), TestNetwork::to(&[&a, &b]));
        let alice = first(&a, &hers, "alice").await;
        let folder = TempDir::new().unwrap();
        let store = DeviceStore::open(&folder.path().join("eko.db")).unwrap();
        let environment = Environment { clock: b.clock(), random: seeded("bob/one") };
        let (bob, _) = sign_in(&b, &his, store, environment, request(&b, "bob", false)).await.unwrap();
        befriend(&alice, &bob).await;
        let scene = Self { internet, a, b, b_address, hers, his, alice, bob, folder };
        say(&scene.alice, &scene.bob.me(), "before").await;
        assert_eq!(scene.hear_on(&scene.b, &scene.bob).await, ["before"]);
        say(&scene.bob, &scene.alice.me(), "an answer").await;
        assert_eq!(scene.hear_on(&scene.a, &scene.alice).await, ["an answer"]);
        scene
    }

    async fn settle(&self) {
        for _ in 0..3 {
            self.a.deliver().await;
            self.b.deliver().await;
            self.a.federate().await;
            self.b.federate().await;
        }
        self.a.deliver().await;
        self.b.deliver().await;
    }

    async fn hear_on(&self, world: &World, client: &TestMessenger) -> Vec<String> {
        self.settle().await;
        hear(world, client).await
    }

    /// Signs in a second device of Bob's.
    async fn second(&self) -> TestMessenger {
        self.hear_on(&self.b, &self.bob).await;
        further(&self.b, &self.his, &self.bob, "two").await
    }

    /// Registers the account `robert`, with what Bob's device has left.
    async fn robert(&self) -> TestMessenger {
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

    /// Moves Bob to `robert`, and tells nobody but his server.
    async fn depart(&self, robert: &TestMessenger, is_server_gone: bool) -> Departure {
        self.bob.depart(robert, is_server_gone).await.unwrap()
    }

    /// Moves Bob to `robert`, who tells his contacts.
    async fn move_bob(&self) -> TestMessenger {
        let robert = self.robert().await;
        let departure = self.depart(&robert, false).await;
        robert.take_over(departure.nodes).await.unwrap();
        robert
    }

    /// Has Bob's server not answer Alice any more.
    fn lose_old_server(&self) {
        self.internet.unplug(self.b_address);
        self.hers.drop_requests(|request| {
            let is_old = request.uri().host() == Some("b.example");
            is_old.then(|| FalseAnswer { status: 503, body: Vec::new() })
        });
    }

    /// Looks into Alice's mailbox, and returns to whom she was told that Bob has moved.
    async fn told(&self) -> Vec<String> {
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

    fn texts(&self, conversation: &str) -> Vec<String> {
        let history = self.alice.history(Some(conversation), 20).unwrap();
        history.into_iter().map(|message| message.content.text).collect()
    }
}

#[tokio::test]
async fn a_contact_follows_and_trust_goes_along() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, .. } = &scene;
    let compared = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &compared).unwrap();
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    assert_eq!(robert.move_progress().unwrap().unwrap().told, 1);
    assert_eq!(scene.told().await, [robert.me().actor()]);
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), robert.me());
    let kept = alice.verification_kept(&robert.me()).unwrap().unwrap();
    assert_eq!(kept.trust, Trust::Verified);
    assert_eq!(alice.requests().unwrap(), [], "he is no stranger");

    // She writes to the old handle, and he reads it at the new one.
    let sent = say(alice, &bob.me(), "to the new one").await;
    assert_eq!(sent.envelopes[0].recipient, robert.me().actor());
    assert_eq!(scene.hear_on(&scene.a, &robert).await, ["to the new one"]);
    say(&robert, &alice.me(), "from the new one").await;
    assert_eq!(scene.hear_on(&scene.a, alice).await, ["from the new one"]);
    let all = ["before", "an answer", "to the new one", "from the new one"];
    assert_eq!(scene.texts(&bob.me().actor()), all);
    assert_eq!(scene.texts(&robert.me().actor()), all);
    let his = robert.history(None, 20).unwrap();
    assert_eq!(his.iter().map(|message| message.content.text.as_str()).collect::<Vec<_>>(), all);
    scene.settle().await;
}

#[tokio::test]
async fn a_contact_follows_what_the_old_server_shows() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, .. } = &scene;
    let robert = scene.robert().await;
    scene.depart(&robert, false).await;
    // Nobody has told her. Her message meets the answer of his server.
    let sent = say(alice, &bob.me(), "where are you").await;
    assert_eq!(sent.envelopes[0].recipient, robert.me().actor());
    assert_eq!(scene.told().await, [robert.me().actor()]);
    assert_eq!(scene.hear_on(&scene.a, &robert).await, ["where are you"]);
    scene.settle().await;
}

#[tokio::test]
async fn a_contact_follows_though_the_old_server_is_gone() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, .. } = &scene;
    // She has written to him, and it waits for his server.
    scene.lose_old_server();
    let waiting = alice.send(&bob.me(), text("are you there")).await.unwrap();
    assert_eq!(waiting.state(&alice.me()), EnvelopeState::Queued);
    let robert = scene.robert().await;
    let departure = scene.depart(&robert, true).await;
    assert!(!departure.is_served);
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    say(alice, &bob.me(), "good").await;
    assert_eq!(scene.hear_on(&scene.a, &robert).await, ["good"]);
    // What waited could not be delivered, and goes to the new account.
    scene.a.advance(3 * 24 * 3_600_000);
    scene.a.federate().await;
    scene.settle().await;
    alice.receive().await.unwrap();
    let waited = alice.sent(&waiting.id).unwrap();
    assert_eq!(waited.envelopes[0].recipient, robert.me().actor());
    scene.settle().await;
}

#[tokio::test]
async fn what_waits_goes_to_the_new_account() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, hers, .. } = &scene;
    hers.fail(|| Some(NetworkFault::LostRequest));
    for words in ["one", "two"] {
        let id = alice.put_message(&bob.me(), text(words)).await.unwrap();
        assert_eq!(alice.send_message(&id).await.unwrap().state(&alice.me()), EnvelopeState::ToSend);
    }
    hers.honest();
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    scene.a.advance(60_000);
    assert_eq!(scene.told().await, [robert.me().actor()]);
    scene.a.advance(60_000);
    alice.flush().await.unwrap();
    assert_eq!(scene.hear_on(&scene.a, &robert).await, ["one", "two"]);
    scene.settle().await;
}

#[tokio::test]
async fn each_step_of_a_move_may_be_repeated() {
    let scene = MovingScene::begin().await;
    let MovingScene { bob, his, .. } = &scene;
    let robert = scene.robert().await;
    // The answers to the node, and to what is read after it, are lost.
    let path = "/user/bob/devices";
    his.tamper(move |passing| {
        let is_append = passing.endpoint == ("POST", path);
        is_append.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    // The chain shows it.
    let departure = bob.depart(&robert, false).await.unwrap();
    his.honest();
    assert_eq!(bob.depart(&robert, false).await.unwrap(), departure);
    assert_eq!(departure.nodes.len(), 2);
    for _ in 0..2 {
        robert.take_over(departure.nodes.clone()).await.unwrap();
    }
    assert_eq!(robert.move_progress().unwrap().unwrap().contacts, 1);
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await.len(), 1);
    assert_eq!(scene.told().await, [""; 0], "once");
    // The old account sends nothing any more, and says why.
    let sent = bob.send(&scene.alice.me(), text("still here")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Failed);
    assert!(sent.envelopes[0].reason.as_ref().unwrap().contains("you have moved"), "{sent:?}");
    scene.settle().await;
}

/// Nobody moves to an account that was not made for it.
#[tokio::test]
async fn nobody_is_made_the_successor_of_somebody_else() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let carol = first(a, hers, "carol").await;
    let (nodes, state) = (
        carol.device().chain(&carol.me().user).await.unwrap().0,
        bob.device().chain(&bob.me().user).await.unwrap().1,
    );
    let why = distrust(bob.depart(&carol, false).await);
    assert!(matches!(why, Distrust::FalseMove { .. }), "{why:?}");
    // Another client of Bob's signs it all the same.
    let target = MoveTarget { actor: carol.me().actor(), root: nodes[0].hash() };
    let node = bob.device().departure(&state.position, &target).unwrap();
    bob.device().append(&node).await.unwrap();
    let sent = alice.send(&bob.me(), text("secret")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Refused);
    assert!(sent.envelopes[0].reason.as_ref().unwrap().contains("does not name the old one"), "{sent:?}");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    assert_eq!(scene.hear_on(a, &carol).await, [""; 0]);
    scene.settle().await;
}

/// The new server shows a chain that it has made, which names the old account.
#[tokio::test]
async fn a_hostile_new_server_cannot_show_another_first_device() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let robert = scene.robert().await;
    scene.depart(&robert, false).await;
    let ghost = a.device("robert", "ghost", eko_testkit::BARE);
    let forged = ghost.first_node_after(&bob.me().actor()).unwrap();
    show_chain_of("robert", hers, move |nodes| *nodes = vec![forged.clone()]);
    let sent = alice.send(&bob.me(), text("secret")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Refused, "{sent:?}");
    let told: Vec<Distrust> = alice
        .receive()
        .await
        .unwrap()
        .notices
        .into_iter()
        .filter_map(|it| match it {
            Notice::Distrusted { why, .. } => Some(why),
            _ => None,
        })
        .collect();
    assert!(matches!(&told[..], [Distrust::FalseMove { .. }]), "{told:?}");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    scene.settle().await;
}

/// The new server shows a first device of its own once Bob has signed in there.
#[tokio::test]
async fn a_first_device_that_is_shown_after_the_sign_in_is_not_signed() {
    let scene = MovingScene::begin().await;
    let MovingScene { bob, a, his, .. } = &scene;
    let robert = scene.robert().await;
    let root = robert.device().chain(&robert.me().user).await.unwrap().0[0].hash();
    let ghost = a.device("robert", "ghost", eko_testkit::BARE);
    let forged = ghost.first_node_after(&bob.me().actor()).unwrap();
    show_chain_of("robert", his, move |nodes| *nodes = vec![forged.clone()]);
    let departure = scene.depart(&robert, false).await;
    his.honest();
    assert_eq!(departure.nodes.last().unwrap().target().unwrap().root, root);
    scene.settle().await;
}

/// Somebody has Bob's second device, which he has revoked. Alice has not read that yet. The old server shows it.
#[tokio::test]
async fn a_revoked_device_moves_nobody_as_long_as_the_old_server_answers() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, .. } = &scene;
    let second = scene.second().await;
    say(alice, &bob.me(), "hello").await;
    scene.settle().await;
    let (mut nodes, state) = bob.device().chain(&bob.me().user).await.unwrap();
    bob.revoke(second.device().id()).await.unwrap();
    let thief = scene.robert().await;
    let root = thief.device().chain(&thief.me().user).await.unwrap().0[0].hash();
    let target = MoveTarget { actor: thief.me().actor(), root };
    let node = second.device().departure(&state.position, &target).unwrap();
    nodes.push(ChainNode::parse(&node).unwrap());
    thief.take_over(nodes).await.unwrap();
    thief.flush().await.unwrap();
    scene.settle().await;
    let notices = alice.receive().await.unwrap().notices;
    let is_false = |notice: &Notice| is_false_move_of(notice, &bob.me().actor());
    assert!(!notices.iter().any(|notice| matches!(notice, Notice::Moved { .. })), "{notices:?}");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    let later = alice.receive().await.unwrap().notices;
    assert!(notices.iter().chain(&later).any(is_false), "{notices:?} {later:?}");
    say(alice, &bob.me(), "still you").await;
    scene.settle().await;
    assert!(scene.hear_on(&scene.b, bob).await.contains(&"still you".to_owned()));
    scene.settle().await;
}

/// The old server says that Bob has moved, and has no node of his.
#[tokio::test]
async fn the_word_of_the_old_server_alone_leads_nowhere() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, hers, .. } = &scene;
    let to = "https://a.example/user/mallory";
    hers.tamper(move |passing| {
        let sent: Value = serde_json::from_slice(passing.request).ok()?;
        let is_envelope =
            passing.endpoint == ("POST", "/user/alice/outbox") && !sent["object"]["id"].is_null();
        let body = json!({ "type": "https://a.example/problems/user-moved", "title": "moved", "status": 410,
            "eko:movedTo": to });
        is_envelope.then(|| FalseAnswer { status: 410, body: body.to_string().into_bytes() })
    });
    let sent = alice.send(&bob.me(), text("secret")).await.unwrap();
    let envelope = &sent.envelopes[0];
    assert_eq!((envelope.state, envelope.recipient.clone()), (EnvelopeState::Failed, bob.me().actor()));
    assert!(envelope.reason.as_ref().unwrap().contains("does not show where to"), "{sent:?}");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    hers.honest();
    say(alice, &bob.me(), "again").await;
    scene.settle().await;
    hear(&scene.b, bob).await;
    scene.settle().await;
}

/// The old server resets Bob's chain by a key of its own, and moves him to an account of its own.
#[tokio::test]
async fn a_move_after_a_reset_waits_for_the_users_word() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, b, hers, .. } = &scene;
    let ghost = inserted(b, hers);
    let new = b.device("robert", "ghost", eko_testkit::BARE);
    let first_there = new.first_node_after(&bob.me().actor()).unwrap();
    let (_, state) = bob.device().chain(&bob.me().user).await.unwrap();
    let (origin, user, now_ms) = (ghost.origin().clone(), ghost.user().clone(), b.now_ms());
    let reset = NextNode::new(&origin, &user, &state.position, now_ms).reset(&ghost.described());
    let reset = ghost.sign_node(reset).unwrap();
    let target = MoveTarget { actor: new.actor(), root: ChainNode::parse(&first_there).unwrap().hash() };
    let position = ChainNode::parse(&reset).unwrap().position();
    let departure = ghost.departure(&position, &target).unwrap();
    show_chain_of("bob", hers, move |nodes| nodes.extend([reset.clone(), departure.clone()]));
    scene.a.advance(25 * 3_600_000);
    let refused = alice.send(&bob.me(), text("secret")).await;
    let why = match refused {
        Err(MessengerError::Distrust { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert!(matches!(why, Distrust::Reset { .. }), "{why:?}");
    alice.receive().await.unwrap();
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    hers.honest();
    scene.settle().await;
}

/// True if a notice tells of a false move of this account.
fn is_false_move_of(notice: &Notice, old: &str) -> bool {
    match notice {
        Notice::Refused { actor, why: Distrust::FalseMove { .. } }
        | Notice::Distrusted { actor, why: Distrust::FalseMove { .. } } => actor == old,
        _ => false,
    }
}

/// Somebody says to be Bob, with nodes that no device of his has signed, or that contradict his chain.
#[tokio::test]
async fn nobody_becomes_somebody_else_by_saying_so() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(a, hers, "mallory").await;
    know(alice, &mallory.me()).await;
    let (nodes, state) = bob.device().chain(&bob.me().user).await.unwrap();
    let ghost = inserted(&scene.b, hers);
    let (own, _) = mallory.device().chain(&mallory.me().user).await.unwrap();
    let target = MoveTarget { actor: mallory.me().actor(), root: own[0].hash() };
    // Under a key of somebody else, as the device that Bob has.
    let unsigned = NextNode::new(ghost.origin(), ghost.user(), &state.position, a.now_ms())
        .move_to(bob.device().id(), &target);
    let mut forged = ghost.sign_node(unsigned).unwrap();
    forged["proof"]["verificationMethod"] = json!(bob.device().address());
    // A true move of Bob's would name an account that does not name him.
    let claimed = bob.device().departure(&state.position, &target).unwrap();
    for node in [forged, claimed] {
        let (old, new) = (bob.me().actor(), mallory.me().actor());
        let stored = |node: &Value| {
            let mut node = node.clone();
            node.as_object_mut().unwrap().remove("@context");
            node
        };
        let shown = [stored(&nodes[0].to_value()), stored(&node)];
        sessions.forge(move |activity| {
            activity["type"] = json!("Move");
            activity["object"] = json!(old);
            activity["target"] = json!(new);
            activity["eko:nodes"] = json!(shown);
        });
        mallory.send(&alice.me(), text("I am Bob")).await.unwrap();
        scene.settle().await;
        // What the old server has to be asked about is told in the next look.
        let mut notices = alice.receive().await.unwrap().notices;
        notices.extend(alice.receive().await.unwrap().notices);
        assert!(notices.iter().any(|notice| is_false_move_of(notice, &bob.me().actor())), "{notices:?}");
        assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    }
    say(alice, &bob.me(), "still to Bob").await;
    assert_eq!(scene.hear_on(&scene.b, bob).await, ["still to Bob"]);
    scene.settle().await;
}

/// The new account moves on, and the last one names one that was left before.
#[tokio::test]
async fn moves_follow_each_other_and_never_lead_back() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, his, .. } = &scene;
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    let rob = moved_from(a, his, &robert, "rob").await;
    let departure = robert.depart(&rob, false).await.unwrap();
    // The old server and the evidence of the first move are not asked for any more.
    scene.lose_old_server();
    let sent = say(alice, &bob.me(), "where now").await;
    assert_eq!(sent.envelopes[0].recipient, rob.me().actor());
    assert_eq!(scene.hear_on(a, &rob).await, ["where now"]);
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), rob.me());
    assert_eq!(departure.nodes.len(), 2);

    // A chain whose first node names `rob`, and which was left before.
    let (robs, state) = rob.device().chain(&rob.me().user).await.unwrap();
    let back = MoveTarget { actor: robert.me().actor(), root: robs[0].hash() };
    rob.device().append(&rob.device().departure(&state.position, &back).unwrap()).await.unwrap();
    let sent = alice.send(&bob.me(), text("secret")).await;
    let envelope = &sent.unwrap().envelopes[0];
    assert_eq!(envelope.state, EnvelopeState::Refused, "{envelope:?}");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), rob.me());
    scene.settle().await;
}

/// Registers an account that takes over from another one, with nothing of it.
async fn moved_from(world: &World, line: &TestNetwork, old: &TestMessenger, name: &str) -> TestMessenger {
    let environment = Environment { clock: world.clock(), random: seeded(format!("{name}/one")) };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(world, name, false));
    let prepared = PreparedSignIn::new(line.clone(), store, environment, request).unwrap();
    let prepared = prepared.after(old.me().actor());
    let token = world.issue(name, Some(prepared.challenge().nonce())).await;
    prepared.complete(LibSignal, &token).await.unwrap().0
}

/// The old server hides the node, and shows the chain as it was, or another one.
#[tokio::test]
async fn an_old_server_that_hides_the_move_changes_nothing() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, hers, .. } = &scene;
    let robert = scene.move_bob().await;
    show_chain_of("bob", hers, |nodes| nodes.truncate(1));
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    scene.a.advance(25 * 3_600_000);
    scene.b.advance(25 * 3_600_000);
    assert_eq!(alice.verification(&bob.me()).await.unwrap().alarm, None);
    let sent = say(alice, &bob.me(), "to the new one").await;
    assert_eq!(sent.envelopes[0].recipient, robert.me().actor());
    assert_eq!(alice.receive().await.unwrap().notices, []);
    assert_eq!(scene.hear_on(&scene.a, &robert).await, ["to the new one"]);
    scene.settle().await;
}

/// The evidence lacks nodes that Alice does not have. The old server has them.
#[tokio::test]
async fn what_the_evidence_lacks_is_read_from_the_old_server() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, his, .. } = &scene;
    let sessions = ForgingSessions::default();
    let environment = Environment { clock: a.clock(), random: seeded("robert/one") };
    let (store, request) = (DeviceStore::in_memory().unwrap(), request(a, "robert", false));
    let prepared = PreparedSignIn::new(his.clone(), store, environment, request).unwrap();
    let prepared = prepared.after(bob.me().actor());
    let token = a.issue("robert", Some(prepared.challenge().nonce())).await;
    let robert = prepared.complete(sessions.clone(), &token).await.unwrap().0;
    scene.second().await;
    let departure = bob.depart(&robert, false).await.unwrap();
    assert_eq!(departure.nodes.len(), 3);
    let mut last = departure.nodes[2].to_value();
    last.as_object_mut().unwrap().remove("@context");
    let old = bob.me().actor();
    sessions.forge(move |activity| {
        activity["type"] = json!("Move");
        activity["object"] = json!(old);
        activity["target"] = activity["actor"].clone();
        activity["eko:nodes"] = json!([last]);
    });
    robert.send(&alice.me(), text("I have moved")).await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), robert.me());
    scene.settle().await;
}

/// Another device of Bob's hears of the move from the own chain.
#[tokio::test]
async fn the_other_devices_are_told() {
    let scene = MovingScene::begin().await;
    let second = scene.second().await;
    let robert = scene.robert().await;
    scene.depart(&robert, false).await;
    let sent = second.send(&scene.alice.me(), text("from the second")).await.unwrap();
    let reason = sent.envelopes.iter().find_map(|envelope| envelope.reason.clone()).unwrap();
    assert_eq!(reason, "you have moved from this account to @robert@a.example");
    let told = second.receive().await.unwrap().notices;
    let due = Notice::Moved { actor: scene.bob.me().actor(), to: robert.me().actor() };
    assert!(told.contains(&due), "{told:?}");
    assert_eq!(second.moved_account().unwrap(), Some(robert.me()));
    scene.settle().await;
}

/// Whoever is blocked does not come back by a move.
#[tokio::test]
async fn a_block_goes_along() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, .. } = &scene;
    let party = BlockedParty::parse(&bob.me().actor()).unwrap();
    alice.change_block(&party, false).await.unwrap();
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    scene.told().await;
    assert!(alice.is_blocked(&robert.me().actor()).unwrap());
    say(&robert, &alice.me(), "it is me").await;
    assert_eq!(scene.hear_on(&scene.a, alice).await, [""; 0]);
    scene.settle().await;
}

/// A move revokes nobody, so that the devices go on with the key that they have.
#[tokio::test]
async fn a_move_has_no_key_made_and_none_passed_on() {
    let scene = MovingScene::begin().await;
    let MovingScene { b, his, bob, .. } = &scene;
    scene.hear_on(b, bob).await;
    let tablet = further(b, his, bob, "two").await;
    bob.create_group("Friday", &[]).await.unwrap();
    for device in [&tablet, bob] {
        scene.hear_on(b, device).await;
    }
    let robert = scene.robert().await;
    scene.depart(&robert, false).await;
    his.asked.lock().unwrap().clear();
    for device in [bob, &tablet, bob] {
        scene.settle().await;
        let _ = device.receive().await;
    }
    let asked = his.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|url| url.ends_with("/user/bob/outbox")), "{asked:#?}");
    scene.settle().await;
}

/// People whom the mover blocks are not told where to, and the new server keeps out whom the old one kept out.
#[tokio::test]
async fn the_blocks_and_the_setting_of_a_mover_go_along() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let carol = first(a, hers, "carol").await;
    befriend(&carol, bob).await;
    let party = BlockedParty::parse(&carol.me().actor()).unwrap();
    bob.change_block(&party, false).await.unwrap();
    bob.let_write(WhoMayWrite::Known).await.unwrap();
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    let listed = robert.device().blocks().await.unwrap();
    assert_eq!(listed.into_iter().map(|block| block.party).collect::<Vec<_>>(), [party]);
    assert_eq!(robert.who_may_write().await.unwrap(), WhoMayWrite::Known);
    assert_eq!(robert.carried_setting().unwrap(), None);
    assert_eq!(robert.move_progress().unwrap().unwrap().contacts, 1);
    assert_eq!(scene.told().await, [robert.me().actor()]);
    carol.receive().await.unwrap();
    assert_eq!(carol.whereabouts(&bob.me()).unwrap(), bob.me());
    say(alice, &bob.me(), "still known").await;
    assert_eq!(scene.hear_on(a, &robert).await, ["still known"]);
    scene.settle().await;
}

/// A new server that cannot be asked for the setting keeps the contacts from being told before it can.
#[tokio::test]
async fn the_contacts_are_told_once_the_setting_has_gone_along() {
    let scene = MovingScene::begin().await;
    let MovingScene { bob, his, .. } = &scene;
    bob.let_write(WhoMayWrite::Nobody).await.unwrap();
    let robert = scene.robert().await;
    let departure = scene.depart(&robert, false).await;
    for status in [503, 404] {
        his.tamper(move |passing| {
            let is_setting = passing.endpoint == ("PUT", "/user/robert/settings");
            is_setting.then(|| FalseAnswer { status, body: Vec::new() })
        });
        assert_eq!(robert.take_over(departure.nodes.clone()).await.is_ok(), status == 404);
        assert_eq!(robert.move_progress().unwrap().is_some(), status == 404);
        assert_eq!(robert.carried_setting().unwrap(), Some(WhoMayWrite::Nobody));
    }
    his.honest();
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    scene.settle().await;
}

/// A stranger's chain ends with a move. Nothing is read of where it leads.
#[tokio::test]
async fn nobody_follows_a_stranger() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, a, b, his, hers, .. } = &scene;
    let mallory = first(b, his, "mallory").await;
    say(&mallory, &alice.me(), "hello").await;
    scene.settle().await;
    alice.receive().await.unwrap();
    assert_eq!(alice.requests().unwrap().len(), 1);
    let far = moved_from(a, his, &mallory, "far").await;
    mallory.depart(&far, false).await.unwrap();
    alice.verification(&mallory.me()).await.unwrap();
    for _ in 0..3 {
        a.advance(11 * 60_000);
        alice.receive().await.unwrap();
    }
    let asked = hers.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|url| url.contains("/user/far")), "{asked:?}");
    assert_eq!(alice.whereabouts(&mallory.me()).unwrap(), mallory.me());
    scene.settle().await;
}

/// Somebody says with a node of no worth that a contact has moved. The contact's chain is read once, and
/// shows no move.
#[tokio::test]
async fn a_move_that_the_chain_does_not_show_is_forgotten() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(a, hers, "mallory").await;
    know(alice, &mallory.me()).await;
    let (_, state) = bob.device().chain(&bob.me().user).await.unwrap();
    let (own, _) = mallory.device().chain(&mallory.me().user).await.unwrap();
    let target = MoveTarget { actor: mallory.me().actor(), root: own[0].hash() };
    // A node is missing before it.
    let added = bob.device().departure(&state.position, &target).unwrap();
    let position = ChainNode::parse(&added).unwrap().position();
    let mut node = bob.device().departure(&position, &target).unwrap();
    node.as_object_mut().unwrap().remove("@context");
    let (old, new) = (bob.me().actor(), mallory.me().actor());
    sessions.forge(move |activity| {
        activity["type"] = json!("Move");
        activity["object"] = json!(old);
        activity["target"] = json!(new);
        activity["eko:nodes"] = json!([node]);
    });
    mallory.send(&alice.me(), text("I am Bob")).await.unwrap();
    scene.settle().await;
    let reads = || hers.asked.lock().unwrap().iter().filter(|url| url.contains("/user/bob/devices")).count();
    let before = reads();
    alice.receive().await.unwrap();
    assert_eq!(reads(), before + 1);
    for _ in 0..3 {
        a.advance(11 * 60_000);
        alice.receive().await.unwrap();
    }
    assert_eq!(reads(), before + 1, "once");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    scene.settle().await;
}

/// A new server that cannot be asked is tried twenty times, and again once the user writes.
#[tokio::test]
async fn a_move_is_tried_a_number_of_times() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let robert = scene.robert().await;
    scene.depart(&robert, false).await;
    let tries = || hers.asked.lock().unwrap().iter().filter(|url| url.contains("/user/robert")).count();
    hers.drop_requests(|request| {
        let is_new = request.uri().path().starts_with("/user/robert");
        is_new.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    alice.verification(&bob.me()).await.unwrap();
    let before = tries();
    for _ in 0..25 {
        a.advance(11 * 60_000);
        alice.receive().await.unwrap();
    }
    assert_eq!(tries(), before + 20);
    hers.honest();
    scene.b.advance(25 * 11 * 60_000);
    let sent = say(alice, &bob.me(), "where are you").await;
    assert_eq!(sent.envelopes[0].recipient, robert.me().actor());
    assert_eq!(scene.hear_on(a, &robert).await, ["where are you"]);
    scene.settle().await;
}

/// The new server has shown a reset of its own to somebody who knew the new account before the move.
#[tokio::test]
async fn a_reset_before_the_move_is_one_of_a_verified_person() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let compared = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &compared).unwrap();
    let robert = scene.robert().await;
    let (_, state) = robert.device().chain(&robert.me().user).await.unwrap();
    let ghost = a.device("robert", "ghost", eko_testkit::BARE);
    let reset = NextNode::new(ghost.origin(), ghost.user(), &state.position, a.now_ms());
    let reset = ghost.sign_node(reset.reset(&ghost.described())).unwrap();
    show_chain_of("robert", hers, move |nodes| nodes.push(reset.clone()));
    know(alice, &robert.me()).await;
    scene.depart(&robert, false).await;
    let sent = alice.send(&bob.me(), text("secret")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Refused, "{sent:?}");
    assert_eq!(alice.verification_kept(&robert.me()).unwrap().unwrap().trust, Trust::Reset);
    hers.honest();
    scene.settle().await;
}
