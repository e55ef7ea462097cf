//! How requests reach a server: over HTTP, or in a test straight into its router.

mod over_http;

use std::future::Future;

use http::{Request, Response};

/// The bytes of a body, for whoever implements [`Transport`].
pub use bytes::Bytes;
pub use over_http::HttpTransport;

/// Carries one request there and its answer back. No retries: what is safe to repeat is for the caller to say.
pub trait Transport: Send + Sync {
    /// Sends a request with an absolute URI, as `https://a.example/user/alice`.
    ///
    /// # Errors
    /// There is no answer. Whether the request arrived is then not known, but for [`TransportError::Connect`].
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send;
}

impl<T: Transport> Transport for &T {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send {
        (**self).send(request)
    }
}

impl<T: Transport> Transport for std::sync::Arc<T> {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send {
        (**self).send(request)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nobody listens there, or the way is blocked; nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// The answer is longer than anything this protocol sends.
    #[error("the answer is too long")]
    TooLong,
    /// The request could not be made, or the connection broke.
    #[error("{0}")]
    Broken(String),
}
