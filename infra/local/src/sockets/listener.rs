//! WebSockets over TCP, each a connection of the gateway.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use eko_protocol::frame::{self, TerminationReason};
use http::HeaderMap;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite;

use super::{Gateway, GatewaySocket, LIVE_PATH};

/// The size of a socket's read and write buffers, in bytes. A server holds many sockets, and most
/// of them are silent.
const BUFFER_BYTES: usize = 4 * 1024;

/// The number of messages of one connection that the function handles at the same time. Lambda
/// would handle more.
const AT_ONCE: usize = 4;

/// The longest time for which a client may not take a message, before its connection ends.
const SEND_TIME: Duration = Duration::from_secs(10);

/// The time in which a client is to answer the end of a connection.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// The longest time for which a connection is open without limits.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The limits of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// The most bytes of a frame of the WebSocket protocol. A larger one ends the connection with
    /// status 1009.
    pub frame_bytes: usize,
    /// The most bytes of a message. A larger one ends the connection with status 1009.
    pub message_bytes: usize,
    /// The longest time without a message in either direction.
    pub idle: Duration,
    /// True if pings and pongs of the WebSocket protocol count as messages here.
    pub control_counts: bool,
    /// The longest time for which a connection is open.
    pub whole: Option<Duration>,
}

impl GatewayLimits {
    /// The limits of API Gateway.
    pub const API_GATEWAY: Self = Self {
        frame_bytes: 32 * 1024,
        message_bytes: 128 * 1024,
        idle: Duration::from_secs(600),
        control_counts: false,
        whole: Some(Duration::from_secs(7_200)),
    };

    /// The limits of a local server: a message may be one frame, a client may keep the connection
    /// by pings of the WebSocket protocol, and it may do so forever.
    pub const LOCAL: Self =
        Self { frame_bytes: 128 * 1024, control_counts: true, whole: None, ..Self::API_GATEWAY };

    /// True if a message of the client keeps its connection.
    pub(super) fn is_activity(&self, message: &Message) -> bool {
        match message {
            Message::Text(_) | Message::Binary(_) => true,
            Message::Ping(_) | Message::Pong(_) => self.control_counts,
            Message::Close(_) => false,
        }
    }
}

/// The listener of a WebSocket API, at [`LIVE_PATH`]. Cheap to clone.
#[derive(Clone)]
pub struct SocketServer {
    gateway: Gateway,
    limits: GatewayLimits,
    stop: Arc<watch::Sender<bool>>,
}

impl SocketServer {
    /// Makes the listener.
    pub fn new(gateway: Gateway, limits: GatewayLimits) -> Self {
        Self { gateway, limits, stop: Arc::new(watch::channel(false).0) }
    }

    /// Returns the router.
    pub fn router(&self) -> Router {
        Router::new().route(LIVE_PATH, any(upgrade)).with_state(self.clone())
    }

    /// Ends all connections, each with a `Terminated` and the status that tells that the server goes
    /// away, and waits for them.
    pub async fn end(&self) {
        self.stop.send_replace(true);
        // Each connection holds a receiver until it has ended.
        let _ = timeout(2 * CLOSE_TIME, self.stop.closed()).await;
    }
}

/// Opens a connection, if the function accepts it.
async fn upgrade(
    State(server): State<SocketServer>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let socket = match server.gateway.connect(&headers).await {
        Ok(socket) => socket,
        Err(status) => return status.into_response(),
    };
    let limits = server.limits;
    let upgrade = upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(limits.message_bytes.saturating_add(2 * BUFFER_BYTES))
        .max_message_size(limits.message_bytes)
        .max_frame_size(limits.frame_bytes);
    let upgrade = match &socket.protocol {
        Some(protocol) => upgrade.protocols([protocol.clone()]),
        None => upgrade,
    };
    let stop = server.stop.subscribe();
    upgrade.on_upgrade(move |open| run(open, socket, limits, stop))
}

/// The reason why a connection ends.
enum End {
    /// The function has deleted the connection.
    Deleted,
    /// The server ends.
    GoingAway,
    /// A limit of time is reached.
    TimeIsOver,
    /// The client has sent a frame or a message that is too large.
    TooLarge,
    /// The client has closed the connection, or broken it off.
    Client(u16),
}

/// Passes messages in both directions until the connection ends, and then tells the function.
async fn run(
    mut open: WebSocket,
    mut socket: GatewaySocket,
    limits: GatewayLimits,
    mut stop: watch::Receiver<bool>,
) {
    let end = pass(&mut open, &mut socket, limits, &mut stop).await;
    let GatewaySocket { connection, incoming, .. } = socket;
    // Whoever posts to it is told at once that it is gone.
    drop(connection);
    let code = match end {
        End::Deleted => 1000,
        End::GoingAway | End::TimeIsOver => 1001,
        End::TooLarge => 1009,
        End::Client(code) => code,
    };
    if !matches!(end, End::Client(_)) {
        let close = Message::Close(Some(CloseFrame { code, reason: "".into() }));
        let closed = async {
            if matches!(end, End::GoingAway) {
                let terminated = frame::terminated(TerminationReason::GoingAway).to_string();
                open.send(Message::Text(terminated.into())).await?;
            }
            open.send(close).await?;
            while let Some(Ok(_)) = open.recv().await {}
            if matches!(end, End::TooLarge) {
                // The rest of the message cannot be read. A connection that is closed with unread bytes
                // breaks, so the client gets time to take the status.
                std::future::pending::<()>().await;
            }
            Ok::<_, axum::Error>(())
        };
        let _ = timeout(CLOSE_TIME, closed).await;
    }
    drop(open);
    incoming.end(code).await;
}

async fn pass(
    open: &mut WebSocket,
    socket: &mut GatewaySocket,
    limits: GatewayLimits,
    stop: &mut watch::Receiver<bool>,
) -> End {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let over = Instant::now() + limits.whole.unwrap_or(FOREVER);
    let mut silent = Instant::now() + limits.idle;
    loop {
        tokio::select! {
            posted = socket.connection.receive() => {
                let Some(message) = posted else { return End::Deleted };
                let text = String::from_utf8_lossy(&message).into_owned();
                match timeout(SEND_TIME, open.send(Message::Text(text.into()))).await {
                    Ok(Ok(())) => silent = Instant::now() + limits.idle,
                    _ => return End::Client(1006),
                }
            }
            message = open.recv() => {
                let message = match message {
                    Some(Ok(message)) => message,
                    Some(Err(error)) if is_too_large(&error) => return End::TooLarge,
                    Some(Err(_)) | None => return End::Client(1006),
                };
                if limits.is_activity(&message) {
                    silent = Instant::now() + limits.idle;
                }
                let (place, incoming) = (Arc::clone(&places).acquire_owned().await, socket.incoming.clone());
                match message {
                    Message::Text(text) => tokio::spawn(async move {
                        incoming.text(&text).await;
                        drop(place);
                    }),
                    Message::Binary(bytes) => tokio::spawn(async move {
                        incoming.binary(&bytes).await;
                        drop(place);
                    }),
                    Message::Close(frame) => return End::Client(frame.map_or(1005, |it| it.code)),
                    Message::Ping(_) | Message::Pong(_) => continue,
                };
            }
            () = sleep_until(silent.min(over)) => return End::TimeIsOver,
            () = stopped(stop) => return End::GoingAway,
        }
    }
}

/// Waits until the server ends.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// True if a frame or a message is refused because of its size.
fn is_too_large(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|error| error.downcast_ref())
        .is_some_and(|error| matches!(error, tungstenite::Error::Capacity(_)))
}
