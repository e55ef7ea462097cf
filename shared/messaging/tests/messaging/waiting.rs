//! Parcels that wait for longer than SQS can hide a message.

use eko_messaging::QueueMessage;
use eko_store::parcels::{Parcel, ParcelBody};

use crate::server::TestServer;

const HOUR_MS: i64 = 3_600_000;

/// SQS hides a message for 12 hours after its receive. A function that takes its time must not ask
/// for more: SQS would refuse, and the message would come back by the queue's own timeout.
#[tokio::test]
async fn a_parcel_is_hidden_for_less_than_is_left_of_twelve_hours() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1]).await;
    let now_ms = server.messaging.now_ms();
    let parcel = Parcel {
        to: "https://b.example/user/bob".to_owned(),
        author: alice.name.clone(),
        first_ms: now_ms,
        not_before_ms: Some(now_ms + 30 * HOUR_MS),
        expires_ms: None,
        outcome_to: None,
        listed_as: None,
        body: ParcelBody::Text("{}".to_owned()),
    };
    server.messaging.store().queue_parcels(vec![parcel], now_ms, String::new).await.unwrap();
    server.advance(HOUR_MS);
    let batch: Vec<QueueMessage> = server.receive_parcels().await;
    assert_eq!(batch.len(), 1);
    // The attempts at other parcels of the batch take their time.
    server.advance(60_000);
    assert_eq!(server.messaging.try_parcels(None, batch.clone()).await, [batch[0].id.clone()]);
    server.advance(11 * HOUR_MS);
    assert_eq!(server.receive_parcels().await, [], "it came back before its time");
    server.advance(HOUR_MS);
    assert_eq!(server.receive_parcels().await.len(), 1);
}
