//! The events of a WebSocket API, as the function `socket` gets them, and its answer.
//!
//! Lambda, the local server and the functions under `cargo lambda watch` pass the same JSON.

use aws_lambda_events::event::apigw::ApiGatewayWebsocketProxyRequest;
use eko_store::live::ConnectionId;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

/// An event of a WebSocket.
#[derive(Clone, Debug)]
pub struct SocketEvent {
    /// The connection.
    pub connection: ConnectionId,
    /// The id of the request, for the log.
    pub request: String,
    /// The thing that has happened.
    pub kind: SocketEventKind,
}

/// The kind of an event.
#[derive(Clone, Debug)]
pub enum SocketEventKind {
    /// A client asks for a connection (`$connect`). Nothing can be posted to it yet.
    Connect {
        /// The headers of the request.
        headers: HeaderMap,
    },
    /// A message came (`$default`).
    Message {
        /// The text. Base64 if the message is binary.
        body: String,
        /// True if the message is binary.
        is_binary: bool,
    },
    /// The connection has ended (`$disconnect`).
    Disconnect,
}

/// The reason why an event cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event has no {0}, or one that is not known")]
pub struct UnknownEvent(&'static str);

impl SocketEvent {
    /// Reads an event.
    ///
    /// # Errors
    /// [`UnknownEvent`] if it is none of a WebSocket API.
    pub fn of(event: ApiGatewayWebsocketProxyRequest) -> Result<Self, UnknownEvent> {
        let context = event.request_context;
        let id = context.connection_id.as_deref().and_then(ConnectionId::parse);
        let kind = match context.event_type.as_deref() {
            Some("CONNECT") => {
                // Which of the two members there is depends on the test that makes the event.
                let has_many = !event.multi_value_headers.is_empty();
                let headers = if has_many { event.multi_value_headers } else { event.headers };
                SocketEventKind::Connect { headers }
            }
            Some("MESSAGE") => SocketEventKind::Message {
                body: event.body.unwrap_or_default(),
                is_binary: event.is_base64_encoded,
            },
            Some("DISCONNECT") => SocketEventKind::Disconnect,
            _ => return Err(UnknownEvent("event type")),
        };
        let connection = id.ok_or(UnknownEvent("connection id"))?;
        Ok(Self { connection, request: context.request_id.unwrap_or_default(), kind })
    }
}

/// The answer of the function `socket`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAnswer {
    /// The status. For `$connect` it is the client's; the connection is established by 200.
    pub status: StatusCode,
    /// The subprotocol that the server chooses from those that the client offers.
    pub protocol: Option<&'static str>,
}

impl SocketAnswer {
    /// The answer to whatever needs none.
    pub const DONE: Self = Self { status: StatusCode::OK, protocol: None };

    /// Creates the answer with this status, which chooses no subprotocol.
    pub fn status(status: StatusCode) -> Self {
        Self { status, protocol: None }
    }

    /// Returns the answer as API Gateway takes it.
    pub fn to_value(self) -> Value {
        let mut answer = json!({ "statusCode": self.status.as_u16() });
        if let Some(protocol) = self.protocol {
            answer["headers"] = json!({ header::SEC_WEBSOCKET_PROTOCOL.as_str(): protocol });
        }
        answer
    }
}
