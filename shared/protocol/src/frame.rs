//! The frames of a device's socket (`docs/protocol.md`, section 8): text messages, each one JSON
//! object.
//!
//! ```text
//! from the device   {"type": "Fetch", "id": <text>}
//!                   {"type": "Delivered", "id": <text>, "object": <entry> or [<entry>, …]}
//!                   {"type": "Authenticate", "id": <text>, "token": <access token>}
//!                   {"type": "Ping", "id": <text>}                       "id" is optional in each
//! from the server   an entry, or a node of the own chain, as its collection has it
//!                   {"type": "Announce", "object": <address of the inbox>}
//!                   {"type": "QueueEmpty", "object": <id>, "eko:preKeyCount": 98, "eko:kyberPreKeyCount": 3}
//!                   {"type": "Pong", "object": <id>}
//!                   {"type": "Accept", "object": <id>}
//!                   {"type": "Problem", "object": <id>, "problem": {…}}  section 11
//!                   {"type": "Terminated", "reason": "token-expired"}
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Invalid;
use crate::activity::DeliveredActivity;
use crate::address::{Origin, UserName};
use crate::collection::PreKeyCount;
use crate::json::{self, JsonError, has_type, optional_text, text};
use crate::limits::{MAX_FRAME_BYTES, MAX_FRAME_ID_BYTES, MAX_TOKEN_BYTES};

/// A frame from a device.
///
/// ```
/// use eko_protocol::frame::{ClientFrame, FrameRequest};
///
/// let ping = ClientFrame::parse(br#"{"type": "Ping", "id": "7"}"#)?;
/// assert_eq!(ping, ClientFrame { id: Some("7".to_owned()), request: FrameRequest::Ping });
///
/// let fault = ClientFrame::parse(br#"{"type": "Pong", "id": "8"}"#).unwrap_err();
/// assert_eq!(fault.id.as_deref(), Some("8"));
/// # Ok::<(), eko_protocol::frame::FrameFault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFrame {
    /// The id by which the answer names the frame, if the device gave it one: 1 to
    /// [`MAX_FRAME_ID_BYTES`] bytes.
    pub id: Option<String>,
    /// The request.
    pub request: FrameRequest,
}

/// The request of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameRequest {
    /// Asks for the entries of the mailbox.
    Fetch,
    /// Acknowledges entries, by the same activity as the body of a request.
    Delivered(DeliveredActivity),
    /// Continues the socket with another access token.
    Authenticate {
        /// The token.
        token: String,
    },
    /// Keeps the socket open.
    Ping,
}

/// The reason why a frame is refused, with the frame's id as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct FrameFault {
    /// The id of the frame.
    pub id: Option<String>,
    /// The reason.
    pub error: FrameError,
}

/// The reason why a frame is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame has more than [`MAX_FRAME_BYTES`] bytes.
    #[error("a frame has at most {MAX_FRAME_BYTES} bytes")]
    TooLarge,
    /// The frame is not JSON, or JSON that this protocol refuses.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl From<Invalid> for FrameError {
    fn from(invalid: Invalid) -> Self {
        Self::Json(invalid.into())
    }
}

impl ClientFrame {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`FrameFault`] if the frame is too large, is no JSON object, or has an id, a type or a
    /// member that section 8 does not allow.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameFault> {
        let value = json::parse(bytes);
        let id = value.as_ref().map(read_id).unwrap_or_else(|_| Ok(id_of(bytes)));
        let fault = |error: FrameError| FrameFault { id: id.clone().unwrap_or_default(), error };
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(fault(FrameError::TooLarge));
        }
        let value = value.map_err(|error| fault(error.into()))?;
        let request =
            id.clone().and_then(|_| read_request(&value)).map_err(|invalid| fault(invalid.into()))?;
        Ok(Self { id: id.unwrap_or_default(), request })
    }
}

/// Returns the id of a frame that is refused, as far as it is JSON that has one. So the answer can
/// name it.
///
/// ```
/// use eko_protocol::frame::id_of;
///
/// assert_eq!(id_of(br#"{"id": "7", "type": "Ping", "type": "Ping"}"#).as_deref(), Some("7"));
/// assert_eq!(id_of(b"{"), None);
/// ```
pub fn id_of(bytes: &[u8]) -> Option<String> {
    let value = serde_json::from_slice(bytes).ok()?;
    read_id(&value).ok().flatten()
}

fn read_id(value: &Value) -> Result<Option<String>, Invalid> {
    match optional_text(value, "id")? {
        Some(id) if id.is_empty() || id.len() > MAX_FRAME_ID_BYTES => {
            Err(Invalid::at("/id", format!("must have 1 to {MAX_FRAME_ID_BYTES} bytes")))
        }
        id => Ok(id.map(str::to_owned)),
    }
}

fn read_request(value: &Value) -> Result<FrameRequest, Invalid> {
    if !value.is_object() {
        return Err(Invalid::whole("must be an object"));
    }
    if has_type(value, "Fetch") {
        Ok(FrameRequest::Fetch)
    } else if has_type(value, "Delivered") {
        Ok(FrameRequest::Delivered(DeliveredActivity::parse(value)?))
    } else if has_type(value, "Authenticate") {
        match text(value, "token")? {
            token if token.len() > MAX_TOKEN_BYTES => {
                Err(Invalid::at("/token", format!("has more than {MAX_TOKEN_BYTES} bytes")))
            }
            token => Ok(FrameRequest::Authenticate { token: token.to_owned() }),
        }
    } else if has_type(value, "Ping") {
        Ok(FrameRequest::Ping)
    } else {
        Err(Invalid::at("/type", "must be Fetch, Delivered, Authenticate or Ping"))
    }
}

