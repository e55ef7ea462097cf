//! Signatures by libsignal, of either sign bit: the server accepts them, and refuses them with one
//! bit flipped.

use eko_client::{Body, Exchange, HttpTransport};
use http::Method;
use serde_json::{Value, json};

use crate::device::{OfficialDevice, registration};
use crate::local_server::LocalServer;
use crate::official::{Library, OfficialProcess};

/// The bits that are flipped, of a signature's 512: one of `R`, two of `s`, the last of which is
/// the sign.
const BITS: [u16; 3] = [3, 300, 511];

/// Returns the command with a bit of the signature `what` to be flipped.
fn spoilt(command: &Value, what: &str, bit: u16) -> Value {
    let mut command = command.clone();
    command["spoil"] = json!({ "what": what, "bit": bit });
    command
}

/// Asserts that a refusal is a 422 whose pointer begins with this one.
fn assert_invalid((status, body): &(u64, Value), pointer: &str) {
    assert_eq!(*status, 422, "{body:#}");
    assert!(body["pointer"].as_str().unwrap().starts_with(pointer), "{pointer}: {body:#}");
}

/// Returns the status of a GET of a public document.
async fn status(url: &str) -> u16 {
    let http = HttpTransport::new().unwrap();
    Exchange::send(&http, Method::GET, url, Body::Empty, None).await.unwrap().status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_stored_whole_or_not_at_all() {
    let here = LocalServer::start().await;
    for sign in [0, 1] {
        let user = format!("alice_{sign}");
        let actor = format!("{}/user/{user}", here.origin);
        let mut official = OfficialProcess::start(Library::Current).await;
        let mut command = registration(Library::Current, &here, &user, true);
        command["sign"] = json!(sign);
        for (what, pointer) in [
            ("possession", "/possession"),
            ("proof", "/node/proof"),
            ("signedPreKey", "/signedPreKey"),
            ("lastResortKyberPreKey", "/lastResortKyberPreKey"),
            ("kyberPreKey", "/kyberPreKeys/0"),
        ] {
            for bit in BITS {
                assert_invalid(&official.refused(&spoilt(&command, what, bit)).await, pointer);
            }
        }
        assert_eq!(status(&actor).await, 404);
        // The refused registrations used up neither the name nor the device id.
        let registered = official.command(&command).await;
        assert_eq!((&registered["status"], &registered["actor"]), (&json!("active"), &json!(actor)));
        assert_eq!(registered["deviceSet"]["length"], 1);
        let counts = official.command(&json!({ "do": "fetch" })).await;
        assert_eq!((&counts["preKeys"], &counts["kyberPreKeys"]), (&json!(10), &json!(10)));
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_published_all_or_none() {
    let here = LocalServer::start().await;
    let mut alice = OfficialDevice::first(Library::Current, &here, "alice").await;
    let packages = json!({ "do": "packages", "of": alice.actor });
    let before = alice.command(packages.clone()).await;
    let keys = json!({ "signedPreKey": true, "lastResort": true, "preKeys": 3, "kyberPreKeys": 3 });
    let command = json!({ "do": "publish", "keys": keys });
    for (what, pointer) in [
        ("signedPreKey", "/object/signedPreKey"),
        ("lastResortKyberPreKey", "/object/lastResortKyberPreKey"),
        ("kyberPreKey", "/object/kyberPreKeys/0"),
    ] {
        for bit in BITS {
            assert_invalid(&alice.refused(spoilt(&command, what, bit)).await, pointer);
        }
    }
    assert_eq!(alice.command(packages.clone()).await, before);
    let counts = alice.command(command).await;
    assert_eq!(counts, json!({ "preKeys": 13, "kyberPreKeys": 13 }));
    let (before, after) = (&before["items"][0], alice.command(packages).await["items"][0].take());
    assert_eq!(after["identityKey"], before["identityKey"]);
    assert_ne!(after["signedPreKey"], before["signedPreKey"]);
    assert_ne!(after["kyberPreKey"], before["kyberPreKey"]);
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_approved_by_a_good_proof() {
    let here = LocalServer::start().await;
    let mut phone = OfficialDevice::first(Library::Current, &here, "alice").await;
    let mut tablet = OfficialProcess::start(Library::Current).await;
    let command = registration(Library::Current, &here, "alice", false);
    for bit in BITS {
        assert_invalid(&tablet.refused(&spoilt(&command, "possession", bit)).await, "/possession");
    }
    let pending = json!({ "do": "pending" });
    assert_eq!(phone.command(pending.clone()).await["items"], json!([]));

    let registered = tablet.command(&command).await;
    let approve = json!({ "do": "approve", "code": registered["joiningCode"] });
    for bit in BITS {
        assert_invalid(&phone.refused(spoilt(&approve, "proof", bit)).await, "/proof");
    }
    assert_eq!(phone.command(pending).await["items"][0]["id"], registered["device"]);
    assert_eq!(phone.command(approve).await["length"], 2);
    here.end().await;
}
