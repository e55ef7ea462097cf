//! Parcels that wait for longer than SQS can hide a message.

use eko_messaging::QueueMessage;
use eko_protocol::address::UserName;
use eko_store::outstanding::Outstanding;
use eko_store::parcels::{Parcel, ParcelBody};

use crate::server::TestServer;

const HOUR_MS: i64 = 3_600_000;

/// Queues a parcel that must not be tried for some hours, and expires after others.
async fn queue(server: &TestServer, not_before_hours: i64, expires_hours: Option<i64>) {
    queue_with(server, not_before_hours, expires_hours, |_| ()).await;
}

/// Queues such a parcel, which `change` changes.
async fn queue_with(
    server: &TestServer,
    not_before_hours: i64,
    expires_hours: Option<i64>,
    change: impl FnOnce(&mut Parcel),
) {
    let now_ms = server.messaging.now_ms();
    let mut parcel = Parcel {
        to: "https://b.example/user/bob".to_owned(),
        author: UserName::parse("alice").unwrap(),
        first_ms: now_ms,
        not_before_ms: Some(now_ms + not_before_hours * HOUR_MS),
        expires_ms: expires_hours.map(|hours| now_ms + hours * HOUR_MS),
        outcome_to: None,
        listed_as: None,
        is_deletion: false,
        by_server: false,
        body: ParcelBody::Text("{}".to_owned()),
    };
    change(&mut parcel);
    server.messaging.store().queue_parcels(vec![parcel], now_ms, String::new).await.unwrap();
}

/// SQS hides a message for 12 hours after its receive. A function that takes its time must not ask
/// for more: SQS would refuse, and the message would come back by the queue's own timeout.
#[tokio::test]
async fn a_parcel_is_hidden_for_less_than_is_left_of_twelve_hours() {
    let server = TestServer::new().await;
    queue(&server, 30, None).await;
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

/// A parcel that must not be tried before its end is tried at its end.
#[tokio::test]
async fn a_parcel_waits_no_longer_than_its_time() {
    for (not_before, expires, ends) in [(30, Some(2), 2), (100, None, 48)] {
        let server = TestServer::new().await;
        queue(&server, not_before, expires).await;
        let mut hours = 0;
        loop {
            let batch = server.receive_parcels().await;
            let left = server.messaging.try_parcels(None, batch.clone()).await;
            if !batch.is_empty() && left.is_empty() {
                break;
            }
            server.advance(HOUR_MS);
            hours += 1;
            assert!(hours <= ends + 1, "{not_before} {expires:?}: it waits for {hours} hours");
        }
        assert!(hours >= ends, "{not_before} {expires:?}: it is tried after {hours} hours");
    }
}

/// A flag or a deletion outlives its author, and is no receipt: it waits however many of those do, and in no
/// list that names the author.
#[tokio::test]
async fn only_receipts_are_dropped_for_want_of_room() {
    let limits = eko_messaging::Limits { server_receipts: 0, ..eko_messaging::Limits::default() };
    for (is_deletion, by_server) in [(false, false), (true, false), (false, true)] {
        let server = TestServer::with(limits.clone()).await;
        let change = |parcel: &mut Parcel| (parcel.is_deletion, parcel.by_server) = (is_deletion, by_server);
        queue_with(&server, 3, None, change).await;
        server.advance(HOUR_MS);
        let waiting = server.messaging.try_parcels(None, server.receive_parcels().await).await;
        assert_eq!(waiting.len(), usize::from(is_deletion || by_server), "{is_deletion} {by_server}");
        let author = UserName::parse("alice").unwrap();
        let store = server.messaging.store();
        let listed = store.outstanding(Outstanding::ReceiptsOf(&author)).await.unwrap();
        assert_eq!(listed.len(), 0, "{is_deletion} {by_server}");
    }
}
