//! The body of a request: its media type, its size, strict JSON or a form.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use eko_protocol::{json, limits};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use crate::Problem;
use crate::problem::MediaType;

/// A JSON body of at most `LIMIT` bytes, read strictly ([`eko_protocol::json::parse`]).
///
/// As an extractor it rejects with [`Problem::UnsupportedMediaType`], [`Problem::BodyTooLarge`],
/// [`Problem::NotJson`], or [`Problem::Invalid`] for JSON that strict reading refuses.
pub struct JsonBody<const LIMIT: usize>(pub Value);

/// A body under the general limit, [`limits::MAX_BODY_BYTES`].
pub type SmallBody = JsonBody<{ limits::MAX_BODY_BYTES }>;

/// A body that may hold an envelope, under [`limits::MAX_ENVELOPE_BODY_BYTES`].
pub type LargeBody = JsonBody<{ limits::MAX_ENVELOPE_BODY_BYTES }>;

impl<S: Sync, const LIMIT: usize> FromRequest<S> for JsonBody<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_json(request.headers())?;
        let bytes = read(request.into_body(), LIMIT).await?;
        Ok(Self(json::parse(&bytes)?))
    }
}

/// A form (`application/x-www-form-urlencoded`) of at most [`limits::MAX_BODY_BYTES`], not parsed.
///
/// As an extractor it rejects with [`Problem::UnsupportedMediaType`] or [`Problem::BodyTooLarge`].
pub struct FormBody(pub Bytes);

impl<S: Sync> FromRequest<S> for FormBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_of_type(request.headers(), &["application/x-www-form-urlencoded"]) {
            return Err(Problem::UnsupportedMediaType(MediaType::Form));
        }
        check_uncoded(request.headers())?;
        Ok(Self(read(request.into_body(), limits::MAX_BODY_BYTES).await?))
    }
}

/// Reads a body to its end.
///
/// # Errors
/// [`Problem::BodyTooLarge`] if it has more than `limit` bytes; [`Problem::BadRequest`] if the
/// connection breaks.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::BodyTooLarge(limit)),
        Err(_) => Err(Problem::BadRequest("the body could not be read to its end")),
    }
}

/// Checks that a body is JSON as it stands: the `Content-Type` is `application/activity+json`,
/// `application/ld+json` (with or without a profile) or `application/json`, and nothing is
/// compressed.
///
/// # Errors
/// [`Problem::UnsupportedMediaType`].
pub(crate) fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let known = ["application/activity+json", "application/ld+json", "application/json"];
    if !is_of_type(headers, &known) {
        return Err(Problem::UnsupportedMediaType(MediaType::Json));
    }
    check_uncoded(headers)
}

/// Refuses a body with a content coding (RFC 9110, section 8.4), such as gzip. Ciphertexts do not
/// shrink, and a digest that covers one form and a size limit that covers another invite mistakes.
fn check_uncoded(headers: &HeaderMap) -> Result<(), Problem> {
    let is_uncoded = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.all(|name| name.is_empty() || name.eq_ignore_ascii_case(b"identity"))
    };
    match headers.get_all(header::CONTENT_ENCODING).iter().all(is_uncoded) {
        true => Ok(()),
        false => Err(Problem::UnsupportedMediaType(MediaType::Uncoded)),
    }
}

/// True if the `Content-Type` is one of these, whatever its parameters. If a request has several, each
/// must be.
fn is_of_type(headers: &HeaderMap, known: &[&str]) -> bool {
    let is_known = |value: &HeaderValue| {
        let essence =
            value.to_str().ok().and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        known.iter().any(|known| essence.eq_ignore_ascii_case(known))
    };
    let values = headers.get_all(header::CONTENT_TYPE);
    values.iter().next().is_some() && values.iter().all(is_known)
}
