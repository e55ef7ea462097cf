use super::{Messenger, MessengerError, Person, Trust};
use crate::fingerprint::SafetyNumber;
use crate::store::{Pinned, StoreError};
use crate::{SignalSessions, Transport};

/// What two people compare, and what is known of the other's devices.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The same on both sides, if nobody is between them.
    pub number: SafetyNumber,
    /// How far they are trusted.
    pub trust: Trust,
    /// The addresses of their active devices.
    pub devices: Vec<String>,
    /// Nodes in their chain.
    pub length: u64,
    /// What their server showed in place of that chain, and when; epoch milliseconds.
    pub alarm: Option<(String, i64)>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// What to compare with someone. Their chain is looked at anew; where their server shows something else than
    /// before, that is in `alarm`, and the number is of what was pinned.
    ///
    /// # Errors
    /// There is nobody of that name, or nothing was pinned and their server cannot be asked.
    pub async fn verification(&self, person: &Person) -> Result<Verification, MessengerError> {
        let contact = match self.look_again(person).await {
            Ok(contact) => contact,
            Err(error) if self.store.read(|tx| tx.pinned(&person.actor()))?.is_none() => return Err(error),
            Err(_) => self.contact(person).await?,
        };
        let own = self.contact(&self.me()).await?;
        let root = |contact: &super::trust::Contact| {
            let root = contact.root().and_then(|node| node.addition()).map(|addition| addition.identity_key);
            root.ok_or(StoreError::Corrupt("device chain"))
        };
        let (mine, theirs) = (root(&own)?, root(&contact)?);
        Ok(Verification {
            number: SafetyNumber::new((&self.device.actor(), &mine), (&person.actor(), &theirs)),
            trust: contact.trust(),
            devices: contact.active().into_iter().collect(),
            length: contact.state.position.length,
            alarm: contact.pinned.alarm.clone(),
        })
    }

    /// Notes that the numbers were compared and are the same.
    ///
    /// # Errors
    /// Nothing is known of that person.
    pub fn mark_verified(&self, person: &Person) -> Result<(), MessengerError> {
        self.accept(person)?;
        let actor = person.actor();
        Ok(self.store.write(|tx| match tx.pinned(&actor)? {
            Some(pinned) => {
                let verified = Some(pinned.accepted.clone());
                tx.pin(&actor, &Pinned { verified, ..pinned })
            }
            None => Ok(()),
        })?)
    }

    /// Takes someone's devices as theirs after a reset, without having compared numbers.
    ///
    /// # Errors
    /// Nothing is known of that person.
    pub fn accept(&self, person: &Person) -> Result<(), MessengerError> {
        if self.store.read(|tx| tx.pinned(&person.actor()))?.is_none() {
            return Err(MessengerError::NoSuchPerson(person.handle().to_string()));
        }
        Ok(self.accept_root(person)?)
    }

    /// Forgets what was pinned of someone: whatever their server shows next is taken as theirs. The way out after a
    /// server was restored from an old copy; an attacker's wish otherwise.
    ///
    /// # Errors
    /// The store fails.
    pub fn forget(&self, person: &Person) -> Result<(), MessengerError> {
        Ok(self.store.write(|tx| tx.unpin(&person.actor()))?)
    }

    /// Everybody whose devices are pinned, as actor ids.
    ///
    /// # Errors
    /// The store fails.
    pub fn people(&self) -> Result<Vec<String>, MessengerError> {
        Ok(self.store.read(|tx| tx.people())?)
    }
}
