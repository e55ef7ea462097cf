//! Tests of the mover's own devices: what goes along, what ends, and what may be repeated.

use eko_client::messenger::{Distrust, MessengerError, Notice, Trust};
use eko_client::store::EnvelopeState;
use eko_protocol::block::BlockedParty;
use eko_protocol::chain::NextNode;
use eko_protocol::settings::WhoMayWrite;
use serde_json::json;

use super::moving_scene::{MovingScene, moved_from};
use crate::distrust::show_chain_of;
use crate::people::{befriend, first, further, know, say, text};
use crate::test_network::{FalseAnswer, NetworkFault};

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

/// The new server shows Bob's old device a reset of its own, before that device has read the chain of `robert`.
#[tokio::test]
async fn a_reset_that_the_old_device_was_shown_is_none_that_the_new_one_has_accepted() {
    let scene = MovingScene::begin().await;
    let MovingScene { bob, a, his, .. } = &scene;
    let robert = scene.robert().await;
    let (_, state) = robert.device().chain(&robert.me().user).await.unwrap();
    let ghost = a.device("robert", "ghost", eko_testkit::BARE);
    let reset = NextNode::new(ghost.origin(), ghost.user(), &state.position, a.now_ms());
    let reset = ghost.sign_node(reset.reset(&ghost.described())).unwrap();
    show_chain_of("robert", his, move |nodes| nodes.push(reset.clone()));
    know(bob, &robert.me()).await;
    scene.bring_over(&robert);
    let own = robert.verification_kept(&robert.me()).unwrap().unwrap();
    assert_eq!((own.set.length, own.alarm), (1, None));
    let seen = robert.verification(&robert.me()).await.unwrap();
    assert_eq!(seen.contradiction, Some(Distrust::OwnReset));
    his.honest();
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

/// Bob has contacts who moved before him. One of them he blocks by the new account alone, since before he followed.
#[tokio::test]
async fn a_contact_who_has_moved_is_told_once_and_not_if_one_account_is_blocked() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, hers, .. } = &scene;
    let carol = first(a, hers, "carol").await;
    befriend(&carol, bob).await;
    let caro = moved_from(a, hers, &carol, "caro").await;
    let alina = moved_from(a, hers, alice, "alina").await;
    bob.change_block(&BlockedParty::parse(&caro.me().actor()).unwrap(), false).await.unwrap();
    for (left, new) in [(&carol, &caro), (alice, &alina)] {
        left.depart(new, false).await.unwrap();
        bob.verification(&left.me()).await.unwrap();
        bob.receive().await.unwrap();
        assert_eq!(bob.whereabouts(&left.me()).unwrap(), new.me());
    }
    assert!(bob.is_blocked(&carol.me().actor()).unwrap());
    let robert = scene.move_bob().await;
    assert_eq!(robert.move_progress().unwrap().unwrap().contacts, 1);
    robert.flush().await.unwrap();
    assert_eq!(robert.move_progress().unwrap().unwrap().told, 1);
    scene.settle().await;
}

