//! Acknowledgement: the first device sends the receipt, and no device gets an entry back.

use eko_messaging::QueueMessage;
use eko_messaging::send::SendOutcome;
use eko_store::parcels::{OutcomeAddress, Parcel, ParcelBody};
use eko_store::resources::FEDERATION;
use serde_json::{Value, json};

use crate::server::{ORIGIN, TestServer, TestUser, device, envelope};

#[tokio::test]
async fn the_first_device_to_acknowledge_sends_the_one_receipt() {
    let server = TestServer::new().await;
    let (alice, bob) = (server.user("alice", &[1]).await, server.user("bob", &[1, 2]).await);
    let create = envelope(&format!("{ORIGIN}/user/alice"), &bob, &[1, 2], 1);
    let sent = server.messaging.send_local(alice.at(&device(1)), &create, &bob.name, None).await.unwrap();
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    server.deliver().await;
    server.acknowledge(&bob, 2).await;
    server.acknowledge(&bob, 1).await;
    server.deliver().await;
    let reports = server.reports(&alice, 1).await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0]["type"], json!(["Activity", "Delivered"]));
    assert_eq!(reports[0]["object"], create.header.id.as_str());
}

#[tokio::test]
async fn a_replayed_envelope_comes_back_to_no_device_that_acknowledged_it() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1, 2]).await;
    let create = envelope("https://b.example/user/alice", &bob, &[1, 2], 1);
    server.messaging.accept_remote(&create, &bob.name).await.unwrap();
    server.deliver().await;
    server.acknowledge(&bob, 1).await;
    server.messaging.accept_remote(&create, &bob.name).await.unwrap();
    server.deliver().await;
    assert_eq!(server.ciphertexts(&bob, 1).await.len(), 0);
    assert_eq!(server.ciphertexts(&bob, 2).await.len(), 1);
}

#[tokio::test]
async fn a_server_without_federation_sends_no_receipt_to_another() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1]).await;
    let create = envelope("https://b.example/user/alice", &bob, &[1], 1);
    server.messaging.accept_remote(&create, &bob.name).await.unwrap();
    server.deliver().await;
    server.acknowledge(&bob, 1).await;
    assert_eq!(server.parcels().await, Vec::<String>::new());
    assert_eq!(server.ciphertexts(&bob, 1).await.len(), 0);
}

/// Returns a queue message with an envelope of `author`'s second device that waits for another
/// server until `not_before_ms`.
fn waiting_parcel(
    author: &TestUser,
    not_before_ms: Option<i64>,
    first_ms: i64,
    receives: u32,
) -> QueueMessage {
    let create = envelope(&format!("{ORIGIN}/user/alice"), author, &[2], 1);
    let parcel = Parcel {
        to: "https://b.example/user/bob".to_owned(),
        author: author.name.clone(),
        first_ms,
        not_before_ms,
        expires_ms: None,
        outcome_to: Some(OutcomeAddress { device: device(2), envelope: create.header.id }),
        listed_as: None,
        is_deletion: false,
        by_server: false,
        body: ParcelBody::Text("{}".to_owned()),
    };
    let body = serde_json::to_string(&parcel).unwrap();
    QueueMessage { id: "1".to_owned(), body, receipt_handle: String::new(), receives }
}

/// A parcel is given up before the queue moves it to the dead-letter queue, and the sending device is
/// told.
#[tokio::test]
async fn a_parcel_that_was_received_too_often_is_given_up() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let now_ms = server.messaging.now_ms();
    let receive = async |receives| {
        let message = waiting_parcel(&alice, Some(now_ms + 60_000), now_ms, receives);
        let left = server.messaging.try_parcels(None, vec![message]).await;
        server.deliver().await;
        (left.len(), server.reports(&alice, 2).await.len())
    };
    assert_eq!(receive(FEDERATION.max_receives - 21).await, (1, 0));
    assert_eq!(receive(FEDERATION.max_receives - 20).await, (0, 1));
}

/// A parcel that no server will take is given up, and the sending device is told.
#[tokio::test]
async fn a_server_that_stopped_federating_returns_its_parcels() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let message = waiting_parcel(&alice, None, server.messaging.now_ms(), 1);
    assert_eq!(server.messaging.try_parcels(None, vec![message]).await, Vec::<String>::new());
    server.deliver().await;
    assert_eq!(server.reports(&alice, 1).await, Vec::<Value>::new());
    let reports = server.reports(&alice, 2).await;
    let sent = envelope(&format!("{ORIGIN}/user/alice"), &alice, &[2], 1).header.id;
    assert_eq!((&reports[0]["type"], &reports[0]["object"]), (&"Reject".into(), &sent.as_str().into()));
}
