//! The periodic removal of expired items and messages, which DynamoDB and SQS do by themselves in
//! AWS.

use std::time::Duration;

use eko_engines::Engines;

/// The time between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Removes expired items and messages periodically, until the task is aborted.
pub(crate) async fn run(engines: Engines) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        let engines = engines.clone();
        match tokio::task::spawn_blocking(move || engines.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::debug!(removed, "expired items removed"),
            Ok(Err(error)) => tracing::error!(%error, "the sweep failed"),
            Err(error) => tracing::error!(%error, "the sweep ended"),
        }
    }
}
