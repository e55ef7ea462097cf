//! Full mailboxes (`docs/protocol.md`, section 6): who is told, and what goes on for everyone else.

use eko_client::Device;
use eko_client::device::SendOutcome;
use eko_protocol::activity::Report;
use eko_testkit::{CallFault, ChainChanges as _, DirectTransport, World, envelope};

use crate::DAY_MS;
use crate::outcomes::{accepted, partial, rejected};

/// The entries of a mailbox in these tests. A sender has a quarter. The limits are so small that
/// each delivery orders a count.
const ENTRIES: u64 = 16;
/// The time after which a fetch may order another count.
const COUNT_PAUSE_MS: i64 = 300_000;

/// Bob with two devices, of which the second one never fetches, and people who write to him.
struct FullScene {
    world: World,
    alice: Device<DirectTransport>,
    carol: Device<DirectTransport>,
    bob: Device<DirectTransport>,
    second: Device<DirectTransport>,
}

impl FullScene {
    async fn new() -> Self {
        let world = World::with(|config| {
            config.limits.mailbox_entries = ENTRIES;
            config.limits.mailbox_bytes = ENTRIES * 1_000;
        })
        .await;
        let (alice, carol) = (world.user("alice").await, world.user("carol").await);
        let bob = world.user("bob").await;
        let second = world.further(&bob, "two").await;
        Self { world, alice, carol, bob, second }
    }

    /// Sends an envelope to both devices of Bob, delivers it, and has the first device read it.
    async fn send(&self, from: &Device<DirectTransport>) -> SendOutcome {
        let sent = from.send(&envelope(from, &[&self.bob, &self.second])).await.unwrap();
        self.world.deliver().await;
        self.world.confirm(&self.bob).await;
        self.world.deliver().await;
        self.world.empty(from).await;
        sent
    }

    /// Uses up a sender's share of the mailbox that nobody reads.
    async fn use_up(&self, from: &Device<DirectTransport>) {
        for _ in 0..ENTRIES / 4 {
            accepted(self.send(from).await);
        }
    }

    /// Asserts that an outcome says that the second device's mailbox is full, and nothing else.
    fn assert_full(&self, report: &Report) {
        assert_eq!(report.full_devices, [self.second.address()]);
        assert_eq!((&report.missing_key_packages, &report.stale_devices), (&vec![], &vec![]));
        assert!(!report.device_set_out_of_date);
    }
}

#[tokio::test]
async fn a_sender_fills_a_quarter_and_no_more() {
    let scene = FullScene::new().await;
    scene.use_up(&scene.alice).await;
    for _ in 0..3 {
        let before = scene.world.messages(&scene.second).await.len();
        scene.assert_full(&partial(scene.send(&scene.alice).await));
        assert_eq!(scene.world.messages(&scene.second).await.len(), before);
    }
    // Another sender is not concerned, and neither is the device that reads.
    scene.use_up(&scene.carol).await;
    assert_eq!(scene.world.messages(&scene.second).await.len(), 8);
    // An envelope for the full device alone is refused, and stores nothing. The device that it
    // leaves out is named.
    let before = scene.world.stored().await;
    let only = envelope(&scene.alice, &[&scene.second]);
    let report = rejected(scene.alice.send(&only).await.unwrap());
    assert_eq!(report.full_devices, [scene.second.address()]);
    let missing = scene.world.state.origin().key_package(scene.bob.user(), scene.bob.id());
    assert_eq!(report.missing_key_packages, [missing]);
    assert!(report.device_set_out_of_date);
    assert_eq!(report.summary.as_deref(), Some("the mailbox is full"));
    assert_eq!(scene.world.stored().await.difference(&before), []);
}

#[tokio::test]
async fn a_full_mailbox_takes_nothing_of_anyone() {
    let scene = FullScene::new().await;
    let (dave, erin) = (scene.world.user("dave").await, scene.world.user("erin").await);
    for sender in [&scene.alice, &scene.carol, &dave, &erin] {
        scene.use_up(sender).await;
    }
    let frank = scene.world.user("frank").await;
    scene.assert_full(&partial(scene.send(&frank).await));
    assert_eq!(scene.world.messages(&scene.second).await.len(), 16);
}

