//! The engines over HTTP, as an endpoint of AWS. Functions in other processes use it, and so can
//! any AWS client: `AWS_ENDPOINT_URL=http://localhost:PORT`.

#[cfg(test)]
mod tests;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use eko_engines::{AwsAnswer, Engines};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tokio::net::TcpListener;

/// The largest body that is accepted: DynamoDB's largest request and a little more.
const BODY_LIMIT: usize = 17 << 20;

/// Serves the engines until the future is dropped.
///
/// # Errors
/// An I/O error of the listener.
pub async fn serve(engines: Engines, listener: TcpListener) -> std::io::Result<()> {
    axum::serve(listener, router(engines)).await
}

/// Returns the router of the endpoint of all services. The header `X-Amz-Target` names the service.
/// Clients of SQS send to the path of the queue's URL or to `/`.
///
/// Signatures are not verified, so serve it on loopback only. Web pages cannot use it:
/// `X-Amz-Target` makes a browser ask for permission first, and no answer has CORS headers. The path
/// `/@connections/ID` is about a connection, whose id nobody can guess.
pub fn router(engines: Engines) -> Router {
    Router::new()
        .route("/", post(answer))
        .route("/{account}/{queue}", post(answer))
        .route("/@connections/{id}", any(connection))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(engines)
}

/// Passes a request to the engines.
async fn answer(State(engines): State<Engines>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).unwrap_or("localhost");
    let target = text(HeaderName::from_static("x-amz-target")).unwrap_or_default();
    response(engines.call_at(host, target, &body).await)
}

/// Passes a request about a connection to the engines.
async fn connection(State(engines): State<Engines>, method: Method, uri: Uri, body: Bytes) -> Response {
    let id = uri.path().rsplit('/').next().unwrap_or_default();
    response(engines.call_connection(method.as_str(), id, &body))
}

/// Converts the answer of an engine to an HTTP response.
fn response(answer: AwsAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string());
    headers.extend(id.map(|id| (HeaderName::from_static("x-amzn-requestid"), id)));
    let error =
        answer.error_header.and_then(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)));
    headers.extend(error.map(|(name, value)| (HeaderName::from_static(name), value)));
    response
}
