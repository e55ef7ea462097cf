//! The model: what is true of the accounts, and what each step is answered.

use std::collections::{BTreeMap, BTreeSet};

use crate::accounts::{Account, AccountState, Entry, Node, Status, joined};
use crate::steps::{ACCOUNTS, Again, Party, Step, USERS};

/// The most devices of an account in the model, whatever their status.
pub(crate) const MOST_DEVICES: usize = 4;
/// The number of one-time prekeys of a first device, and of a publication.
pub(crate) const KEYS: u16 = 2;
/// The answer to a step that makes no sense, and is not made.
pub(crate) const NOTHING: &str = "-";

/// An envelope, and what its recipient's server remembers of it.
#[derive(Clone, Debug)]
pub(crate) struct ModelEnvelope {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The devices that it was sent to the last time. Without one it was for a device that nobody has.
    pub(crate) named: Vec<usize>,
    /// The step that its content is from.
    pub(crate) content: usize,
    /// The device that has begun to send it to another server.
    begun_by: Option<usize>,
    accepted: BTreeSet<usize>,
    acknowledged: BTreeSet<usize>,
}

/// The state of the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) accounts: [Account; ACCOUNTS.len()],
    /// The envelopes by the number of the step that sent them first.
    pub(crate) envelopes: BTreeMap<usize, ModelEnvelope>,
    /// The number of steps so far.
    pub(crate) steps: usize,
    /// The answer to the last step.
    pub(crate) answer: String,
}

impl Model {
    /// Returns the device that acts for an account.
    pub(crate) fn acting(&self, user: usize) -> Option<usize> {
        self.accounts[user].active().first().copied()
    }

