//! The exchange of a local server with a stack of another project: envelopes, their reports and key
//! packages, in both directions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::device::EntryContent;
use eko_client::{Device, HttpTransport};
use eko_protocol::activity::ReportKind;
use eko_protocol::vocabulary::context;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::create;
use crate::local_server::{LocalServer, entry, envelope_id, eventually, message, send};
use crate::peer::Peer;

/// The parts of the exchange that a stack is able to do.
pub(crate) struct Abilities {
    /// The schemes by which it signs.
    pub(crate) signs: &'static [&'static str],
    /// The scheme that it verifies, of the two that we sign by.
    pub(crate) verifies: &'static str,
    /// The way in which key packages of its users are taken.
    pub(crate) take: TakeBy,
    /// True if its signer shows the body of an answer that is an error.
    pub(crate) bodies: bool,
    /// True if it reads an array of types: our receipts have one. A stack that does not answers 500.
    pub(crate) types: bool,
    /// True if it tells which object its application finds in a `Create`.
    pub(crate) objects: bool,
}

impl Default for Abilities {
    /// Returns the abilities of a stack that knows draft-cavage only.
    fn default() -> Self {
        Self {
            signs: &["cavage"],
            verifies: "cavage",
            take: TakeBy::No,
            bodies: true,
            types: true,
            objects: false,
        }
    }
}

/// The ways to take the key packages of a stack's user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakeBy {
    /// By the user's handle: the actor names its collection.
    Handle,
    /// By the ids of packages: they lead to the user's inbox.
    Packages,
    /// Not at all: the actor cannot name a collection, and its inbox is at another place.
    No,
}

/// Plays the whole exchange.
pub(crate) async fn exchange(peer: &Peer, abilities: &Abilities) {
    let here = LocalServer::start().await;
    let (alice, bob) = (here.user("alice").await, here.user("bob").await);
    let second = here.further(&bob).await;
    for by in abilities.signs {
        they_write(peer, abilities, by, &here, &bob, &second).await;
        they_report(peer, by, &here, &alice).await;
    }
    we_write(peer, abilities, &alice).await;
    we_take(peer, abilities, &alice).await;
    // The last: a receipt that the stack fails to read is sent to it again, for two days.
    we_report(peer, abilities, &here, &alice).await;
    if abilities.types {
        here.end().await;
    }
}

/// Returns an activity of the peer's actor, with an id on its origin.
fn activity(peer: &Peer, mut activity: Value) -> Value {
    activity["@context"] = context();
    activity["id"] = format!("{}/activities/{}", peer.origin, Uuid::new_v4()).into();
    activity["actor"] = peer.actor().into();
    activity
}

/// Returns a `Create` of the peer's actor of the envelope `id`.
fn envelope(peer: &Peer, to: &str, devices: &[String], id: &str) -> Value {
    activity(peer, create((&peer.actor(), &peer.device()), to, devices, id))
}

/// Returns a fresh id of an envelope of the peer, in a layout of its own.
fn foreign_id(peer: &Peer) -> String {
    format!("{}/sealed?id={}", peer.origin, Uuid::new_v4())
}

/// Returns a report of the peer on the envelope `id` of a device.
fn report(peer: &Peer, kind: &str, author: &Device<HttpTransport>, id: &str) -> Value {
    let plain = json!({ "type": ["Activity", kind], "to": author.actor(), "object": id });
    let mut report = activity(peer, plain);
    if kind != "Delivered" {
        report["eko:deviceSetOutOfDate"] = true.into();
        report["missingKeyPackages"] = json!([format!("{}/keyPackage/2", peer.actor())]);
        report["staleDevices"] = json!([]);
    }
    report
}

