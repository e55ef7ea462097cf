//! The client against servers of this process, over a network of this process: nothing leaves loopback.

mod addresses;
mod answers;
mod exchanges;
pub(super) mod fake;
mod local_mode;
mod redirects;
mod tls;

use std::time::Duration;

use super::{Client, FetchError, Fetched, Limits, MediaTypes};

/// A public address to put servers at; what really listens there is on loopback.
const PUBLIC: &str = "93.184.215.14";
/// Another one.
const PUBLIC_TOO: &str = "2606:4700:4700::1111";

const ACTIVITY_JSON: &str = "application/activity+json";

/// Far more time than any test takes.
const PATIENT: Limits = Limits { time: Duration::from_secs(60), body_bytes: 1000 };
/// For servers that would never end: however late the clock strikes, the outcome is the same.
const IMPATIENT: Limits = Limits { time: Duration::from_millis(500), body_bytes: 1000 };

async fn get(client: &Client, url: &str) -> Result<Fetched, FetchError> {
    get_within(client, url, &PATIENT).await
}

async fn get_within(client: &Client, url: &str, limits: &Limits) -> Result<Fetched, FetchError> {
    client.get_json(url, MediaTypes::ACTIVITY, |_| Vec::new(), limits).await
}

/// The body of a document that must be there.
fn body(fetched: Result<Fetched, FetchError>) -> String {
    match fetched {
        Ok(Fetched::Document(document)) => String::from_utf8(document.body.to_vec()).unwrap(),
        other => panic!("no document: {other:?}"),
    }
}

/// The text of an error that must be.
fn error(fetched: Result<Fetched, FetchError>) -> String {
    fetched.unwrap_err().to_string()
}
