//! Tests of [`GuardedClient`] with servers in this process. No packet leaves this machine.

mod addresses;
mod answers;
mod exchanges;
pub(super) mod fake;
mod local_mode;
mod redirects;
mod tls;

use std::time::Duration;

use proptest::prelude::*;

use super::{ExchangeLimits, FetchError, FetchOutcome, GuardedClient, MediaTypes, UrlPolicy, uri};

/// A public address for test servers. The fake network routes it to a listener on loopback.
const PUBLIC: &str = "93.184.215.14";
/// A second public address for test servers.
const PUBLIC_TOO: &str = "2606:4700:4700::1111";

const ACTIVITY_JSON: &str = "application/activity+json";

/// Limits with far more time than any test takes.
const PATIENT: ExchangeLimits = ExchangeLimits { time: Duration::from_secs(60), body_bytes: 1000 };
/// Limits for servers that never finish. A slow machine does not change the outcome.
const IMPATIENT: ExchangeLimits = ExchangeLimits { time: Duration::from_millis(500), body_bytes: 1000 };

async fn get(client: &GuardedClient, url: &str) -> Result<FetchOutcome, FetchError> {
    get_within(client, url, &PATIENT).await
}

async fn get_within(
    client: &GuardedClient,
    url: &str,
    limits: &ExchangeLimits,
) -> Result<FetchOutcome, FetchError> {
    client.get_json(url, MediaTypes::ACTIVITY, |_| Ok(Vec::new()), limits).await
}

/// Returns the body of a fetched document.
fn body(fetched: Result<FetchOutcome, FetchError>) -> String {
    match fetched {
        Ok(FetchOutcome::Document(document)) => String::from_utf8(document.body.to_vec()).unwrap(),
        other => panic!("no document: {other:?}"),
    }
}

/// Returns the text of the error of a failed fetch.
fn error(fetched: Result<FetchOutcome, FetchError>) -> String {
    fetched.unwrap_err().to_string()
}

proptest! {
    /// The policy checks a URL with one parser, and hyper requests it with another. Both must
    /// agree.
    #[test]
    fn both_url_parsers_see_the_same(
        text in r"https?:[/\\]{1,3}[a-zA-Z0-9.@:\[\]%_!$&'()*+,;=~-]{0,16}(\.example|localhost)(:[0-9]{1,5})?[/?#\\][ -~]{0,20}",
    ) {
        let policy = UrlPolicy { danger_allow_loopback_http: true };
        if let Ok(url) = policy.read(&text)
            && let Ok(uri) = uri(&url)
        {
            prop_assert_eq!(uri.scheme_str(), Some(url.scheme()));
            prop_assert_eq!(uri.host(), url.host_str());
            prop_assert_eq!(uri.port_u16(), url.port());
            prop_assert_eq!(uri.path(), url.path());
            prop_assert_eq!(uri.query(), url.query());
        }
    }
}
