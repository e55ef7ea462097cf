//! Both engines through the real SDK clients.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

mod dynamodb;
mod files;
mod limits;
mod sqs;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_credential_types::Credentials;
use eko_engines::{Clock, Engines};

/// A clock that a test moves.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn clock(&self) -> Clock {
        let hands = self.clone();
        self.0.store(1_800_000_000_000, Ordering::SeqCst);
        Arc::new(move || hands.0.load(Ordering::SeqCst))
    }

    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

fn table(engines: &Engines) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::from_static("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(engines.http_client())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

fn queues(engines: &Engines) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::from_static("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(engines.http_client())
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}
