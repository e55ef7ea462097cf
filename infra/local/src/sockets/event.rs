//! The events of a WebSocket API with a Lambda proxy integration, with all members that the
//! function's parser requires or that tell the events apart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_engines::connections::new_id;
use http::HeaderMap;
use serde_json::{Map, Value, json};

/// The part of the events that is the same for one connection.
#[derive(Clone, Debug)]
pub(super) struct EventContext {
    connection: String,
    connected_ms: i64,
}

impl EventContext {
    pub(super) fn new(connection: String, connected_ms: i64) -> Self {
        Self { connection, connected_ms }
    }

    /// Returns the event of a client that asks for the connection.
    pub(super) fn connect(&self, headers: &HeaderMap) -> Value {
        let mut event = self.event("$connect", "CONNECT");
        let (mut one, mut all) = (Map::new(), Map::new());
        for name in headers.keys() {
            let values = headers.get_all(name).iter();
            let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
            one.insert(name.to_string(), json!(values.last()));
            all.insert(name.to_string(), json!(values));
        }
        event["headers"] = Value::Object(one);
        event["multiValueHeaders"] = Value::Object(all);
        event
    }

    /// Returns the event of a text message.
    pub(super) fn text(&self, text: &str) -> Value {
        let mut event = self.message();
        event["body"] = json!(text);
        event
    }

    /// Returns the event of a binary message.
    pub(super) fn binary(&self, bytes: &[u8]) -> Value {
        let mut event = self.message();
        event["body"] = json!(STANDARD.encode(bytes));
        event["isBase64Encoded"] = json!(true);
        event
    }

    /// Returns the event of the connection's end.
    pub(super) fn disconnect(&self, code: u16) -> Value {
        let mut event = self.event("$disconnect", "DISCONNECT");
        event["requestContext"]["disconnectStatusCode"] = json!(code);
        event["requestContext"]["disconnectReason"] = json!("");
        event
    }

    fn message(&self) -> Value {
        let mut event = self.event("$default", "MESSAGE");
        event["requestContext"]["messageId"] = json!(new_id());
        event
    }

    fn event(&self, route: &str, kind: &str) -> Value {
        let request = new_id();
        json!({
            "requestContext": {
                "routeKey": route,
                "eventType": kind,
                "messageDirection": "IN",
                "stage": "live",
                "connectedAt": self.connected_ms,
                "requestTimeEpoch": self.connected_ms,
                "identity": { "sourceIp": "127.0.0.1" },
                "requestId": request,
                "extendedRequestId": request,
                "domainName": "localhost",
                "connectionId": self.connection,
                "apiId": "local",
            },
            "isBase64Encoded": false,
        })
    }
}
