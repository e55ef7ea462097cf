//! Connections of a WebSocket API, by the SDK's client.

use std::sync::Arc;

use aws_sdk_apigatewaymanagement::primitives::Blob;
use eko_engines::Engines;
use eko_engines::connections::{MESSAGE_BYTES, WAITING_MESSAGES};

use crate::{ManualClock, credentials};

fn client(engines: &Engines) -> aws_sdk_apigatewaymanagement::Client {
    let config = aws_sdk_apigatewaymanagement::Config::builder()
        .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
        .region(aws_sdk_apigatewaymanagement::config::Region::from_static("local"))
        .retry_config(aws_sdk_apigatewaymanagement::config::retry::RetryConfig::disabled())
        .credentials_provider(credentials())
        .endpoint_url("http://sockets.local/stage")
        .http_client(engines.http_client());
    aws_sdk_apigatewaymanagement::Client::from_conf(config.build())
}

async fn post(engines: &Engines, id: &str, bytes: usize) -> Option<String> {
    let post = client(engines).post_to_connection().connection_id(id).data(Blob::new(vec![b'x'; bytes]));
    let error = post.send().await.err()?.into_service_error();
    error.meta().code().map(str::to_owned)
}

#[tokio::test]
async fn messages_go_to_an_established_connection_until_it_is_deleted() {
    let clock = ManualClock::default();
    let engines = Engines::in_memory_with_clock(clock.engine_clock()).unwrap();
    // Ids have characters that a path encodes.
    let mut connection = engines.connections().open();
    while !connection.id.contains('/') {
        connection = engines.connections().open();
    }
    let id = connection.id.clone();
    assert_eq!(post(&engines, &id, 1).await.as_deref(), Some("GoneException"), "before it is established");
    connection.establish();
    assert_eq!(post(&engines, &id, MESSAGE_BYTES + 1).await.as_deref(), Some("PayloadTooLargeException"));
    clock.forward(5);
    assert_eq!(post(&engines, &id, MESSAGE_BYTES).await, None);
    assert_eq!(connection.receive().await.unwrap().len(), MESSAGE_BYTES);
    let told = client(&engines).get_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(told.last_active_at.unwrap().secs() - told.connected_at.unwrap().secs(), 5);

    for _ in 0..WAITING_MESSAGES {
        assert_eq!(post(&engines, &id, 1).await, None);
    }
    assert_eq!(post(&engines, &id, 1).await.as_deref(), Some("LimitExceededException"));

    client(&engines).delete_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(post(&engines, &id, 1).await.as_deref(), Some("GoneException"));
    // What was posted before is still sent on.
    for _ in 0..WAITING_MESSAGES {
        assert!(connection.receive().await.is_some());
    }
    assert!(connection.receive().await.is_none() && connection.is_deleted());
}

#[tokio::test]
async fn a_connection_ends_with_its_holder() {
    let engines = Engines::in_memory_with_clock(Arc::new(|| 0)).unwrap();
    let connection = engines.connections().open();
    connection.establish();
    let id = connection.id.clone();
    drop(connection);
    assert_eq!(post(&engines, &id, 1).await.as_deref(), Some("GoneException"));
    assert_eq!(engines.connections().count(), 0);
}
