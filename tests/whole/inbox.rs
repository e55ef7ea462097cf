//! A device's mailbox: pages, order, acknowledgement (`docs/protocol.md`, section 6).

use eko_client::Device;
use eko_client::device::{EntryContent, MailboxPage};
use eko_protocol::activity::ReportKind;
use eko_protocol::id::EnvelopeId;
use eko_testkit::{DirectTransport, Feature, START_MS, World, envelope, refusal};
use serde_json::json;

use crate::DAY_MS;
use crate::mailboxes::pages;
use crate::people::{alice_and_bob, alice_and_bobs_two, generous_server};
use crate::requests::{delete, get, post};

/// Returns the envelope ids of a page, which must hold messages only.
fn ids(page: &MailboxPage) -> Vec<EnvelopeId> {
    let id = |entry: &eko_client::device::MailboxEntry| match &entry.content {
        EntryContent::Message(message) => message.letter.header.id.clone(),
        other => panic!("{other:?}"),
    };
    page.entries.iter().map(id).collect()
}

#[tokio::test]
async fn pages_of_a_hundred_oldest_first() {
    let world = generous_server().await;
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
    // The page with its entries left out.
    let page = get(&bob, "/user/bob/inbox").await;
    let page = page.json().unwrap();
    assert_eq!(page["orderedItems"].as_array().unwrap().len(), 100);
    insta::assert_json_snapshot!(page, {
        r#"["@context"]"# => "[context]",
        ".orderedItems" => "[100 entries]",
    }, @r#"
    {
      "@context": "[context]",
      "eko:kyberPreKeyCount": 2,
      "eko:preKeyCount": 3,
      "id": "https://eko.example/user/bob/inbox",
      "next": "https://eko.example/user/bob/inbox?after=019c0b3be323-e1ce67fd8ac6bb85819e2b5b38c53685",
      "orderedItems": "[100 entries]",
      "partOf": "https://eko.example/user/bob/inbox",
      "type": "OrderedCollectionPage"
    }
    "#);
    let first = pages(&bob).await;
    assert_eq!(first.iter().map(|page| page.entries.len()).collect::<Vec<_>>(), [100, 100, 30]);
    assert_eq!(first.iter().flat_map(ids).collect::<Vec<_>>(), sent);
    let received: Vec<i64> =
        first.iter().flat_map(|page| &page.entries).map(|entry| entry.received_ms).collect();
    assert_eq!(received, (START_MS..START_MS + 230).collect::<Vec<_>>());
    // A fetch deletes nothing.
    assert_eq!(pages(&bob).await, first);
    // Entries acknowledged between two pages are missing from the next page; entries that arrive
    // are at the end.
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
    let world = generous_server().await;
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
    // One `Delivered` may name at most 100 entries.
    bob.acknowledge(&all).await.unwrap();
    assert_eq!(bob.fetch().await.unwrap().entries, []);
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 100);
}

#[tokio::test]
async fn large_messages_make_smaller_pages() {
    let world = generous_server().await;
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
    assert!(Feature::PageEnds.is_lacking().await || pages.len() > 1);
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), sent);
}

#[tokio::test]
async fn a_receipt_goes_once_to_all_devices_of_the_author() {
    let (world, alice, bob) = alice_and_bob().await;
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
    // The acknowledgement of the other device sends no second receipt, and deletes its own entry.
    world.confirm(&bob).await;
    assert_eq!(world.messages(&bob).await, []);
    assert_eq!(world.deliver().await, 0);
    // A receipt is acknowledged without another receipt, by each device for itself.
    world.confirm(&phone).await;
    assert_eq!(world.deliver().await, 0);
    assert_eq!((world.reports(&alice).await.len(), world.reports(&phone).await.len()), (1, 0));
}

#[tokio::test]
async fn a_discarded_entry_is_reported_by_nobody() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let entry = bob.fetch().await.unwrap().entries[0].address.clone();
    bob.discard(&entry).await.unwrap();
    // Discarding it again succeeds.
    bob.discard(&entry).await.unwrap();
    assert_eq!(world.deliver().await, 0);
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (0, 1));
    // The other device may still acknowledge the message.
    world.confirm(&second).await;
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 1);
}

