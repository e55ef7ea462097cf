//! The age of what is known of somebody's devices: chains are read again before something is sent,
//! and a chain that nobody has confirmed for long is shown, and then refused.

use http::Method;

use super::contact::Contact;
use super::{Distrust, Messenger, MessengerError, Person, Trust};
use crate::store::{DeviceStoreError, EnvelopeState};
use crate::{Auth, Body, ClockDifference, SignalSessions, Transport, stored_time};

const DAY_MS: i64 = 24 * 3_600_000;
/// The age in days at which a chain is read again before something is sent.
pub const READ_AFTER_DAYS: i64 = 1;
/// The age in days up to which messages are sent by a chain that cannot be read again.
pub const WITHOUT_READING_DAYS: i64 = 7;
/// The age in days of the last confirmation from which on it is shown.
pub const SHOWN_AFTER_DAYS: i64 = 30;
/// The age in days of the last confirmation from which on nothing is sent.
pub const REFUSED_AFTER_DAYS: i64 = 90;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns a person with the pinned chain, if they may be written to. Reads the chain again if it
    /// is a day old, if the person's devices have proven more than it has, or if something
    /// contradicted it since.
    pub(super) async fn trusted(&self, person: &Person) -> Result<Contact, MessengerError> {
        let contact = self.contact(person).await?;
        // A copy of every message goes to the user's own devices, so these must be beyond doubt. No
        // reading settles an alarm about them, only the user does.
        let own = *person == self.me();
        if let Some(alarm) = contact.pinned.alarm.as_ref().filter(|_| own) {
            return Err(contact.distrust(Distrust::Contradicted(alarm.why.clone())));
        }
        // Nothing follows a move, so that its chain is as new as it will ever be.
        let contact = match contact.target().is_some() && !contact.is_in_doubt() {
            true => contact,
            false => self.read_again(contact).await?,
        };
        if own {
            if !contact.active().contains(&self.device.address()) {
                return Err(MessengerError::Revoked);
            }
            return Ok(contact);
        }
        if contact.target().is_some() && contact.trust() != Trust::Reset {
            let new = Box::pin(self.follow(&contact)).await?;
            return Err(MessengerError::PersonMoved(new.handle().to_string()));
        }
        match self.objection(&contact) {
            None => Ok(contact),
            Some(why @ Distrust::Stale { .. }) => Err(match self.misleading_clock(&contact).await {
                Some(difference) => MessengerError::WrongClock(difference),
                None => contact.distrust(why),
            }),
            Some(why) => Err(contact.distrust(why)),
        }
    }

    /// Returns the reason for which nothing is sent to somebody by the pinned chain, or `None` if there is
    /// none. A doubt about the chain is no such reason: it is read again.
    pub(super) fn objection(&self, contact: &Contact) -> Option<Distrust> {
        if contact.trust() == Trust::Reset {
            return Some(Distrust::Reset { verified: contact.pinned.verified.is_some() });
        }
        if contact.target().is_some() {
            return None;
        }
        let age_ms = self.unconfirmed_ms(contact);
        (age_ms >= REFUSED_AFTER_DAYS * DAY_MS).then(|| Distrust::Stale { days: days(age_ms) })
    }

    /// True if what is written to a person now is held back, as far as this device knows without a request:
    /// something speaks against their devices, or something earlier is held back from them. The age of what is
    /// known of them says nothing by a clock that is known to be wrong.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn holds_back_from(&self, person: &Person) -> Result<bool, DeviceStoreError> {
        let actor = person.actor();
        self.store.read(|tx| {
            if tx.unsent_to(&actor)?.iter().any(|unsent| unsent.state == EnvelopeState::Refused) {
                return Ok(true);
            }
            let Some(contact) = self.kept_contact(tx, &actor)? else { return Ok(false) };
            let is_misled = self.has_wrong_clock();
            let counts = |why: Distrust| !is_misled || !matches!(why, Distrust::Stale { .. });
            Ok(contact.is_in_doubt() || self.objection(&contact).is_some_and(counts))
        })
    }

    /// Succeeds if a message to a person may be stored: nothing speaks against them, as far as this
    /// device can tell now. If their server cannot be asked, each attempt to send asks it again. Somebody
    /// whose devices are not known yet need not exist then.
    pub(super) async fn require_trusted(&self, person: &Person) -> Result<(), MessengerError> {
        match self.trusted(person).await {
            Err(error) if error.retry_after_s().is_none() => Err(error),
            _ => Ok(()),
        }
    }

    /// True if a chain is read again before anything is sent to its user.
    pub(super) fn is_to_be_read(&self, contact: &Contact) -> bool {
        contact.is_in_doubt() || self.age_ms(contact) >= READ_AFTER_DAYS * DAY_MS
    }

    fn age_ms(&self, contact: &Contact) -> i64 {
        age_ms(self.now_ms(), contact.pinned.looked_ms)
    }

    /// Reads a chain again that is old, lacks a proven head, or was contradicted since it was read.
    /// If their server cannot be asked, an old chain is as good for seven days; the others are not.
    async fn read_again(&self, contact: Contact) -> Result<Contact, MessengerError> {
        if contact.is_in_doubt() {
            return self.undisputed(&contact.person).await;
        }
        let age_ms = self.age_ms(&contact);
        let suffices = age_ms < WITHOUT_READING_DAYS * DAY_MS;
        if age_ms < READ_AFTER_DAYS * DAY_MS || suffices && !self.may_look(&contact.person.actor()) {
            return Ok(contact);
        }
        match self.look_again(&contact.person).await {
            Err(MessengerError::Client(_)) if suffices => Ok(contact),
            read => read,
        }
    }

    /// Returns the difference of the clocks, if a chain is too old by this machine's clock only. The server is
    /// asked for its time if it has not said it yet. Whatever it says, nothing is sent.
    async fn misleading_clock(&self, contact: &Contact) -> Option<ClockDifference> {
        if self.device.clock_difference().is_none() {
            // Any answer has the time.
            let _ = self.device.call(Method::GET, "/.well-known/ecp", Body::Empty, Auth::Nobody).await;
        }
        let difference = self.device.clock_difference().filter(ClockDifference::misleads)?;
        let server_ms = self.now_ms().saturating_sub(difference.ahead_ms);
        let age_ms = age_ms(server_ms, contact.pinned.confirmed_ms);
        (age_ms < REFUSED_AFTER_DAYS * DAY_MS).then_some(difference)
    }

    fn unconfirmed_ms(&self, contact: &Contact) -> i64 {
        age_ms(self.now_ms(), contact.pinned.confirmed_ms)
    }

    /// Returns the number of days for which no device of a person has confirmed their device list, if
    /// there are 30 or more. A program shows it when something is sent: their server could hide a
    /// revocation. Nothing is sent from 90 days on. A confirmation that lies ahead of a clock that is known to
    /// be wrong has no age: the clock is what is to be told.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn unconfirmed_days(&self, person: &Person) -> Result<Option<u64>, DeviceStoreError> {
        let contact = self.store.read(|tx| self.kept_contact(tx, &person.actor()))?;
        let is_ahead = |contact: &Contact| {
            stored_time::age_ms(self.now_ms(), contact.pinned.confirmed_ms, DAY_MS).is_none()
        };
        let contact = contact.filter(|contact| !(self.has_wrong_clock() && is_ahead(contact)));
        let age_ms = contact.filter(|_| *person != self.me()).map(|contact| self.unconfirmed_ms(&contact));
        Ok(age_ms.filter(|age_ms| *age_ms >= SHOWN_AFTER_DAYS * DAY_MS).map(days))
    }
}

/// Returns the age of a stored time. One that says nothing is as old as what is refused. A day is left to
/// small corrections of the clock.
fn age_ms(now_ms: i64, stored_ms: i64) -> i64 {
    stored_time::age_ms(now_ms, stored_ms, DAY_MS).unwrap_or(REFUSED_AFTER_DAYS * DAY_MS)
}

fn days(ms: i64) -> u64 {
    u64::try_from(ms.div_euclid(DAY_MS)).unwrap_or(0)
}
