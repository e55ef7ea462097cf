//! Sending an envelope: it is encrypted for exactly the devices that its recipient has, and sent
//! until it has an outcome.

use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::address::Origin;
use eko_protocol::id::{DeviceId, EnvelopeId};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::contact::Contact;
use super::successors::says_moved;
use super::{Distrust, Messenger, MessengerError, Person, ProgressStep};
use crate::content::tag_of;
use crate::device::{OutgoingEnvelope, SendOutcome};
use crate::store::{
    DeviceStore, DeviceStoreError, EnvelopeState, OutboxEnvelope, SendingAttempt, WaitingMessages,
};
use crate::{ClientError, SignalSessions, Transport, TransportError};

/// The number of times that a recipient's devices may change while one envelope is being sent.
const ROUNDS: usize = 8;
/// The number of times that what was held back is let go before one envelope. If it is held back again each
/// time, the envelope is held back, too.
const RELEASES: usize = 2;
/// The number of envelopes that are sent at the same time.
const AT_ONCE: usize = 8;
/// The longest time for which a process claims an envelope. A claim ends with its process.
const CLAIM_MS: i64 = 120_000;
/// The longest wait between two attempts, unless a server asks for more.
const LONGEST_WAIT_MS: i64 = 300_000;
/// The longest wait that a server can ask for.
const LONGEST_ASKED_MS: i64 = 24 * 3_600_000;

/// The state that an envelope comes to, with the reason in words if it failed.
struct Settlement {
    state: EnvelopeState,
    reason: Option<String>,
}

impl Settlement {
    fn of(state: EnvelopeState) -> Self {
        Self { state, reason: None }
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self { state: EnvelopeState::Failed, reason: Some(reason.into()) }
    }
}

/// A claim of an envelope by this process. If the sending is given up before there is an outcome, the
/// claim ends.
struct EnvelopeClaim<'a> {
    store: &'a DeviceStore,
    id: &'a EnvelopeId,
    sender: i64,
    is_open: bool,
}

impl Drop for EnvelopeClaim<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // If the store cannot be written, the claim ends with its time.
            let _ = self.store.write(|tx| tx.release_claim(self.id, self.sender));
        }
    }
}

/// The outcome of an attempt at one envelope.
enum Attempt {
    /// The envelope, in its state afterwards, was tried, or waits behind an older one that could not be sent.
    Tried(OutboxEnvelope),
    /// Another process sends it, or an older one to the same recipient.
    WithAnotherProcess,
    /// Nothing is to be done with it: it has an outcome, or is not due.
    NotDue,
    /// Something older was held back from the recipient, and is to be sent from now on. Nothing was tried.
    HeldBackFirst,
}

/// The outcome of the rounds in which an envelope is sent.
enum RoundsOutcome {
    /// The envelope has come to a state.
    Settled(Settlement),
    /// As [`Attempt::HeldBackFirst`].
    HeldBackFirst,
    /// The recipient has moved, and this device has followed: the envelope is for the new account, or has
    /// come to a state because it belongs to a group.
    Redirected,
}

