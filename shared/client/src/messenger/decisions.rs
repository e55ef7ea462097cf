//! The user's decisions about people, on all devices of the user: whom they have accepted, and whose requests
//! they have declined.
//!
//! Each device tells the others by an encrypted activity of what was decided on it, and of the names of devices.
//! A device that is approved later is told of all contacts, names and open invitations. The server learns
//! nothing of this.
//!
//! The first message to somebody is also a decision, of which the other devices get an envelope beside the copy
//! of the message. One for both would not do: the copy waits behind those before it and can be discarded, and it
//! says nothing of a decline that was known.

use super::devices::NewDevices;
use super::incoming::ActivitySource;
use super::send::OutgoingActivity;
use super::standing::Standing;
use super::{Messenger, MessengerError, Person};
use crate::content::{ActivityContent, Decision, Decisions, MAX_DECISIONS};
use crate::store::{DeviceStoreError, Transaction};
use crate::{SignalSessions, Transport};

/// The name under which the store keeps the length of the own chain whose devices know the contacts.
pub(super) const TOLD: &str = "contacts_told";
/// The number of activities in which the other devices are told at once. The rest is told with the next look.
const AT_ONCE: usize = 8;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Tells the other devices of this user of what was decided on this one, and of names of devices. [`Messenger::receive`] and
    /// everything that is sent do so, too.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn tell_decisions(&self) -> Result<(), MessengerError> {
        self.require_joined().await?;
        for id in self.store.write(|tx| self.put_decisions(tx))? {
            self.send_envelopes(&id).await?;
        }
        Ok(())
    }

    /// Puts what the other devices do not know of the user's decisions into envelopes for them. What is decided
    /// while there are none waits for the first one. Names go along, or alone if a device was approved. Returns
    /// the ids of the activities.
    pub(super) fn put_decisions(&self, tx: &Transaction<'_>) -> Result<Vec<String>, MessengerError> {
        let (me, mut put) = (self.device.actor(), Vec::new());
        let Some(own) = self.kept_contact(tx, &me)? else { return Ok(put) };
        // Those that were there before this device are told nothing by it.
        let told = tx.moment(TOLD)?.unwrap_or_default().max(own.length_at(&self.device.address()));
        match self.new_devices(tx, &own, told)? {
            NewDevices::TellLater => {}
            NewDevices::Tell => {
                tx.tell_contacts_again()?;
                self.tell_new_names(tx, &own)?;
                put.extend(self.pass_on_invitations(tx)?);
                tx.put_moment(TOLD, own.length())?;
            }
            NewDevices::Nobody if told < own.length() => tx.put_moment(TOLD, own.length())?,
            NewDevices::Nobody => {}
        }
        let active = own.active();
        if active.len() < 2 || !active.contains(&self.device.address()) {
            return Ok(put);
        }
        for _ in 0..AT_ONCE {
            let people = tx.take_untold_decisions(MAX_DECISIONS)?;
            let device_names = self.take_untold_names(tx, &own, !people.is_empty())?;
            if people.is_empty() && device_names.is_empty() {
                break;
            }
            let content = ActivityContent::Decisions(Decisions { people, device_names });
            let outgoing = OutgoingActivity { conversation: me.clone(), group: None, content };
            let activity = self.put_down(tx, &outgoing)?;
            self.enclose(tx, &activity, &[], true)?;
            put.push(activity.id.to_string());
        }
        Ok(put)
    }

    /// Takes over what the user has decided on another device, and the names that it knows. Nobody else has a
    /// say.
    pub(super) fn keep_decisions(
        &self,
        tx: &Transaction<'_>,
        decisions: &Decisions,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        if whence.standing != Standing::Own {
            return Ok(());
        }
        self.merge_names(tx, &decisions.device_names, whence)?;
        let is_of_others =
            |decision: &&Decision| decision.actor != whence.actor && Person::of(&decision.actor).is_some();
        for decision in decisions.people.iter().filter(is_of_others) {
            let was_contact = tx.is_contact(&decision.actor)?;
            tx.merge_decision(decision, self.now_ms())?;
            match (decision.is_accepted, was_contact) {
                (true, false) => self.place_accepted(tx, &decision.actor)?,
                // What was declined here may be asked for. The conversation has its order with the whole look.
                (true, true) => self.ask_for_unkept(tx)?,
                (false, _) => {}
            }
        }
        Ok(())
    }
}
