//! A device's mailbox: pages, order, acknowledgement (`docs/protocol.md`, section 6).

use eko_client::device::{EntryContent, MailboxPage};
use eko_client::{Auth, Body, Device};
use eko_protocol::activity::ReportKind;
use eko_protocol::id::EnvelopeId;
use eko_testkit::{Direct, START_MS, World, envelope};
use http::Method;
use serde_json::json;

use crate::DAY_MS;

async fn generous() -> World {
    World::with(|config| config.sender_budget = 100_000).await
}

fn ids(page: &MailboxPage) -> Vec<EnvelopeId> {
    let id = |entry: &eko_client::device::MailboxEntry| match &entry.content {
        EntryContent::Message(message) => message.envelope.clone(),
        other => panic!("{other:?}"),
    };
    page.entries.iter().map(id).collect()
}

async fn pages(device: &Device<Direct>) -> Vec<MailboxPage> {
    let mut pages = vec![device.fetch().await.unwrap()];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        pages.push(device.fetch_after(&next).await.unwrap());
    }
    pages
}

#[tokio::test]
async fn pages_of_a_hundred_oldest_first() {
    let world = generous().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut sent = Vec::new();
    for _ in 0..230 {
        sent.push(world.send(&alice, &[&bob]).await.id);
        world.advance(1);
        if sent.len() % 7 == 0 {
            world.deliver().await;
        }
    }
    world.deliver().await;
    let first = pages(&bob).await;
    assert_eq!(first.iter().map(|page| page.entries.len()).collect::<Vec<_>>(), [100, 100, 30]);
    assert_eq!(first.iter().flat_map(ids).collect::<Vec<_>>(), sent);
    let received: Vec<i64> =
        first.iter().flat_map(|page| &page.entries).map(|entry| entry.received_ms).collect();
    assert_eq!(received, (START_MS..START_MS + 230).collect::<Vec<_>>());
    // Reading deletes nothing.
    assert_eq!(pages(&bob).await, first);
    // What is acknowledged between two pages is gone, what comes is at the end, and no page knows it twice.
    let address = |page: usize, entry: usize| first[page].entries[entry].address.clone();
    bob.acknowledge(&[address(0, 99), address(1, 0)]).await.unwrap();
    world.deliver().await;
    let late = world.send(&alice, &[&bob]).await.id;
    world.deliver().await;
    let second = bob.fetch_after(first[0].next.as_ref().unwrap()).await.unwrap();
    assert_eq!(ids(&second), sent[101..201]);
    let third = bob.fetch_after(second.next.as_ref().unwrap()).await.unwrap();
    assert_eq!(ids(&third), [&sent[201..], &[late]].concat());
    assert_eq!(third.next, None);
}

#[tokio::test]
async fn exactly_a_page_and_an_empty_one() {
    let world = generous().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    assert_eq!(bob.fetch().await.unwrap().entries, []);
    for _ in 0..100 {
        world.send(&alice, &[&bob]).await;
    }
    world.deliver().await;
    let pages = pages(&bob).await;
    assert_eq!(pages.iter().map(|page| page.entries.len()).sum::<usize>(), 100);
    assert!(pages.len() <= 2);
    let all: Vec<String> = pages[0].entries.iter().map(|entry| entry.address.clone()).collect();
    // The most that one `Delivered` takes.
    bob.acknowledge(&all).await.unwrap();
    assert_eq!(bob.fetch().await.unwrap().entries, []);
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 100);
}

#[tokio::test]
async fn large_messages_make_smaller_pages() {
    let world = generous().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut sent = Vec::new();
    for number in 0..15_u8 {
        let mut outgoing = envelope(&alice, &[&bob]);
        outgoing.messages[0].1 = vec![number; 96 * 1024];
        alice.send(&outgoing).await.unwrap();
        sent.push(outgoing.id);
        world.advance(1);
    }
    world.deliver().await;
    let pages = pages(&bob).await;
    assert!(pages.len() > 1 || world.answers_large_pages());
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), sent);
}

#[tokio::test]
async fn a_receipt_goes_once_to_all_devices_of_the_author() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let phone = world.further(&alice, "phone").await;
    let second = world.further(&bob, "two").await;
    let outgoing = world.send(&phone, &[&bob, &second]).await;
    world.deliver().await;
    world.empty(&phone).await;
    world.confirm(&second).await;
    world.deliver().await;
    for device in [&alice, &phone] {
        let [report] = <[_; 1]>::try_from(world.reports(device).await).unwrap();
        assert_eq!((report.kind, &report.envelope), (ReportKind::Delivered, &outgoing.id));
        assert_eq!((report.actor, report.to), (bob.actor(), alice.actor()));
    }
    // The second device's word adds nothing, and its entry goes all the same.
    world.confirm(&bob).await;
    assert_eq!(world.messages(&bob).await, []);
    assert_eq!(world.deliver().await, 0);
    // A receipt is itself acknowledged without one, device by device.
    world.confirm(&phone).await;
    assert_eq!(world.deliver().await, 0);
    assert_eq!((world.reports(&alice).await.len(), world.reports(&phone).await.len()), (1, 0));
}