/// The next step for an envelope whose report has been applied.
pub(super) enum Correction {
    /// Encrypt and send it again, for the devices that lack it.
    Resend,
    /// Give it up, for this reason.
    GiveUp(String),
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Tries every envelope that is due, and those before it to the same recipient, and then what was held back
    /// if nothing speaks against its recipient any more: nobody waits for chains that are read for others.
    /// Returns those that it tried, in their state afterwards. The failure of one envelope is in its record.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn flush(&self) -> Result<Vec<OutboxEnvelope>, MessengerError> {
        let mut tried = self.deliver_due().await?;
        if Box::pin(self.release_held_back()).await? {
            tried.extend(self.deliver_due().await?);
        }
        Ok(tried)
    }

    async fn deliver_due(&self) -> Result<Vec<OutboxEnvelope>, MessengerError> {
        let now_ms = self.now_ms();
        self.store.release_ended_claims()?;
        let due = self.store.write(|tx| {
            tx.hasten(now_ms)?;
            tx.due_envelopes(now_ms)
        })?;
        self.deliver_all(due).await
    }

    /// Returns the time at which the next unsent envelope is due, in epoch milliseconds.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn next_due_ms(&self) -> Result<Option<i64>, DeviceStoreError> {
        self.store.release_ended_claims()?;
        self.store.read(|tx| tx.next_due_ms(self.now_ms()))
    }

    pub(super) async fn deliver_all(
        &self,
        envelopes: Vec<OutboxEnvelope>,
    ) -> Result<Vec<OutboxEnvelope>, MessengerError> {
        self.require_left()?;
        let tries = envelopes.iter().map(|envelope| Box::pin(self.deliver(envelope)));
        let tried: Vec<_> = stream::iter(tries).buffered(AT_ONCE).try_collect().await?;
        Ok(tried.into_iter().flatten().collect())
    }

    /// Tries one envelope, unless another process has claimed it. What was held back from its recipient goes
    /// first, if nothing speaks against them any more. If that is held back again, so is the envelope: it is
    /// not tried, whatever a server shows by then.
    async fn deliver(&self, envelope: &OutboxEnvelope) -> Result<Option<OutboxEnvelope>, MessengerError> {
        let _lane = self.lanes.enter(&envelope.recipient).await;
        for _ in 0..RELEASES {
            match Box::pin(self.attempt(envelope)).await? {
                Attempt::Tried(kept)
                    if kept.recipient != envelope.recipient && kept.state == EnvelopeState::ToSend =>
                {
                    return Box::pin(self.deliver(&kept)).await;
                }
                Attempt::Tried(kept) => return Ok(Some(kept)),
                Attempt::WithAnotherProcess | Attempt::NotDue => return Ok(None),
                Attempt::HeldBackFirst => {}
            }
            let unsent = self.store.read(|tx| tx.unsent_to(&envelope.recipient))?;
            for older in unsent.iter().take_while(|unsent| unsent.id != envelope.id) {
                match Box::pin(self.attempt(older)).await? {
                    // Whatever follows is held back with it.
                    Attempt::Tried(kept) if kept.state == EnvelopeState::Refused => break,
                    // It has an outcome, or what follows waits behind it.
                    Attempt::Tried(_) | Attempt::WithAnotherProcess | Attempt::NotDue => {}
                    // Another process has met a refusal since.
                    Attempt::HeldBackFirst => break,
                }
            }
        }
        self.store.write(|tx| tx.hold_back(&envelope.id))?;
        Ok(self.store.read(|tx| tx.envelope(envelope.id.as_str()))?)
    }

    /// Tries one envelope in its recipient's lane. It overtakes none to the same recipient that has to wait,
    /// that another process sends, or that was held back and is to be sent from now on.
    async fn attempt(&self, envelope: &OutboxEnvelope) -> Result<Attempt, MessengerError> {
        let id = &envelope.id;
        let sender = self.store.sender()?;
        let claimed_ms = self.store.write(|tx| {
            // The transaction may have waited for one of another process, which has claimed it.
            let now_ms = self.now_ms();
            let attempt = SendingAttempt { id, sender, now_ms };
            if tx.queue_up(id, now_ms)? || tx.wait_behind(attempt)? {
                return Ok(None);
            }
            let claimed = tx.claim_envelope(attempt, now_ms.saturating_add(CLAIM_MS))?;
            Ok::<_, DeviceStoreError>(claimed.then_some(now_ms))
        })?;
        let Some(now_ms) = claimed_ms else {
            return Ok(match self.store.read(|tx| tx.envelope(id.as_str()))? {
                Some(kept) if kept.is_claimed => Attempt::WithAnotherProcess,
                Some(kept) if is_put_off(envelope, &kept) => Attempt::Tried(kept),
                Some(kept) if kept.state == EnvelopeState::ToSend && kept.due_ms != envelope.due_ms => {
                    Attempt::WithAnotherProcess
                }
                Some(_) | None => Attempt::NotDue,
            });
        };
        let mut claim = EnvelopeClaim { store: &self.store, id, sender, is_open: true };
        let mut asked = self.device.origin().clone();
        let outcome = match envelope.expires_ms.is_some_and(|ms| ms <= now_ms) {
            true => Ok(RoundsOutcome::Settled(Settlement::failed("it is of no more use"))),
            false => Box::pin(self.rounds(envelope, &mut asked)).await,
        };
        let outcome = match (outcome, Person::of(&envelope.recipient)) {
            (Err(error), Some(person)) if says_moved(&error) => {
                Box::pin(self.follow_after(error, &person)).await.map(|_| RoundsOutcome::Redirected)
            }
            (outcome, _) => outcome,
        };
        if let Err(error) = &outcome {
            Box::pin(self.check_deleted(error, &envelope.recipient)).await;
        }
        let reason = |error: &MessengerError| reason(error, &asked);
        match outcome {
            // The claim ends, so that it is due again.
            Ok(RoundsOutcome::HeldBackFirst) => return Ok(Attempt::HeldBackFirst),
            // It is claimed no more, and due unless it belongs to a group.
            Ok(RoundsOutcome::Redirected) => {
                drop(claim);
                let kept = self.store.read(|tx| tx.envelope(id.as_str()))?;
                return Ok(kept.map_or(Attempt::NotDue, Attempt::Tried));
            }
            Ok(RoundsOutcome::Settled(outcome)) => {
                let (state, reason) = (outcome.state, outcome.reason.as_deref());
                self.store.write(|tx| {
                    tx.settle_attempt(id, sender, state, reason)?;
                    match state {
                        EnvelopeState::Queued | EnvelopeState::Accepted | EnvelopeState::Delivered => {
                            self.date_by_server(tx, &envelope.message)
                        }
                        EnvelopeState::ToSend | EnvelopeState::Failed | EnvelopeState::Refused => Ok(()),
                    }
                })?;
            }
            Err(error @ MessengerError::Store(_)) => {
                self.postpone(envelope, sender, 0, &reason(&error), false)?;
                return Err(error);
            }
            Err(error) if error.needs_sign_in() || error.is_end() => {
                // It is due as soon as the user has signed in again, which may be with another device.
                let attempt = SendingAttempt { id, sender, now_ms };
                self.store.write(|tx| tx.postpone(attempt, now_ms, &reason(&error)))?;
                return Err(error);
            }
            Err(error @ MessengerError::Pending) => {
                let (failed, why) = (EnvelopeState::Failed, error.to_string());
                self.store.write(|tx| tx.settle_attempt(id, sender, failed, Some(&why)))?;
                return Err(error);
            }
            Err(error) => match error.retry_after_s() {
                Some(seconds) => {
                    let is_own = asked == *self.device.origin() && says_out_of_reach(&error);
                    self.postpone(envelope, sender, seconds, &reason(&error), is_own)?;
                }
                None => self.store.write(|tx| {
                    match tx.settle_attempt(id, sender, failed(&error), Some(&reason(&error)))? {
                        true => tx.hold_back_after(id),
                        false => Ok(()),
                    }
                })?,
            },
        }
        claim.is_open = false;
        let kept = self.store.read(|tx| tx.envelope(id.as_str()))?;
        Ok(kept.map_or(Attempt::NotDue, Attempt::Tried))
    }

    /// Puts an envelope off after a failed attempt of the process `sender`, as long as that has its claim. `is_own`
    /// is true if only the own server was out of reach.
    fn postpone(
        &self,
        envelope: &OutboxEnvelope,
        sender: i64,
        seconds: u64,
        reason: &str,
        is_own: bool,
    ) -> Result<(), DeviceStoreError> {
        let asked = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000).min(LONGEST_ASKED_MS);
        let doubled = 1000_i64.saturating_mul(1 << envelope.tries.min(20));
        let now_ms = self.now_ms();
        let due_ms = now_ms.saturating_add(asked.max(doubled.min(LONGEST_WAIT_MS)));
        self.store.write(|tx| {
            match tx.postpone(SendingAttempt { id: &envelope.id, sender, now_ms }, due_ms, reason)? {
                true => tx.note_unreached(&envelope.id, is_own),
                false => Ok(()),
            }
        })
    }

    /// Makes envelopes due that wait only because the own server was out of reach: it has just answered.
    pub(super) fn note_reached(&self) -> Result<(), DeviceStoreError> {
        match self.store.read(|tx| tx.has_unreached())? {
            true => self.store.write(|tx| tx.hasten_unreached(self.now_ms())),
            false => Ok(()),
        }
    }

    /// Returns the messages of this user to other people that wait for another attempt, or `None` if none do.
    /// Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn waiting_messages(&self) -> Result<Option<WaitingMessages>, DeviceStoreError> {
        self.store.read(|tx| tx.waiting_messages(&self.device.actor(), self.now_ms()))
    }

    /// Sends an envelope until it has an outcome. `asked` is the server that was asked last.
    async fn rounds(
        &self,
        envelope: &OutboxEnvelope,
        asked: &mut Origin,
    ) -> Result<RoundsOutcome, MessengerError> {
        let settled = |settlement| Ok(RoundsOutcome::Settled(settlement));
        let person = Person::of(&envelope.recipient).ok_or(DeviceStoreError::Corrupt("recipient"))?;
        self.require_not_departed()?;
        if let Some(moved) = self.store.read(|tx| tx.moved_to(&envelope.recipient))? {
            self.store.write(|tx| self.redirect(tx, &envelope.recipient, &moved))?;
            return Ok(RoundsOutcome::Redirected);
        }
        for _ in 0..ROUNDS {
            // A stranger's chain is read through the own server.
            if !self.knows_as_stranger(&envelope.recipient)? {
                asked.clone_from(&person.origin);
            }
            let contact = match self.trusted(&person).await {
                Err(MessengerError::PersonMoved(_)) => return Ok(RoundsOutcome::Redirected),
                trusted => trusted?,
            };
            let attempt =
                SendingAttempt { id: &envelope.id, sender: self.store.sender()?, now_ms: self.now_ms() };
            // Another process may release what is older, send it and have it held back again. Each transaction
            // sees that in one of its states, so this is one. Once all that is older has an outcome, nothing
            // but the user or a report of a server has it sent anew.
            let is_behind = self.store.write(|tx| {
                let is_behind_refused = tx.is_behind_refused(attempt.id)?;
                let is_released = is_behind_refused && self.resume_in(tx, &envelope.recipient)?;
                Ok::<_, MessengerError>(is_released || tx.is_behind_unsent(attempt)?)
            })?;
            if is_behind {
                return Ok(RoundsOutcome::HeldBackFirst);
            }
            let mut wanted = contact.active();
            wanted.remove(&self.device.address());
            if let Some(only) = &envelope.resent_to {
                wanted.retain(|device| device == only);
            }
            let full = self.store.read(|tx| tx.full_devices(&envelope.id))?;
            wanted.retain(|device| !full.contains(device));
            let accepted = self.store.write(|tx| {
                let (accepted, open): (Vec<_>, Vec<_>) =
                    tx.ciphertexts(&envelope.id)?.into_iter().partition(|sent| sent.accepted);
                for stale in open.iter().filter(|sent| !wanted.contains(&sent.device)) {
                    tx.drop_ciphertext(&envelope.id, &stale.device)?;
                }
                Ok::<_, DeviceStoreError>(accepted)
            })?;
            wanted.retain(|device| accepted.iter().all(|sent| sent.device != *device));
            if wanted.is_empty() {
                let is_lost = accepted.is_empty() && (!full.is_empty() || envelope.resent_to.is_some());
                return settled(match is_lost {
                    true if full.is_empty() => Settlement::failed("the device that asked for it is gone"),
                    true => Settlement::failed("their mailbox is full"),
                    false => Settlement::of(EnvelopeState::Accepted),
                });
            }
            asked.clone_from(self.device.origin());
            match self.encrypt(&envelope.id, &contact, &wanted).await {
                Err(error) if self.is_outdated(&contact, &error).await? => continue,
                encrypted => encrypted?,
            }
            let outgoing = self.outgoing(envelope, &contact)?;
            self.step(ProgressStep::Send { actor: person.actor(), devices: outgoing.messages.len() });
            match self.signed_in(async || self.device.send(&outgoing).await).await? {
                SendOutcome::Accepted { .. } => return settled(Settlement::of(EnvelopeState::Accepted)),
                SendOutcome::Queued { .. } => return settled(Settlement::of(EnvelopeState::Queued)),
                SendOutcome::Partial(report) | SendOutcome::Rejected(report) => {
                    if let Correction::GiveUp(reason) = self.corrected(envelope, &contact, &report).await? {
                        return settled(Settlement::failed(reason));
                    }
                }
            }
        }
        settled(Settlement::failed("their devices change faster than this can be sent"))
    }

    /// True if a take was refused because the recipient's devices have changed since their chain
    /// was read. The chain is read again. Another server's refusal arrives as `remote-failed`.
    async fn is_outdated(&self, contact: &Contact, error: &MessengerError) -> Result<bool, MessengerError> {
        let MessengerError::Client(ClientError::Problem(problem)) = error else { return Ok(false) };
        if !matches!(problem.slug(), "invalid" | "remote-failed") {
            return Ok(false);
        }
        Ok(self.look_again(&contact.person).await?.state.position != contact.state.position)
    }

    /// Returns the envelope with the ciphertexts that the recipient's server does not have.
    fn outgoing(
        &self,
        envelope: &OutboxEnvelope,
        contact: &Contact,
    ) -> Result<OutgoingEnvelope, MessengerError> {
        let person = &contact.person;
        let messages: Vec<(DeviceId, Vec<u8>)> = self
            .store
            .read(|tx| tx.ciphertexts(&envelope.id))?
            .into_iter()
            .filter(|sent| !sent.accepted)
            .filter_map(|sent| person.origin.parse_device(&sent.device).map(|(_, id)| (id, sent.content)))
            .collect();
        let mut outgoing =
            OutgoingEnvelope::new(person.user.clone(), envelope.id.clone(), messages).at(&person.origin);
        outgoing.device_set = contact.device_set();
        outgoing.expires_ms = envelope.expires_ms;
        if envelope.recipient != self.device.actor() {
            let plaintext = self.store.read(|tx| tx.plaintext(&envelope.id))?;
            outgoing.franking = plaintext.and_then(|plaintext| tag_of(&envelope.id, &plaintext));
        }
        // A copy for this user's own devices wakes none of them.
        let is_note = !envelope.silent
            || (envelope.resent_to.is_some() && !self.store.read(|tx| tx.is_request(&envelope.id))?);
        outgoing.notify = is_note && envelope.recipient != self.device.actor();
        Ok(outgoing)
    }

    /// Applies a delivery report to an envelope. Which ciphertexts were queued is taken from the
    /// report; which devices exist is taken from the verified chain only. A missing device may have
    /// been revoked since the report was made, so every device that was ever in the chain is
    /// believed; the next round encrypts for the active ones alone. A device whose mailbox is full
    /// is noted, and is not sent the envelope again. If a report refuses an envelope and notes no
    /// such device, another attempt would meet the same answer.
    ///
    /// An envelope that is sent again is for one device, so that no other one is missing.
    pub(super) async fn corrected(
        &self,
        envelope: &OutboxEnvelope,
        contact: &Contact,
        report: &Report,
    ) -> Result<Correction, MessengerError> {
        let person = &contact.person;
        let noted = self.store.write(|tx| tx.note_full(&envelope.id, &report.full_devices))?;
        if envelope.resent_to.is_some() && report.kind == ReportKind::PartialDelivery {
            self.store.write(|tx| tx.accept_ciphertexts(&envelope.id, &[]))?;
            return Ok(Correction::Resend);
        }
        if report.kind == ReportKind::Reject && !report.device_set_out_of_date && noted == 0 {
            let reason = report.summary.clone();
            return Ok(Correction::GiveUp(reason.unwrap_or_else(|| "their server refused it".to_owned())));
        }
        let missing: Vec<String> = report
            .missing_key_packages
            .iter()
            .filter_map(|package| person.origin.parse_key_package(package))
            .map(|(user, device)| person.origin.device(&user, &device))
            .collect();
        let stale = &report.stale_devices;
        self.step(ProgressStep::Again { actor: person.actor(), missing: missing.len(), stale: stale.len() });
        if report.kind == ReportKind::PartialDelivery {
            self.store.write(|tx| tx.accept_ciphertexts(&envelope.id, &missing))?;
        }
        let now = self.look_again(person).await?;
        if let Some(inserted) = missing.iter().find(|device| now.listed(device).is_none()) {
            return Err(self.alarm(&person.actor(), Distrust::Inserted(inserted.clone()))?);
        }
        // Their server contradicts the chain that it shows. Another attempt would meet the same
        // answer.
        let active = now.active();
        let same = now.state.position == contact.state.position;
        let refused = same && stale.iter().any(|device| active.contains(device));
        Ok(match refused {
            true => Correction::GiveUp("their server refuses devices that its own list has".to_owned()),
            false => Correction::Resend,
        })
    }
}

