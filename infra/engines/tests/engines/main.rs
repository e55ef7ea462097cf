//! Tests of the engines through the clients of the AWS SDK, and of S3 by presigned requests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod connections;
mod dynamodb;
mod files;
mod limits;
mod s3;
mod sqs;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_credential_types::Credentials;
use eko_engines::{EngineClock, Engines};

/// A clock that a test moves.
#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Returns the clock for the engines, and sets it to a time in 2027.
    fn engine_clock(&self) -> EngineClock {
        let clock = self.clone();
        self.0.store(1_800_000_000_000, Ordering::SeqCst);
        Arc::new(move || clock.0.load(Ordering::SeqCst))
    }

    /// Moves the clock forward.
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

fn credentials() -> Credentials {
    Credentials::new("local", "local", None, None, "local")
}

/// Makes a client of the embedded DynamoDB.
fn table(engines: &Engines) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::from_static("local"))
        .credentials_provider(credentials())
        .http_client(engines.http_client())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// Makes a client of the embedded SQS.
fn queues(engines: &Engines) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::from_static("local"))
        .credentials_provider(credentials())
        .http_client(engines.http_client())
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}
