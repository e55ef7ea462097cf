//! A socket of a device in a test: the gateway's events without TCP.

use eko_local::sockets::GatewaySocket;
use serde_json::{Value, json};

/// An open socket. The connection ends when it is dropped, and the function is not told: like one
/// that broke.
pub struct TestSocket {
    socket: GatewaySocket,
}

impl TestSocket {
    pub(crate) fn new(socket: GatewaySocket) -> Self {
        Self { socket }
    }

    /// Returns the id of the connection.
    pub fn id(&self) -> &str {
        &self.socket.connection.id
    }

    /// Returns the subprotocol that the server has chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.socket.protocol.as_deref()
    }

    /// Sends a frame, and returns all frames that have come when it is handled.
    pub async fn say(&mut self, frame: &Value) -> Vec<Value> {
        self.say_text(&frame.to_string()).await
    }

    /// Sends a text, and returns all frames that have come when it is handled.
    pub async fn say_text(&mut self, text: &str) -> Vec<Value> {
        self.socket.incoming.text(text).await;
        self.frames()
    }

    /// Sends a binary message, and returns all frames that have come when it is handled.
    pub async fn say_binary(&mut self, bytes: &[u8]) -> Vec<Value> {
        self.socket.incoming.binary(bytes).await;
        self.frames()
    }

    /// Sends `Fetch`, and returns all frames that have come.
    pub async fn fetch(&mut self) -> Vec<Value> {
        self.say(&json!({ "type": "Fetch" })).await
    }

    /// Returns the frames that have come.
    pub fn frames(&mut self) -> Vec<Value> {
        let messages = std::iter::from_fn(|| self.socket.connection.try_receive());
        messages.map(|message| serde_json::from_slice(&message).expect("a frame is JSON")).collect()
    }

    /// True if the server has closed the connection.
    pub fn is_closed(&self) -> bool {
        self.socket.connection.is_deleted()
    }

    /// Closes the connection, as a client does.
    pub async fn close(self) {
        let incoming = self.socket.incoming.clone();
        drop(self);
        incoming.end(1000).await;
    }
}
