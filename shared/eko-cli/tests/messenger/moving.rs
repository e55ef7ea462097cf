//! Tests of moves to another account: correspondents follow what both chains prove, whoever is gone, and
//! nothing else.

mod false_moves;
mod mover;
mod moving_scene;
mod strangers;
mod waiting;

use eko_cli::LibSignal;
use eko_client::device::ReportOutcome;
use eko_client::group::Proposal;
use eko_client::messenger::{Notice, PreparedSignIn, Trust};
use eko_client::store::EnvelopeState;
use eko_client::{DeviceStore, Environment, Messenger};
use eko_protocol::block::BlockedParty;
use eko_protocol::chain::MoveTarget;
use eko_testkit::seeded;
use moving_scene::{MovingScene, is_false_move_of, moved_from};
use serde_json::json;

use crate::distrust::show_chain_of;
use crate::forging::ForgingSessions;
use crate::people::{befriend, first, know, request, say, text};
use crate::test_network::{FalseAnswer, NetworkFault};

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

/// The content of what has waited names the old account, and Alice's server vouches for it to the new one.
#[tokio::test]
async fn what_has_waited_for_a_move_can_be_reported() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, hers, .. } = &scene;
    hers.fail(|| Some(NetworkFault::LostRequest));
    let id = alice.put_message(&bob.me(), text("a threat")).await.unwrap();
    alice.send_message(&id).await.unwrap();
    hers.honest();
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    scene.a.advance(60_000);
    assert_eq!(scene.told().await, [robert.me().actor()]);
    scene.a.advance(60_000);
    alice.flush().await.unwrap();
    assert_eq!(scene.hear_on(&scene.a, &robert).await, ["a threat"]);
    let reported = robert.report(&alice.me().actor(), &id, None).await.unwrap();
    assert_eq!(reported, Some(ReportOutcome::Accepted));
    assert_eq!(scene.a.flags().await, ["verified"]);
    scene.settle().await;
}

/// Alice's server vouches for what it has sent to the old account, and nobody else has the word of the old
/// server that it has come there.
#[tokio::test]
async fn what_came_to_the_old_account_is_reported_by_that_one() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, b, .. } = &scene;
    let robert = scene.robert().await;
    say(alice, &bob.me(), "meanwhile").await;
    assert_eq!(scene.hear_on(b, bob).await, ["meanwhile"]);
    let departure = scene.depart(&robert, false).await;
    scene.bring_over(&robert);
    robert.take_over(departure.nodes).await.unwrap();
    let author = alice.me().actor();
    let received = robert.received_messages("").unwrap();
    let texts: Vec<&str> = received.iter().map(|message| message.content.text.as_str()).collect();
    assert_eq!(texts, ["before", "meanwhile"]);
    for message in &received {
        let id = &message.content.id;
        assert_eq!(robert.reporter_of(&author, id).unwrap(), Some(bob.me().actor()));
        assert!(!robert.can_report(&author, id).unwrap());
        assert_eq!(robert.report(&author, id, None).await.unwrap(), None);
        assert!(bob.can_report(&author, id).unwrap());
        assert_eq!(bob.report(&author, id, None).await.unwrap(), Some(ReportOutcome::Accepted));
    }
    scene.settle().await;
    assert_eq!(scene.b.flags().await, ["delivered", "delivered"]);
    assert_eq!(scene.a.flags().await, ["verified", "verified"]);
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

    // Whoever has moved is blocked with all accounts, and so unblocked.
    let parties = [&robert, bob].map(|client| BlockedParty::parse(&client.me().actor()).unwrap());
    for (at, is_undone) in [(0, true), (0, false), (1, true), (1, false)] {
        alice.change_block(&parties[at], is_undone).await.unwrap();
        let listed = alice.device().blocks().await.unwrap();
        let listed: Vec<_> = listed.into_iter().map(|block| block.party).collect();
        let due = if is_undone { &[][..] } else { &parties };
        assert!(listed.len() == due.len() && due.iter().all(|party| listed.contains(party)), "{listed:?}");
    }
    scene.settle().await;
}