/// True if an envelope that was listed waits now behind an older one that could not be sent, or is held back
/// with one.
fn is_put_off(listed: &OutboxEnvelope, kept: &OutboxEnvelope) -> bool {
    match kept.state {
        EnvelopeState::ToSend => kept.due_ms != listed.due_ms && kept.reason.is_some(),
        EnvelopeState::Refused => listed.state == EnvelopeState::ToSend,
        _ => false,
    }
}

/// True if an error says that a server could not be reached, or gave no answer for long. A connection that
/// breaks may be the fault of what was sent.
fn says_out_of_reach(error: &MessengerError) -> bool {
    matches!(
        error,
        MessengerError::Client(ClientError::Transport(TransportError::Connect(_) | TransportError::Timeout))
    )
}

/// The words for an envelope to a person whose account was deleted.
const DELETED: &str = "their account was deleted";

/// Returns the reason for which an envelope cannot be sent, in words. Its recipient is named beside it, and
/// `asked` is the server that was asked last.
pub(super) fn reason(error: &MessengerError, asked: &Origin) -> String {
    match error {
        MessengerError::Distrust { why, .. } => why.to_string(),
        MessengerError::Client(ClientError::Transport(TransportError::Connect(_))) => {
            format!("the server {} is out of reach", asked.authority())
        }
        MessengerError::Client(ClientError::Transport(why @ TransportError::CertificateTime { .. })) => {
            why.to_string()
        }
        MessengerError::Client(ClientError::Transport(_)) => {
            format!("the server {} does not answer", asked.authority())
        }
        MessengerError::Client(ClientError::Problem(problem)) if problem.status == 429 => {
            "so much was sent just now that the server asks to wait".to_owned()
        }
        MessengerError::Client(ClientError::Problem(problem)) if problem.slug() == "user-deleted" => {
            DELETED.to_owned()
        }
        error if says_moved(error) => {
            "their server says that they have moved, and does not show where to".to_owned()
        }
        MessengerError::PersonDeleted(_) => DELETED.to_owned(),
        MessengerError::Client(ClientError::Problem(problem)) => problem.in_words(),
        MessengerError::Invalid(invalid) | MessengerError::Client(ClientError::Invalid(invalid)) => {
            invalid.in_words()
        }
        other => other.to_string(),
    }
}

/// Returns the state of an envelope that cannot be sent because of this error.
pub(super) fn failed(error: &MessengerError) -> EnvelopeState {
    match error {
        MessengerError::Distrust { .. } => EnvelopeState::Refused,
        _ => EnvelopeState::Failed,
    }
}
