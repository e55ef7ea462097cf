//! The model: what is true of three accounts, and what each step of a user is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use eko_protocol::limits::MAX_REQUESTS_OF_SENDER;
use eko_protocol::settings::WhoMayWrite;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;

/// The users, each with a server. The first two share one.
pub(crate) const USERS: [(&str, &str); 3] =
    [("alice", "a.example"), ("bob", "a.example"), ("carol", "b.example")];
/// The most devices of a user in the model, whatever their status.
const MOST_DEVICES: usize = 4;
/// The number of one-time prekeys of a first device, and of a publication.
pub(crate) const KEYS: u16 = 2;
/// The answer to a step that makes no sense, and is not made.
pub(crate) const NOTHING: &str = "-";

/// Something that a user does. Users are numbers of [`USERS`], devices count in the order of their
/// registration. Unless a step names the device, the first active one makes it.
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
        whom: usize,
        is_undone: bool,
    },
    Accept {
        user: usize,
        whom: usize,
    },
    LetWrite {
        user: usize,
        who: WhoMayWrite,
    },
    Delete {
        user: usize,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |user: &usize| USERS[*user].0;
        match self {
            Self::Register { user } => write!(f, "{} registers a device", name(user)),
            Self::Approve { user, device } => write!(f, "{} approves device {device}", name(user)),
            Self::Revoke { user, device } => write!(f, "{} revokes device {device}", name(user)),
            Self::Reset { user } => write!(f, "{} resets", name(user)),
            Self::Rotate { user, device } => write!(f, "{}'s device {device} publishes keys", name(user)),
            Self::Take { user, of } => write!(f, "{} takes keys of {}", name(user), name(of)),
            Self::Send { user, to, lacks_one: false } => write!(f, "{} writes to {}", name(user), name(to)),
            Self::Send { user, to, lacks_one: true } => {
                write!(f, "{} writes to {}, but not to the last device", name(user), name(to))
            }
            Self::Fetch { user, device } => write!(f, "{}'s device {device} fetches", name(user)),
            Self::Acknowledge { user, device } => write!(f, "{}'s device {device} acknowledges", name(user)),
            Self::Block { user, whom, is_undone: false } => write!(f, "{} blocks {}", name(user), name(whom)),
            Self::Block { user, whom, is_undone: true } => {
                write!(f, "{} unblocks {}", name(user), name(whom))
            }
            Self::Accept { user, whom } => write!(f, "{} accepts {}", name(user), name(whom)),
            Self::LetWrite { user, who } => write!(f, "{} lets {} write", name(user), who.as_str()),
            Self::Delete { user } => write!(f, "{} deletes the account", name(user)),
        }
    }
}

/// The status of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Active,
    Revoked,
}

/// An entry of a mailbox. Envelopes have the number of their step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entry {
    Message { from: usize, envelope: usize, is_request: bool },
    Delivered { envelope: usize },
}

/// A device.
#[derive(Clone, Debug)]
pub(crate) struct ModelDevice {
    pub(crate) status: Status,
    keys: u16,
    pub(crate) mailbox: BTreeSet<Entry>,
}

/// The state of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Account {
    #[default]
    None,
    Living,
    Deleted,
}

/// A user.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelUser {
    pub(crate) account: Account,
    pub(crate) devices: Vec<ModelDevice>,
    blocks: BTreeSet<usize>,
    known: BTreeSet<usize>,
    who_may_write: WhoMayWrite,
    requests: BTreeMap<usize, u64>,
}

impl ModelUser {
    /// Returns the active devices.
    pub(crate) fn active(&self) -> Vec<usize> {
        let is_active = |at: &usize| self.devices[*at].status == Status::Active;
        (0..self.devices.len()).filter(is_active).collect()
    }

    fn add(&mut self, status: Status, keys: u16) {
        self.devices.push(ModelDevice { status, keys, mailbox: BTreeSet::new() });
    }

    fn end(&mut self, device: usize) {
        self.devices[device].status = Status::Revoked;
        self.devices[device].mailbox.clear();
    }

    /// Says what becomes of an envelope of an actor: dropped, delivered, or a request.
    fn judge(&mut self, sender: usize) -> Option<bool> {
        let is_blocked = self.blocks.contains(&sender);
        if self.who_may_write == WhoMayWrite::Everyone || self.known.contains(&sender) {
            return (!is_blocked).then_some(false);
        }
        let made = self.requests.entry(sender).or_default();
        let admitted = self.who_may_write == WhoMayWrite::Known && !is_blocked;
        if !admitted || *made >= MAX_REQUESTS_OF_SENDER {
            return None;
        }
        *made += 1;
        Some(true)
    }

    fn withholds_from(&self, taker: usize) -> bool {
        let is_stranger = self.who_may_write != WhoMayWrite::Everyone && !self.known.contains(&taker);
        is_stranger || self.blocks.contains(&taker)
    }
}

