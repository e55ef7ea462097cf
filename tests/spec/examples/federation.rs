//! Section 7: what servers send each other, and the reports that come of it.

use bytes::Bytes;
use eko_client::device::{EntryContent, JoinKind, OutgoingEnvelope};
use eko_federation::Scheme;
use eko_protocol::activity::activity_type;
use eko_protocol::flag::Flag;
use eko_protocol::franking::franking_tag;
use eko_protocol::id::EnvelopeId;
use eko_protocol::vocabulary;
use eko_testkit::{ChainChanges as _, FrankedContent, Internet, World, sign, signing_key};
use serde_json::{Value, json};

use super::sending::{envelope, two_devices};
use super::{Examples, SceneDevice, actor, body, fetch};
use crate::cast::{ALICE, BOB, BOB_LAPTOP, DeviceRole};
use crate::recorder::{RecordedExchange, Recorder};

/// Delivers an activity to a server, signed with the key that the server at `b.example` has for
/// Bob.
async fn deliver(world: &World, path: &str, activity: &Value, scheme: Scheme) -> RecordedExchange {
    let (_, key) = signing_key("b.example");
    let url = format!("{}{path}", world.state.origin());
    let body = Bytes::from(activity.to_string());
    let key_id = "https://b.example/user/bob#main-key";
    Recorder::new(world.transport()).play(sign(&key, key_id, scheme, &url, body, world.now_ms())).await
}

/// Returns the `Create` that Bob's server sends to Alice's for an envelope of her devices.
fn create(bob: &SceneDevice, number: u8, world: &World, to: &[DeviceRole]) -> Value {
    let envelope = envelope(number, world.state.origin(), to);
    let mut create = bob.create_activity(&OutgoingEnvelope { to: ALICE.user(), ..envelope });
    create["object"]["id"] =
        json!(format!("https://b.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd9{number:02}"));
    create["id"] = json!(format!("https://b.example/activity/019c0b3b-e2c0-7000-8000-0000000000{number:02}"));
    create
}

/// Returns a report of Bob's server, with an id of its own.
fn report(kind: Value, number: u8, id: &str) -> Value {
    json!({
        "@context": vocabulary::context(),
        "type": kind,
        "id": format!("https://b.example/activity/019c0b3b-e2c0-8000-8000-0000000000{number:02}"),
        "actor": "https://b.example/user/bob",
        "to": "https://eko.example/user/alice",
        "object": id,
    })
}

pub(super) async fn play(examples: &mut Examples) {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let (there, _) = World::online(&internet, "b.example").await;
    let alice = actor(&world, &ALICE);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    let [bob, _] = two_devices(&there).await;

    let full = create(&bob, 81, &world, &[ALICE]);
    examples.exchange("inbox-create", &deliver(&world, "/user/alice/inbox", &full, Scheme::Rfc9421).await);

    // Alice's second device joins: her first alone is no longer all.
    let tablet = actor(&world, &crate::cast::ALICE_TABLET);
    tablet.register(&world.id_token(&tablet).await, tablet.as_further()).await.unwrap();
    alice.approve(tablet.id()).await.unwrap();
    let partial = create(&bob, 82, &world, &[ALICE]);
    examples.answer("inbox-create", &deliver(&world, "/user/alice/inbox", &partial, Scheme::Rfc9421).await);
    alice.revoke(tablet.id()).await.unwrap();
    let stale = create(&bob, 83, &world, &[ALICE, crate::cast::ALICE_TABLET]);
    examples.answer("inbox-create", &deliver(&world, "/user/alice/inbox", &stale, Scheme::Rfc9421).await);

    reports(examples, (&world, &there), &alice).await;

    flags(examples, (&world, &there), &alice, &bob).await;

    let take = json!({
        "@context": vocabulary::context(),
        "type": activity_type("Take"),
        "id": "https://b.example/activity/019c0b3b-e2c0-7000-8000-000000000085",
        "actor": "https://b.example/user/bob",
        "object": "https://eko.example/user/alice/keyPackages",
    });
    examples.exchange("inbox-take", &deliver(&world, "/inbox", &take, Scheme::Rfc9421).await);
    let delete = json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "type": "Delete",
        "actor": "https://b.example/user/bob",
        "to": "https://www.w3.org/ns/activitystreams#Public",
        "object": "https://b.example/user/bob",
    });
    examples.exchange("inbox-delete", &deliver(&world, "/inbox", &delete, Scheme::Rfc9421).await);
}