/// The server of the reader does not know of the new account yet, and lets all of it through.
#[tokio::test]
async fn nothing_of_a_blocked_person_is_shown_in_the_look_of_the_move() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, .. } = &scene;
    let party = BlockedParty::parse(&bob.me().actor()).unwrap();
    alice.change_block(&party, false).await.unwrap();
    let robert = scene.robert().await;
    let departure = scene.depart(&robert, false).await;
    say(&robert, &alice.me(), "as a stranger").await;
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    say(&robert, &alice.me(), "it is me").await;
    scene.settle().await;
    let received = alice.receive().await.unwrap();
    assert!(alice.is_blocked(&robert.me().actor()).unwrap());
    assert_eq!(received.messages, []);
    assert_eq!(scene.texts(&robert.me().actor()), ["before", "an answer"]);
    assert_eq!(alice.requests().unwrap(), []);
    scene.settle().await;
    assert_eq!(scene.hear_on(&scene.a, alice).await, [""; 0]);
    assert_eq!(scene.texts(&robert.me().actor()), ["before", "an answer"]);
}

/// Alice hears of both moves of Bob's at once, and follows the later one first.
#[tokio::test]
async fn moves_are_followed_in_any_order() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, his, .. } = &scene;
    let compared = alice.verification(&bob.me()).await.unwrap();
    alice.mark_verified(&bob.me(), &compared).unwrap();
    let robert = scene.robert().await;
    // She knows the second account already.
    know(alice, &robert.me()).await;
    scene.depart(&robert, false).await;
    let rob = moved_from(a, his, &robert, "rob").await;
    let departure = robert.depart(&rob, false).await.unwrap();
    rob.take_over(departure.nodes).await.unwrap();
    alice.verification(&robert.me()).await.unwrap();
    alice.receive().await.unwrap();
    assert_eq!(alice.whereabouts(&robert.me()).unwrap(), rob.me());
    assert_eq!(alice.verification_kept(&rob.me()).unwrap().unwrap().trust, Trust::FirstUse);
    let sent = say(alice, &bob.me(), "where now").await;
    assert_eq!(sent.envelopes[0].recipient, rob.me().actor());
    // It was made for the first account.
    assert_eq!(scene.hear_on(a, &rob).await, ["where now"]);
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), rob.me());
    for account in [&robert, &rob] {
        assert_eq!(alice.verification_kept(&account.me()).unwrap().unwrap().trust, Trust::Verified);
    }
    let notices = alice.receive().await.unwrap().notices;
    assert!(!notices.iter().any(|notice| is_false_move_of(notice, &bob.me().actor())), "{notices:?}");
    scene.settle().await;
}

/// Alice writes to a group before she knows that it has Bob's new account, and her message waits.
#[tokio::test]
async fn what_waits_for_a_group_goes_to_a_new_account_that_came_into_it() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, b, hers, .. } = &scene;
    let (id, _) = bob.create_group("Friday", &[alice.me()]).await.unwrap();
    scene.hear_on(a, alice).await;
    alice.join_group(&id, None).await.unwrap();
    scene.hear_on(b, bob).await;
    hers.fail(|| Some(NetworkFault::LostRequest));
    let kept = alice.send_to_group(&id, text("on the device")).await.unwrap();
    hers.honest();
    let robert = scene.robert().await;
    bob.change_group(&id, Proposal::Add([robert.me().actor()].into())).await.unwrap();
    let departure = scene.depart(&robert, false).await;
    robert.take_over(departure.nodes).await.unwrap();
    scene.hear_on(a, &robert).await;
    robert.join_group(&id, None).await.unwrap();
    scene.settle().await;
    alice.receive().await.unwrap();
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), robert.me());
    a.advance(60_000);
    alice.flush().await.unwrap();
    let [envelope] = &alice.sent(&kept.id).unwrap().envelopes[..] else { panic!("one recipient") };
    assert_eq!((envelope.state, &envelope.recipient), (EnvelopeState::Accepted, &robert.me().actor()));
    assert_eq!(scene.hear_on(a, &robert).await, ["on the device"]);
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

/// The process dies while it asks the old server about the news, which it has kept.
#[tokio::test]
async fn news_that_a_process_has_kept_is_followed_by_the_next_one() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, her_folder, .. } = &scene;
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    scene.settle().await;
    tokio::select! {
        biased;
        held = hers.hold_together(|path| path == "/user/bob/devices", 1) => assert_eq!(held.len(), 1),
        received = alice.receive() => panic!("{received:?}"),
    }
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    let store = DeviceStore::open(&her_folder.path().join("eko.db")).unwrap();
    let environment = Environment { clock: a.clock(), random: seeded("alice/later") };
    let next = Messenger::open(hers.clone(), LibSignal, store, environment).unwrap().unwrap();
    let notices = next.receive().await.unwrap().notices;
    let due = Notice::Moved { actor: bob.me().actor(), to: robert.me().actor() };
    assert!(notices.contains(&due), "{notices:?}");
    assert_eq!(next.whereabouts(&bob.me()).unwrap(), robert.me());
    scene.settle().await;
}

