//! The attributes of the item `LIVE`: their names, and reading them.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};

use super::{ConnectionId, Live, PushState, Socket};
use crate::attribute::{Item, corrupt, missing, s};
use crate::{Result, StoreError};

/// The names of the attributes of a socket, in its own item and in the map of the user's item.
pub(super) mod attr {
    pub(in crate::live) const USER: &str = "u";
    pub(in crate::live) const DEVICE: &str = "d";
    pub(in crate::live) const EXPIRES_S: &str = "e";
    pub(in crate::live) const OPENED_MS: &str = "o";
    pub(in crate::live) const FAMILY: &str = "g";
    pub(in crate::live) const PENDING: &str = "p";
    pub(in crate::live) const FRAMES: &str = "n";
    pub(in crate::live) const FETCHES: &str = "q";
    pub(in crate::live) const BEHIND_MS: &str = "b";
    pub(in crate::live) const FAILURES: &str = "f";
}

const SOCKET_PREFIX: &str = "C";
const PUSH_PREFIX: &str = "P";
const PUSHED_FOR_PREFIX: &str = "A";

/// Returns the name of the attribute of a socket.
pub(super) fn socket_name(connection: &ConnectionId) -> String {
    format!("{SOCKET_PREFIX}{connection}")
}

/// Returns the name of the attribute of a device's push state.
pub(crate) fn push_name(device: &DeviceId) -> String {
    format!("{PUSH_PREFIX}{device}")
}

/// Returns the name of the attribute of the key up to which entries have led to a push to a device.
pub(crate) fn pushed_for_name(device: &DeviceId) -> String {
    format!("{PUSHED_FOR_PREFIX}{device}")
}

impl Live {
    pub(crate) fn from_item(user: &UserName, item: &Item) -> Result<Self> {
        let mut live = Self::default();
        for (name, value) in item {
            let map = || value.as_m().map_err(|_| missing(name));
            let text = || value.as_s().map_err(|_| missing(name));
            if let Some(connection) = name.strip_prefix(SOCKET_PREFIX) {
                let connection = ConnectionId::try_from(connection.to_owned())?;
                live.sockets.push(Socket::from_map(connection, user, map()?)?);
            } else if let Some(device) = name.strip_prefix(PUSH_PREFIX) {
                live.pushes.insert(DeviceId::parse(device).map_err(corrupt)?, PushState::parse(text()?)?);
            } else if let Some(device) = name.strip_prefix(PUSHED_FOR_PREFIX) {
                let key = EntryKey::parse(text()?).map_err(corrupt)?;
                live.pushed_for.insert(DeviceId::parse(device).map_err(corrupt)?, key);
            }
        }
        live.sockets.sort_by(|a, b| (a.opened_ms, &a.connection).cmp(&(b.opened_ms, &b.connection)));
        Ok(live)
    }
}

impl PushState {
    /// Returns the state as the value of its attribute.
    pub(crate) fn attribute(&self) -> AttributeValue {
        s(self.to_string())
    }

    /// Returns the time of the state, in epoch milliseconds.
    pub(crate) fn time_ms(&self) -> i64 {
        match self {
            Self::Idle { since_ms: time_ms }
            | Self::Watched { check_ms: time_ms }
            | Self::Checked { check_ms: time_ms }
            | Self::Sent { sent_ms: time_ms, .. } => *time_ms,
        }
    }

    /// Reads the text of a state.
    fn parse(text: &str) -> Result<Self> {
        let mut words = text.splitn(3, ' ');
        let (code, time, order) = (words.next(), words.next(), words.next());
        let other = || corrupt(format!("push state {text}"));
        let time_ms = time.and_then(|time| time.parse().ok()).ok_or_else(other)?;
        match (code, order) {
            (Some("I"), None) => Ok(Self::Idle { since_ms: time_ms }),
            (Some("W"), None) => Ok(Self::Watched { check_ms: time_ms }),
            (Some("C"), None) => Ok(Self::Checked { check_ms: time_ms }),
            (Some("S"), Some(order)) => Ok(Self::Sent { sent_ms: time_ms, order: order.to_owned() }),
            _ => Err(other()),
        }
    }
}

impl fmt::Display for PushState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time_ms = self.time_ms();
        match self {
            Self::Idle { .. } => write!(f, "I {time_ms}"),
            Self::Watched { .. } => write!(f, "W {time_ms}"),
            Self::Checked { .. } => write!(f, "C {time_ms}"),
            Self::Sent { order, .. } => write!(f, "S {time_ms} {order}"),
        }
    }
}

impl TryFrom<String> for PushState {
    type Error = StoreError;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<PushState> for String {
    fn from(state: PushState) -> Self {
        state.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_pushes_are_read_as_they_were_written() {
        let user = UserName::parse("bob").unwrap();
        let device = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap();
        let socket = |connection: &str, opened_ms, is_pending| Socket {
            connection: ConnectionId::parse(connection).unwrap(),
            user: user.clone(),
            device: device.clone(),
            expires_s: 900,
            opened_ms,
            family: "f".to_owned(),
            is_pending,
            behind: None,
        };
        let sockets = vec![socket("b+/=", 1, true), socket("a=", 2, false)];
        let mut item: Item =
            sockets.iter().map(|socket| (socket_name(&socket.connection), socket.listed())).collect();
        let states = [
            PushState::Idle { since_ms: 1 },
            PushState::Watched { check_ms: 2 },
            PushState::Checked { check_ms: 3 },
            PushState::Sent { sent_ms: 4, order: "an id".to_owned() },
        ];
        for state in &states {
            item.insert(push_name(&device), state.attribute());
            let live = Live::from_item(&user, &item).unwrap();
            assert_eq!((&live.sockets, live.pushes.get(&device)), (&sockets, Some(state)));
            assert!(live.pushed_for.is_empty());
        }
        let key = EntryKey::new(5, "https://a.example/user/alice", "urn:uuid:x");
        item.insert(pushed_for_name(&device), s(key.as_str()));
        assert_eq!(Live::from_item(&user, &item).unwrap().pushed_for, [(device.clone(), key)].into());
        item.insert("Px".to_owned(), states[0].attribute());
        assert!(Live::from_item(&user, &item).is_err());
    }

    /// Conditions compare texts: a state has one, and no other state has it.
    #[test]
    fn a_push_state_is_one_text() {
        let sent = PushState::Sent { sent_ms: 4, order: "an id".to_owned() };
        assert_eq!(sent.attribute(), s("S 4 an id"));
        assert_eq!(PushState::parse("S 4 an id").unwrap(), sent);
        for other in ["", "I", "I x", "I 1 order", "S 4", "X 1", "i 1"] {
            assert!(PushState::parse(other).is_err(), "{other}");
        }
    }
}
