//! Tests of the encrypted activities (protocol, section 9): each side understands what the other
//! side makes.

use eko_client::content::{self, HeadStatement, SignedHead};
use eko_client::messenger::Notice;
use eko_client::store::EnvelopeState;
use eko_protocol::key::FrankingKey;
use eko_protocol::vocabulary::content_context;
use eko_protocol::{multibase, timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::device::OfficialDevice;
use crate::eko_device::{EkoDevice, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_says_number_and_signed_head() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    let [alice, tablet] = EkoDevice::two(&hers, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &his, "bob").await;
    for number in 1..4 {
        let words = format!("number {number}");
        alice.say(&bob.actor, &words).await;
        let activity = bob.fetch(1).await.remove(0)["activity"].take();
        // Each id is a UUID of its own.
        for id in [&activity["id"], &activity["object"]["id"]] {
            let uuid = id.as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
            assert_eq!(uuid.len(), 36);
        }
        assert_ne!(activity["id"], activity["object"]["id"]);
        let published = activity["published"].as_str().unwrap();
        let own = alice.client.message(&alice.actor(), activity["id"].as_str().unwrap()).unwrap().unwrap();
        assert_eq!(timestamp::parse(published), Ok(own.content.published_ms));
        assert!(published.ends_with('Z'), "{published}");
        let sets = device_sets(&mut bob, &alice.actor()).await;
        let (hers, his) = (&sets[alice.actor()], &sets[&bob.actor]);
        assert_eq!((&hers["length"], &his["length"]), (&json!(2), &json!(1)));
        let signature = multibase::decode(activity["eko:signature"].as_str().unwrap()).unwrap();
        let head = SignedHead { set: serde_json::from_value(hers.clone()).unwrap(), signature };
        let (actor, device) = (alice.actor(), alice.client.device().address());
        let published_ms = own.content.published_ms;
        let statement = HeadStatement { actor: &actor, device: &device, published_ms };
        assert!(statement.is_signed(&head, &alice.client.device().keys().identity().public()));
        let hash = content::device_sets_hash(&serde_json::from_value(sets.clone()).unwrap()).unwrap();
        let key = activity["eko:frankingKey"].as_str().unwrap();
        assert!(FrankingKey::from_base64(key).is_ok(), "{key}");
        assert_eq!(
            activity,
            json!({
                "@context": content_context(), "type": "Create", "id": activity["id"],
                "actor": alice.actor(), "to": [bob.actor], "published": published, "eko:sequence": number, "eko:deviceSet": hers,
                "eko:signature": activity["eko:signature"], "eko:deviceSetsHash": hash,
                "eko:frankingKey": key,
                "object": { "type": "Note", "id": activity["object"]["id"], "content": words, "mediaType": "text/plain" },
            })
        );
        assert_eq!(tablet.hear(1).await[0].sequence, Some(number));
    }
    alice.settled().await;
    hers.end().await;
    his.end().await;
}

/// Returns the chain heads of the device's own user and of another user, as an official device has
/// replayed them.
async fn device_sets(by: &mut OfficialDevice, other: &str) -> Value {
    let mut sets = json!({});
    for of in [&by.actor.clone(), other] {
        sets[of] = by.command(json!({ "do": "chain", "of": of })).await["deviceSet"].take();
    }
    sets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_are_shown_in_the_order_of_their_numbers() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::first(&here, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    for (round, order) in [[4, 1, 0, 3, 2], [1, 0, 4, 3, 2]].into_iter().enumerate() {
        let mut sent = Vec::new();
        for number in 1..6 {
            let one = bob.send(&alice.actor(), &format!("{round}: {number}")).await;
            assert_eq!(one.activity()["eko:sequence"], round * 5 + number);
            let sets = device_sets(&mut bob, &alice.actor()).await;
            assert_eq!(one.activity()["eko:deviceSet"], sets[&bob.actor]);
            sent.push(one);
        }
        let heard = alice.read(&order.map(|index: usize| &sent[index])).await;
        let texts: Vec<_> = heard.into_iter().map(|message| message.text).collect();
        assert_eq!(texts, [1, 2, 3, 4, 5].map(|number| format!("{round}: {number}")));
    }
    bob.settled().await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_that_agree_and_that_contradict() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::first(&here, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    alice.say(&bob.actor, "hello").await;
    bob.fetch(1).await;
    let sent = bob.send(&alice.actor(), "true").await;
    alice.hear(1).await;
    // Both have the same hash, so Alice does not send her view.
    alice.say(&bob.actor, "hello again").await;
    assert_eq!(bob.fetch(1).await[0]["activity"]["eko:deviceSets"], Value::Null);

    // One false set has another head; the other has one more node than Alice is shown.
    let of = alice.actor();
    let sets = device_sets(&mut bob, &of).await;
    let other = json!({ "length": 1, "head": "0".repeat(64) });
    let longer = json!({ "length": 2, "head": sets[&of]["head"] });
    for changed in [other, longer.clone()] {
        let mut activity = fresh(sent.activity());
        activity["eko:deviceSets"] = json!({ &of: changed });
        let told = Notice::Contradiction { seen_by: bob.actor.clone(), of: of.clone() };
        assert_eq!(notices(&alice, &mut bob, &activity, 1).await, [told]);
    }
    // A head of one's own is signed.
    let mut activity = fresh(sent.activity());
    activity["eko:deviceSet"] = longer;
    let told = notices(&alice, &mut bob, &activity, 0).await;
    assert!(matches!(&told[..], [Notice::Unreadable { actor, .. }] if *actor == bob.actor), "{told:?}");
    bob.settled().await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_may_say_less_and_more() {
    let here = LocalServer::start().await;
    let alice = EkoDevice::first(&here, "alice").await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    let sent = bob.send(&alice.actor(), "hello").await;
    alice.hear(1).await;
    let said = alice.say(&bob.actor, "hello yourself").await;
    bob.fetch(1).await;
    // Members may be absent, and unknown members are ignored.
    let mut activity = fresh(sent.activity());
    for member in ["eko:sequence", "eko:deviceSet", "eko:signature", "eko:deviceSetsHash", "@context"] {
        activity.as_object_mut().unwrap().remove(member);
    }
    activity["eko:novelty"] = json!([1]);
    assert_eq!(notices(&alice, &mut bob, &activity, 1).await, []);
    let mut activity = fresh(sent.activity());
    activity["type"] = json!("Wave");
    assert_eq!(notices(&alice, &mut bob, &activity, 0).await, []);
    let mut activity = fresh(sent.activity());
    (activity["type"], activity["object"]) = (json!("Read"), json!(said.id()));
    let read = Notice::Read { actor: bob.actor.clone(), id: said.id().to_owned(), before: 0 };
    // Who has read a note has it.
    let told = notices(&alice, &mut bob, &activity, 0).await;
    let [Notice::Settled(envelope), last] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&*envelope.message, envelope.state, last), (said.id(), EnvelopeState::Delivered, &read));
    // A device cannot write in another user's name.
    let mut activity = fresh(sent.activity());
    activity["actor"] = json!(alice.actor());
    let notices = notices(&alice, &mut bob, &activity, 0).await;
    assert!(matches!(&notices[..], [Notice::Unreadable { actor, .. }] if *actor == bob.actor), "{notices:?}");
    let sent = bob.send(&alice.actor(), "goes on").await;
    assert_heard(&alice.hear(1).await[0], &sent, &bob);
    bob.settled().await;
    here.end().await;
}

/// Returns an activity under a new id.
fn fresh(activity: &Value) -> Value {
    let mut activity = activity.clone();
    activity["id"] = json!(format!("urn:uuid:{}", Uuid::new_v4()));
    activity
}

/// Sends an activity from Bob to Alice, asserts how many messages it shows, and returns the
/// notices.
async fn notices(
    alice: &EkoDevice,
    bob: &mut OfficialDevice,
    activity: &Value,
    messages: usize,
) -> Vec<Notice> {
    let sent = bob.send_activity(&alice.actor(), activity).await;
    alice.entry(&sent).await;
    let received = alice.client.receive().await.unwrap();
    if messages == 0 {
        // Only a note in a conversation is confirmed.
        bob.lost(&sent);
    }
    assert_eq!(received.messages.len(), messages, "{:?}", received.messages);
    if let Some(last) = received.messages.last() {
        alice.client.note_shown(last.position).unwrap();
    }
    received.notices
}
