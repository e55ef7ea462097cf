//! The request that a push service takes (RFC 8030), and the meaning of its answer.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use eko_federation::client::{ExchangeLimits, FetchError, GuardRefusal, GuardedClient};
use eko_protocol::push::PushSubscription;
use http::{Request, StatusCode, header};
use url::Url;

use crate::encryption::encrypt;
use crate::{Contact, KeyError, VapidKey};

/// The content of every message. It has no sender, no content and no count: the device fetches its
/// mailbox.
pub const MESSAGE: &[u8] = br#"{"type":"Wake"}"#;

/// The topic of every message. A service keeps one message of a topic for each subscription.
const TOPIC: &str = "eko-wake";

/// The time for which a service is asked to keep a message, in seconds: 28 days. Services
/// refuse or shorten more.
const TTL_SECONDS: u32 = 28 * 24 * 3600;

/// The limits of an exchange with a push service. The body of an answer is never read.
const LIMITS: ExchangeLimits = ExchangeLimits { time: Duration::from_secs(5), body_bytes: 0 };

/// The outcome of a message to a push service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The service took the message.
    Sent,
    /// The subscription is over: the service does not know it (404, 410), or its key is no key.
    Gone,
    /// The service refuses this server's VAPID key or contact (401, 403), or the key is none. Holds
    /// the reason, for the operator.
    Misconfigured(String),
    /// The message may be sent later.
    Later {
        /// The reason, for a person.
        why: String,
        /// The delay that the service asks for (`Retry-After`), in seconds.
        retry_after: Option<u64>,
    },
    /// The service will never take the message. Holds the reason, for a person.
    Refused(String),
}

/// A client of push services, which sends in the name of this server.
pub struct PushService {
    client: GuardedClient,
    contact: Contact,
    key_pem: String,
    /// The VAPID key, parsed with the first push: a function is started more often than it pushes.
    key: OnceLock<Result<VapidKey, KeyError>>,
}

impl fmt::Debug for PushService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushService").field("contact", &self.contact).finish_non_exhaustive()
    }
}

impl PushService {
    /// Creates a client. Makes no call. `key_pem` is the text of the VAPID key; if it is none, every
    /// push is [`PushOutcome::Misconfigured`].
    pub fn new(client: GuardedClient, key_pem: String, contact: Contact) -> Self {
        Self { client, contact, key_pem, key: OnceLock::new() }
    }

    /// Sends [`MESSAGE`] to the browser of a subscription. The service keeps it for 28 days if the
    /// device cannot be reached: the message stands for all that is in the mailbox, and no other one
    /// follows it. One request, which is not redirected.
    pub async fn push(&self, subscription: &PushSubscription, now_ms: i64) -> PushOutcome {
        let Ok(sealed) = encrypt(subscription, MESSAGE) else { return PushOutcome::Gone };
        let request = match self.request(&subscription.endpoint, sealed, now_ms) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        match self.client.send(request, &LIMITS).await {
            Ok(answer) => {
                let head = answer.skip();
                outcome(head.status, retry_after(&head.headers, now_ms))
            }
            Err(error) if error.is_transient() => {
                PushOutcome::Later { why: error.to_string(), retry_after: None }
            }
            Err(error) => PushOutcome::Refused(error.to_string()),
        }
    }

    /// Builds the request.
    fn request(&self, endpoint: &str, sealed: Vec<u8>, now_ms: i64) -> Result<Request<Bytes>, PushOutcome> {
        let refused = |refusal: GuardRefusal| PushOutcome::Refused(FetchError::from(refusal).to_string());
        let url = self.client.check_url(endpoint).map_err(refused)?;
        let unusable = |error: KeyError| PushOutcome::Misconfigured(format!("the VAPID key {error}"));
        let key = self.key.get_or_init(|| VapidKey::from_pem(&self.key_pem));
        let key = key.as_ref().map_err(|error| unusable(*error))?;
        let authorization = key.authorization(&url, &self.contact, now_ms).map_err(unusable)?;
        Request::post(url.as_str())
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_ENCODING, "aes128gcm")
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header("TTL", TTL_SECONDS)
            .header("Topic", TOPIC)
            // RFC 8030, section 5.3, has chat messages as its example of this urgency.
            .header("Urgency", "normal")
            .body(Bytes::from(sealed))
            .map_err(|_| refused(GuardRefusal::NotAUrl))
    }
}

/// Returns the host of a subscription's push service, with its port if that is not 443. It is empty for
/// an endpoint that is no URL.
pub fn service_host(subscription: &PushSubscription) -> String {
    let url = Url::parse(&subscription.endpoint);
    url.map(|url| url.authority().to_owned()).unwrap_or_default()
}

/// Returns the meaning of an answer.
fn outcome(status: StatusCode, retry_after: Option<u64>) -> PushOutcome {
    let why = format!("it answered {status}");
    match status.as_u16() {
        200..=299 => PushOutcome::Sent,
        404 | 410 => PushOutcome::Gone,
        401 | 403 => PushOutcome::Misconfigured(why),
        408 | 425 | 429 | 500..=599 => PushOutcome::Later { why, retry_after },
        _ => PushOutcome::Refused(why),
    }
}

/// Reads a `Retry-After` as seconds. It may also be a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &http::HeaderMap, now_ms: i64) -> Option<u64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    text.parse().ok().or_else(|| {
        let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(at.as_secs().saturating_sub(now_ms.div_euclid(1000).unsigned_abs()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_one_meaning() {
        let later = |retry_after| PushOutcome::Later { why: String::new(), retry_after };
        for (status, expected) in [
            (200, PushOutcome::Sent),
            (201, PushOutcome::Sent),
            (202, PushOutcome::Sent),
            (404, PushOutcome::Gone),
            (410, PushOutcome::Gone),
            (401, PushOutcome::Misconfigured(String::new())),
            (403, PushOutcome::Misconfigured(String::new())),
            (429, later(Some(7))),
            (500, later(Some(7))),
            (503, later(Some(7))),
            (302, PushOutcome::Refused(String::new())),
            (400, PushOutcome::Refused(String::new())),
            (413, PushOutcome::Refused(String::new())),
        ] {
            let mut found = outcome(StatusCode::from_u16(status).unwrap(), Some(7));
            match &mut found {
                PushOutcome::Misconfigured(why)
                | PushOutcome::Refused(why)
                | PushOutcome::Later { why, .. } => {
                    why.clear();
                }
                PushOutcome::Sent | PushOutcome::Gone => {}
            }
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn the_log_names_the_host_of_a_service() {
        for (endpoint, host) in [
            ("https://push.example/send/secret?x=y", "push.example"),
            ("https://push.example:443/send/secret", "push.example"),
            ("https://push.example:8443/send/secret", "push.example:8443"),
            ("secret", ""),
        ] {
            let endpoint = endpoint.to_owned();
            let subscription = PushSubscription { endpoint, public_key: [4; 65], auth: [8; 16] };
            assert_eq!(service_host(&subscription), host);
        }
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let of = |text: &'static str| {
            let headers = http::HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, 784_111_777_000)
        };
        assert_eq!(of("120"), Some(120));
        assert_eq!(of("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:30 GMT"), Some(0));
        assert_eq!(of("soon"), None);
    }
}
