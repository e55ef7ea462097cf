//! Tests of the budget of a minute: what is told of messages takes no place of theirs.

use eko_client::messenger::{Notice, RECEIPTS_PAUSE_MS, SIDE_ENVELOPES, TYPING_PAUSE_MS};
use eko_client::store::EnvelopeState;

use crate::live::{Listening, LiveScene, numbered};
use crate::people::{say, shown};
use crate::receipts::state;

/// The time of a server's budget.
const MINUTE_MS: i64 = 60_000;

impl LiveScene {
    /// Returns the number of envelopes that Bob has sent since the last call.
    fn sent_by_bob(&self) -> usize {
        let asked = std::mem::take(&mut *self.wire.asked.lock().unwrap());
        asked.iter().filter(|url| url.ends_with("/user/bob/outbox")).count()
    }

    /// Lets Alice look, and returns what she is told of reading.
    async fn alice_is_told(&self) -> Vec<Notice> {
        self.world.deliver().await;
        let received = self.alice.receive().await.unwrap();
        shown(&self.alice, &received);
        received.notices.into_iter().filter(|notice| matches!(notice, Notice::Read { .. })).collect()
    }
}

#[tokio::test]
async fn thirty_lines_at_once_are_confirmed_and_read_by_four_envelopes() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.reads = true;
    bob.settle().await;
    scene.sent_by_bob();
    let lines = numbered(30);
    let mut ids = Vec::new();
    for line in &lines {
        ids.push(say(&scene.alice, &scene.bob.me(), line).await.id);
        scene.world.deliver().await;
        scene.wire.sockets.pass_on().await;
        bob.settle().await;
    }
    assert_eq!((&bob.heard, scene.sent_by_bob()), (&lines, 0), "nothing is told at once");
    bob.wait(RECEIPTS_PAUSE_MS).await;
    // Three receipts of at most 12 ids each, and that the last one was read.
    assert_eq!(scene.sent_by_bob(), 4);
    // The receipts may come before it or after it.
    let told = scene.alice_is_told().await;
    let [Notice::Read { id, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*id, ids[29]);
    for id in &ids {
        assert_eq!(state(&scene.alice, id), EnvelopeState::Delivered);
        assert!(scene.alice.sent(id).unwrap().envelopes[0].seen);
    }
    // One message that is read at once needs one envelope.
    scene.write(&["31"]).await;
    bob.wait(RECEIPTS_PAUSE_MS).await;
    assert_eq!(scene.sent_by_bob(), 1);
    let told = scene.alice_is_told().await;
    let [Notice::Read { id, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(state(&scene.alice, id), EnvelopeState::Delivered);
    // What is shown again, as by another program, is not told again.
    scene.bob.put_reading(&scene.bob.history(None, 1).unwrap()).unwrap();
    scene.bob.send_receipts().await.unwrap();
    assert_eq!(scene.sent_by_bob(), 0);
    assert_eq!(scene.alice_is_told().await, []);
    scene.world.deliver().await;
    bob.feed.end().await;
}

#[tokio::test]
async fn receipts_wait_and_typing_is_left_out_while_messages_need_the_minute() {
    let scene = LiveScene::new().await;
    let mut bob = Listening::to(&scene);
    bob.reads = true;
    bob.settle().await;
    for line in numbered(SIDE_ENVELOPES) {
        say(&scene.bob, &scene.alice.me(), &line).await;
    }
    // Reports and receipts for 40 messages are more than a connection takes at once. The server says five
    // seconds later that there is more.
    scene.alice_is_told().await;
    scene.world.deliver().await;
    scene.write(&["before"]).await;
    bob.settle().await;
    let left = scene.bob.device().fetch().await.unwrap().entries;
    assert_eq!((bob.heard.len(), left.len()), (0, 13));
    scene.world.advance(5_000);
    scene.world.deliver().await;
    scene.wire.sockets.pass_on().await;
    bob.settle().await;
    assert_eq!(bob.heard, ["before"]);
    scene.sent_by_bob();
    bob.wait(TYPING_PAUSE_MS).await;
    scene.bob.send_typing(&scene.alice.me().actor()).await.unwrap();
    assert_eq!(scene.sent_by_bob(), 0);
    // The rest of the minute is for messages.
    let answered = say(&scene.bob, &scene.alice.me(), "answer").await;
    assert_eq!(answered.envelopes[0].state, EnvelopeState::Accepted);
    scene.sent_by_bob();
    // What is owed is kept by the store, and not by the feed.
    bob.feed.end().await;
    assert_eq!(scene.sent_by_bob(), 0);
    scene.world.advance(MINUTE_MS);
    let mut bob = Listening::to(&scene);
    bob.settle().await;
    assert_eq!(scene.sent_by_bob(), 1);
    assert_eq!(scene.alice_is_told().await.len(), 1);
    bob.settle().await;
    scene.world.deliver().await;
    bob.feed.end().await;
}
