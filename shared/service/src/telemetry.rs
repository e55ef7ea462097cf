//! Logs: JSON lines in Lambda, text for people locally. No message content, no token, no key is ever logged.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// JSON lines on standard output, as Lambda's log format JSON expects them. What is logged is said by `LOG_LEVEL`
/// (default `info`), a level or `target=level` pairs with commas between.
pub fn start_in_lambda() {
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
    tracing_subscriber::registry().with(lines).with(targets("LOG_LEVEL", LevelFilter::INFO)).init();
}

/// Text on standard error; `RUST_LOG` (default `warn`) says what, likewise.
pub fn start_locally() {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(targets("RUST_LOG", LevelFilter::WARN)).init();
}

/// What a variable says is logged.
fn targets(variable: &str, default: LevelFilter) -> Targets {
    let said = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    said.unwrap_or_else(|| Targets::new().with_default(default))
}
