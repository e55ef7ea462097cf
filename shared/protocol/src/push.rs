//! Web Push subscriptions (section 8): where a push service takes messages for one device, and the
//! keys by which its browser decrypts them.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;

use crate::Invalid;
use crate::json::shape;
use crate::limits::MAX_PUSH_ENDPOINT_BYTES;

/// The base64url of a subscription (RFC 4648, section 5). Browsers write no padding; some libraries
/// do.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The first byte of an uncompressed point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A subscription as the browser's `PushSubscription` writes it.
///
/// ```text
/// {"endpoint": <https URL>, "keys": {"p256dh": <65 bytes, base64url>, "auth": <16 bytes, base64url>}}
/// ```
///
/// ```
/// use eko_protocol::push::PushSubscription;
/// use serde_json::json;
///
/// let keys = json!({"p256dh": format!("BA{}", "A".repeat(85)), "auth": "A".repeat(22)});
/// let subscription = json!({"endpoint": "https://push.example/1", "expirationTime": null, "keys": keys});
/// assert_eq!(PushSubscription::parse(&subscription)?.endpoint, "https://push.example/1");
///
/// let fault = PushSubscription::parse(&json!({"endpoint": "https://push.example/1"})).unwrap_err();
/// assert_eq!(fault.pointer, "/keys");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSubscription {
    /// The URL that takes messages for the device, 1 to [`MAX_PUSH_ENDPOINT_BYTES`] bytes. Whether
    /// it may be requested is not checked here.
    pub endpoint: String,
    /// The browser's public key: an uncompressed point of P-256. Whether it is on the curve is not
    /// checked here.
    pub public_key: [u8; 65],
    /// The browser's authentication secret.
    pub auth: [u8; 16],
}

/// The JSON form of a subscription.
#[derive(Deserialize)]
struct WireSubscription {
    endpoint: String,
    keys: WireKeys,
}

/// The JSON form of a subscription's keys.
#[derive(Deserialize)]
struct WireKeys {
    p256dh: String,
    auth: String,
}

impl PushSubscription {
    /// Reads a subscription. Other members are ignored.
    ///
    /// # Errors
    /// [`Invalid`] for a member that is missing, an endpoint of another length, or keys of another
    /// form.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let wire: WireSubscription = shape(value)?;
        if wire.endpoint.is_empty() || wire.endpoint.len() > MAX_PUSH_ENDPOINT_BYTES {
            let rule = format!("must be a URL of at most {MAX_PUSH_ENDPOINT_BYTES} bytes");
            return Err(Invalid::at("/endpoint", rule));
        }
        let point = decode(&wire.keys.p256dh).filter(|[first, ..]: &[u8; 65]| *first == UNCOMPRESSED);
        let rule = "must be an uncompressed point of P-256, 65 bytes in base64url";
        let public_key = point.ok_or_else(|| Invalid::at("/keys/p256dh", rule))?;
        let rule = "must be 16 bytes in base64url";
        let auth = decode(&wire.keys.auth).ok_or_else(|| Invalid::at("/keys/auth", rule))?;
        Ok(Self { endpoint: wire.endpoint, public_key, auth })
    }
}

/// Decodes base64url that has exactly `N` bytes.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64URL.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subscription(endpoint: &str, public_key: &[u8], auth: &str) -> Value {
        json!({"endpoint": endpoint, "keys": {"p256dh": BASE64URL.encode(public_key), "auth": auth}})
    }

    #[test]
    fn a_browsers_subscription_is_read_with_and_without_padding() {
        let mut point = [7; 65];
        point[0] = 4;
        let endpoint = "https://push.example/1";
        for auth in ["CAgICAgICAgICAgICAgICA", "CAgICAgICAgICAgICAgICA=="] {
            let read = PushSubscription::parse(&subscription(endpoint, &point, auth)).unwrap();
            let whole = PushSubscription { endpoint: endpoint.to_owned(), public_key: point, auth: [8; 16] };
            assert_eq!(read, whole);
        }
    }

    #[test]
    fn faults_are_named() {
        let mut point = [7; 65];
        point[0] = 4;
        let (endpoint, auth) = ("https://push.example/1", "CAgICAgICAgICAgICAgICA");
        let long = format!("https://push.example/{}", "x".repeat(MAX_PUSH_ENDPOINT_BYTES));
        for (value, pointer) in [
            (json!([]), ""),
            (json!({"endpoint": endpoint}), "/keys"),
            (json!({"endpoint": 7, "keys": {}}), "/endpoint"),
            (subscription("", &point, auth), "/endpoint"),
            (subscription(&long, &point, auth), "/endpoint"),
            (subscription(endpoint, &point[..64], auth), "/keys/p256dh"),
            (subscription(endpoint, &[7; 65], auth), "/keys/p256dh"),
            (subscription(endpoint, &point, "!"), "/keys/auth"),
            (subscription(endpoint, &point, "CAgI"), "/keys/auth"),
        ] {
            assert_eq!(PushSubscription::parse(&value).unwrap_err().pointer, pointer, "{value}");
        }
    }
}
