//! The way of frames between a device and its server: a WebSocket or, in a test, anything else.

use std::future::Future;

use bytes::Bytes;
use http::Response;

use super::TransportError;

/// Opens sockets. It does not try again.
pub trait SocketTransport: Send + Sync {
    /// The sockets that are opened.
    type Socket: Socket;

    /// Opens a socket at a URL such as `wss://live.a.example`, as the device with this access token.
    ///
    /// # Errors
    /// [`TransportError`] if there is no answer.
    fn open(
        &self,
        url: &str,
        token: &str,
    ) -> impl Future<Output = Result<SocketOpening<Self::Socket>, TransportError>> + Send;
}

/// The answer to the attempt to open a socket.
#[derive(Debug)]
pub enum SocketOpening<S> {
    /// The socket is open.
    Open(S),
    /// The server has answered something else.
    Refused(Response<Bytes>),
}

/// An open socket. It ends when it is dropped.
pub trait Socket: Send {
    /// Sends a text message.
    ///
    /// # Errors
    /// [`TransportError`] if it was not handed to the network within a time that the socket sets.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Waits for the next text message. Returns `None` if the server has closed the socket. No message
    /// is lost if the future is dropped.
    ///
    /// # Errors
    /// [`TransportError`] if the connection broke, or if a message is binary or longer than a frame.
    fn next(&mut self) -> impl Future<Output = Result<Option<String>, TransportError>> + Send;

    /// Tells the server that the socket ends, as far as that can be done at once.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}
