//! Host metadata (RFC 6415): the template of WebFinger's address, for software that looks it up.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use eko_service::negotiate::{preferred, vary};
use eko_service::{AppState, respond};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::FRESH_SECONDS;

/// The media type of the XML form (RFC 6415, section 2).
const XRD_XML: &str = "application/xrd+xml";

/// The XML form. `{template}` stands for WebFinger's address.
const XRD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">
  <Link rel=\"lrdd\" template=\"{template}\"/>
</XRD>";

/// The form of the document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Xml,
    Json,
}

/// GET `/.well-known/host-meta` (`docs/protocol.md`, section 2): returns the host's metadata, as XML
/// unless the request prefers JSON (RFC 6415, section 3). No call.
pub(crate) async fn host_meta(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let offered = [
        (XRD_XML, Form::Xml),
        ("application/xml", Form::Xml),
        ("text/xml", Form::Xml),
        (respond::JRD_JSON, Form::Json),
        (respond::JSON, Form::Json),
    ];
    vary(document(&state, preferred(&headers, &offered, Form::Xml)))
}

/// GET `/.well-known/host-meta.json` (`docs/protocol.md`, section 2): returns the host's metadata as
/// JSON (RFC 6415, section 3). No call.
pub(crate) async fn host_meta_json(State(state): State<AppState>) -> Response {
    document(&state, Form::Json)
}

fn document(state: &AppState, form: Form) -> Response {
    // An origin has no character that XML would escape.
    let template = format!("{}/.well-known/webfinger?resource={{uri}}", state.origin());
    let response = match form {
        Form::Json => {
            let body = json!({ "links": [{ "rel": "lrdd", "template": template }] });
            respond::document(StatusCode::OK, respond::JRD_JSON, &body)
        }
        Form::Xml => {
            let mut response = Body::from(XRD.replace("{template}", &template)).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(XRD_XML));
            response
        }
    };
    respond::cached(response, FRESH_SECONDS)
}