/// A note to Carol waits while the old server is out of reach. Bob blocks her, and moves.
#[tokio::test]
async fn what_was_not_sent_to_somebody_who_is_blocked_is_not_sent_from_the_new_account() {
    let scene = MovingScene::begin().await;
    let MovingScene { bob, a, hers, his, .. } = &scene;
    let carol = first(a, hers, "carol").await;
    befriend(&carol, bob).await;
    his.fail(|| Some(NetworkFault::LostRequest));
    let id = bob.put_message(&carol.me(), text("not sent")).await.unwrap();
    let party = BlockedParty::parse(&carol.me().actor()).unwrap();
    assert!(!bob.change_block(&party, false).await.unwrap());
    his.honest();
    let robert = scene.robert().await;
    let departure = scene.depart(&robert, true).await;
    scene.bring_over(&robert);
    robert.take_over(departure.nodes).await.unwrap();
    robert.put_taken_over().await.unwrap();
    robert.flush().await.unwrap();
    let [envelope] = &robert.sent(&id).unwrap().envelopes[..] else { panic!("one recipient") };
    assert_eq!((envelope.state, envelope.reason.as_deref()), (EnvelopeState::Failed, Some("you block them")));
    scene.settle().await;
    let received = carol.receive().await.unwrap();
    assert_eq!((received.messages.len(), carol.requests().unwrap().len()), (0, 0));
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

/// Bob goes on with his old account after its store was copied.
#[tokio::test]
async fn what_comes_after_the_copy_goes_along() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, b, hers, his, .. } = &scene;
    let carol = first(a, hers, "carol").await;
    befriend(&carol, bob).await;
    let not_sent = async |words| {
        his.fail(|| Some(NetworkFault::LostRequest));
        let id = bob.put_message(&alice.me(), text(words)).await.unwrap();
        assert_eq!(bob.send_message(&id).await.unwrap().state(&bob.me()), EnvelopeState::ToSend);
        his.honest();
    };
    not_sent("sent after the copy").await;
    let robert = scene.robert().await;
    b.advance(60_000);
    a.advance(60_000);
    bob.flush().await.unwrap();
    assert_eq!(scene.hear_on(a, alice).await, ["sent after the copy"]);
    say(alice, &bob.me(), "late").await;
    assert_eq!(scene.hear_on(b, bob).await, ["late"]);
    let compared = bob.verification(&alice.me()).await.unwrap();
    bob.mark_verified(&alice.me(), &compared).unwrap();
    let party = BlockedParty::parse(&carol.me().actor()).unwrap();
    bob.change_block(&party, false).await.unwrap();
    not_sent("never sent").await;
    say(alice, &bob.me(), "on its way").await;
    scene.settle().await;

    // What is unsent is known before the end, and stays so though the old account meets it.
    assert_eq!(scene.bring_over(&robert), 2);
    let departure = scene.depart(&robert, false).await;
    b.advance(60_000);
    a.advance(60_000);
    bob.flush().await.unwrap();
    assert_eq!(scene.bring_over(&robert), 0, "a repetition");
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    robert.put_taken_over().await.unwrap();
    robert.flush().await.unwrap();
    assert_eq!(scene.hear_on(a, alice).await, ["never sent"]);
    assert_eq!(robert.verification_kept(&alice.me()).unwrap().unwrap().trust, Trust::Verified);
    let listed = robert.device().blocks().await.unwrap();
    assert_eq!(listed.into_iter().map(|block| block.party).collect::<Vec<_>>(), [party]);
    assert_eq!(robert.move_progress().unwrap().unwrap().contacts, 1);

    // The old account still gets what was on its way, and a repetition brings it over.
    assert_eq!(scene.hear_on(b, bob).await, ["on its way"]);
    assert_eq!([scene.bring_over(&robert), scene.bring_over(&robert)], [1, 0]);
    let his: Vec<_> = robert.history(None, 20).unwrap().into_iter().map(|it| it.content.text).collect();
    assert_eq!(his, ["before", "an answer", "sent after the copy", "late", "on its way", "never sent"]);
    scene.settle().await;
}

/// One block covers the new account itself, and the new server refuses another one.
#[tokio::test]
async fn a_block_that_is_refused_holds_up_no_other_and_is_told() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, his, .. } = &scene;
    let parties = ["https://a.example", "https://c.example/user/eve", "https://d.example"];
    let [own, refused, taken] = parties.map(|party| BlockedParty::parse(party).unwrap());
    for party in [&own, &refused, &taken] {
        bob.change_block(party, false).await.unwrap();
    }
    his.tamper(|passing| {
        let is_refused = passing.endpoint == ("POST", "/user/robert/outbox")
            && String::from_utf8_lossy(passing.request).contains("/user/eve");
        let problem = json!({ "type": "https://a.example/problems/invalid", "title": "no", "status": 400 });
        is_refused.then(|| FalseAnswer { status: 400, body: problem.to_string().into_bytes() })
    });
    let robert = scene.move_bob().await;
    his.honest();
    let listed = robert.device().blocks().await.unwrap();
    assert!(listed.iter().any(|block| block.party == taken), "{listed:?}");
    assert_eq!(robert.lost_blocks().unwrap(), [refused.clone(), own]);
    assert!(robert.is_blocked(refused.as_str()).unwrap());
    assert!(!robert.is_blocked(&robert.me().actor()).unwrap());
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    say(alice, &robert.me(), "hello").await;
    assert_eq!(scene.hear_on(&scene.a, &robert).await, ["hello"]);
    scene.settle().await;
}