/// DynamoDB may remove the envelope's record before the entry, which can live longer.
#[tokio::test]
async fn an_envelope_whose_record_is_gone_has_no_receipt_and_gets_no_record() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let records =
        || async { world.stored().await.keys("U#bob", "E#").into_iter().cloned().collect::<Vec<_>>() };
    for (pk, sk) in records().await {
        let text = aws_sdk_dynamodb::types::AttributeValue::S;
        let delete = world.cloud.clients.dynamodb.delete_item().table_name(world.cloud.names().table);
        delete.key("pk", text(pk)).key("sk", text(sk)).send().await.unwrap();
    }
    let entry = bob.fetch().await.unwrap().entries[0].address.clone();
    bob.acknowledge(std::slice::from_ref(&entry)).await.unwrap();
    second.discard(&entry).await.unwrap();
    for device in [&bob, &second] {
        assert_eq!(device.fetch().await.unwrap().entries, []);
    }
    assert_eq!(world.queued().await, (0, 0));
    assert_eq!(records().await, []);
}

#[tokio::test]
async fn nobody_acknowledges_for_another() {
    let world = World::new().await;
    let (alice, bob, carol) = (world.user("alice").await, world.user("bob").await, world.user("carol").await);
    let second = world.further(&bob, "two").await;
    world.send(&alice, &[&bob, &second]).await;
    // Before the delivery, the entry's address can be computed but there is no entry: this
    // acknowledges nothing.
    let early = bob
        .origin()
        .entry(bob.user(), &eko_protocol::id::EntryKey::new(START_MS.unsigned_abs(), &alice.actor(), "x"));
    bob.acknowledge(&[early]).await.unwrap();
    world.deliver().await;
    let entry = bob.fetch().await.unwrap().entries[0].address.clone();
    assert_eq!(second.fetch().await.unwrap().entries[0].address, entry);
    let before = world.stored().await;
    let deliver = async |device: &Device<DirectTransport>, user: &str, entry: &str| {
        let body = json!({ "type": "Delivered", "object": entry });
        let path = format!("/user/{user}/outbox");
        let answer = post(device, &path, &body).await;
        refusal(&answer)
    };
    assert_eq!(deliver(&carol, "carol", &entry).await, "403 not-yours #/object/0");
    assert_eq!(deliver(&carol, "bob", &entry).await, "403 not-owner");
    assert_eq!(deliver(&alice, "alice", &entry).await, "403 not-yours #/object/0");
    // Carol's own inbox has no such entry: acknowledging it changes nothing and sends no receipt.
    assert_eq!(deliver(&carol, "carol", &entry.replace("/bob/", "/carol/")).await, "204 ");
    let answer = delete(&carol, &entry).await;
    assert_eq!(refusal(&answer), "403 not-owner");
    carol.discard(&entry.replace("/bob/", "/carol/")).await.unwrap();
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(world.queued().await, (0, 0));
    // An address names an entry of each device of the user: one device's acknowledgement leaves the
    // other's entry.
    second.acknowledge(std::slice::from_ref(&entry)).await.unwrap();
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (1, 0));
    // An entry that is acknowledged twice sends one receipt.
    second.acknowledge(&[entry.clone(), entry]).await.unwrap();
    assert_eq!(world.deliver().await, 1);
}

#[tokio::test]
async fn a_mailbox_forgets_after_thirty_days() {
    let (world, alice, bob) = alice_and_bob().await;
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
    let world = World::with(|config| config.limits.message_ttl_days = 1).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    world.confirm(&bob).await;
    world.deliver().await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    // Reports are kept as long as messages.
    assert_eq!((world.reports(&alice).await.len(), world.messages(&bob).await.len()), (1, 1));
    world.advance(DAY_MS);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
        assert_eq!(device.fetch().await.unwrap().entries, []);
    }
}
