//! Reports of messages: the user reveals one to the operators of two servers.

use eko_protocol::flag::{Evidence, Flag};
use eko_protocol::franking::Franking;
use eko_protocol::key::FrankingKey;
use eko_protocol::letter::FetchedLetter;

use super::{Messenger, MessengerError};
use crate::content::{FrankedContent, lacks_key, with_key};
use crate::device::ReportOutcome;
use crate::store::{DeviceStoreError, StoredMessage};
use crate::{SignalSessions, Transport};

/// The warning beside a note whose tag is another one than its content's.
pub(super) const FALSE_TAG: &str =
    "this message cannot be reported: what their program has told the servers of it does not fit";

/// The answer of a note and its envelope to the question whether the note can be reported.
pub(super) enum Reportability {
    /// The tag is that of the content.
    Reportable(Box<Flag>),
    /// The envelope has no tag, no MAC or no id of its activity: another client or server does not know
    /// of reports.
    Unknown,
    /// The tag is not that of the content, or no report has room for it.
    False,
}

impl Reportability {
    /// Compares a decrypted note with what its envelope says.
    pub(super) fn of(message: &FetchedLetter, plaintext: &[u8]) -> Self {
        let header = &message.letter.header;
        let Some(Franking { tag, mac: Some(mac) }) = header.franking else { return Self::Unknown };
        let Some(activity) = &message.letter.activity else { return Self::Unknown };
        let Some(franked) = FrankedContent::of(plaintext).filter(|franked| franked.tag() == tag) else {
            return Self::False;
        };
        let evidence = Evidence {
            to: None,
            activity: activity.clone(),
            envelope: header.id.clone(),
            device: header.from.clone(),
            content: franked.content,
            key: franked.key,
            tag,
            mac,
        };
        let author = header.author.clone();
        let flag = Flag { actor: None, author, reason: None, evidence };
        // No server accepts what cannot be read back.
        match Flag::parse(&flag.to_value(None)) {
            Ok(read) if read == flag => Self::Reportable(Box::new(flag)),
            _ => Self::False,
        }
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns a note for somebody else with a key of its own, if it has none and there is room for one.
    pub(super) fn with_new_key(&self, recipient: &str, plaintext: &[u8]) -> Option<Vec<u8>> {
        if recipient == self.device.actor() || !lacks_key(plaintext) {
            return None;
        }
        with_key(plaintext, &FrankingKey::from(self.environment.bytes())).ok()
    }

    /// Returns the messages of others whose ids begin with these letters, without `urn:uuid:`. Those of
    /// strangers are among them.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn received_messages(&self, beginning: &str) -> Result<Vec<StoredMessage>, DeviceStoreError> {
        self.store.read(|tx| tx.received_messages(beginning))
    }

    /// Returns the actor id of the account that can report a message: its author's device has committed to
    /// it, and the author's server vouches that it was sent to that account. This is the user's account, or
    /// one that the user has left for it. Returns `None` if no account can report the message.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn reporter_of(&self, actor: &str, id: &str) -> Result<Option<String>, DeviceStoreError> {
        let flag = self.store.read(|tx| tx.evidence_of(actor, id))?;
        Ok(flag.map(|flag| flag.evidence.to.unwrap_or_else(|| self.device.actor())))
    }

    /// True if the user can report a message from this account.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn can_report(&self, actor: &str, id: &str) -> Result<bool, DeviceStoreError> {
        Ok(self.reporter_of(actor, id)?.is_some_and(|reporter| reporter == self.device.actor()))
    }

    /// Reports a message to the operators of this user's server and of its author's. Both learn what it
    /// says and who has got it; the author's server learns it from this one. Whether they believe it is
    /// not told. Returns `None` if this account cannot report the message
    /// ([`can_report`](Self::can_report)).
    ///
    /// # Errors
    /// Those of the call. The problem `too-many` if the user has reported too many messages today.
    /// [`MessengerError::Invalid`] for a reason that is too long or has a control character: nothing is sent.
    pub async fn report(
        &self,
        actor: &str,
        id: &str,
        reason: Option<&str>,
    ) -> Result<Option<ReportOutcome>, MessengerError> {
        reason.map_or(Ok(()), Flag::check_reason)?;
        let flag = self.store.read(|tx| tx.evidence_of(actor, id))?;
        let is_own = |flag: &Flag| flag.evidence.to.as_ref().is_none_or(|to| *to == self.device.actor());
        let Some(flag) = flag.filter(is_own) else { return Ok(None) };
        let flag = Flag { reason: reason.map(str::to_owned), ..flag };
        Ok(Some(self.signed_in(async || self.device.report_message(&flag).await).await?))
    }
}
