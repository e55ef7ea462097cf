//! Requests that the client library makes no method for, from a device with its access token.

use eko_client::{Auth, Body, Device, Exchange};
use eko_testkit::DirectTransport;
use http::Method;
use serde_json::Value;

/// Sends a GET and returns the answer, whatever its status.
pub(crate) async fn get(device: &Device<DirectTransport>, path: &str) -> Exchange {
    device.call(Method::GET, path, Body::Empty, Auth::Device).await.unwrap()
}

/// Sends a GET without a token, as a stranger does, and returns the answer, whatever its status.
pub(crate) async fn get_public(device: &Device<DirectTransport>, path: &str) -> Exchange {
    device.call(Method::GET, path, Body::Empty, Auth::Nobody).await.unwrap()
}

/// Sends a GET with this token as the bearer token and returns the answer, whatever its status.
pub(crate) async fn get_with_token(device: &Device<DirectTransport>, path: &str, token: &str) -> Exchange {
    device.call(Method::GET, path, Body::Empty, Auth::Token(token)).await.unwrap()
}

/// Sends a DELETE and returns the answer, whatever its status.
pub(crate) async fn delete(device: &Device<DirectTransport>, path: &str) -> Exchange {
    device.call(Method::DELETE, path, Body::Empty, Auth::Device).await.unwrap()
}

/// Sends a POST with a JSON body and returns the answer, whatever its status.
pub(crate) async fn post(device: &Device<DirectTransport>, path: &str, body: &Value) -> Exchange {
    device.call(Method::POST, path, Body::Json(body), Auth::Device).await.unwrap()
}

/// Sends a POST with a JSON body and no token, as for `/auth/refresh`, and returns the answer,
/// whatever its status.
pub(crate) async fn post_public(device: &Device<DirectTransport>, path: &str, body: &Value) -> Exchange {
    device.call(Method::POST, path, Body::Json(body), Auth::Nobody).await.unwrap()
}
