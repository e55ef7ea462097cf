//! Reports about this device's envelopes.

use eko_protocol::activity::{Report, ReportKind};

use super::deliver::{Correction, failed, reason};
use super::{Messenger, MessengerError, Person};
use crate::store::{DeviceStoreError, EnvelopeState, OutboxEnvelope};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Applies a report from the mailbox. Returns the envelope if the report says something new
    /// about an envelope of this device of which its user hears. The own server has checked that the
    /// report comes from where the envelope went.
    ///
    /// `Delivered` is the servers' word, and changes nothing: only a receipt says that a device has a
    /// message ([`Messenger::keep_receipt`]).
    pub(super) async fn take_report(
        &self,
        report: &Report,
    ) -> Result<Option<OutboxEnvelope>, MessengerError> {
        let id = &report.envelope;
        let Some(envelope) = self.store.read(|tx| tx.envelope(id.as_str()))? else { return Ok(None) };
        let open = matches!(envelope.state, EnvelopeState::ToSend | EnvelopeState::Queued);
        let is_lost = report.kind == ReportKind::Reject && envelope.state == EnvelopeState::Queued;
        if is_lost && let Some(moved) = self.moved_recipient(&envelope.recipient).await? {
            self.store.write(|tx| self.redirect_one(tx, &envelope, &moved))?;
            let kept = self.store.read(|tx| tx.envelope(id.as_str()))?;
            return Ok(kept.filter(|kept| kept.state == EnvelopeState::Failed && !kept.silent));
        }
        match report.kind {
            ReportKind::Confirm if open => {
                self.store.write(|tx| tx.settle(id, EnvelopeState::Accepted, None))?;
            }
            ReportKind::PartialDelivery | ReportKind::Reject if envelope.state == EnvelopeState::Queued => {
                match self.correction(&envelope, report).await {
                    Ok(Correction::Resend) => drop(self.store.write(|tx| tx.reopen(id, self.now_ms()))?),
                    Ok(Correction::GiveUp(reason)) => {
                        self.store.write(|tx| tx.settle(id, EnvelopeState::Failed, Some(&reason)))?;
                    }
                    Err(error) if error.holds_up_all() || error.retry_after_s().is_some() => {
                        return Err(error);
                    }
                    // Another reading of the report would come to the same.
                    Err(error) => {
                        self.store.write(|tx| {
                            tx.settle(id, failed(&error), Some(&reason(&error, self.device.origin())))
                        })?;
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(self.store.read(|tx| tx.envelope(id.as_str()))?.filter(|envelope| !envelope.silent))
    }

    /// Returns the new account of a recipient who has moved. Their chain is read for it once in ten minutes.
    async fn moved_recipient(&self, recipient: &str) -> Result<Option<String>, MessengerError> {
        if let Some(moved) = self.store.read(|tx| tx.moved_to(recipient))? {
            return Ok(Some(moved));
        }
        let Some(person) = Person::of(recipient).filter(|person| *person != self.me()) else {
            return Ok(None);
        };
        if !self.may_look(&format!("lost {recipient}")) {
            return Ok(None);
        }
        // Without an answer the report is taken as it is.
        let Ok(left) = Box::pin(self.look_again(&person)).await else { return Ok(None) };
        match left.target() {
            Some(_) => Ok(Box::pin(self.follow(&left)).await.ok().map(|new| new.actor())),
            None => Ok(None),
        }
    }

    async fn correction(
        &self,
        envelope: &OutboxEnvelope,
        report: &Report,
    ) -> Result<Correction, MessengerError> {
        let person = Person::of(&envelope.recipient).ok_or(DeviceStoreError::Corrupt("recipient"))?;
        let contact = self.contact(&person).await?;
        self.corrected(envelope, &contact, report).await
    }
}
