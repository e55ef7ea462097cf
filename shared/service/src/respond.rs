//! Building blocks of answers: JSON documents with their media type, and the headers `Location` and
//! `Cache-Control`. Also the reading of a JSON body as a type.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use eko_protocol::json;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::Problem;

/// The media type of ActivityStreams.
pub const ACTIVITY_JSON: &str = "application/activity+json";
/// The second media type of ActivityStreams, which means the same as [`ACTIVITY_JSON`].
pub const LD_JSON: &str = "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"";
/// The media type of WebFinger (RFC 7033).
pub const JRD_JSON: &str = "application/jrd+json";
/// The media type of plain JSON.
pub const JSON: &str = "application/json";

/// Answers with an ActivityStreams document as `application/activity+json`.
pub fn activity(status: StatusCode, body: &Value) -> Response {
    document(status, ACTIVITY_JSON, body)
}

/// Answers with a JSON document of this media type.
pub fn document(status: StatusCode, media_type: &'static str, body: &Value) -> Response {
    let mut response = (status, Body::from(body.to_string())).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Adds the URL of what the request created, as `Location`. A URL that is no header value is left
/// out.
pub fn with_location(mut response: Response, url: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(url) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// Lets every cache keep a public answer for some seconds.
pub fn cached(mut response: Response, seconds: u32) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={seconds}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// Keeps an answer out of every cache that is private, or is misleading once it is old.
pub fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads a body of the sign-in as a type. It is plain JSON and no ActivityStreams, so that each member
/// has one form.
///
/// # Errors
/// [`Problem::Invalid`] with a pointer to the first member that is missing or of another shape.
pub fn shape<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    Ok(json::exact(value)?)
}