/// The state of the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) users: [ModelUser; 3],
    /// The author of each envelope whose delivery nobody has reported yet.
    unreported: BTreeMap<usize, usize>,
    /// The number of steps so far.
    pub(crate) steps: usize,
    /// The answer to the last step.
    pub(crate) answer: String,
}

impl Model {
    /// Returns the device that acts for a user.
    pub(crate) fn acting(&self, user: usize) -> Option<usize> {
        self.users[user].active().first().copied()
    }

    /// Returns the answer to whoever asks for a user without an account.
    fn absent(&self, user: usize) -> Option<&'static str> {
        match self.users[user].account {
            Account::None => Some("404 not-found"),
            Account::Deleted => Some("410 user-deleted"),
            Account::Living => None,
        }
    }

    fn status(&self, user: usize, device: usize) -> Option<Status> {
        self.users[user].devices.get(device).map(|device| device.status)
    }

    fn send(&mut self, from: usize, to: usize, lacks_one: bool) -> String {
        if let Some(absent) = self.absent(to) {
            return absent.to_owned();
        }
        let mut named = self.users[to].active();
        let is_partial = lacks_one && named.len() > 1;
        if is_partial {
            named.pop();
        }
        if let Some(is_request) = self.users[to].judge(from) {
            self.unreported.insert(self.steps, from);
            let entry = Entry::Message { from, envelope: self.steps, is_request };
            for device in named {
                self.users[to].devices[device].mailbox.insert(entry.clone());
            }
        }
        if is_partial { "partial" } else { "accepted" }.to_owned()
    }

    fn acknowledge(&mut self, user: usize, device: usize) {
        for entry in std::mem::take(&mut self.users[user].devices[device].mailbox) {
            let Entry::Message { envelope, .. } = entry else { continue };
            let Some(author) = self.unreported.remove(&envelope) else { continue };
            for device in self.users[author].active() {
                self.users[author].devices[device].mailbox.insert(Entry::Delivered { envelope });
            }
        }
    }

    fn take(&mut self, by: usize, of: usize) -> String {
        if let Some(absent) = self.absent(of) {
            return absent.to_owned();
        }
        let withholds = self.users[of].withholds_from(by);
        let mut taken = Vec::new();
        for device in self.users[of].active() {
            let keys = &mut self.users[of].devices[device].keys;
            let has_one = *keys > 0 && !withholds;
            *keys -= u16::from(has_one);
            taken.push(package(device, has_one));
        }
        taken.join(" ")
    }

    /// Makes a step, and returns its answer.
    fn make(&mut self, step: &Step) -> String {
        let done = "done".to_owned();
        let nothing = NOTHING.to_owned();
        match *step {
            Step::Register { user } if self.users[user].devices.len() >= MOST_DEVICES => nothing,
            Step::Register { user } => match self.users[user].account {
                Account::None => {
                    self.users[user].account = Account::Living;
                    self.users[user].add(Status::Active, KEYS);
                    "active".to_owned()
                }
                Account::Living => {
                    self.users[user].add(Status::Pending, 0);
                    "pending".to_owned()
                }
                Account::Deleted => "409 name-taken".to_owned(),
            },
            Step::Reset { user } => {
                let it = &mut self.users[user];
                if it.account != Account::Living || it.devices.len() >= MOST_DEVICES {
                    return nothing;
                }
                (0..it.devices.len()).for_each(|device| it.end(device));
                it.add(Status::Active, 0);
                "active".to_owned()
            }
            Step::Fetch { user, device } => match self.status(user, device) {
                None => nothing,
                Some(Status::Active) => listed(&self.users[user].devices[device].mailbox),
                Some(Status::Pending | Status::Revoked) => "refused".to_owned(),
            },
            // Whatever follows is made by an active device.
            Step::Approve { user, .. }
            | Step::Revoke { user, .. }
            | Step::Rotate { user, .. }
            | Step::Take { user, .. }
            | Step::Send { user, .. }
            | Step::Acknowledge { user, .. }
            | Step::Block { user, .. }
            | Step::Accept { user, .. }
            | Step::LetWrite { user, .. }
            | Step::Delete { user }
                if self.acting(user).is_none() =>
            {
                nothing
            }
            Step::Approve { user, device } => match self.status(user, device) {
                None => nothing,
                Some(Status::Pending) => {
                    self.users[user].devices[device].status = Status::Active;
                    done
                }
                Some(Status::Active | Status::Revoked) => "refused".to_owned(),
            },
            Step::Revoke { user, device } => {
                let is_other = self.acting(user) != Some(device);
                if !is_other || self.status(user, device) != Some(Status::Active) {
                    return nothing;
                }
                self.users[user].end(device);
                done
            }
            Step::Rotate { user, device } | Step::Acknowledge { user, device }
                if self.status(user, device) != Some(Status::Active) =>
            {
                nothing
            }
            Step::Rotate { user, device } => {
                self.users[user].devices[device].keys += KEYS;
                done
            }
            Step::Acknowledge { user, device } => {
                self.acknowledge(user, device);
                done
            }
            Step::Take { user, of: other }
            | Step::Send { user, to: other, .. }
            | Step::Block { user, whom: other, .. }
            | Step::Accept { user, whom: other }
                if user == other =>
            {
                nothing
            }
            Step::Take { user, of } => self.take(user, of),
            Step::Send { user, to, lacks_one } => self.send(user, to, lacks_one),
            Step::Block { user, whom, is_undone } => {
                match is_undone {
                    true => self.users[user].blocks.remove(&whom),
                    false => self.users[user].blocks.insert(whom),
                };
                done
            }
            Step::Accept { user, whom } => {
                self.users[user].known.insert(whom);
                self.users[user].requests.remove(&whom);
                done
            }
            Step::LetWrite { user, who } => {
                self.users[user].who_may_write = who;
                done
            }
            Step::Delete { user } => {
                let it = &mut self.users[user];
                it.account = Account::Deleted;
                (0..it.devices.len()).for_each(|device| it.end(device));
                done
            }
        }
    }
}

