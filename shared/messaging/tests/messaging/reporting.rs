//! A report of another server counts if the envelope was sent there, and has its effect once.

use std::collections::BTreeMap;

use eko_protocol::activity::Report;
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;
use eko_store::sent::SentEnvelopeName;
use serde_json::{Value, json};

use crate::server::{ORIGIN, TestServer, TestUser, device, envelope};

const BOB: &str = "https://b.example/user/bob";

fn actor(id: &str) -> RemoteActor {
    RemoteActor { id: id.to_owned(), inbox: format!("{id}/inbox"), key_packages: None, keys: BTreeMap::new() }
}

/// Records that Alice's device 2 sent an envelope to the server of Bob, and returns the report that
/// Bob has it.
async fn sent(server: &TestServer, alice: &TestUser) -> Report {
    let author = format!("{ORIGIN}/user/alice");
    let create = envelope(&author, alice, &[1], 1);
    let origin = Origin::of(BOB).unwrap();
    let name = SentEnvelopeName { author: &alice.name, recipient_origin: &origin, id: &create.header.id };
    let now_ms = server.messaging.now_ms();
    let keep = server.messaging.keep_until(now_ms);
    server.messaging.store().record_sent(name, &device(2), now_ms, keep).await.unwrap();
    Report::confirm(BOB, &author, &create.header.id)
}

#[tokio::test]
async fn the_sending_device_gets_a_confirmation_once() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let report = sent(&server, &alice).await;
    for _ in 0..2 {
        server.messaging.pass_on_report(&actor(BOB), alice.name.clone(), &report).await.unwrap();
        server.advance(1_000);
    }
    server.deliver().await;
    assert_eq!(server.reports(&alice, 1).await, Vec::<Value>::new());
    let reports = server.reports(&alice, 2).await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0]["type"], json!(["Accept", "Confirm"]));
}

#[tokio::test]
async fn a_report_of_a_third_server_has_no_effect() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let report = sent(&server, &alice).await;
    let stranger = actor("https://c.example/user/eve");
    server.messaging.pass_on_report(&stranger, alice.name.clone(), &report).await.unwrap();
    assert_eq!(server.waiting().await, 0);
}
