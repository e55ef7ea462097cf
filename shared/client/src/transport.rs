//! The way of a request to a server: over HTTP or, in a test, directly into its router. Beside it the
//! way of frames on a socket.

mod over_http;
mod socket;

use std::future::Future;

use http::{Request, Response};

/// The bytes of a body, for implementations of [`Transport`].
pub use bytes::Bytes;
pub use over_http::{HttpTransport, WebSocket};
pub use socket::{Socket, SocketOpening, SocketTransport};

/// Carries a request to a server and returns the answer. It does not try again: only the caller
/// knows which requests may be repeated.
pub trait Transport: Send + Sync {
    /// Sends a request with an absolute URI, such as `https://a.example/user/alice`.
    ///
    /// # Errors
    /// [`TransportError`] if there is no answer. Except after [`TransportError::Connect`] and
    /// [`TransportError::CertificateTime`], the request may have arrived.
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

/// A reason for which there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nobody listens there, or the network is blocked. Nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server's certificate is not valid at the time of this machine's clock. Nothing was sent.
    #[error("the certificate of {server} {fault} by this machine's clock")]
    CertificateTime {
        /// The host and port of the server.
        server: String,
        /// The relation of the certificate to the clock.
        fault: CertificateFault,
    },
    /// The answer took too long.
    #[error("no answer in time")]
    Timeout,
    /// The answer is longer than any answer of this protocol.
    #[error("the answer is too long")]
    TooLong,
    /// The request could not be made, or the connection broke.
    #[error("{0}")]
    Broken(String),
}

/// The relation of a certificate to a clock by which it is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// The certificate's time has not begun.
    #[error("is not valid yet")]
    Early,
    /// The certificate's time is over.
    #[error("has expired")]
    Expired,
}
