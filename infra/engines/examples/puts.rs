//! Measures the engines through the clients of the SDK:
//! `cargo run --release -p eko-engines --example puts`.
//!
//! Prints the calls per second of 16 tasks, for each runtime and store:
//!
//! * `PutItem` of 512 bytes by a client with the default settings,
//! * by a client without signatures, retries and time-outs ("lean"),
//! * without a client: the engine and its JSON only,
//! * `SendMessageBatch` of one entry of 512 bytes.
//!
//! Each measurement has a fresh store.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use eko_engines::Engines;

type BoxedError = Box<dyn Error + Send + Sync>;

/// The number of tasks that call at once.
const TASKS: u64 = 16;

/// The length of one measurement.
const TIME: Duration = Duration::from_secs(2);

fn main() -> Result<(), BoxedError> {
    println!("threads  store   PutItem  lean client  no client  SendMessageBatch   (calls a second)");
    for threads in [1, 2] {
        let mut builder = match threads {
            1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.enable_all().build()?;
        for store in ["memory", "file"] {
            let fresh = || match store {
                "memory" => Ok((Engines::in_memory()?, None)),
                _ => tempfile::tempdir()
                    .map_err(BoxedError::from)
                    .and_then(|dir| Ok((Engines::open(dir.path())?, Some(dir)))),
            };
            let put = |lean| runtime.block_on(async { puts(&fresh()?.0, lean).await });
            let rates = [
                put(false)?,
                put(true)?,
                runtime.block_on(async { raw_puts(fresh()?.0).await })?,
                runtime.block_on(async { sends(&fresh()?.0).await })?,
            ];
            let [plain, lean, raw, sends] = rates;
            println!("{threads:7}  {store:6} {plain:8.0} {lean:12.0} {raw:10.0} {sends:17.0}");
        }
    }
    Ok(())
}

/// Makes a client of DynamoDB. A lean one neither signs, nor retries, nor has time-outs.
fn table(engines: &Engines, lean: bool) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("local"))
        .http_client(engines.http_client());
    let config = match lean {
        false => config.credentials_provider(Credentials::new("local", "local", None, None, "local")),
        true => config
            .allow_no_auth()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled()),
    };
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// Measures `PutItem` by a client.
async fn puts(engines: &Engines, lean: bool) -> Result<f64, BoxedError> {
    let client = table(engines, lean);
    create(&client).await?;
    rate(move |n| {
        let put = client
            .put_item()
            .table_name("eko")
            .item("pk", AttributeValue::S(format!("D#{}", n % 100)))
            .item("sk", AttributeValue::S(format!("M#{n:020}")))
            .item("b", AttributeValue::B(vec![7; 512].into()));
        async move { put.send().await.map(drop).map_err(BoxedError::from) }
    })
    .await
}

/// Measures `PutItem` without a client.
async fn raw_puts(engines: Engines) -> Result<f64, BoxedError> {
    create(&table(&engines, true)).await?;
    let bytes = "BwcH".repeat(171);
    rate(move |n| {
        let engines = engines.clone();
        let (pk, sk) = (n % 100, format!("M#{n:020}"));
        let body = format!(
            r#"{{"TableName":"eko","Item":{{"pk":{{"S":"D#{pk}"}},"sk":{{"S":"{sk}"}},"b":{{"B":"{bytes}"}}}}}}"#
        );
        async move {
            let answer = engines.call("DynamoDB_20120810.PutItem", body.as_bytes()).await;
            // Lets the other tasks run, as a call over a network would.
            tokio::task::yield_now().await;
            if answer.status == 200 { Ok(()) } else { Err(String::from_utf8_lossy(&answer.body).into()) }
        }
    })
    .await
}

/// Measures `SendMessageBatch`.
async fn sends(engines: &Engines) -> Result<f64, BoxedError> {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(engines.http_client());
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    let url = client.create_queue().queue_name("q").send().await?.queue_url.unwrap_or_default();
    rate(move |n| {
        let entry = SendMessageBatchRequestEntry::builder().id("0").message_body(format!("{n:512}"));
        let batch = client.send_message_batch().queue_url(&url);
        async move { batch.entries(entry.build()?).send().await.map(drop).map_err(BoxedError::from) }
    })
    .await
}

/// Returns the calls per second of all tasks together.
async fn rate<F>(call: impl Fn(u64) -> F + Clone + Send + Sync + 'static) -> Result<f64, BoxedError>
where
    F: Future<Output = Result<(), BoxedError>> + Send,
{
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (call, done) = (call.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while start.elapsed() < TIME {
                    call(done.fetch_add(1, Ordering::Relaxed)).await?;
                }
                Ok::<_, BoxedError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
}

/// Creates the table.
async fn create(client: &aws_sdk_dynamodb::Client) -> Result<(), BoxedError> {
    let mut table = client.create_table().table_name("eko").billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let text = ScalarAttributeType::S;
        table = table
            .key_schema(KeySchemaElement::builder().attribute_name(name).key_type(kind).build()?)
            .attribute_definitions(
                AttributeDefinition::builder().attribute_name(name).attribute_type(text).build()?,
            );
    }
    table.send().await?;
    Ok(())
}
