//! Tests of moves that are not proven, and are not followed.

use eko_client::messenger::{Distrust, MessengerError, Notice, Trust};
use eko_client::store::EnvelopeState;
use eko_protocol::chain::{ChainNode, ChainPosition, MoveTarget, NextNode};
use serde_json::{Value, json};

use super::moving_scene::{MovingScene, is_false_move_of, moved_from};
use crate::distrust::{distrust, inserted, show_chain_of};
use crate::forging::ForgingSessions;
use crate::people::{first, hear, know, say, text};
use crate::test_network::FalseAnswer;

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

/// Returns a move of Bob's under a key of somebody else, as the device that Bob has.
fn forged_move(scene: &MovingScene, position: &ChainPosition, target: &MoveTarget) -> Value {
    let ghost = inserted(&scene.b, &scene.hers);
    let unsigned = NextNode::new(ghost.origin(), ghost.user(), position, scene.a.now_ms())
        .move_to(scene.bob.device().id(), target);
    let mut forged = ghost.sign_node(unsigned).unwrap();
    forged["proof"]["verificationMethod"] = json!(scene.bob.device().address());
    forged
}

/// Returns a node as an activity has it.
fn stored(mut node: Value) -> Value {
    node.as_object_mut().unwrap().remove("@context");
    node
}

/// A contact passes on a move that no device of Bob's has signed. Nobody is told, and nothing is read of where
/// it leads.
#[tokio::test]
async fn what_nobody_has_signed_is_passed_on_in_vain() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(a, hers, "mallory").await;
    know(alice, &mallory.me()).await;
    let far = first(a, hers, "far").await;
    let (nodes, state) = bob.device().chain(&bob.me().user).await.unwrap();
    let (root, _) = far.device().chain(&far.me().user).await.unwrap();
    let target = MoveTarget { actor: far.me().actor(), root: root[0].hash() };
    let shown = [stored(nodes[0].to_value()), stored(forged_move(&scene, &state.position, &target))];
    let old = bob.me().actor();
    sessions.forge(move |activity| {
        activity["type"] = json!("Move");
        activity["object"] = json!(old);
        activity["target"] = json!(target.actor);
        activity["eko:nodes"] = json!(shown);
    });
    mallory.send(&alice.me(), text("Bob is there")).await.unwrap();
    scene.settle().await;
    hers.asked.lock().unwrap().clear();
    for _ in 0..2 {
        assert_eq!(alice.receive().await.unwrap().notices, []);
        a.advance(11 * 60_000);
    }
    let asked = hers.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|url| url.contains("/user/far") || url.contains("/user/bob")), "{asked:?}");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    scene.settle().await;
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
    let (own, _) = mallory.device().chain(&mallory.me().user).await.unwrap();
    let target = MoveTarget { actor: mallory.me().actor(), root: own[0].hash() };
    let forged = forged_move(&scene, &state.position, &target);
    // A true move of Bob's would name an account that does not name him.
    let claimed = bob.device().departure(&state.position, &target).unwrap();
    for (turn, node) in [forged, claimed].into_iter().enumerate() {
        let (old, new) = (bob.me().actor(), mallory.me().actor());
        let shown = [stored(nodes[0].to_value()), stored(node)];
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
        // Once: whoever says so again, for another reason, is not heard again.
        notices.retain(|notice| is_false_move_of(notice, &bob.me().actor()));
        assert_eq!(notices.len(), usize::from(turn == 0), "{notices:?}");
        notices.iter().for_each(|notice| alice.note_told(notice).unwrap());
        assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    }
    say(alice, &bob.me(), "still to Bob").await;
    assert_eq!(scene.hear_on(&scene.b, bob).await, ["still to Bob"]);
    scene.settle().await;
}

/// Somebody passes a move of Bob's on that leads to an account which does not name him. What is not right is not
/// told then: nobody alarms others about somebody else.
#[tokio::test]
async fn a_false_move_that_somebody_passes_on_is_not_told() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let (sessions, eve) = (ForgingSessions::default(), first(a, hers, "eve").await);
    let mallory = sessions.first(a, hers, "mallory").await;
    know(alice, &mallory.me()).await;
    let (_, state) = bob.device().chain(&bob.me().user).await.unwrap();
    let (named, _) = eve.device().chain(&eve.me().user).await.unwrap();
    let target = MoveTarget { actor: eve.me().actor(), root: named[0].hash() };
    let mut node = bob.device().departure(&state.position, &target).unwrap();
    node.as_object_mut().unwrap().remove("@context");
    let (old, new) = (bob.me().actor(), eve.me().actor());
    sessions.forge(move |activity| {
        activity["type"] = json!("Move");
        activity["object"] = json!(old);
        activity["target"] = json!(new);
        activity["eko:nodes"] = json!([node]);
    });
    mallory.send(&alice.me(), text("Bob has moved")).await.unwrap();
    scene.settle().await;
    let asked = || hers.asked.lock().unwrap().iter().filter(|url| url.contains("/user/eve/devices")).count();
    let before = asked();
    for _ in 0..2 {
        let notices = alice.receive().await.unwrap().notices;
        assert!(!notices.iter().any(|notice| is_false_move_of(notice, &bob.me().actor())), "{notices:?}");
    }
    assert_eq!(asked(), before + 1, "she has looked");
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
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

/// Anybody can make up news whose nodes begin beyond what Alice has read. It comes after the true news in one look,
/// or before that which somebody passes on. The old server is gone.
#[tokio::test]
async fn news_that_proves_nothing_takes_the_place_of_none_that_does() {
    for is_passed_on in [false, true] {
        let scene = MovingScene::begin().await;
        let MovingScene { alice, bob, a, hers, .. } = &scene;
        let [forges, passes] = [ForgingSessions::default(), ForgingSessions::default()];
        let mallory = forges.first(a, hers, "mallory").await;
        let carol = passes.first(a, hers, "carol").await;
        let robert = scene.robert().await;
        for person in [mallory.me(), carol.me(), robert.me()] {
            know(alice, &person).await;
        }
        let (_, state) = bob.device().chain(&bob.me().user).await.unwrap();
        let (own, _) = mallory.device().chain(&mallory.me().user).await.unwrap();
        let target = MoveTarget { actor: mallory.me().actor(), root: own[0].hash() };
        let missing = ChainNode::parse(&bob.device().departure(&state.position, &target).unwrap()).unwrap();
        let beyond = stored(bob.device().departure(&missing.position(), &target).unwrap());
        scene.settle().await;
        scene.lose_old_server();
        let departure = scene.depart(&robert, true).await;
        let (old, new) = (bob.me().actor(), robert.me().actor());
        let claim = |sessions: &ForgingSessions, to: String, nodes: Vec<Value>| {
            let old = old.clone();
            sessions.forge(move |activity| {
                activity["type"] = json!("Move");
                activity["object"] = json!(old);
                activity["target"] = json!(to);
                activity["eko:nodes"] = json!(nodes);
            });
        };
        claim(&forges, target.actor.clone(), vec![beyond]);
        let nodes = departure.nodes.iter().map(|node| stored(node.to_value())).collect();
        claim(&passes, new.clone(), nodes);
        if !is_passed_on {
            robert.take_over(departure.nodes).await.unwrap();
            robert.flush().await.unwrap();
            a.advance(1);
        }
        mallory.send(&alice.me(), text("I am Bob")).await.unwrap();
        if is_passed_on {
            a.advance(1);
            carol.send(&alice.me(), text("Bob is there")).await.unwrap();
        }
        assert_eq!(scene.told().await, [new], "{is_passed_on}");
        scene.settle().await;
    }
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
