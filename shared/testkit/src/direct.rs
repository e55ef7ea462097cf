//! A transport from a device to the router, without a socket.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use eko_client::transport::{Transport, TransportError};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// A transport that calls a router in this process.
#[derive(Clone)]
pub struct DirectTransport {
    app: Router,
}

impl DirectTransport {
    /// Makes a transport to a router.
    pub(crate) fn new(app: Router) -> Self {
        Self { app }
    }

    async fn call(&self, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let response = self.app.clone().oneshot(request.map(Body::from)).await.expect("a router cannot fail");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body in memory").to_bytes();
        http::Response::from_parts(parts, body)
    }

    /// Sends a request and parses the answer as JSON, `null` if it is none. Returns it after the
    /// status.
    pub async fn json(&self, request: http::Request<Bytes>) -> (u16, Value) {
        let response = self.call(request).await;
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
    }
}

impl Transport for DirectTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        Ok(self.call(request).await)
    }
}
