//! The WebSockets of the transport over HTTP: the connection of a request that is upgraded.

use std::time::Duration;

use bytes::Bytes;
use eko_protocol::limits::MAX_FRAME_BYTES;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, StatusCode, header};
use reqwest::Upgraded;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{HttpTransport, failure, read_answer};
use crate::TransportError;
use crate::transport::{Socket, SocketOpening, SocketTransport};

/// The time within which a server must open a socket.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The time within which a message must be handed to the network.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for saying that a socket ends.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The size of the buffers in bytes. Most frames are shorter.
const BUFFER_BYTES: usize = 4096;

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    stream: WebSocketStream<Upgraded>,
}

impl HttpTransport {
    /// Makes the handshake of RFC 6455, section 4.
    async fn upgrade(&self, url: &str, token: &str) -> Result<SocketOpening<WebSocket>, TransportError> {
        let broken = |error: http::Error| TransportError::Broken(error.to_string());
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let scheme = match scheme {
            "ws" => "http",
            "wss" => "https",
            _ => return Err(TransportError::Broken(format!("{url} is no address of sockets"))),
        };
        let key = generate_key();
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| broken(error.into()))?;
        bearer.set_sensitive(true);
        let mut request = Request::get(format!("{scheme}://{rest}"))
            .header(header::AUTHORIZATION, bearer)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .body(Bytes::new())
            .map_err(broken)?;
        *request.uri_mut() = self.target(request.uri())?;
        let request = reqwest::Request::try_from(request).map_err(failure)?;
        let answer = self.client.execute(request).await.map_err(failure)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(SocketOpening::Refused(read_answer(answer).await?));
        }
        let accept = answer.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(TransportError::Broken("the answer does not belong to the handshake".to_owned()));
        }
        let connection = answer.upgrade().await.map_err(failure)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(4 * MAX_FRAME_BYTES)
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES));
        let stream = WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await;
        Ok(SocketOpening::Open(WebSocket { stream }))
    }
}

impl SocketTransport for HttpTransport {
    type Socket = WebSocket;

    async fn open(&self, url: &str, token: &str) -> Result<SocketOpening<WebSocket>, TransportError> {
        timeout(OPEN_TIMEOUT, self.upgrade(url, token)).await.map_err(|_| TransportError::Timeout)?
    }
}

impl Socket for WebSocket {
    async fn send(&mut self, text: String) -> Result<(), TransportError> {
        let sent = timeout(SEND_TIMEOUT, self.stream.send(Message::text(text))).await;
        sent.map_err(|_| TransportError::Timeout)?.map_err(broken)
    }

    async fn next(&mut self) -> Result<Option<String>, TransportError> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
                // The library answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    return Err(TransportError::Broken("a message is binary".to_owned()));
                }
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Err(error)) => return Err(broken(error)),
            }
        }
    }

    async fn close(&mut self) {
        // If it cannot be said, the connection ends without it.
        let _ = timeout(CLOSE_TIMEOUT, self.stream.close(None)).await;
    }
}

fn broken(error: tokio_tungstenite::tungstenite::Error) -> TransportError {
    TransportError::Broken(error.to_string())
}