/// Plays the envelopes of the peer: one, its duplicate, one that misses a device, one for a device
/// that does not exist, and a take.
async fn they_write(
    peer: &Peer,
    abilities: &Abilities,
    by: &str,
    here: &LocalServer,
    bob: &Device<HttpTransport>,
    second: &Device<HttpTransport>,
) {
    let inbox = here.origin.inbox(bob.user());
    let both = [bob.address(), second.address()];
    let id = foreign_id(peer);
    let sent = envelope(peer, &bob.actor(), &both, &id);
    for count in ["first", "duplicate"] {
        let (status, answer) = peer.deliver(by, &inbox, &sent).await;
        assert_eq!((status, &answer), (202, &Value::Null), "{by} {count} {answer:#}");
        for device in [bob, second] {
            if count == "first" {
                let sealed = format!("sealed for {}", device.address()).into_bytes();
                assert_eq!(message(device).await, (id.clone(), sealed), "{by}");
            }
            // Nothing comes again to a device that has fetched the message and deleted it.
            assert_eq!(device.fetch().await.unwrap().entries, [], "{by} {count}");
        }
    }

    let id = foreign_id(peer);
    let (status, answer) =
        peer.deliver(by, &inbox, &envelope(peer, &bob.actor(), &[bob.address()], &id)).await;
    assert_eq!(status, 207, "{by} {answer:#}");
    assert!(has_type(&answer, "PartialDelivery"), "{by} {answer:#}");
    assert_eq!(answer["object"], id, "{by}");
    let package = here.origin.key_package(second.user(), second.id());
    assert_eq!(answer["missingKeyPackages"], json!([package]), "{by}");
    let rest = envelope(peer, &bob.actor(), &[second.address()], &id);
    assert_eq!(peer.deliver(by, &inbox, &rest).await.0, 202, "{by}");
    assert_eq!(message(bob).await.0, id, "{by}");
    assert_eq!(message(second).await.0, id, "{by}");

    let stale = format!("{}/device/{}", bob.actor(), Uuid::new_v4());
    let devices = [bob.address(), second.address(), stale.clone()];
    let refused = envelope(peer, &bob.actor(), &devices, &foreign_id(peer));
    let (status, answer) = peer.deliver(by, &inbox, &refused).await;
    assert_eq!(status, 409, "{by} {answer:#}");
    if abilities.bodies {
        assert!(has_type(&answer, "Reject"), "{by} {answer:#}");
        assert_eq!(answer["staleDevices"], json!([stale]), "{by}");
    }

    let collection = here.origin.key_packages(bob.user());
    let take = activity(peer, json!({ "type": ["Activity", "Take"], "object": collection }));
    let (status, answer) = peer.deliver(by, &inbox, &take).await;
    assert_eq!(status, 200, "{by} {answer:#}");
    assert!(has_type(&answer, "Collection"), "{by} {answer:#}");
}

/// Plays the reports of the peer on an envelope that it was sent: the author's device gets each.
async fn they_report(peer: &Peer, by: &str, here: &LocalServer, alice: &Device<HttpTransport>) {
    let id = envelope_id(&alice.actor());
    let sent = create((&alice.actor(), &alice.address()), &peer.actor(), &[peer.device()], &id);
    let (status, answer) = send(alice, &sent).await;
    assert_eq!(status, 201, "{answer:#} {:#?}", peer.log().await);
    let kinds = [
        ("Delivered", ReportKind::Delivered),
        ("PartialDelivery", ReportKind::PartialDelivery),
        ("Reject", ReportKind::Reject),
    ];
    for (name, kind) in kinds {
        let due = report(peer, name, alice, &id);
        for count in ["first", "duplicate"] {
            let (status, answer) = peer.deliver(by, &here.origin.inbox(alice.user()), &due).await;
            assert_eq!(status, 202, "{by} {name} {count} {answer:#}");
            if count == "first" {
                let entry = entry(alice).await;
                let EntryContent::Report(read) = &entry.content else {
                    panic!("no report: {}", entry.activity)
                };
                assert_eq!((read.kind, read.envelope.as_str()), (kind, id.as_str()), "{by}");
                alice.discard(&entry.address).await.unwrap();
            }
            // The same report has an effect once.
            assert_eq!(alice.fetch().await.unwrap().entries, [], "{by} {name} {count}");
        }
    }
}

/// Plays our receipt for an envelope of the peer, which the stack hands to its application if it
/// reads arrays of types.
async fn we_report(peer: &Peer, abilities: &Abilities, here: &LocalServer, alice: &Device<HttpTransport>) {
    let id = foreign_id(peer);
    let sent = envelope(peer, &alice.actor(), &[alice.address()], &id);
    let (status, answer) = peer.deliver(abilities.signs[0], &here.origin.inbox(alice.user()), &sent).await;
    assert_eq!(status, 202, "{answer:#}");
    alice.acknowledge(&[entry(alice).await.address]).await.unwrap();
    let receipt = eventually("a receipt at the peer", async || {
        let log = peer.log().await;
        log.into_iter().find(|entry| {
            let activity = &entry["heard"]["activity"];
            has_type(activity, "Delivered") || !entry["refusal"].is_null() && entry["scheme"] == "cavage"
        })
    });
    let receipt = receipt.await;
    assert_eq!(receipt["scheme"], abilities.verifies);
    if !abilities.types {
        assert_eq!(receipt["status"], 500, "{receipt:#}");
        return;
    }
    assert_eq!(receipt["refusal"], Value::Null, "{receipt:#}");
    let activity = &receipt["heard"]["activity"];
    assert_eq!((&activity["actor"], &activity["object"]), (&alice.actor().into(), &id.into()));
}

