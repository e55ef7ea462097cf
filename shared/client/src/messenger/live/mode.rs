//! The way in which entries come, and the reason for it.

use std::fmt;

use eko_protocol::frame::TerminationReason;

/// The way in which entries come to a [`LiveFeed`](super::LiveFeed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryMode {
    /// The server sends them on a socket.
    Live,
    /// There are none, because the device waits for approval. The server says on a socket when it has
    /// it.
    Waiting,
    /// The device fetches them.
    Fetching(FetchingReason),
}

/// The reason why there is no socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchingReason {
    /// None was opened yet.
    Beginning,
    /// The server has no sockets.
    NoSockets,
    /// None could be opened, for this reason in words.
    Unopened(String),
    /// The connection broke, for this reason in words.
    Broken(String),
    /// The server has closed the connection and said nothing.
    Closed,
    /// The server has not answered a frame in time.
    Silent,
    /// The clock of this machine was set back, so that no time that was noted before says anything.
    ClockSetBack,
    /// The server has refused another access token.
    TokenRefused,
    /// The server has sent what is no frame, for this reason in words.
    BadFrame(String),
    /// The server has ended the socket.
    Terminated(TerminationReason),
    /// The server has ended the socket, for a reason that this client does not know.
    TerminatedOtherwise,
}

impl fmt::Display for DeliveryMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live: the server sends messages at once"),
            Self::Waiting => f.write_str("live: the server says at once when this device is approved"),
            Self::Fetching(reason) => write!(f, "fetching: {reason}"),
        }
    }
}

impl fmt::Display for FetchingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("not connected yet"),
            Self::NoSockets => f.write_str("the server has no live delivery"),
            Self::Unopened(why) => write!(f, "no live connection: {why}"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Silent => f.write_str("the server does not answer"),
            Self::ClockSetBack => f.write_str("the clock was set back"),
            Self::TokenRefused => f.write_str("the server refused another access token"),
            Self::BadFrame(why) => write!(f, "the server sent what cannot be read: {why}"),
            Self::Terminated(reason) => f.write_str(match reason {
                TerminationReason::TokenExpired => "the access token has expired",
                TerminationReason::DeviceRevoked => "the server says that this device was revoked",
                TerminationReason::Replaced => "this device has opened too many connections",
                TerminationReason::GoingAway => "the server ends the connection",
                TerminationReason::TooManyMessages => "this device has sent too much",
            }),
            Self::TerminatedOtherwise => {
                f.write_str("the server ends the connection for a reason of its own")
            }
        }
    }
}