/// Carol is in a group with both, and Bob has never told her where he is. His server is gone.
#[tokio::test]
async fn who_has_followed_passes_the_move_on_to_members_who_do_not_know_it() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, b, hers, .. } = &scene;
    let carol = first(a, hers, "carol").await;
    befriend(&carol, alice).await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    for (world, client) in [(b, bob), (a, &carol)] {
        scene.hear_on(world, client).await;
        client.join_group(&id, None).await.unwrap();
    }
    for (world, client) in [(a, alice), (b, bob), (a, &carol)] {
        scene.hear_on(world, client).await;
    }
    scene.lose_old_server();
    let robert = scene.robert().await;
    let departure = scene.depart(&robert, true).await;
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    assert_eq!(scene.hear_on(a, &carol).await, [""; 0]);
    assert_eq!(carol.whereabouts(&bob.me()).unwrap(), bob.me());

    // What she writes to the group shows that she has another list of Bob's devices.
    let asked = carol.send_to_group(&id, text("where is Bob?")).await.unwrap();
    assert_eq!(scene.hear_on(a, alice).await, ["where is Bob?"]);
    for _ in 0..2 {
        a.advance(60_000);
        alice.receive().await.unwrap();
        alice.flush().await.unwrap();
        scene.settle().await;
    }
    let notices = carol.receive().await.unwrap().notices;
    let due = Notice::Moved { actor: bob.me().actor(), to: robert.me().actor() };
    assert!(notices.contains(&due), "{notices:?}");
    assert_eq!(carol.whereabouts(&bob.me()).unwrap(), robert.me());
    say(&carol, &bob.me(), "there you are").await;
    assert_eq!(scene.hear_on(a, &robert).await, ["there you are"]);
    // What her server could not deliver to the group is given up, and not sent to an account that is not in it.
    a.advance(3 * 24 * 3_600_000);
    a.federate().await;
    scene.settle().await;
    carol.receive().await.unwrap();
    let asked = carol.sent(&asked.id).unwrap().envelopes;
    let to_bob = asked.iter().find(|envelope| envelope.recipient != alice.me().actor()).unwrap();
    assert_eq!((to_bob.state, &to_bob.recipient), (EnvelopeState::Failed, &bob.me().actor()));
    assert_eq!(scene.hear_on(a, &robert).await, [""; 0]);
}

/// A move changes no membership: what is for a group goes to its members alone.
#[tokio::test]
async fn what_belongs_to_a_group_is_not_sent_to_an_account_that_is_not_in_it() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, b, hers, .. } = &scene;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    scene.hear_on(b, bob).await;
    bob.join_group(&id, None).await.unwrap();
    scene.hear_on(a, alice).await;
    // One waits on Alice's device.
    hers.fail(|| Some(NetworkFault::LostRequest));
    let kept = alice.send_to_group(&id, text("on the device")).await.unwrap();
    hers.honest();
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    a.advance(60_000);
    b.advance(60_000);
    alice.flush().await.unwrap();
    let written = alice.send_to_group(&id, text("for members")).await.unwrap();
    for sent in [kept, written] {
        let [envelope] = &alice.sent(&sent.id).unwrap().envelopes[..] else { panic!("{sent:?}") };
        assert_eq!((envelope.state, &envelope.recipient), (EnvelopeState::Failed, &bob.me().actor()));
        let why = envelope.reason.as_deref().unwrap();
        assert_eq!(why, "they have moved to @robert@a.example, and the group does not have that account");
    }
    assert_eq!(scene.hear_on(a, &robert).await, [""; 0]);

    // An admin adds the new account, which gets one envelope then.
    alice.change_group(&id, Proposal::Add([robert.me().actor()].into())).await.unwrap();
    scene.hear_on(a, &robert).await;
    robert.join_group(&id, None).await.unwrap();
    scene.hear_on(a, alice).await;
    let sent = alice.send_to_group(&id, text("for Robert")).await.unwrap();
    assert_eq!(sent.state(&alice.me()), EnvelopeState::Accepted, "{sent:?}");
    assert_eq!(scene.hear_on(a, &robert).await, ["for Robert"]);
    scene.settle().await;
}