#[tokio::test]
async fn a_discarded_entry_is_reported_by_nobody() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let entry = bob.fetch().await.unwrap().entries[0].address.clone();
    bob.discard(&entry).await.unwrap();
    // Once more: it is as gone as was asked for.
    bob.discard(&entry).await.unwrap();
    assert_eq!(world.deliver().await, 0);
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (0, 1));
    // The other device may still say that it came.
    world.confirm(&second).await;
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 1);
}

#[tokio::test]
async fn nobody_acknowledges_for_another() {
    let world = World::new().await;
    let (alice, bob, carol) = (world.user("alice").await, world.user("bob").await, world.user("carol").await);
    let second = world.further(&bob, "two").await;
    world.send(&alice, &[&bob, &second]).await;
    // Before it is delivered: the address can be told from what the sender knows, and there is nothing yet.
    let early = bob
        .origin()
        .entry(bob.user(), &eko_protocol::id::EntryKey::new(START_MS.unsigned_abs(), &alice.actor(), "x"));
    bob.acknowledge(&[early]).await.unwrap();
    world.deliver().await;
    let entry = bob.fetch().await.unwrap().entries[0].address.clone();
    assert_eq!(second.fetch().await.unwrap().entries[0].address, entry);
    let before = world.stored().await;
    let deliver = async |device: &Device<Direct>, user: &str, entry: &str| {
        let body = json!({ "type": "Delivered", "object": entry });
        let path = format!("/user/{user}/outbox");
        let answer = device.call(Method::POST, &path, Body::Json(&body), Auth::Device).await.unwrap();
        eko_testkit::refusal(&answer)
    };
    assert_eq!(deliver(&carol, "carol", &entry).await, "403 not-yours #/object/0");
    assert_eq!(deliver(&carol, "bob", &entry).await, "403 not-owner");
    assert_eq!(deliver(&alice, "alice", &entry).await, "403 not-yours #/object/0");
    // Her own inbox has no such entry: that changes nothing and reports nothing.
    assert_eq!(deliver(&carol, "carol", &entry.replace("/bob/", "/carol/")).await, "204 ");
    let answer = carol.call(Method::DELETE, &entry, Body::Empty, Auth::Device).await.unwrap();
    assert_eq!(eko_testkit::refusal(&answer), "403 not-owner");
    carol.discard(&entry.replace("/bob/", "/carol/")).await.unwrap();
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(world.queued().await, (0, 0));
    // The same address names each device's own entry: one device's word leaves the other's.
    second.acknowledge(std::slice::from_ref(&entry)).await.unwrap();
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (1, 0));
    // And what is acknowledged twice is reported once.
    second.acknowledge(&[entry.clone(), entry]).await.unwrap();
    assert_eq!(world.deliver().await, 1);
}

#[tokio::test]
async fn a_mailbox_forgets_after_thirty_days() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let old = world.send(&alice, &[&bob]).await;
    world.deliver().await;
    world.advance(10 * DAY_MS);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
    }
    let new = world.send(&alice, &[&bob]).await;
    world.deliver().await;
    let entry = bob.fetch().await.unwrap().entries[0].address.clone();
    world.advance(20 * DAY_MS - 1);
    bob.refresh().await.unwrap();
    assert_eq!(ids(&bob.fetch().await.unwrap()), [old.id, new.id.clone()]);
    world.advance(1);
    assert_eq!(ids(&bob.fetch().await.unwrap()), [new.id]);
    bob.acknowledge(&[entry]).await.unwrap();
    assert_eq!(world.queued().await, (0, 0));
}

#[tokio::test]
async fn a_time_to_live_of_ones_own() {
    let world = World::with(|config| config.message_ttl_days = 1).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    world.confirm(&bob).await;
    world.deliver().await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    // Reports live as long as messages.
    assert_eq!((world.reports(&alice).await.len(), world.messages(&bob).await.len()), (1, 1));
    world.advance(DAY_MS);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
        assert_eq!(device.fetch().await.unwrap().entries, []);
    }
}
