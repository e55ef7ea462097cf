//! The device's socket (section 8): opening it, and reading what the server sends.

use eko_protocol::Invalid;
use eko_protocol::frame::TerminationReason;
use eko_protocol::json::{self, has_type, optional, optional_text, shape, text};
use eko_protocol::limits::MAX_FRAME_BYTES;
use serde_json::Value;

use super::{Device, MailboxEntry, PoolCount};
use crate::transport::{SocketOpening, SocketTransport};
use crate::{ClientError, Exchange, Transport};

/// A frame from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerFrame {
    /// An entry of the mailbox.
    Entry(Box<MailboxEntry>),
    /// There are entries to fetch over HTTP.
    Announce,
    /// The last answer to a `Fetch`.
    QueueEmpty {
        /// The id of the `Fetch`.
        id: Option<String>,
        /// The one-time keys of this device that the server has left.
        keys_left: PoolCount,
    },
    /// The answer that the frame of this id is done: `Pong` or `Accept`.
    Done(Option<String>),
    /// The node of the chain by which a device was approved. It proves nothing.
    Approval,
    /// The frame of this id is refused.
    Problem(Option<String>),
    /// The server ends the socket, for a reason that may be unknown to this client.
    Terminated(Option<TerminationReason>),
    /// A frame of a type that this client does not know.
    Unknown,
}

impl<T: Transport> Device<T> {
    /// Reads a frame of the server.
    ///
    /// # Errors
    /// [`Invalid`] if it is too long, is no JSON object, or lacks a member of its type.
    pub fn read_frame(&self, frame: &str) -> Result<ServerFrame, Invalid> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(Invalid::whole("is longer than a frame"));
        }
        let frame = json::parse(frame.as_bytes()).map_err(|error| Invalid::whole(error.to_string()))?;
        if !frame.is_object() {
            return Err(Invalid::whole("must be an object"));
        }
        if optional(&frame, "eko:entry")?.is_some() {
            return self.entry(&frame).map(|entry| ServerFrame::Entry(Box::new(entry)));
        }
        let id = |frame: &Value| Ok::<_, Invalid>(optional_text(frame, "object")?.map(str::to_owned));
        if has_type(&frame, "Announce") {
            Ok(ServerFrame::Announce)
        } else if has_type(&frame, "QueueEmpty") {
            Ok(ServerFrame::QueueEmpty { id: id(&frame)?, keys_left: shape(&frame)? })
        } else if has_type(&frame, "Pong") || has_type(&frame, "Accept") {
            Ok(ServerFrame::Done(id(&frame)?))
        } else if has_type(&frame, "AddDevice") {
            Ok(ServerFrame::Approval)
        } else if has_type(&frame, "Problem") {
            Ok(ServerFrame::Problem(id(&frame)?))
        } else if has_type(&frame, "Terminated") {
            let reason = text(&frame, "reason")?;
            Ok(ServerFrame::Terminated(serde_json::from_value(reason.into()).ok()))
        } else {
            Ok(ServerFrame::Unknown)
        }
    }
}

impl<T: Transport + SocketTransport> Device<T> {
    /// Opens a socket at the address of [`Capabilities::live`](crate::capabilities::Capabilities::live).
    ///
    /// # Errors
    /// [`ClientError::Unfetchable`] if the access token may not go there: then nothing is sent.
    pub async fn open_socket(&self, url: &str) -> Result<T::Socket, ClientError> {
        self.reach.check_socket(url)?;
        let token = self.tokens().ok_or(ClientError::NotSignedIn)?.access;
        match self.transport.open(url, &token).await? {
            SocketOpening::Open(socket) => Ok(socket),
            SocketOpening::Refused(answer) => {
                let (parts, body) = answer.into_parts();
                Err(Exchange { status: parts.status, headers: parts.headers, body }.refusal())
            }
        }
    }
}
