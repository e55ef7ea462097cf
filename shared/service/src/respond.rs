//! Answers: activities and collections with their media type negotiated, JSON, nothing.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use eko_protocol::json;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::Problem;

/// ActivityStreams' media type.
pub const ACTIVITY_JSON: &str = "application/activity+json";
/// The other name of the same.
pub const LD_JSON: &str = "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"";
/// Web Finger's media type (RFC 7033).
pub const JRD_JSON: &str = "application/jrd+json";
/// Plain JSON.
pub const JSON: &str = "application/json";

/// An ActivityStreams document, as `application/activity+json`.
pub fn activity(status: StatusCode, body: &Value) -> Response {
    document(status, ACTIVITY_JSON, body)
}

/// An ActivityStreams document in the media type that the client prefers of the two.
pub fn negotiated(headers: &HeaderMap, body: &Value) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let position = |name: &str| accept.find(name).unwrap_or(usize::MAX);
    let media_type =
        if position("application/ld+json") < position(ACTIVITY_JSON) { LD_JSON } else { ACTIVITY_JSON };
    let mut response = document(StatusCode::OK, media_type, body);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Whether a browser asks: HTML is accepted and none of our media types is.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") && !accept.contains("json")
}

/// A JSON document of any media type.
pub fn document(status: StatusCode, media_type: &'static str, body: &Value) -> Response {
    let mut response = (status, Body::from(body.to_string())).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Lets caches keep a public answer for some seconds.
pub fn cached(mut response: Response, seconds: u32) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={seconds}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// Keeps an answer with secrets out of every cache.
pub fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The members of a JSON body as a type of ours, or the 422 that says which member is wrong.
pub fn shape<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    Ok(json::shape(value)?)
}
