//! Checks: a socket took an entry, and the device may be gone all the same.

use eko_protocol::id::EntryKey;
use eko_store::device::DeviceAddress;
use eko_store::live::PushState;
use eko_store::mailbox::{AddressedEntry, Entry, EntryContent};
use eko_store::pushes::{CHECK_MS, PushOrder};
use eko_testkit::{Feature, envelope};

use super::PushScene;
use crate::outcomes::accepted;

impl PushScene {
    /// Orders a check of the absent device and marks it, as a delivery does whose entry a socket
    /// took.
    async fn order_check(&self, in_ms: i64, seen: &PushState) {
        let (store, now_ms) = (self.world.state.store(), self.world.now_ms());
        let check_ms = now_ms + in_ms;
        let (user, device) = (self.absent.user().clone(), self.absent.id().clone());
        let check = PushOrder::Check { user: user.clone(), device: device.clone(), check_ms };
        store.queue_pushes(&[check], now_ms).await.unwrap();
        store
            .change_push(DeviceAddress::new(&user, &device), seen, &PushState::Watched { check_ms })
            .await
            .unwrap();
    }

    /// Returns the state of the absent device's pushes.
    async fn state(&self) -> PushState {
        let device = DeviceAddress::new(self.absent.user(), self.absent.id());
        self.world.state.store().push_target(device).await.unwrap().unwrap().state
    }

    /// Makes a scene in which an entry of the absent device was taken by a socket.
    async fn taken_by_a_socket() -> Self {
        let scene = Self::with_an_unwatched_entry().await;
        scene.order_check(CHECK_MS, &scene.state().await).await;
        scene
    }

    /// Makes a scene in which the absent device has an entry for which nothing is ordered.
    async fn with_an_unwatched_entry() -> Self {
        let scene = Self::new().await;
        // Without a subscription, the delivery orders nothing.
        scene.unsubscribe(&scene.absent).await;
        scene.send().await;
        scene.subscribe(&scene.absent, &scene.site.browser("2")).await;
        scene
    }

    /// Lets a minute pass and carries out the check.
    async fn check(&self) {
        self.world.advance(CHECK_MS - 1_000);
        assert_eq!(self.world.push().await, 0);
        self.world.advance(1_000);
        assert_eq!(self.world.push().await, 1);
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_within_a_minute_leads_to_a_push() {
    let scene = PushScene::taken_by_a_socket().await;
    scene.check().await;
    assert_eq!(scene.site.taken().len(), 1);
}

#[tokio::test]
async fn a_present_device_gets_no_push() {
    let scene = PushScene::taken_by_a_socket().await;
    scene.world.confirm(&scene.absent).await;
    scene.check().await;
    assert_eq!(scene.site.requests(), 0);
    // The device is idle again: the next message that no socket takes is a push.
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

#[tokio::test]
async fn a_check_that_was_sent_twice_leads_to_one_push() {
    let scene = PushScene::taken_by_a_socket().await;
    let seen = scene.state().await;
    scene.world.advance(CHECK_MS);
    assert_eq!(scene.world.push().await, 1);
    scene.order_check(0, &seen).await;
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.taken().len(), 1);
}

/// An entry that came shortly before the check is given its minute, and no more.
#[tokio::test]
async fn a_young_entry_is_checked_again() {
    let scene = PushScene::with_an_unwatched_entry().await;
    scene.order_check(10_000, &scene.state().await).await;
    scene.world.advance(10_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.requests(), 0);
    scene.world.advance(CHECK_MS - 11_000);
    assert_eq!(scene.world.push().await, 0);
    scene.world.advance(1_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.taken().len(), 1);
}

/// Two deliveries order checks at once, and one of them marks its own. That one sees both entries.
#[tokio::test]
async fn one_of_two_checks_that_are_ordered_at_once_decides() {
    let scene = PushScene::with_an_unwatched_entry().await;
    let seen = scene.state().await;
    scene.order_check(CHECK_MS, &seen).await;
    scene.order_check(CHECK_MS + 10_000, &seen).await;
    scene.check().await;
    assert_eq!((scene.site.requests(), scene.site.taken().len()), (1, 1));
    scene.world.advance(10_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.requests(), 0);
}

/// The process dies in a check, after it has ended the watch. The order comes back and goes on.
#[tokio::test]
async fn a_check_whose_process_died_is_made_again() {
    let scene = PushScene::taken_by_a_socket().await;
    scene.world.advance(CHECK_MS);
    let held = scene.world.calls.hold("Query", 0);
    tokio::select! {
        biased;
        _ = scene.world.push() => panic!("the check is held"),
        () = held.reached() => {}
    }
    assert_eq!(scene.site.requests(), 0);
    scene.world.advance(90_000);
    assert_eq!(scene.world.push().await, 1);
    assert_eq!(scene.site.taken().len(), 1);
}

/// Quiet entries before a loud one hide it from a check. So many of them count as one that is found.
#[tokio::test]
async fn a_check_that_does_not_see_the_end_of_the_mailbox_leads_to_a_push() {
    if Feature::PageEnds.is_lacking().await {
        return;
    }
    let scene = PushScene::new().await;
    let mut quiet = envelope(&scene.alice, &[&scene.bob, &scene.absent]);
    quiet.notify = false;
    accepted(scene.alice.send(&quiet).await.unwrap());
    scene.settle().await;
    let (store, device) =
        (scene.world.state.store(), DeviceAddress::new(scene.absent.user(), scene.absent.id()));
    let entry = store.fetch(device, None, scene.world.now_ms()).await.unwrap().unwrap().entries.remove(0);
    let EntryContent::Letter { letter, .. } = entry.content else { panic!("a letter") };
    let further = (1..=40).map(|n| {
        let key = EntryKey::new(entry.key.accepted_ms() + n, &letter.header.author, "urn:uuid:x");
        let content = EntryContent::Letter { letter: letter.clone(), ciphertext: vec![0; 250_000] };
        let entry = Entry { key, ttl: entry.ttl, content };
        AddressedEntry { user: device.user.clone(), device: device.device.clone(), entry }
    });
    assert!(store.put_entries(&further.collect::<Vec<_>>()).await.is_empty());
    scene.order_check(CHECK_MS, &scene.state().await).await;
    scene.check().await;
    assert_eq!(scene.site.taken().len(), 1);
}