/// Plays our envelopes to the peer: one, its duplicate, one that misses a device, and one that is
/// rejected.
async fn we_write(peer: &Peer, abilities: &Abilities, alice: &Device<HttpTransport>) {
    let create = |id: &str| create((&alice.actor(), &alice.address()), &peer.actor(), &[peer.device()], id);
    let id = envelope_id(&alice.actor());
    for _ in 0..2 {
        let (status, answer) = send(alice, &create(&id)).await;
        let log = peer.log().await;
        assert_eq!(status, 201, "{answer:#} {log:#?}");
        let last = log.last().unwrap();
        assert_eq!(last["scheme"], abilities.verifies);
        assert_eq!(last["refusal"], Value::Null);
    }
    let heard = |entry: &Value| entry["heard"]["activity"]["object"]["id"] == id.as_str();
    let log = peer.log().await;
    let heard = log.iter().find(|entry| heard(entry)).unwrap_or_else(|| panic!("{log:#?}"));
    let message = &heard["heard"]["activity"]["object"]["messages"][0];
    assert_eq!(message["to"], peer.device());
    if abilities.objects {
        assert_eq!(heard["heard"]["object"], id, "{heard:#}");
    }

    for (kind, status) in [("PartialDelivery", 207), ("Reject", 409)] {
        let id = envelope_id(&alice.actor());
        let due = report(peer, kind, alice, &id);
        peer.answer(&json!({ "status": status, "body": due })).await;
        let (got, answer) = send(alice, &create(&id)).await;
        assert_eq!(got, status, "{answer:#} {:#?}", peer.log().await);
        assert!(has_type(&answer, kind), "{answer:#}");
        assert_eq!(answer["object"], id);
        assert_eq!(answer["missingKeyPackages"], due["missingKeyPackages"]);
    }
    peer.answer(&Value::Null).await;
}

/// Plays our take of a key package of the peer's user.
async fn we_take(peer: &Peer, abilities: &Abilities, alice: &Device<HttpTransport>) {
    let package = format!("{}/keyPackage/11111111-1111-4111-8111-111111111111", peer.actor());
    let object = match abilities.take {
        TakeBy::Handle => format!("@actor@{}", peer.origin.trim_start_matches("http://")).into(),
        TakeBy::Packages => json!([package]),
        TakeBy::No => return,
    };
    // The base point of the curve is a key; signatures are for the taking device to verify.
    let public_key = STANDARD.encode([&[5, 9][..], &[0; 31]].concat());
    let signature = STANDARD.encode([7; 64]);
    let item = json!({
        "type": ["Object", "KeyPackage"],
        "id": package,
        "device": format!("{}/device/11111111-1111-4111-8111-111111111111", peer.actor()),
        "identityKey": public_key,
        "registrationId": 1,
        "signedPreKeyId": 1,
        "signedPreKey": public_key,
        "signedPreKeySignature": signature,
        "kyberPreKeyId": 2,
        "kyberPreKey": STANDARD.encode([&[8][..], &[0; 1568]].concat()),
        "kyberPreKeySignature": signature,
    });
    let id = format!("{}/keyPackages", peer.actor());
    let collection = json!({ "type": "Collection", "id": id, "totalItems": 1, "items": [item] });
    peer.answer(&json!({ "status": 200, "body": collection })).await;
    let take = json!({
        "@context": context(),
        "type": "Take",
        "actor": alice.actor(),
        "object": object,
    });
    let (status, answer) = send(alice, &take).await;
    let log = peer.log().await;
    assert_eq!(status, 200, "{answer:#} {log:#?}");
    assert_eq!(answer["items"][0]["identityKey"], item["identityKey"], "{answer:#}");
    assert!(has_type(&log.last().unwrap()["heard"]["activity"], "Take"), "{log:#?}");
    peer.answer(&Value::Null).await;
}

/// True if the `type` of a document is or contains `name`.
fn has_type(document: &Value, name: &str) -> bool {
    document["type"] == name
        || document["type"].as_array().is_some_and(|types| types.iter().any(|t| t == name))
}
