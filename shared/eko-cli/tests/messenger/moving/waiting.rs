//! Tests of what waits at a move: the new account for it, and others for what the old one has not sent.

use eko_client::group::Proposal;
use eko_client::messenger::{MessengerError, Notice};
use eko_client::store::EnvelopeState;

use super::moving_scene::MovingScene;
use crate::people::{say, text};
use crate::test_network::{FalseAnswer, NetworkFault};

/// The old server does not answer, so that nobody knows whether Bob has moved.
#[tokio::test]
async fn a_new_account_sends_nothing_before_the_old_one_was_left() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, b, his, .. } = &scene;
    his.fail(|| Some(NetworkFault::LostRequest));
    bob.send(&alice.me(), text("not sent yet")).await.unwrap();
    his.honest();
    let robert = scene.robert().await;
    his.drop_requests(|request| {
        let is_append = request.method() == "POST" && request.uri().path() == "/user/bob/devices";
        is_append.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    scene.bring_over(&robert);
    bob.depart(&robert, false).await.unwrap_err();
    his.honest();
    let waits = |error: MessengerError| match error {
        MessengerError::AwaitsMove { from, to, is_left } => {
            assert_eq!((&*from, &*to, is_left), ("@bob@b.example", "@robert@a.example", false));
        }
        other => panic!("{other:?}"),
    };
    waits(robert.send(&alice.me(), text("from the new one")).await.unwrap_err());
    waits(robert.receive().await.unwrap_err());
    waits(robert.flush().await.unwrap_err());
    waits(robert.create_group("Friday", &[alice.me()]).await.unwrap_err());
    assert_eq!(bob.begun_move().unwrap(), Some(robert.me()));
    // The old account goes on meanwhile.
    a.advance(60_000);
    b.advance(60_000);
    bob.flush().await.unwrap();
    say(bob, &alice.me(), "from the old one").await;
    assert_eq!(scene.hear_on(a, alice).await, ["not sent yet", "from the old one"]);

    let departure = scene.depart(&robert, false).await;
    assert!(matches!(robert.require_move_done(), Err(MessengerError::AwaitsMove { is_left: true, .. })));
    scene.bring_over(&robert);
    robert.take_over(departure.nodes).await.unwrap();
    robert.require_move_done().unwrap();
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, [robert.me().actor()]);
    say(&robert, &alice.me(), "from the new one").await;
    assert_eq!(scene.hear_on(a, alice).await, ["from the new one"]);
    scene.settle().await;
}

/// Everything that the new account sends waits for Alice in one look.
#[tokio::test]
async fn a_contact_follows_before_what_the_new_account_writes_is_read() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, his, .. } = &scene;
    his.fail(|| Some(NetworkFault::LostRequest));
    for words in ["one", "two"] {
        bob.send(&alice.me(), text(words)).await.unwrap();
    }
    his.honest();
    let robert = scene.robert().await;
    scene.bring_over(&robert);
    let departure = scene.depart(&robert, false).await;
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    a.advance(10);
    robert.put_taken_over().await.unwrap();
    robert.flush().await.unwrap();
    scene.settle().await;
    let received = alice.receive().await.unwrap();
    let due = Notice::Moved { actor: bob.me().actor(), to: robert.me().actor() };
    assert!(received.notices.contains(&due), "{received:?}");
    assert!(!received.notices.iter().any(|it| matches!(it, Notice::Request { .. })), "{received:?}");
    assert_eq!(alice.requests().unwrap(), []);
    assert_eq!(scene.texts(&robert.me().actor()), ["before", "an answer", "one", "two"]);
    assert_eq!(scene.hear_on(a, &robert).await, [""; 0]);
    scene.settle().await;
}

/// Bob adds the new account to a group and makes it an admin, and Alice cannot be told before he moves.
#[tokio::test]
async fn the_new_account_tells_what_the_old_one_has_changed_in_a_group() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, b, his, .. } = &scene;
    let (id, _) = bob.create_group("Friday", &[alice.me()]).await.unwrap();
    scene.hear_on(a, alice).await;
    alice.join_group(&id, None).await.unwrap();
    scene.hear_on(b, bob).await;
    let robert = scene.robert().await;
    let new = robert.me().actor();
    his.fail(|| Some(NetworkFault::LostRequest));
    bob.change_group(&id, Proposal::Add([new.clone()].into())).await.unwrap();
    bob.change_group(&id, Proposal::Promote([new.clone()].into())).await.unwrap();
    his.honest();
    let untold = bob.untold_changes().unwrap();
    assert!(untold.iter().any(|it| it.group == "Friday" && it.member == alice.me()), "{untold:?}");
    scene.bring_over(&robert);
    let departure = scene.depart(&robert, false).await;
    a.advance(60_000);
    b.advance(60_000);
    let tried = bob.flush().await.unwrap();
    assert!(tried.iter().all(|envelope| envelope.state == EnvelopeState::Failed), "{tried:?}");
    scene.bring_over(&robert);
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    a.advance(10);
    robert.put_taken_over().await.unwrap();
    robert.flush().await.unwrap();
    assert_eq!(scene.told().await, std::slice::from_ref(&new));
    let [his_group, hers] = [bob, alice].map(|client| client.groups().unwrap().remove(0));
    assert_eq!((hers.state.epoch(), hers.state.hash()), (his_group.state.epoch(), his_group.state.hash()));
    assert!(hers.state.admins().contains(&new) && hers.conflict.is_none(), "{hers:?}");
    scene.settle().await;
}
