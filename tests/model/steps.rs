//! The steps of a sequence: what the users do.

use std::fmt;

use eko_protocol::settings::WhoMayWrite;

/// The accounts, each with a server. The first three are those of Alice, Bob and Carol, and the others those to
/// which they move, in the same order.
pub(crate) const ACCOUNTS: [(&str, &str); 6] = [
    ("alice", "a.example"),
    ("bob", "a.example"),
    ("carol", "b.example"),
    ("alicia", "b.example"),
    ("robert", "a.example"),
    ("caroline", "a.example"),
];
/// The number of users.
pub(crate) const USERS: usize = 3;
/// The domains of the servers.
pub(crate) const DOMAINS: [&str; 2] = ["a.example", "b.example"];

/// Something that a user does. Accounts are numbers of [`ACCOUNTS`], devices count in the order of their
/// registration. Unless a step names the device, the first active one of the account makes it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Register {
        user: usize,
    },
    Approve {
        user: usize,
        device: usize,
    },
    Revoke {
        user: usize,
        device: usize,
    },
    Reset {
        user: usize,
    },
    Rotate {
        user: usize,
        device: usize,
    },
    Take {
        user: usize,
        of: usize,
    },
    /// With `lacks_one` the envelope has no ciphertext for the last of several devices.
    Send {
        user: usize,
        to: usize,
        lacks_one: bool,
    },
    /// The latest envelope of the account comes again.
    Repeat {
        user: usize,
        again: Again,
    },
    Fetch {
        user: usize,
        device: usize,
    },
    Acknowledge {
        user: usize,
        device: usize,
    },
    Block {
        user: usize,
        party: Party,
        is_undone: bool,
    },
    Accept {
        user: usize,
        whom: usize,
        is_undone: bool,
    },
    LetWrite {
        user: usize,
        who: WhoMayWrite,
    },
    /// Registers the next account of the user, and ends the chain of this one.
    Move {
        user: usize,
    },
    Delete {
        user: usize,
    },
}

/// The form in which an envelope comes again. Its id is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Same,
    WithOtherContent,
    /// For the active devices of the recipient that have no ciphertext yet, as after a partial delivery.
    ForTheRest,
}

/// Somebody who is blocked: an account, or the domain of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Account(usize),
    Domain(usize),
}

impl Party {
    /// True if a block of the party covers an account.
    pub(crate) fn covers(self, account: usize) -> bool {
        match self {
            Self::Account(blocked) => blocked == account,
            Self::Domain(domain) => DOMAINS[domain] == ACCOUNTS[account].1,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account(account) => ACCOUNTS[*account].0,
            Self::Domain(domain) => DOMAINS[*domain],
        })
    }
}

impl Step {
    /// Returns the account whose step it is.
    pub(crate) fn user(&self) -> usize {
        match self {
            Self::Register { user }
            | Self::Approve { user, .. }
            | Self::Revoke { user, .. }
            | Self::Reset { user }
            | Self::Rotate { user, .. }
            | Self::Take { user, .. }
            | Self::Send { user, .. }
            | Self::Repeat { user, .. }
            | Self::Fetch { user, .. }
            | Self::Acknowledge { user, .. }
            | Self::Block { user, .. }
            | Self::Accept { user, .. }
            | Self::LetWrite { user, .. }
            | Self::Move { user }
            | Self::Delete { user } => *user,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ACCOUNTS[self.user()].0;
        let other = |account: &usize| ACCOUNTS[*account].0;
        match self {
            Self::Register { .. } => write!(f, "{name} registers a device"),
            Self::Approve { device, .. } => write!(f, "{name} approves device {device}"),
            Self::Revoke { device, .. } => write!(f, "{name} revokes device {device}"),
            Self::Reset { .. } => write!(f, "{name} resets"),
            Self::Rotate { device, .. } => write!(f, "{name}'s device {device} publishes keys"),
            Self::Take { of, .. } => write!(f, "{name} takes keys of {}", other(of)),
            Self::Send { to, lacks_one, .. } => {
                let lacking = if *lacks_one { ", but not to the last device" } else { "" };
                write!(f, "{name} writes to {}{lacking}", other(to))
            }
            Self::Repeat { again, .. } => f.write_str(&match again {
                Again::Same => format!("{name} sends the envelope again"),
                Again::WithOtherContent => format!("{name} sends other content under the envelope's id"),
                Again::ForTheRest => format!("{name} sends the envelope to the devices that lack it"),
            }),
            Self::Fetch { device, .. } => write!(f, "{name}'s device {device} fetches"),
            Self::Acknowledge { device, .. } => write!(f, "{name}'s device {device} acknowledges"),
            Self::Block { party, is_undone, .. } => {
                write!(f, "{name} {} {party}", if *is_undone { "unblocks" } else { "blocks" })
            }
            Self::Accept { whom, is_undone, .. } => {
                write!(f, "{name} {} {}", if *is_undone { "forgets" } else { "accepts" }, other(whom))
            }
            Self::LetWrite { who, .. } => write!(f, "{name} lets {} write", who.as_str()),
            Self::Move { .. } => write!(f, "{name} moves"),
            Self::Delete { .. } => write!(f, "{name} deletes the account"),
        }
    }
}
