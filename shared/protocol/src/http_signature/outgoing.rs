//! Requests to other servers, signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::requested::RequestedSignature;
use super::{Scheme, check_key_id, clock, digest, rfc9421};

/// A request that cannot be signed: the method is not in upper case, the URL is not http(s) or has
/// credentials, or the key id is not 1 to 512 printable ASCII characters without quotes and
/// backslashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "only a request with an upper-case method, for an http or https URL without credentials, can be signed, by a key id of 1 to 512 printable characters without quotes or backslashes"
)]
pub struct UnsignableRequest;

/// A prepared request. Only the signature over [`UnsignedRequest::base`] is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedRequest {
    base: String,
    headers: Vec<(&'static str, String)>,
    /// The value of the `signature` header up to the signature in base64.
    before: String,
    /// The rest of that value.
    after: &'static str,
}

impl UnsignedRequest {
    /// Returns the bytes to sign with RSASSA-PKCS1-v1_5 and SHA-256.
    pub fn base(&self) -> &[u8] {
        self.base.as_bytes()
    }

    /// Returns the headers to send: `host`, those of the scheme, and `signature`. Names are in
    /// lower case, and none appears twice.
    pub fn into_headers(self, signature: &[u8]) -> Vec<(&'static str, String)> {
        let Self { mut headers, before, after, .. } = self;
        headers.push(("signature", format!("{before}{}{after}", STANDARD.encode(signature))));
        headers
    }
}

/// A request to another server, before it is signed.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRequest<'a> {
    /// The method in upper case, such as `POST`.
    pub method: &'a str,
    /// The URL to send to. A fragment is not signed.
    pub url: &'a Url,
    /// The content, or `None` for a request without one, which then gets no digest.
    pub body: Option<&'a [u8]>,
    /// The id of the key that signs.
    pub key_id: &'a str,
}

/// Prepares a request for signing at `now_ms` (epoch milliseconds).
///
/// # Errors
/// [`UnsignableRequest`] if the method, the URL or the key id cannot be signed.
pub fn prepare(
    scheme: Scheme,
    request: &OutgoingRequest<'_>,
    now_ms: i64,
) -> Result<UnsignedRequest, UnsignableRequest> {
    let authority = check(request)?;
    Ok(match scheme {
        Scheme::Cavage => cavage(request, authority, now_ms),
        Scheme::Rfc9421 => rfc_9421(request, &RequestedSignature::least(), authority, now_ms),
    })
}

/// Prepares a request for signing at `now_ms` (epoch milliseconds) as its server asked for. It
/// covers what this server always covers, and what was asked for besides.
///
/// # Errors
/// [`UnsignableRequest`] if the method, the URL or the key id cannot be signed.
pub fn prepare_requested(
    requested: &RequestedSignature,
    request: &OutgoingRequest<'_>,
    now_ms: i64,
) -> Result<UnsignedRequest, UnsignableRequest> {
    let authority = check(request)?;
    Ok(rfc_9421(request, requested, authority, now_ms))
}

/// Checks that a request can be signed, and returns the authority of its URL.
fn check(request: &OutgoingRequest<'_>) -> Result<String, UnsignableRequest> {
    let OutgoingRequest { method, url, key_id, .. } = *request;
    check_key_id(key_id).map_err(|_| UnsignableRequest)?;
    if key_id.contains(['"', '\\']) || method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(UnsignableRequest);
    }
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https") && !has_credentials);
    let host = host.ok_or(UnsignableRequest)?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn cavage(request: &OutgoingRequest<'_>, authority: String, now_ms: i64) -> UnsignedRequest {
    let OutgoingRequest { method, url, body, key_id } = *request;
    let mut headers = vec![("host", authority), ("date", clock::http_date(now_ms))];
    headers.extend(body.map(|body| ("digest", digest::digest(body))));
    let mut names = "(request-target)".to_owned();
    let mut base = format!("(request-target): {} {}", method.to_ascii_lowercase(), target(url));
    for (name, value) in &headers {
        names.push_str(&format!(" {name}"));
        base.push_str(&format!("\n{name}: {value}"));
    }
    let before = format!(r#"keyId="{key_id}",algorithm="rsa-sha256",headers="{names}",signature=""#);
    UnsignedRequest { base, headers, before, after: "\"" }
}

fn rfc_9421(
    request: &OutgoingRequest<'_>,
    requested: &RequestedSignature,
    authority: String,
    now_ms: i64,
) -> UnsignedRequest {
    let OutgoingRequest { method, url, body, key_id } = *request;
    let mut headers = vec![("host", authority.clone())];
    let (mut names, mut base) = (Vec::new(), String::new());
    let least = ["@method", "@target-uri"].into_iter().chain(body.map(|_| "content-digest"));
    let besides = requested.components().filter(|name| !least.clone().any(|least| least == *name));
    for name in least.clone().chain(besides) {
        let value = match name {
            "@method" => method.to_owned(),
            "@target-uri" => without_fragment(url).to_owned(),
            "@authority" | "host" => authority.clone(),
            "@scheme" => url.scheme().to_owned(),
            "@request-target" => target(url),
            "@path" => url.path().to_owned(),
            "@query" => format!("?{}", url.query().unwrap_or_default()),
            "content-digest" => digest::content_digest(body.unwrap_or_default()),
            "date" => clock::http_date(now_ms),
            // `RequestedSignature` has no other components.
            _ => continue,
        };
        names.push(format!("\"{name}\""));
        base.push_str(&format!("\"{name}\": {value}\n"));
        match name {
            "content-digest" => headers.push(("content-digest", value)),
            "date" => headers.push(("date", value)),
            _ => {}
        }
    }
    let created = now_ms.div_euclid(1000);
    let (algorithm, names) = (rfc9421::ALGORITHM, names.join(" "));
    let more = requested.parameters(created);
    let input = format!(r#"({names});created={created};keyid="{key_id}";alg="{algorithm}"{more}"#);
    base.push_str(&format!("\"@signature-params\": {input}"));
    let label = requested.label();
    headers.push(("signature-input", format!("{label}={input}")));
    UnsignedRequest { base, headers, before: format!("{label}=:"), after: ":" }
}

/// Returns path and query.
fn target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn without_fragment(url: &Url) -> &str {
    url.as_str().split_once('#').map_or(url.as_str(), |(before, _)| before)
}
