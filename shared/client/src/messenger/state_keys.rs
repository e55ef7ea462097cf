//! The keys under which this user's devices seal the records of their groups: making and passing on.

use eko_protocol::chain::{ChainNode, NodeKind};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::contact::Contact;
use super::devices::NewDevices;
use super::incoming::ActivitySource;
use super::standing::Standing;
use super::{Messenger, MessengerError};
use crate::content::{Activity, ActivityContent};
use crate::sealed::{StateKey, StateKeys};
use crate::store::{EnvelopeState, Transaction};
use crate::stored_time::is_over;
use crate::{SignalSessions, Transport};

/// The name under which the store keeps the length of the own chain whose devices have the keys.
pub(super) const TOLD: &str = "state_keys_told";
/// The name under which the store keeps keys that came too early.
pub(super) const EARLY: &str = "state_keys_early";

/// The name under which the store keeps how the keys were passed on last.
pub(super) const PASSED_ON: &str = "state_keys_passed_on";
/// The time after which keys are passed on again that the server has not taken.
const AGAIN_MS: i64 = 3_600_000;

/// An activity by which this device passes the keys on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PassedOn {
    /// The id of the activity.
    message: String,
    /// The length of the own chain whose devices it is for.
    length: u64,
    /// True if it carries a key that no other device has before the server has taken it.
    is_new: bool,
    /// True once the server has taken it.
    is_taken: bool,
    /// True if it says again what a device could not read.
    is_repeated: bool,
    /// The time at which it was made, in epoch milliseconds.
    made_ms: i64,
}