    /// Returns the answer to whoever asks for an account that is not there.
    fn absent(&self, user: usize) -> Option<&'static str> {
        match self.accounts[user].state {
            AccountState::None => Some("404 not-found"),
            AccountState::Deleted => Some("410 user-deleted"),
            AccountState::Moved | AccountState::Living => None,
        }
    }

    fn has_moved(&self, user: usize) -> bool {
        self.accounts[user].state == AccountState::Moved
    }

    fn status(&self, user: usize, device: usize) -> Option<Status> {
        self.accounts[user].devices.get(device).map(|device| device.status)
    }

    /// Returns the answer to a device that may not act.
    fn refusal(&self, user: usize, device: usize) -> Option<&'static str> {
        match (self.accounts[user].state, self.status(user, device)) {
            (_, None) => Some(NOTHING),
            (AccountState::Deleted, _) => Some("410 account-deleted"),
            // Its session has ended, and its access token has expired since.
            (_, Some(Status::Revoked)) => Some("401 unauthenticated"),
            (_, Some(Status::Pending)) => Some("403 device-pending"),
            (_, Some(Status::Active)) => None,
        }
    }

    /// True if an envelope was accepted for some devices of its recipient, and some have not got it.
    pub(crate) fn is_partial(&self, number: usize) -> bool {
        let ModelEnvelope { to, accepted, .. } = &self.envelopes[&number];
        let is_complete = self.accounts[*to].active().iter().all(|device| accepted.contains(device));
        !accepted.is_empty() && !is_complete
    }

    /// Returns the devices for which the envelope of a step is.
    pub(crate) fn named(&self, step: &Step) -> Vec<usize> {
        match *step {
            Step::Send { to, lacks_one, .. } => {
                let mut named = self.accounts[to].active();
                if lacks_one && named.len() > 1 {
                    named.pop();
                }
                named
            }
            Step::Repeat { user, again } => {
                let latest = self.accounts[user].latest.and_then(|latest| self.envelopes.get(&latest));
                let Some(envelope) = latest else { return Vec::new() };
                match again {
                    Again::Same | Again::WithOtherContent => envelope.named.clone(),
                    Again::ForTheRest => {
                        let mut rest = self.accounts[envelope.to].active();
                        rest.retain(|device| !envelope.accepted.contains(device));
                        rest
                    }
                }
            }
            _ => Vec::new(),
        }
    }

    fn send(&mut self, from: usize, to: usize, named: Vec<usize>) -> String {
        let (content, accepted, acknowledged) = (self.steps, BTreeSet::new(), BTreeSet::new());
        self.accounts[from].latest = Some(self.steps);
        let envelope = ModelEnvelope { from, to, named, content, begun_by: None, accepted, acknowledged };
        self.envelopes.insert(self.steps, envelope);
        self.accept(self.steps)
    }

    fn repeat(&mut self, user: usize, again: Again, named: Vec<usize>) -> String {
        let Some(number) = self.accounts[user].latest else { return NOTHING.to_owned() };
        let Some(envelope) = self.envelopes.get_mut(&number) else { return NOTHING.to_owned() };
        match again {
            Again::Same => {}
            Again::WithOtherContent => envelope.content = self.steps,
            Again::ForTheRest if named.is_empty() => return NOTHING.to_owned(),
            Again::ForTheRest => envelope.named = named,
        }
        self.accept(number)
    }

    /// Accepts an envelope of which all is known, and delivers it.
    fn accept(&mut self, number: usize) -> String {
        let ModelEnvelope { from, to, named, content, begun_by, accepted, acknowledged } =
            self.envelopes[&number].clone();
        let is_remote = ACCOUNTS[from].1 != ACCOUNTS[to].1;
        if is_remote {
            // What a device has begun to send to another server before a move may be repeated by it.
            let acting = self.acting(from);
            if self.has_moved(from) && begun_by != acting {
                return "410 account-moved".to_owned();
            }
            if let Some(envelope) = self.envelopes.get_mut(&number) {
                envelope.begun_by = begun_by.or(acting);
            }
        }
        if let Some(absent) = self.absent(to) {
            return absent.to_owned();
        }
        // What was accepted before a move is answered as before.
        let was_accepted = !named.is_empty() && named.iter().all(|device| accepted.contains(device));
        for (has_moved, refusal) in [
            (!is_remote && self.has_moved(from), "410 account-moved"),
            (self.has_moved(to), "410 user-moved"),
        ] {
            if has_moved && !was_accepted {
                return refusal.to_owned();
            }
        }
        let active = self.accounts[to].active();
        if named.is_empty() || named.iter().any(|device| !active.contains(device)) {
            return "rejected".to_owned();
        }
        if let Some(is_request) = self.accounts[to].judge(from, number) {
            let message = Entry::Message { envelope: number, from, content, is_request };
            let due: Vec<usize> =
                named.iter().copied().filter(|device| !acknowledged.contains(device)).collect();
            self.accounts[to].deliver(&due, &message);
        }
        let Some(envelope) = self.envelopes.get_mut(&number) else { return NOTHING.to_owned() };
        envelope.accepted.extend(named);
        let is_complete = active.iter().all(|device| envelope.accepted.contains(device));
        if is_complete { "accepted" } else { "partial" }.to_owned()
    }

    /// Empties a mailbox. The first device that acknowledges an envelope has its author told.
    fn acknowledge(&mut self, user: usize, device: usize) {
        for entry in std::mem::take(&mut self.accounts[user].devices[device].mailbox) {
            let Entry::Message { envelope: number, from, .. } = entry else { continue };
            let Some(envelope) = self.envelopes.get_mut(&number) else { continue };
            let is_first = envelope.acknowledged.is_empty();
            envelope.acknowledged.insert(device);
            for told in self.accounts[from].active().into_iter().filter(|_| is_first) {
                self.accounts[from].devices[told].mailbox.insert(Entry::Delivered { envelope: number });
            }
        }
    }

    fn take(&mut self, by: usize, of: usize) -> String {
        if self.has_moved(by) {
            return "410 account-moved".to_owned();
        }
        if let Some(absent) = self.absent(of) {
            return absent.to_owned();
        }
        if self.has_moved(of) {
            return "410 user-moved".to_owned();
        }
        let withholds = self.accounts[of].withholds_from(by);
        let mut taken = Vec::new();
        for device in self.accounts[of].active() {
            let keys = &mut self.accounts[of].devices[device].keys;
            let has_one = *keys > 0 && !withholds;
            *keys -= u16::from(has_one);
            taken.push(package(device, has_one));
        }
        joined(taken)
    }

    fn register(&mut self, user: usize) -> &'static str {
        let account = &mut self.accounts[user];
        match account.state {
            // Nobody has such a name but by a move.
            AccountState::None if user >= USERS => NOTHING,
            _ if account.devices.len() >= MOST_DEVICES => NOTHING,
            AccountState::None => {
                account.state = AccountState::Living;
                let device = account.add(Status::Active, KEYS);
                account.chain.push(Node::Add(device));
                "active"
            }
            AccountState::Living if account.active().is_empty() => "409 no-active-device",
            AccountState::Living => {
                account.add(Status::Pending, 0);
                "pending"
            }
            AccountState::Moved => "410 account-moved",
            AccountState::Deleted => "409 name-taken",
        }
    }

    fn reset(&mut self, user: usize) -> &'static str {
        let account = &mut self.accounts[user];
        match account.state {
            AccountState::None => NOTHING,
            _ if account.devices.len() >= MOST_DEVICES => NOTHING,
            AccountState::Living => {
                account.end_all();
                let device = account.add(Status::Active, 0);
                account.chain.push(Node::Reset(device));
                "active"
            }
            AccountState::Moved => "410 account-moved",
            // The device reads the chain first.
            AccountState::Deleted => "410 user-deleted",
        }
    }

    fn change_chain(&mut self, user: usize, device: usize, is_approval: bool) -> &'static str {
        if self.has_moved(user) {
            return "410 account-moved";
        }
        let account = &mut self.accounts[user];
        match (account.devices[device].status, is_approval) {
            (Status::Pending, true) => {
                account.devices[device].status = Status::Active;
                account.chain.push(Node::Add(device));
                "done"
            }
            (Status::Active, false) => {
                account.end(device);
                account.chain.push(Node::Revoke(device));
                "done"
            }
            (Status::Active | Status::Revoked, true) | (Status::Pending | Status::Revoked, false) => {
                "422 invalid"
            }
        }
    }

    fn move_on(&mut self, user: usize, acting: usize) -> &'static str {
        let new = user + USERS;
        match self.accounts[user].state {
            _ if new >= ACCOUNTS.len() => NOTHING,
            AccountState::Moved => "410 account-moved",
            _ => {
                let successor = &mut self.accounts[new];
                successor.state = AccountState::Living;
                let device = successor.add(Status::Active, KEYS);
                successor.chain.push(Node::AddAfter(device, user));
                self.accounts[user].state = AccountState::Moved;
                self.accounts[user].chain.push(Node::Move(acting, new));
                "done"
            }
        }
    }

    /// Makes a step, and returns its answer.
    pub(crate) fn make(&mut self, step: &Step) -> String {
        let user = step.user();
        match *step {
            Step::Register { .. } => return self.register(user).to_owned(),
            Step::Reset { .. } => return self.reset(user).to_owned(),
            Step::Fetch { device, .. } => {
                let refusal = self.refusal(user, device).map(str::to_owned);
                return refusal.unwrap_or_else(|| self.accounts[user].mailbox(device));
            }
            Step::Rotate { device, .. } | Step::Acknowledge { device, .. }
                if self.refusal(user, device).is_some() =>
            {
                return self.refusal(user, device).unwrap_or(NOTHING).to_owned();
            }
            _ => {}
        }
        // Whatever follows is made by an active device.
        let Some(acting) = self.acting(user) else { return NOTHING.to_owned() };
        match *step {
            Step::Register { .. } | Step::Reset { .. } | Step::Fetch { .. } => NOTHING,
            Step::Approve { device, .. } | Step::Revoke { device, .. }
                if self.status(user, device).is_none() =>
            {
                NOTHING
            }
            Step::Approve { device, .. } => self.change_chain(user, device, true),
            Step::Revoke { device, .. } => self.change_chain(user, device, false),
            Step::Rotate { device, .. } => {
                self.accounts[user].devices[device].keys += KEYS;
                "done"
            }
            Step::Acknowledge { device, .. } => {
                self.acknowledge(user, device);
                "done"
            }
            Step::Take { of: other, .. }
            | Step::Send { to: other, .. }
            | Step::Accept { whom: other, .. }
            | Step::Block { party: Party::Account(other), .. }
                if user == other =>
            {
                NOTHING
            }
            Step::Take { of, .. } => return self.take(user, of),
            Step::Send { to, .. } => return self.send(user, to, self.named(step)),
            Step::Repeat { again, .. } => return self.repeat(user, again, self.named(step)),
            // Nobody blocks the own server.
            Step::Block { party: party @ Party::Domain(_), is_undone: false, .. } if party.covers(user) => {
                "422 invalid"
            }
            Step::Block { party, is_undone, .. } => {
                let blocks = &mut self.accounts[user].blocks;
                match is_undone {
                    true => blocks.retain(|blocked| *blocked != party),
                    false if blocks.contains(&party) => {}
                    false => blocks.push(party),
                }
                "done"
            }
            Step::Accept { whom, is_undone: true, .. } => {
                self.accounts[user].known.remove(&whom);
                "done"
            }
            Step::Accept { whom, is_undone: false, .. } => {
                self.accounts[user].known.insert(whom);
                self.accounts[user].requests.remove(&whom);
                "done"
            }
            Step::LetWrite { who, .. } => {
                self.accounts[user].who_may_write = who;
                "done"
            }
            Step::Move { .. } => self.move_on(user, acting),
            Step::Delete { .. } => {
                self.accounts[user].state = AccountState::Deleted;
                self.accounts[user].end_all();
                "done"
            }
        }
        .to_owned()
    }
}

/// Returns the text of a package that was taken.
pub(crate) fn package(device: usize, has_one_time_key: bool) -> String {
    format!("{device}:{}", if has_one_time_key { "one-time" } else { "lasting" })
}
