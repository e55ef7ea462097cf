//! API Gateway's management of WebSocket connections: `POST`, `GET` and `DELETE`
//! `/@connections/{id}`.
//!
//! Whoever holds the WebSocket opens a connection here, and sends on what the engine passes to it.
//! A connection that is not established yet answers as one that does not exist, as in API Gateway.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::answer::AwsAnswer;
use crate::clock::EngineClock;

/// The part of a path before the id of a connection.
pub(crate) const CONNECTIONS_PATH: &str = "/@connections/";

/// The most bytes of a posted message. API Gateway's limit.
pub const MESSAGE_BYTES: usize = 128 * 1024;

/// The most messages that wait for one connection. One more is refused with 429.
pub const WAITING_MESSAGES: usize = 32;

/// The embedded management of connections.
pub struct ConnectionEngine {
    clock: EngineClock,
    connections: Arc<Mutex<BTreeMap<String, Connection>>>,
}

/// Makes the id of a connection, of a request or of a message: as long as API Gateway's, and of the
/// same characters, so that paths encode some.
pub fn new_id() -> String {
    STANDARD.encode(Uuid::new_v4().as_bytes().first_chunk::<11>().unwrap_or(&[0; 11]))
}

/// A connection, as the engine has it.
struct Connection {
    messages: mpsc::Sender<Vec<u8>>,
    connected_ms: i64,
    active_ms: i64,
    is_established: bool,
}

/// A connection, as whoever holds its WebSocket has it. It ends when this value is dropped.
pub struct OpenConnection {
    /// The id.
    pub id: String,
    /// The time of opening, in epoch milliseconds.
    pub connected_ms: i64,
    messages: mpsc::Receiver<Vec<u8>>,
    connections: Arc<Mutex<BTreeMap<String, Connection>>>,
}

impl ConnectionEngine {
    /// Makes an engine without connections.
    pub(crate) fn new(clock: EngineClock) -> Self {
        Self { clock, connections: Arc::default() }
    }

    /// Opens a connection that is not established yet.
    pub fn open(&self) -> OpenConnection {
        let id = new_id();
        let (sender, messages) = mpsc::channel(WAITING_MESSAGES);
        let now_ms = (self.clock)();
        let connection =
            Connection { messages: sender, connected_ms: now_ms, active_ms: now_ms, is_established: false };
        lock(&self.connections).insert(id.clone(), connection);
        OpenConnection { id, connected_ms: now_ms, messages, connections: Arc::clone(&self.connections) }
    }

    /// Returns the number of connections, established or not.
    pub fn count(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Answers one request. `id` is percent-encoded.
    pub(crate) fn call(&self, method: &str, id: &str, body: &[u8]) -> AwsAnswer {
        let id = percent_decode_str(id).decode_utf8_lossy();
        let mut connections = lock(&self.connections);
        let Some(connection) =
            connections.get_mut(id.as_ref()).filter(|connection| connection.is_established)
        else {
            return refusal(410, "GoneException");
        };
        match method {
            "POST" if body.len() > MESSAGE_BYTES => refusal(413, "PayloadTooLargeException"),
            "POST" => match connection.messages.try_send(body.to_vec()) {
                Ok(()) => {
                    connection.active_ms = (self.clock)();
                    answer(200, Vec::new())
                }
                Err(mpsc::error::TrySendError::Full(_)) => refusal(429, "LimitExceededException"),
                Err(mpsc::error::TrySendError::Closed(_)) => refusal(410, "GoneException"),
            },
            "GET" => {
                let time = |ms| DateTime::from_millis(ms).fmt(Format::DateTime).unwrap_or_default();
                let (connected, active) = (time(connection.connected_ms), time(connection.active_ms));
                let body = json!({ "connectedAt": connected, "lastActiveAt": active });
                answer(200, body.to_string().into_bytes())
            }
            "DELETE" => {
                connections.remove(id.as_ref());
                answer(204, Vec::new())
            }
            _ => refusal(403, "ForbiddenException"),
        }
    }
}

impl OpenConnection {
    /// Establishes the connection: messages can be posted from now on.
    pub fn establish(&self) {
        if let Some(connection) = lock(&self.connections).get_mut(&self.id) {
            connection.is_established = true;
        }
    }

    /// Waits for the next message that was posted. Returns `None` when the connection was deleted
    /// and its messages are received.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        self.messages.recv().await
    }

    /// Returns the next message that was posted, if there is one.
    pub fn try_receive(&mut self) -> Option<Vec<u8>> {
        self.messages.try_recv().ok()
    }

    /// True if the connection was deleted.
    pub fn is_deleted(&self) -> bool {
        !lock(&self.connections).contains_key(&self.id)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        lock(&self.connections).remove(&self.id);
    }
}

fn lock(connections: &Mutex<BTreeMap<String, Connection>>) -> MutexGuard<'_, BTreeMap<String, Connection>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(status: u16, body: Vec<u8>) -> AwsAnswer {
    AwsAnswer { status, content_type: "application/json", body, error_header: None }
}

fn refusal(status: u16, code: &str) -> AwsAnswer {
    let body = json!({ "message": code }).to_string().into_bytes();
    AwsAnswer { error_header: Some(("x-amzn-errortype", code.to_owned())), ..answer(status, body) }
}