/// Keys that came before the own chain had the node that their sender knew. The last ones are kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EarlyKeys {
    /// The address of the device that has sent them.
    device: String,
    /// The length of the chain that it knew.
    length: u64,
    /// The hash of the last node of that chain.
    head: String,
    /// The keys, as in their activity.
    object: Value,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the key for what is sealed now. A key is new if a device was revoked since the last one
    /// was made, and then the other devices get it: by the activity whose id is returned too. Nothing is
    /// sealed before the server has taken that: if this device died in between, the others could not read it.
    pub(super) fn sealing_key(
        &self,
        tx: &Transaction<'_>,
    ) -> Result<(StateKey, Option<String>), MessengerError> {
        let own = self.kept_contact(tx, &self.device.actor())?.ok_or(MessengerError::Pending)?;
        let nodes = &own.pinned.nodes;
        let mut keys = tx.state_keys()?;
        if let Some(key) = keys.newest(last_end(nodes)) {
            let open = self.passed_on(tx)?.filter(|passed_on| passed_on.is_new);
            return Ok((key.clone(), open.map(|passed_on| passed_on.message)));
        }
        let key = StateKey::generate(length(nodes.len()), &self.environment);
        if !keys.is_empty() {
            // What lies under a former key is sealed anew.
            self.read_records_again(tx)?;
        }
        keys.add(key.clone())?;
        tx.keep_state_keys(&keys)?;
        let told = match own.active().len() {
            0 | 1 => {
                tx.put_moment(TOLD, moment(length(nodes.len())))?;
                None
            }
            _ => Some(self.enclose_state_keys(tx, keys, length(nodes.len()), true)?),
        };
        Ok((key, told))
    }

    /// Returns the keys under which a record counts. A device that was revoked may have the others, and
    /// write records under them with the server's help.
    pub(super) fn current_state_keys(&self, tx: &Transaction<'_>) -> Result<StateKeys, MessengerError> {
        let own = self.kept_contact(tx, &self.device.actor())?;
        Ok(tx.state_keys()?.since(own.map_or(u64::MAX, |own| last_end(&own.pinned.nodes))))
    }

    /// Passes the keys on to devices that were approved since that was last done: those that this device
    /// has approved, and after an hour any. Returns the id of the activity, if there is one. In an account that
    /// the user has left nothing is passed on.
    pub(super) fn pass_on_state_keys(&self, tx: &Transaction<'_>) -> Result<Option<String>, MessengerError> {
        self.take_early_keys(tx)?;
        let keys = tx.state_keys()?;
        if keys.is_empty() {
            return Ok(None);
        }
        let told = tx.moment(TOLD)?.unwrap_or_default();
        let own = self.kept_contact(tx, &self.device.actor())?;
        let Some(own) = own.filter(|own| !own.state.position.has_moved) else { return Ok(None) };
        if keys.newest(last_end(&own.pinned.nodes)).is_none() {
            return Ok(self.sealing_key(tx)?.1);
        }
        let open = self.passed_on(tx)?;
        let is_new = open.as_ref().is_some_and(|open| open.is_new);
        match self.new_devices(tx, &own, told)? {
            NewDevices::Tell if open.as_ref().is_none_or(|open| moment(open.length) < own.length()) => {
                self.enclose_state_keys(tx, keys, length(own.pinned.nodes.len()), is_new).map(Some)
            }
            NewDevices::Nobody if open.is_none() && told < own.length() => {
                tx.put_moment(TOLD, own.length())?;
                Ok(None)
            }
            NewDevices::Nobody | NewDevices::Tell | NewDevices::TellLater => {
                Ok(open.map(|passed_on| passed_on.message))
            }
        }
    }

    /// Returns the activity by which the keys are passed on, if the server has not taken it. Only what it has
    /// taken counts as told. What could not be sent is made again later.
    fn passed_on(&self, tx: &Transaction<'_>) -> Result<Option<PassedOn>, MessengerError> {
        let passed_on = tx.json::<PassedOn>(PASSED_ON)?;
        let Some(mut passed_on) = passed_on.filter(|passed_on| !passed_on.is_taken) else { return Ok(None) };
        let envelopes = tx.envelopes_of(&passed_on.message)?;
        match envelopes.first().map(|envelope| envelope.state) {
            Some(EnvelopeState::Accepted | EnvelopeState::Delivered) => {
                if tx.moment(TOLD)?.unwrap_or_default() < moment(passed_on.length) {
                    tx.put_moment(TOLD, moment(passed_on.length))?;
                }
                passed_on.is_taken = true;
                tx.put_json(PASSED_ON, &passed_on)?;
                Ok(None)
            }
            Some(EnvelopeState::ToSend | EnvelopeState::Queued) => Ok(Some(passed_on)),
            Some(EnvelopeState::Failed | EnvelopeState::Refused) | None => {
                // The mailboxes of all the others are full. Records do not wait for the devices, which are told
                // later: a device that nobody uses would hold them up for ever.
                if passed_on.is_new && envelopes.first().is_some_and(|sent| !sent.full_devices.is_empty()) {
                    passed_on.is_new = false;
                    tx.put_json(PASSED_ON, &passed_on)?;
                }
                if is_over(self.now_ms(), passed_on.made_ms, AGAIN_MS) {
                    let own = self.kept_contact(tx, &self.device.actor())?.ok_or(MessengerError::Pending)?;
                    let (keys, length) = (tx.state_keys()?, length(own.pinned.nodes.len()));
                    self.enclose_state_keys(tx, keys, length, passed_on.is_new)?;
                }
                Ok(tx.json(PASSED_ON)?)
            }
        }
    }

    /// Passes the keys on again, once, if they were in this activity, which an own device could not read.
    pub(super) fn repeat_state_keys(
        &self,
        tx: &Transaction<'_>,
        message: &str,
    ) -> Result<(), MessengerError> {
        let Some(passed_on) = tx.json::<PassedOn>(PASSED_ON)? else { return Ok(()) };
        if passed_on.message != message || passed_on.is_repeated {
            return Ok(());
        }
        self.enclose_state_keys(tx, tx.state_keys()?, passed_on.length, false)?;
        let repeated = tx.json::<PassedOn>(PASSED_ON)?.map(|again| PassedOn { is_repeated: true, ..again });
        Ok(tx.put_json(PASSED_ON, &repeated)?)
    }

    /// Puts the keys into an envelope for this user's other devices.
    fn enclose_state_keys(
        &self,
        tx: &Transaction<'_>,
        keys: StateKeys,
        length: u64,
        is_new: bool,
    ) -> Result<String, MessengerError> {
        let me = self.me();
        let mut activity = self.evidence(tx, &me.actor(), None, ActivityContent::StateKeys(keys))?;
        // There is nobody in this conversation whose chain could differ.
        activity.device_sets_hash = None;
        activity.device_sets.clear();
        self.enclose(tx, &activity, &[me], false)?;
        let message = activity.id.to_string();
        let (is_taken, is_repeated, made_ms) = (false, false, self.now_ms());
        let passed_on = PassedOn { message: message.clone(), length, is_new, is_taken, is_repeated, made_ms };
        tx.put_json(PASSED_ON, &passed_on)?;
        Ok(message)
    }

    /// Keeps the keys that another device of this user passes on. If one is new, the records at the
    /// server are read again.
    pub(super) fn keep_state_keys(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        passed_on: &StateKeys,
        whence: &ActivitySource<'_>,
    ) -> Result<(), MessengerError> {
        let set = activity.device_set.as_ref().map(|head| &head.set);
        let Some(set) = set.filter(|_| whence.standing == Standing::Own) else { return Ok(()) };
        let Some(own) = self.kept_contact(tx, whence.actor)? else { return Ok(()) };
        match own.descends_from(&set.head) {
            true => self.take_state_keys(tx, passed_on, set.length, &own),
            // The sender knows of a node that this device has not read yet, such as a revocation.
            false => {
                let (length, head, object) = (set.length, set.head.clone(), passed_on.to_value());
                let early = EarlyKeys { device: whence.device.to_owned(), length, head, object };
                Ok(tx.put_json(EARLY, &Some(early))?)
            }
        }
    }

    /// Takes the keys that came before the own chain had the node that their sender knew, if it has the
    /// node now and the sender is active still.
    fn take_early_keys(&self, tx: &Transaction<'_>) -> Result<(), MessengerError> {
        let Some(early) = tx.json::<Option<EarlyKeys>>(EARLY)?.flatten() else { return Ok(()) };
        let own = self.kept_contact(tx, &self.device.actor())?;
        let Some(own) = own.filter(|own| own.descends_from(&early.head)) else { return Ok(()) };
        tx.put_json(EARLY, &None::<EarlyKeys>)?;
        match own.active().contains(&early.device) {
            true => {
                let passed_on = StateKeys::parse(&json!({ "object": early.object }))?;
                self.take_state_keys(tx, &passed_on, early.length, &own)
            }
            false => Ok(()),
        }
    }

    /// Takes keys that an active device passes on, whose chain has `told` nodes and is part of the own one.
    fn take_state_keys(
        &self,
        tx: &Transaction<'_>,
        passed_on: &StateKeys,
        told: u64,
        own: &Contact,
    ) -> Result<(), MessengerError> {
        let mut keys = tx.state_keys()?;
        if keys.merge(passed_on, told.min(length(own.pinned.nodes.len())))? {
            tx.keep_state_keys(&keys)?;
            self.read_records_again(tx)?;
        }
        // They went to every device that their sender knew.
        if tx.moment(TOLD)?.unwrap_or_default() < moment(told) {
            tx.put_moment(TOLD, moment(told))?;
        }
        Ok(())
    }
}

/// Returns the length of the own chain after its last node that ends a device. A key that was made before that
/// may be known to a device that was revoked. A move ends none.
fn last_end(nodes: &[ChainNode]) -> u64 {
    let ended = nodes.iter().rposition(|node| matches!(node.kind(), NodeKind::Revoke | NodeKind::Reset(_)));
    ended.map_or(0, |index| length(index).saturating_add(1))
}

fn length(nodes: usize) -> u64 {
    u64::try_from(nodes).unwrap_or(u64::MAX)
}

fn moment(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
