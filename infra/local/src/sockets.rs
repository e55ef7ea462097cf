//! A WebSocket API, as API Gateway has it: it makes the three events of the function `socket` from
//! what happens on a connection, and sends on what is posted to the connection.
//!
//! The function is in this process, or another one under `cargo lambda watch`. The events are the
//! same JSON, which the function's own parser reads.

mod event;
mod listener;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lambda_events::event::apigw::ApiGatewayWebsocketProxyRequest;
use eko_engines::Engines;
use eko_engines::connections::OpenConnection;
use eko_service::AppState;
use eko_service::socket_event::SocketEvent;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use event::EventContext;
pub use listener::{GatewayLimits, SocketServer};

/// The path of the sockets of a local server.
pub const LIVE_PATH: &str = "/live";

/// The endpoint by which functions in this process post to connections.
pub const SOCKETS_URL: &str = "http://sockets.local";

/// The function of a WebSocket API. It takes an event, and returns its answer.
pub type SocketFunction = Arc<dyn Fn(Value) -> BoxFuture<'static, anyhow::Result<Value>> + Send + Sync>;

/// Returns the function `socket` in this process.
pub fn in_process(state: AppState) -> SocketFunction {
    Arc::new(move |event| {
        let state = state.clone();
        async move {
            let event: ApiGatewayWebsocketProxyRequest = serde_json::from_value(event)?;
            Ok(eko_socket::handle(state, SocketEvent::of(event)?).await.to_value())
        }
        .boxed()
    })
}

/// A WebSocket API. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    engines: Engines,
    function: SocketFunction,
}

/// A connection that the function has accepted.
pub struct GatewaySocket {
    /// The connection: what is posted comes out of it.
    pub connection: OpenConnection,
    /// The subprotocol that the function has chosen.
    pub protocol: Option<String>,
    /// The way of messages to the function.
    pub incoming: IncomingMessages,
}

/// The way of a connection's messages to the function. Cheap to clone.
#[derive(Clone)]
pub struct IncomingMessages {
    function: SocketFunction,
    context: EventContext,
}

impl Gateway {
    /// Makes an API whose connections are those of these engines.
    pub fn new(engines: Engines, function: SocketFunction) -> Self {
        Self { engines, function }
    }

    /// Asks the function for a connection with these headers.
    ///
    /// # Errors
    /// The status by which the function refuses it, or 502 if the function fails.
    pub async fn connect(&self, headers: &HeaderMap) -> Result<GatewaySocket, StatusCode> {
        let connection = self.engines.connections().open();
        let context = EventContext::new(connection.id.clone(), connection.connected_ms);
        let answer = (self.function)(context.connect(headers)).await.map_err(failed)?;
        let status = answer["statusCode"].as_u64().and_then(|code| u16::try_from(code).ok());
        let status = status.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
        if !status.is_success() {
            return Err(status);
        }
        connection.establish();
        let protocol = answer["headers"]["sec-websocket-protocol"].as_str().map(str::to_owned);
        let incoming = IncomingMessages { function: Arc::clone(&self.function), context };
        Ok(GatewaySocket { connection, protocol, incoming })
    }
}

impl IncomingMessages {
    /// Passes a text to the function, and waits until it is handled.
    pub async fn text(&self, text: &str) {
        self.invoke(self.context.text(text)).await;
    }

    /// Passes a binary message to the function, and waits until it is handled.
    pub async fn binary(&self, bytes: &[u8]) {
        self.invoke(self.context.binary(bytes)).await;
    }

    /// Tells the function that the connection has ended, with a status code of RFC 6455.
    pub async fn end(&self, code: u16) {
        self.invoke(self.context.disconnect(code)).await;
    }

    async fn invoke(&self, event: Value) {
        if let Err(error) = (self.function)(event).await {
            failed(error);
        }
    }
}

/// Logs the failure of the function.
#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn failed(error: anyhow::Error) -> StatusCode {
    tracing::error!(error = format!("{error:#}"), "the function socket failed");
    StatusCode::BAD_GATEWAY
}