/// The reason why a server ends a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TerminationReason {
    /// The access token has expired, or the device was logged out.
    TokenExpired,
    /// The device was revoked, reset or turned away.
    DeviceRevoked,
    /// The device has opened too many sockets, and this is the oldest.
    Replaced,
    /// The server ends the socket for a reason of its own.
    GoingAway,
    /// The device has sent more frames than it may.
    TooManyMessages,
}

/// Writes `Announce`: there are entries to fetch over HTTP.
pub fn announce(origin: &Origin, user: &UserName) -> Value {
    json!({ "type": "Announce", "object": origin.inbox(user) })
}

/// Writes `QueueEmpty`, the last answer to a `Fetch` of this id: the mailbox has no other entry.
pub fn queue_empty(id: Option<&str>, count: PreKeyCount) -> Value {
    let mut frame = answer("QueueEmpty", id);
    frame.insert("eko:preKeyCount".to_owned(), json!(count.pre_keys));
    frame.insert("eko:kyberPreKeyCount".to_owned(), json!(count.kyber_pre_keys));
    Value::Object(frame)
}

/// Writes `Pong`, the answer to a `Ping` of this id.
pub fn pong(id: Option<&str>) -> Value {
    Value::Object(answer("Pong", id))
}

/// Writes `Accept`: what the frame of this id asked for is done.
pub fn accepted(id: &str) -> Value {
    Value::Object(answer("Accept", Some(id)))
}

/// Writes `Problem`: the frame of this id is refused. `problem` is the document of section 11.
pub fn problem(id: Option<&str>, problem: Value) -> Value {
    let mut frame = answer("Problem", id);
    frame.insert("problem".to_owned(), problem);
    Value::Object(frame)
}

/// Writes `Terminated`, the last frame of a socket.
pub fn terminated(reason: TerminationReason) -> Value {
    json!({ "type": "Terminated", "reason": reason })
}

/// Returns the first members of an answer to a frame.
fn answer(kind: &str, id: Option<&str>) -> Map<String, Value> {
    let mut frame = Map::from_iter([("type".to_owned(), json!(kind))]);
    frame.extend(id.map(|id| ("object".to_owned(), json!(id))));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTRY: &str = "https://a.example/user/bob/inbox/x";

    fn parse(frame: &Value) -> Result<ClientFrame, FrameFault> {
        ClientFrame::parse(frame.to_string().as_bytes())
    }

    #[test]
    fn every_request_is_read() {
        let delivered = json!({"type": ["Activity", "Delivered"], "object": ENTRY});
        let activity = DeliveredActivity { actor: None, entries: vec![ENTRY.to_owned()] };
        let token = "t".to_owned();
        for (frame, request) in [
            (json!({"type": "Fetch"}), FrameRequest::Fetch),
            (delivered, FrameRequest::Delivered(activity)),
            (json!({"type": "Authenticate", "token": token}), FrameRequest::Authenticate { token }),
            (json!({"type": "Ping", "id": null}), FrameRequest::Ping),
        ] {
            assert_eq!(parse(&frame), Ok(ClientFrame { id: None, request }), "{frame}");
        }
    }

    #[test]
    fn faults_name_the_frame() {
        let long = "x".repeat(MAX_FRAME_ID_BYTES + 1);
        for (frame, pointer, id) in [
            (json!([]), "", None),
            (json!("Ping"), "", None),
            (json!({"id": "1"}), "/type", Some("1")),
            (json!({"type": "Create", "id": "1"}), "/type", Some("1")),
            (json!({"type": "Ping", "id": ""}), "/id", None),
            (json!({"type": "Ping", "id": long}), "/id", None),
            (json!({"type": "Ping", "id": 1}), "/id", None),
            (json!({"type": "Delivered", "id": "1", "object": []}), "/object", Some("1")),
            (json!({"type": "Authenticate", "id": "1"}), "/token", Some("1")),
            (json!({"type": "Authenticate", "id": "1", "token": "x".repeat(5000)}), "/token", Some("1")),
        ] {
            let fault = parse(&frame).unwrap_err();
            assert_eq!(fault.id.as_deref(), id, "{frame}");
            let FrameError::Json(JsonError::Refused(invalid)) = fault.error else {
                panic!("{frame}: {fault}")
            };
            assert_eq!(invalid.pointer, pointer, "{frame}");
        }
        let large = json!({"type": "Ping", "id": "1", "more": "x".repeat(MAX_FRAME_BYTES)});
        assert_eq!(parse(&large), Err(FrameFault { id: Some("1".to_owned()), error: FrameError::TooLarge }));
        let fault = ClientFrame::parse(br#"{"id": "1", "type": "Ping", "type": "Ping"}"#).unwrap_err();
        assert_eq!(fault.id.as_deref(), Some("1"));
        let fault = ClientFrame::parse(b"{").unwrap_err();
        assert!(matches!(fault.error, FrameError::Json(JsonError::NotJson(_))), "{fault}");
    }

    proptest! {
        #[test]
        fn answers_name_the_frame(id in "[a-z0-9-]{1,64}") {
            let ping = parse(&json!({"type": "Ping", "id": id})).unwrap();
            let id = ping.id.as_deref();
            for answer in [pong(id), queue_empty(id, PreKeyCount::default()), problem(id, json!({}))] {
                prop_assert_eq!(answer["object"].as_str(), id);
            }
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = ClientFrame::parse(&bytes);
        }
    }
}