/// Plays Alice's report of a message of Bob's, and Bob's of one of hers, which his server passes on.
async fn flags(
    examples: &mut Examples,
    (world, there): (&World, &World),
    alice: &SceneDevice,
    bob: &SceneDevice,
) {
    for entry in alice.fetch().await.unwrap().entries {
        alice.discard(&entry.address).await.unwrap();
    }
    let content = FrankedContent::new(&bob.actor(), &alice.actor(), "Hello Alice");
    let franking = Some(franking_tag(&content.key, content.content.as_bytes()));
    let id = EnvelopeId::parse("https://b.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd990").unwrap();
    let outgoing = envelope(90, world.state.origin(), &[ALICE]);
    let outgoing = OutgoingEnvelope { to: ALICE.user(), id, franking, ..outgoing };
    bob.send(&outgoing).await.unwrap();
    world.deliver().await;
    let EntryContent::Message(letter) = alice.fetch().await.unwrap().entries.remove(0).content else {
        panic!("no message")
    };
    let flag = Flag { reason: Some("a threat".to_owned()), ..content.flag(&letter) };
    alice.report_message(&flag).await.unwrap();
    examples.exchange("flag", &alice.last());
    world.federate().await;
    assert_eq!((world.flags().await, there.flags().await), (strings(["delivered"]), strings(["verified"])));

    let content = FrankedContent::new(&alice.actor(), &bob.actor(), "Hello Bob");
    let franking = Some(franking_tag(&content.key, content.content.as_bytes()));
    let outgoing = envelope(91, there.state.origin(), &[BOB, BOB_LAPTOP]);
    alice.send(&OutgoingEnvelope { franking, ..outgoing }).await.unwrap();
    there.deliver().await;
    let last = bob.fetch().await.unwrap().entries.pop().unwrap();
    let EntryContent::Message(letter) = last.content else { panic!("no message") };
    let mut passed_on = content.flag(&letter).passed_on(there.state.origin(), &bob.actor());
    // The id follows from the MAC, and so from a key that is drawn.
    passed_on["id"] = json!("https://b.example/activity/019c0b3b-e2c0-8000-8000-000000000092");
    let (_, key) = signing_key("b.example");
    let text = Bytes::from(vocabulary::in_context(passed_on).to_string());
    let (url, key_id) = ("https://eko.example/inbox", "https://b.example/actor#main-key");
    let request = sign(&key, key_id, Scheme::Rfc9421, url, text, world.now_ms());
    examples.exchange("inbox-flag", &Recorder::new(world.transport()).play(request).await);
    assert_eq!(world.flags().await, strings(["delivered", "verified"]));
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Plays the reports that Alice's device finds in its mailbox after an envelope to the other
/// server.
async fn reports(examples: &mut Examples, (world, there): (&World, &World), alice: &SceneDevice) {
    let outgoing = envelope(84, there.state.origin(), &[BOB, BOB_LAPTOP]);
    alice.send(&outgoing).await.unwrap();
    there.deliver().await;
    world.deliver().await;
    for entry in alice.fetch().await.unwrap().entries {
        alice.discard(&entry.address).await.unwrap();
    }
    let id = outgoing.id.to_string();
    let mut partial = report(activity_type("PartialDelivery"), 86, &id);
    partial["eko:deviceSetOutOfDate"] = json!(true);
    partial["missingKeyPackages"] =
        json!([there.state.origin().key_package(&BOB.user(), &BOB_LAPTOP.device_id())]);
    partial["staleDevices"] = json!([]);
    let mut reject = report(json!("Reject"), 87, &id);
    reject["eko:deviceSetOutOfDate"] = json!(false);
    reject["missingKeyPackages"] = json!([]);
    reject["staleDevices"] = json!([]);
    reject["summary"] = json!("the mailbox is full");
    let confirm = report(json!(["Accept", "Confirm"]), 88, &id);
    for (kind, activity) in [("Confirm", confirm), ("PartialDelivery", partial), ("Reject", reject)] {
        world.advance(1_000);
        assert_eq!(
            deliver(world, "/user/alice/inbox", &activity, Scheme::Rfc9421).await.response.status(),
            202
        );
        world.deliver().await;
        let page = body(&fetch(alice, "/user/alice/inbox").await);
        let entry = page["orderedItems"].as_array().unwrap().last().unwrap().clone();
        examples.document(kind, &entry);
    }
    world.advance(1_000);
    let receipt = report(activity_type("Delivered"), 89, &id);
    examples.exchange("inbox-report", &deliver(world, "/user/alice/inbox", &receipt, Scheme::Cavage).await);
    world.deliver().await;
}
