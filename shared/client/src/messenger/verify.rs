use eko_protocol::chain::ChainNode;

use super::trust::{Contact, root};
use super::{Distrust, Messenger, MessengerError, Person, Trust};
use crate::fingerprint::{SafetyNumber, SafetyNumberEnd};
use crate::store::{ChainAlarm, DeviceStoreError, PinnedChain};
use crate::{SignalSessions, Transport};

/// What two people compare, and what is known of the other's devices.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The same on both sides, if nobody is between them.
    pub number: SafetyNumber,
    /// How far they are trusted.
    pub trust: Trust,
    /// The hash of the chain node that the number is of.
    pub root: String,
    /// The addresses of their active devices.
    pub devices: Vec<String>,
    /// Nodes in their chain.
    pub length: u64,
    /// What their server showed in place of that chain, and when; epoch milliseconds.
    pub alarm: Option<ChainAlarm>,
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
        self.compared(&own, &contact)
    }

    /// The same of what is pinned, without asking anybody; nothing where nothing is.
    ///
    /// # Errors
    /// The store fails.
    pub fn verification_kept(&self, person: &Person) -> Result<Option<Verification>, MessengerError> {
        let kept = |person: &Person| {
            let pinned = self.store.read(|tx| tx.pinned(&person.actor()))?;
            pinned.map(|pinned| Contact::new(person.clone(), pinned)).transpose()
        };
        match (kept(&self.me())?, kept(person)?) {
            (Some(own), Some(contact)) => self.compared(&own, &contact).map(Some),
            _ => Ok(None),
        }
    }

    fn compared(&self, own: &Contact, contact: &Contact) -> Result<Verification, MessengerError> {
        let corrupt = || DeviceStoreError::Corrupt("device chain");
        let (mine, theirs) = (own.root().ok_or_else(corrupt)?, contact.root().ok_or_else(corrupt)?);
        let key =
            |node: &ChainNode| node.addition().map(|addition| addition.identity_key).ok_or_else(corrupt);
        let number = SafetyNumber::new(
            SafetyNumberEnd { actor: &self.device.actor(), identity: &key(mine)? },
            SafetyNumberEnd { actor: &contact.person.actor(), identity: &key(theirs)? },
        );
        Ok(Verification {
            number,
            trust: contact.trust(),
            root: theirs.hash(),
            devices: contact.active().into_iter().collect(),
            length: contact.state.position.length,
            alarm: contact.pinned.alarm.clone(),
        })
    }

    /// Notes that the numbers were compared and are the same.
    ///
    /// # Errors
    /// Nothing is known of that person; their devices were replaced since that number was made.
    pub fn mark_verified(&self, person: &Person, compared: &Verification) -> Result<(), MessengerError> {
        self.take_as_theirs(person, compared, true)
    }

    /// Takes someone's devices as theirs after a reset, as they were seen, without having compared numbers.
    ///
    /// # Errors
    /// Nothing is known of that person; their devices were replaced since.
    pub fn accept(&self, person: &Person, seen: &Verification) -> Result<(), MessengerError> {
        self.take_as_theirs(person, seen, false)
    }

    /// Another process may have pinned another root while the person looked; then nothing is settled.
    fn take_as_theirs(
        &self,
        person: &Person,
        seen: &Verification,
        compared: bool,
    ) -> Result<(), MessengerError> {
        let actor = person.actor();
        self.store.write(|tx| {
            let Some(pinned) = tx.pinned(&actor)? else {
                return Err(MessengerError::NoSuchPerson(person.handle().to_string()));
            };
            let root = root(&pinned.nodes).map(ChainNode::hash).unwrap_or_default();
            if root != seen.root {
                let why = Distrust::Reset { verified: pinned.verified.is_some() };
                return Err(MessengerError::Distrust { actor: actor.clone(), why });
            }
            let verified =
                if compared { Some(root.clone()) } else { pinned.verified.filter(|it| *it == root) };
            let alarm = pinned.alarm.filter(|alarm| seen.alarm.as_ref() != Some(alarm));
            Ok(tx.pin(&actor, &PinnedChain { nodes: pinned.nodes, accepted: root, verified, alarm })?)
        })
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
