//! WebSockets over TCP, each a connection of the gateway.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::HeaderMap;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

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
    /// The most bytes of a frame of the WebSocket protocol. A larger one ends the connection.
    pub frame_bytes: usize,
    /// The most bytes of a message. A larger one ends the connection.
    pub message_bytes: usize,
    /// The longest time without a message in either direction. Frames of control do not count.
    pub idle: Option<Duration>,
    /// The longest time for which a connection is open.
    pub whole: Option<Duration>,
}

impl GatewayLimits {
    /// The limits of API Gateway.
    pub const API_GATEWAY: Self = Self {
        frame_bytes: 32 * 1024,
        message_bytes: 128 * 1024,
        idle: Some(Duration::from_secs(600)),
        whole: Some(Duration::from_secs(7_200)),
    };

    /// The limits of a local server: those of API Gateway for a message, and none of time.
    pub const LOCAL: Self =
        Self { frame_bytes: 128 * 1024, message_bytes: 128 * 1024, idle: None, whole: None };
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

    /// Ends all connections, by the status that tells that the server goes away, and waits for
    /// them.
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
        End::Client(code) => code,
    };
    if !matches!(end, End::Client(_)) {
        let close = Message::Close(Some(CloseFrame { code, reason: "".into() }));
        let closed = async {
            if open.send(close).await.is_ok() {
                while let Some(Ok(_)) = open.recv().await {}
            }
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
    let idle = limits.idle.unwrap_or(FOREVER);
    let mut silent = Instant::now() + idle;
    loop {
        tokio::select! {
            posted = socket.connection.receive() => {
                let Some(message) = posted else { return End::Deleted };
                let text = String::from_utf8_lossy(&message).into_owned();
                match timeout(SEND_TIME, open.send(Message::Text(text.into()))).await {
                    Ok(Ok(())) => silent = Instant::now() + idle,
                    _ => return End::Client(1006),
                }
            }
            message = open.recv() => {
                let (place, incoming) = (Arc::clone(&places).acquire_owned().await, socket.incoming.clone());
                match message {
                    Some(Ok(Message::Text(text))) => tokio::spawn(async move {
                        incoming.text(&text).await;
                        drop(place);
                    }),
                    Some(Ok(Message::Binary(bytes))) => tokio::spawn(async move {
                        incoming.binary(&bytes).await;
                        drop(place);
                    }),
                    Some(Ok(Message::Close(frame))) => return End::Client(frame.map_or(1005, |it| it.code)),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Err(_)) | None => return End::Client(1006),
                };
                silent = Instant::now() + idle;
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
