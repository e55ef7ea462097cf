//! Tests of moves of contacts of somebody who lets not everyone write: the new account is a stranger to the server
//! of the reader until the reader's device has followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eko_protocol::settings::WhoMayWrite;

use super::moving_scene::MovingScene;
use crate::people::say;

/// Moves Bob, who announces it first, and has `robert` tell his contacts and write to Alice before she looks.
async fn moved_and_written(scene: &MovingScene, who_may_write: WhoMayWrite, texts: &[&str]) {
    let MovingScene { alice, bob, .. } = scene;
    alice.let_write(who_may_write).await.unwrap();
    let robert = scene.robert().await;
    bob.announce_move(&robert.me()).await.unwrap();
    bob.flush().await.unwrap();
    assert!(!bob.is_announcing().unwrap());
    scene.settle().await;
    let departure = scene.depart(&robert, false).await;
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    for text in texts {
        say(&robert, &alice.me(), text).await;
    }
    assert_eq!(robert.move_progress().unwrap().unwrap().awaited, 1);
    assert_eq!(scene.told().await, [robert.me().actor()]);
    scene.settle().await;
    robert.receive().await.unwrap();
    assert_eq!(robert.move_progress().unwrap().unwrap().awaited, 0);
    scene.settle().await;
    alice.receive().await.unwrap();
    assert_eq!(alice.requests().unwrap(), []);
    let expected: Vec<&str> = ["before", "an answer"].iter().chain(texts).copied().collect();
    assert_eq!(scene.texts(&robert.me().actor()), expected);
    // Nothing is sent a third time, and they go on.
    scene.settle().await;
    robert.receive().await.unwrap();
    say(&robert, &alice.me(), "and on").await;
    let all: Vec<&str> = texts.iter().chain(&["and on"]).copied().collect();
    assert_eq!(scene.hear_on(&scene.a, alice).await, all, "each is shown once");
    scene.settle().await;
    robert.receive().await.unwrap();
    scene.settle().await;
}

#[tokio::test]
async fn a_contact_follows_whose_server_drops_what_strangers_write() {
    let scene = MovingScene::begin().await;
    moved_and_written(&scene, WhoMayWrite::Nobody, &["one", "two"]).await;
}

#[tokio::test]
async fn what_was_one_request_too_many_is_sent_again() {
    let scene = MovingScene::begin().await;
    moved_and_written(&scene, WhoMayWrite::Known, &["one", "two", "three", "four", "five"]).await;
}

/// The new account sends nothing again that is there.
#[tokio::test]
async fn nothing_is_sent_again_to_whoever_lets_everyone_write() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, .. } = &scene;
    let robert = scene.robert().await;
    bob.announce_move(&robert.me()).await.unwrap();
    bob.flush().await.unwrap();
    let departure = scene.depart(&robert, false).await;
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    let sent = say(&robert, &alice.me(), "one").await;
    assert_eq!(scene.told().await, [robert.me().actor()]);
    scene.settle().await;
    robert.receive().await.unwrap();
    assert_eq!(robert.move_progress().unwrap().unwrap().awaited, 0);
    let kept = robert.sent(&sent.id).unwrap();
    assert_eq!(kept.envelopes[0].id, sent.envelopes[0].id);
    assert_eq!(scene.texts(&robert.me().actor()), ["before", "an answer", "one"]);
    scene.settle().await;
}

/// The announcement arrives before the server has the `Move`, or the move never comes.
#[tokio::test]
async fn an_announcement_proves_nothing_and_is_looked_at_again() {
    let scene = MovingScene::begin().await;
    let MovingScene { alice, bob, a, .. } = &scene;
    alice.let_write(WhoMayWrite::Nobody).await.unwrap();
    let robert = scene.robert().await;
    bob.announce_move(&robert.me()).await.unwrap();
    bob.flush().await.unwrap();
    assert_eq!(scene.told().await, [""; 0]);
    assert_eq!(alice.whereabouts(&bob.me()).unwrap(), bob.me());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    scene.hers.drop_requests(move |request| {
        let is_chain = request.uri().path() == "/user/bob/devices";
        counter.fetch_add(usize::from(is_chain), Ordering::Relaxed);
        None
    });
    alice.receive().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 0, "the chain is read once in a while");
    let departure = scene.depart(&robert, false).await;
    robert.take_over(departure.nodes).await.unwrap();
    robert.flush().await.unwrap();
    a.advance(16_000);
    assert_eq!(scene.told().await, [robert.me().actor()]);
    scene.settle().await;
    robert.receive().await.unwrap();
    scene.settle().await;
}
