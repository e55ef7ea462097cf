//! What DynamoDB and SQS do on their own: what is past its time goes.

use std::time::Duration;

use eko_engines::Engines;

/// How often expired items are removed. They are never returned meanwhile.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Removes what is past its time to live, now and then.
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
