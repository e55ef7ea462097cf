//! The accounts of the model: their devices, chains, mailboxes and blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use eko_protocol::limits::MAX_REQUESTS_OF_SENDER;
use eko_protocol::settings::WhoMayWrite;

use crate::steps::{ACCOUNTS, Party};

/// The status of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Active,
    Revoked,
}

/// An entry of a mailbox. Envelopes have the number of their first step, and contents that of theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entry {
    Message { envelope: usize, from: usize, content: usize, is_request: bool },
    Delivered { envelope: usize },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { envelope, from, content, is_request } => {
                let kind = if *is_request { "request" } else { "message" };
                write!(f, "{kind} {envelope} of {}", ACCOUNTS[*from].0)?;
                if content != envelope { write!(f, " with content {content}") } else { Ok(()) }
            }
            Self::Delivered { envelope } => write!(f, "{envelope} was delivered"),
        }
    }
}

/// A node of a device chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Add(usize),
    /// The first device of an account that takes over from another one.
    AddAfter(usize, usize),
    Revoke(usize),
    Reset(usize),
    /// The device that signs, and the new account.
    Move(usize, usize),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(device) => write!(f, "adds {device}"),
            Self::AddAfter(device, old) => write!(f, "adds {device} after {}", ACCOUNTS[*old].0),
            Self::Revoke(device) => write!(f, "revokes {device}"),
            Self::Reset(device) => write!(f, "resets to {device}"),
            Self::Move(device, new) => write!(f, "moves to {} by {device}", ACCOUNTS[*new].0),
        }
    }
}

/// A device.
#[derive(Clone, Debug)]
pub(crate) struct ModelDevice {
    pub(crate) status: Status,
    pub(crate) keys: u16,
    pub(crate) mailbox: BTreeSet<Entry>,
}

impl ModelDevice {
    /// Puts a message into the mailbox, in the place of what is there of the same envelope.
    fn put(&mut self, message: Entry) {
        let Entry::Message { envelope: new, .. } = message else { return };
        self.mailbox.retain(|entry| !matches!(entry, Entry::Message { envelope, .. } if *envelope == new));
        self.mailbox.insert(message);
    }
}

/// The state of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AccountState {
    #[default]
    None,
    Living,
    /// The account has moved, and only reads.
    Moved,
    Deleted,
}

/// An account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) state: AccountState,
    pub(crate) devices: Vec<ModelDevice>,
    pub(crate) chain: Vec<Node>,
    /// What is blocked, the latest last.
    pub(crate) blocks: Vec<Party>,
    pub(crate) known: BTreeSet<usize>,
    pub(crate) who_may_write: WhoMayWrite,
    /// The envelopes of each stranger that came as requests.
    pub(crate) requests: BTreeMap<usize, BTreeSet<usize>>,
    /// The envelope that was sent last.
    pub(crate) latest: Option<usize>,
}

impl Account {
    /// Returns the devices with a status.
    pub(crate) fn devices_that_are(&self, status: Status) -> Vec<usize> {
        (0..self.devices.len()).filter(|device| self.devices[*device].status == status).collect()
    }

    /// Returns the active devices.
    pub(crate) fn active(&self) -> Vec<usize> {
        self.devices_that_are(Status::Active)
    }

    /// Adds a device, and returns its number.
    pub(crate) fn add(&mut self, status: Status, keys: u16) -> usize {
        self.devices.push(ModelDevice { status, keys, mailbox: BTreeSet::new() });
        self.devices.len() - 1
    }

    /// Ends a device.
    pub(crate) fn end(&mut self, device: usize) {
        self.devices[device].status = Status::Revoked;
        self.devices[device].mailbox.clear();
    }

    /// Ends all devices.
    pub(crate) fn end_all(&mut self) {
        (0..self.devices.len()).for_each(|device| self.end(device));
    }

    /// Puts a message into the mailboxes of some devices.
    pub(crate) fn deliver(&mut self, devices: &[usize], message: &Entry) {
        devices.iter().for_each(|device| self.devices[*device].put(message.clone()));
    }

    fn blocks(&self, account: usize) -> bool {
        self.blocks.iter().any(|party| party.covers(account))
    }

    fn is_stranger(&self, account: usize) -> bool {
        self.who_may_write != WhoMayWrite::Everyone && !self.known.contains(&account)
    }

    /// Says what becomes of an envelope of an account: dropped, delivered, or a request.
    pub(crate) fn judge(&mut self, sender: usize, envelope: usize) -> Option<bool> {
        if self.blocks(sender) {
            return None;
        }
        if !self.is_stranger(sender) {
            return Some(false);
        }
        let made = self.requests.entry(sender).or_default();
        let has_place = made.contains(&envelope) || (made.len() as u64) < MAX_REQUESTS_OF_SENDER;
        let is_admitted = has_place && self.who_may_write == WhoMayWrite::Known;
        is_admitted.then(|| made.insert(envelope)).map(|_| true)
    }

    /// True if a taker gets no one-time keys.
    pub(crate) fn withholds_from(&self, taker: usize) -> bool {
        self.is_stranger(taker) || self.blocks(taker)
    }

    /// Returns the text of a device's mailbox.
    pub(crate) fn mailbox(&self, device: usize) -> String {
        let ModelDevice { keys, mailbox, .. } = &self.devices[device];
        listed(*keys, mailbox)
    }

    /// Returns what a device is shown of the account, but for its mailbox.
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            blocks: self.blocks.iter().rev().copied().collect(),
            who_may_write: self.who_may_write,
            pending: self.devices_that_are(Status::Pending),
        }
    }
}

/// Returns the text of a mailbox, with the number of one-time keys that are left.
pub(crate) fn listed(keys: u16, mailbox: &BTreeSet<Entry>) -> String {
    format!("{keys} keys, [{}]", joined(mailbox))
}

/// The blocks of an account, the latest first, its setting, and its pending devices.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) blocks: Vec<Party>,
    pub(crate) who_may_write: WhoMayWrite,
    pub(crate) pending: Vec<usize>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (blocks, pending) = (joined(&self.blocks), joined(&self.pending));
        write!(f, "blocks [{blocks}], {} may write, [{pending}] wait", self.who_may_write.as_str())
    }
}

/// Returns the texts of several things in one.
pub(crate) fn joined<T: fmt::Display>(things: impl IntoIterator<Item = T>) -> String {
    things.into_iter().map(|thing| thing.to_string()).collect::<Vec<_>>().join(", ")
}
