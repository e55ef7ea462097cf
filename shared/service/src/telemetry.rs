//! The log: JSON lines in Lambda, text on a terminal. No message content, no token and no key is
//! ever logged.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts the log in Lambda: JSON lines on standard output, as Lambda's log format `JSON` expects
/// them.
///
/// `LOG_LEVEL` (default `info`) is a level, or `target=level` pairs with commas between.
pub fn start_in_lambda() {
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
    let levels = levels("LOG_LEVEL").unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    tracing_subscriber::registry().with(lines).with(levels).init();
}

/// Starts the log in local mode: text on standard error. `RUST_LOG` (default `warn`) has the form
/// of `LOG_LEVEL`. The embedded S3 (`s3s`) logs each refusal as an error, so it is off by default.
pub fn start_locally() {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let levels = levels("RUST_LOG").unwrap_or_else(|| {
        Targets::new().with_default(LevelFilter::WARN).with_target("s3s", LevelFilter::OFF)
    });
    tracing_subscriber::registry().with(lines).with(levels).init();
}

/// Returns the levels that a variable sets. A missing or unreadable variable sets none.
fn levels(variable: &str) -> Option<Targets> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}
