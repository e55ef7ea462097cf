//! Reports on their way to a user's mailboxes.

use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use eko_store::deliveries::ReportDelivery;
use eko_store::sent::{ReportPlace, SentEnvelopeName};
use serde_json::Value;

use crate::{Messaging, Result};

/// An activity of this server or another for a user's devices.
#[derive(Clone, Debug)]
pub struct MailboxNotice {
    /// The user whose devices get it.
    pub to: UserName,
    /// The only device that gets it, or `None` for all active devices.
    pub device: Option<DeviceId>,
    /// The actor id of its author.
    pub author: String,
    /// The actor id whose share of the mailboxes it uses ([`MailboxSender`]). The outcome of an
    /// envelope that waited uses the share of the user who sent it, so that nobody else keeps it
    /// out.
    ///
    /// [`MailboxSender`]: eko_store::fill::MailboxSender
    pub charged_to: String,
    /// A text that distinguishes it from other notices of the same author at the same time: an
    /// envelope's id, for one. A notice with the same author, subject and time overwrites the entry
    /// of the first.
    pub subject: String,
    /// The activity.
    pub activity: Value,
}

impl Messaging {
    /// Builds the delivery of a notice at `now_ms`, epoch milliseconds. Makes no call.
    pub fn report_delivery(&self, notice: MailboxNotice, now_ms: i64) -> ReportDelivery {
        let MailboxNotice { to, device, author, charged_to, subject, activity } = notice;
        ReportDelivery {
            to,
            device,
            entry: EntryKey::new(now_ms.unsigned_abs(), &author, &subject),
            ttl: self.keep_until(now_ms),
            charged_to,
            activity,
        }
    }

    /// Passes a report of another server on to the devices of the envelope's author, a user of this
    /// server.
    ///
    /// A report has an effect only if all of this holds: `author` sent the envelope to the server
    /// of `signer`, the actor who signed the report; the same report was not passed on before; and
    /// it is one of the first [`MAX_REPORTS`](eko_store::sent::MAX_REPORTS) on the envelope.
    ///
    /// Four AWS calls in three rounds: the UpdateItem that reserves the report's place in the sent
    /// envelope's record, beside the UpdateItem of the budget; SendMessageBatch; the UpdateItem that
    /// notes the report as passed on. A report without effect costs the first round, and the
    /// UpdateItem that gives the budget back.
    ///
    /// The place is reserved before the report is queued, so that reports that race are no more
    /// than may be. A report whose process died in between keeps its place, and is passed on when
    /// it comes again, as the same entry.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`](crate::Refusal::OverBudget); the store is broken or out of reach.
    pub async fn pass_on_report(
        &self,
        signer: &RemoteActor,
        author: UserName,
        report: &Report,
    ) -> Result<()> {
        let Some(origin) = signer.origin() else { return Ok(()) };
        let now_ms = self.now_ms();
        let envelope = SentEnvelopeName { author: &author, recipient_origin: &origin, id: &report.envelope };
        let activity = report.to_value(self.origin());
        let digest = hex::encode(report.digest().get(..8).unwrap_or_default());
        let charge = self.report_charge(&origin, &author, activity.to_string().len());
        let (place, mut spending) = tokio::join!(
            self.store().reserve_report(envelope, &digest, now_ms),
            self.spend(None, Some(charge))
        );
        let pass_on = async {
            let ReportPlace::Reserved { device, since_ms } = place? else { return Ok(false) };
            spending.check()?;
            let notice = MailboxNotice {
                to: author.clone(),
                device: match report.kind {
                    // Every device shows that the envelope arrived.
                    ReportKind::Delivered => None,
                    // The device that sent the envelope has to act.
                    ReportKind::PartialDelivery | ReportKind::Reject | ReportKind::Confirm => Some(device),
                },
                author: report.actor.clone(),
                charged_to: report.actor.clone(),
                subject: format!("{} {digest}", report.envelope.key()),
                activity,
            };
            self.store().queue_reports(vec![self.report_delivery(notice, since_ms)]).await?;
            self.store().mark_reported(envelope, &digest).await?;
            Ok(true)
        };
        let passed_on = pass_on.await;
        if !matches!(passed_on, Ok(true)) {
            self.give_back(spending).await;
        }
        passed_on.map(|_| ())
    }
}
