//! Logs: JSON lines in Lambda, text for people locally. No message content, no token, no key is ever logged.

use tracing_subscriber::EnvFilter;

/// JSON lines on standard output, level from `LOG_LEVEL` (default `info`), as Lambda's log format JSON
/// expects them.
pub fn start_in_lambda() {
    let filter = EnvFilter::try_from_env("LOG_LEVEL").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).without_time().init();
}

/// Text on standard error, level from `RUST_LOG` (default `warn`).
pub fn start_locally() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
}