/// Returns the text of a package that was taken.
pub(crate) fn package(device: usize, has_one_time_key: bool) -> String {
    format!("{device}:{}", if has_one_time_key { "one-time" } else { "lasting" })
}

/// Returns the text of a mailbox.
pub(crate) fn listed(mailbox: &BTreeSet<Entry>) -> String {
    let one = |entry: &Entry| match entry {
        Entry::Message { from, envelope, is_request } => {
            let kind = if *is_request { "request" } else { "message" };
            format!("{kind} {envelope} of {}", USERS[*from].0)
        }
        Entry::Delivered { envelope } => format!("{envelope} was delivered"),
    };
    format!("[{}]", mailbox.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// The model as proptest drives it.
pub(crate) struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    /// Prefers steps that make sense. Others are made now and then, and when a sequence is minimised.
    fn transitions(state: &Model) -> BoxedStrategy<Step> {
        let users = 0..USERS.len();
        let any_device = (users.clone(), 0..MOST_DEVICES).boxed();
        let living: Vec<usize> = users.clone().filter(|user| state.acting(*user).is_some()).collect();
        let with = |status: Status| {
            let of = |user: usize| {
                let has = move |device: &usize| state.status(user, *device) == Some(status);
                (0..MOST_DEVICES).filter(has).map(move |device| (user, device))
            };
            let found: Vec<(usize, usize)> = users.clone().flat_map(of).collect();
            match found.is_empty() {
                true => any_device.clone(),
                false => prop_oneof![9 => select(found), 1 => any_device.clone()].boxed(),
            }
        };
        let user = match living.is_empty() {
            true => users.clone().boxed(),
            false => prop_oneof![9 => select(living.clone()), 1 => users.clone()].boxed(),
        };
        let two = (user.clone(), 1..USERS.len()).prop_map(|(user, away)| (user, (user + away) % USERS.len()));
        let two = two.boxed();
        let who = prop_oneof![1 => Just(WhoMayWrite::Everyone), 3 => Just(WhoMayWrite::Known), 1 => Just(WhoMayWrite::Nobody)];
        let newcomers = if living.len() < USERS.len() { 30 } else { 3 };
        prop_oneof![
            newcomers => users.clone().prop_map(|user| Step::Register { user }),
            5 => with(Status::Pending).prop_map(|(user, device)| Step::Approve { user, device }),
            1 => with(Status::Active).prop_map(|(user, device)| Step::Revoke { user, device }),
            1 => user.clone().prop_map(|user| Step::Reset { user }),
            3 => with(Status::Active).prop_map(|(user, device)| Step::Rotate { user, device }),
            8 => two.clone().prop_map(|(user, of)| Step::Take { user, of }),
            24 => (two.clone(), any::<bool>())
                .prop_map(|((user, to), lacks_one)| Step::Send { user, to, lacks_one }),
            8 => with(Status::Active).prop_map(|(user, device)| Step::Fetch { user, device }),
            8 => with(Status::Active).prop_map(|(user, device)| Step::Acknowledge { user, device }),
            4 => (two.clone(), any::<bool>())
                .prop_map(|((user, whom), is_undone)| Step::Block { user, whom, is_undone }),
            3 => two.prop_map(|(user, whom)| Step::Accept { user, whom }),
            3 => (user.clone(), who).prop_map(|(user, who)| Step::LetWrite { user, who }),
            1 => user.prop_map(|user| Step::Delete { user }),
        ]
        .boxed()
    }

    fn apply(mut state: Model, step: &Step) -> Model {
        state.steps += 1;
        state.answer = state.make(step);
        state
    }
}