/// Whatever others have sent, a user's own devices reach one another, up to a quarter of the
/// mailbox.
#[tokio::test]
async fn own_devices_have_a_quarter_of_a_full_mailbox() {
    let scene = FullScene::new().await;
    let (dave, erin) = (scene.world.user("dave").await, scene.world.user("erin").await);
    for sender in [&scene.alice, &scene.carol, &dave, &erin] {
        scene.use_up(sender).await;
    }
    for _ in 0..ENTRIES / 4 {
        accepted(scene.bob.send(&envelope(&scene.bob, &[&scene.second])).await.unwrap());
        scene.world.deliver().await;
    }
    assert_eq!(scene.world.messages(&scene.second).await.len(), 20);
    let sync = envelope(&scene.bob, &[&scene.second]);
    scene.assert_full(&rejected(scene.bob.send(&sync).await.unwrap()));
}

#[tokio::test]
async fn large_entries_fill_a_mailbox_sooner() {
    let scene = FullScene::new().await;
    let mut large = envelope(&scene.alice, &[&scene.bob, &scene.second]);
    large.messages[1].1 = vec![7; 4_000];
    accepted(scene.alice.send(&large).await.unwrap());
    scene.world.deliver().await;
    scene.assert_full(&partial(scene.send(&scene.alice).await));
}

#[tokio::test]
async fn a_device_that_reads_its_mailbox_is_written_to_again() {
    let scene = FullScene::new().await;
    scene.use_up(&scene.alice).await;
    partial(scene.send(&scene.alice).await);
    scene.world.advance(COUNT_PAUSE_MS);
    // It fetches and deletes nothing: the count finds the mailbox as it was.
    scene.world.messages(&scene.second).await;
    scene.world.deliver().await;
    partial(scene.send(&scene.alice).await);
    scene.world.advance(COUNT_PAUSE_MS);
    scene.world.confirm(&scene.second).await;
    scene.world.deliver().await;
    accepted(scene.send(&scene.alice).await);
    // One receipt for the envelopes that the second device acknowledged after the first one.
    assert_eq!(scene.world.messages(&scene.second).await.len(), 1);
}

#[tokio::test]
async fn a_mark_ends_after_a_day() {
    let scene = FullScene::new().await;
    scene.use_up(&scene.alice).await;
    scene.world.advance(DAY_MS - 1);
    scene.alice.refresh().await.unwrap();
    scene.bob.refresh().await.unwrap();
    scene.assert_full(&partial(scene.send(&scene.alice).await));
    scene.world.advance(1);
    // One is let through. Its delivery counts the mailbox again.
    accepted(scene.send(&scene.alice).await);
    scene.assert_full(&partial(scene.send(&scene.alice).await));
}

#[tokio::test]
async fn a_count_that_fails_is_repeated() {
    for operation in ["Query", "GetItem", "TransactWriteItems"] {
        let scene = FullScene::new().await;
        for _ in 0..3 {
            accepted(scene.send(&scene.alice).await);
        }
        accepted(scene.alice.send(&envelope(&scene.alice, &[&scene.bob, &scene.second])).await.unwrap());
        scene.world.calls.fail(operation, CallFault::Down, 3);
        scene.world.deliver().await;
        scene.world.advance(30_000);
        scene.world.deliver().await;
        scene.assert_full(&partial(scene.send(&scene.alice).await));
    }
}

#[tokio::test]
async fn a_revoked_device_leaves_no_mark() {
    let scene = FullScene::new().await;
    scene.use_up(&scene.alice).await;
    scene.bob.revoke(scene.second.id()).await.unwrap();
    let devices = scene.world.state.store().device_set(scene.bob.user()).await.unwrap().stored().unwrap();
    assert!(devices.full.is_empty(), "{devices:?}");
    scene.world.send(&scene.alice, &[&scene.bob]).await;
    scene.world.erase().await;
}
