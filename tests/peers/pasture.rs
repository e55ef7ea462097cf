//! Exchanges with fediverse-pasture's one-actor server, which fediverse software is tested against.

use eko_client::device::EntryContent;
use eko_protocol::activity::ReportKind;
use serde_json::{Value, json};

use crate::create;
use crate::local_server::{LocalServer, entry, envelope_id, eventually, message, send};
use crate::peer::Peer;

/// Returns method, scheme and status of each request that the server got.
async fn log(pasture: &Peer) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or("unsigned").to_owned();
    let read =
        |entry: Value| (text(&entry["method"]), text(&entry["scheme"]), entry["status"].as_u64().unwrap());
    pasture.log().await.into_iter().map(read).collect()
}

/// The server fails on RFC 9421, shows its actor only to requests signed by draft-cavage, and signs
/// the request for our key itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pasture_takes_what_we_send_and_we_what_it_sends() {
    let (here, pasture) = (LocalServer::start().await, Peer::start("pasture.py", &[]).await);
    let (alice, bob) = (here.user("alice").await, here.user("bob").await);
    let line = |method: &str, scheme: &str, status| (method.to_owned(), scheme.to_owned(), status);

    // By the second time, its scheme and its actor are known.
    let first = [
        line("GET", "rfc9421", 500),
        line("GET", "cavage", 200),
        line("POST", "rfc9421", 500),
        line("POST", "cavage", 202),
    ];
    let (mut seen, mut sent) = (0, String::new());
    for due in [&first[..], &[line("POST", "cavage", 202)]] {
        let id = envelope_id(&alice.actor());
        let activity = create((&alice.actor(), &alice.address()), &pasture.actor(), &[pasture.device()], &id);
        let (status, answer) = send(&alice, &activity).await;
        let log = log(&pasture).await;
        assert_eq!(status, 201, "{answer:#} {log:#?}");
        assert_eq!(log.get(seen..).unwrap(), due);
        assert_eq!(pasture.log().await.last().unwrap()["activity"]["object"]["id"], id);
        (seen, sent) = (log.len(), id);
    }

    // Its own sender can only send notes: they have no effect here, and are accepted.
    assert_eq!(pasture.send(&json!({ "to": bob.actor(), "note": "hello" })).await, (202, Value::Null));
    // Envelopes are sent by bovine, the library that the sender is made of.
    let deliver = async |activity: &Value, inbox: String| {
        pasture.send(&json!({ "inbox": inbox, "activity": activity })).await
    };
    for inbox in [here.origin.inbox(bob.user()), here.origin.shared_inbox()] {
        let id = envelope_id(&pasture.actor());
        let activity = create((&pasture.actor(), &pasture.device()), &bob.actor(), &[bob.address()], &id);
        assert_eq!(deliver(&activity, inbox).await, (202, Value::Null));
        assert_eq!(message(&bob).await, (id, format!("sealed for {}", bob.address()).into_bytes()));
    }

    // Each side sends the other a receipt.
    let report = json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "type": "Delivered",
        "actor": pasture.actor(),
        "to": alice.actor(),
        "object": sent,
    });
    assert_eq!(deliver(&report, here.origin.inbox(alice.user())).await, (202, Value::Null));
    let report = entry(&alice).await;
    let EntryContent::Report(read) = &report.content else { panic!("no report: {}", report.activity) };
    assert_eq!((read.kind, read.envelope.as_str()), (ReportKind::Delivered, sent.as_str()));
    let id = envelope_id(&pasture.actor());
    let activity = create((&pasture.actor(), &pasture.device()), &bob.actor(), &[bob.address()], &id);
    assert_eq!(deliver(&activity, here.origin.shared_inbox()).await, (202, Value::Null));
    bob.acknowledge(&[entry(&bob).await.address]).await.unwrap();
    eventually("a receipt at pasture", async || {
        let delivered = |entry: &Value| entry["activity"]["type"][1] == "Delivered" && entry["status"] == 202;
        pasture.log().await.iter().find(|entry| delivered(entry)).map(|entry| {
            assert_eq!((&entry["activity"]["object"], &entry["scheme"]), (&json!(id), &json!("cavage")));
        })
    })
    .await;
    here.end().await;
}