/// Contacts may have the first node, whatever the server says later.
#[tokio::test]
async fn nobody_moves_to_two_accounts_without_the_server() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, his, .. } = &scene;
    let (robert, rob) = (scene.robert().await, moved_from(a, his, bob, "rob").await);
    // The server may have stored a node that leads to another account.
    his.drop_requests(|request| {
        let is_append = request.method() == "POST" && request.uri().path() == "/user/bob/devices";
        is_append.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    bob.depart(&rob, false).await.unwrap_err();
    his.honest();
    let is_refused = |refused: Result<_, MessengerError>, to: &str| matches!(refused, Err(MessengerError::AccountMoved(other)) if other == to);
    assert!(is_refused(bob.depart(&robert, true).await, "@rob@a.example"));
    assert_eq!(bob.moved_account().unwrap(), None);
    scene.settle().await;

    let scene = MovingScene::begin().await;
    let MovingScene { bob, a, his, .. } = &scene;
    let (robert, rob) = (scene.robert().await, moved_from(a, his, bob, "rob").await);
    let given = scene.depart(&robert, true).await;
    assert_eq!(bob.moved_account().unwrap(), Some(robert.me()));
    for is_server_gone in [true, false] {
        assert!(is_refused(bob.depart(&rob, is_server_gone).await, "@robert@a.example"));
    }
    // The old account sends nothing, though its server knows of no move.
    let sent = bob.send(&alice.me(), text("still here")).await.unwrap();
    assert_eq!(sent.envelopes[0].state, EnvelopeState::Failed);
    assert!(sent.envelopes[0].reason.as_ref().unwrap().contains("@robert@a.example"), "{sent:?}");
    // The server is there again, and stores the same node.
    let served = scene.depart(&robert, false).await;
    assert_eq!((served.nodes, served.is_served), (given.nodes, true));
    scene.settle().await;
}

/// The answer to an envelope for another server is lost, and its author moves.
#[tokio::test]
async fn what_was_begun_before_the_move_may_be_repeated() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, b, his, .. } = &scene;
    let robert = scene.robert().await;
    his.tamper(|passing| {
        let is_sent = passing.endpoint == ("POST", "/user/bob/outbox");
        is_sent.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let sent = bob.send(&alice.me(), text("the last one")).await.unwrap();
    assert_eq!(sent.state(&bob.me()), EnvelopeState::ToSend);
    his.honest();
    scene.depart(&robert, false).await;
    a.advance(60_000);
    b.advance(60_000);
    bob.flush().await.unwrap();
    assert_eq!(bob.sent(&sent.id).unwrap().state(&bob.me()), EnvelopeState::Accepted);
    assert_eq!(scene.hear_on(a, alice).await, ["the last one"]);
    let refused = bob.send(&alice.me(), text("one more")).await.unwrap();
    assert_eq!(refused.state(&bob.me()), EnvelopeState::Failed);
    scene.settle().await;
}

/// The old account does not know that it has sent a message, so that the new one says it as well.
#[tokio::test]
async fn what_both_accounts_say_is_shown_once() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, his, .. } = &scene;
    his.tamper(|passing| {
        let is_sent = passing.endpoint == ("POST", "/user/bob/outbox");
        is_sent.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    bob.send(&alice.me(), text("once")).await.unwrap();
    his.honest();
    assert_eq!(scene.hear_on(a, alice).await, ["once"]);
    let robert = scene.move_bob().await;
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    robert.put_taken_over().await.unwrap();
    say(&robert, &alice.me(), "and on").await;
    assert_eq!(scene.hear_on(a, alice).await, ["and on"]);
    assert_eq!(scene.texts(&robert.me().actor()), ["before", "an answer", "once", "and on"]);
    let last = alice.history(None, 1).unwrap().remove(0);
    assert_eq!(last.missing_before, 0);
    scene.settle().await;
}
