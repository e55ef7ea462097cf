//! Reports on their way to a user's mailboxes.

use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use eko_store::deliveries::ReportDelivery;
use eko_store::sent::{MAX_REPORTS, SentEnvelopeName};
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
        let MailboxNotice { to, device, author, subject, activity } = notice;
        ReportDelivery {
            to,
            device,
            entry: EntryKey::new(now_ms.unsigned_abs(), &author, &subject),
            ttl: self.keep_until(now_ms),
            activity,
        }
    }

    /// Passes a report of another server on to the devices of the envelope's author, a user of this
    /// server.
    ///
    /// A report has an effect only if all of this holds: `author` sent the envelope to the server
    /// of `signer`, the actor who signed the report; the same report was not passed on before; and
    /// fewer than [`MAX_REPORTS`] reports on the envelope were. At most three AWS calls, one after
    /// another: GetItem of the sent envelope's record, SendMessageBatch, UpdateItem of the record.
    /// The report is queued before it is recorded, so that no crash loses it. The record shows
    /// which reports were passed on before. Requests that race may pass on a few more reports, or
    /// the same one more than once.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    pub async fn pass_on_report(
        &self,
        signer: &RemoteActor,
        author: UserName,
        report: &Report,
    ) -> Result<()> {
        let Some(origin) = signer.origin() else { return Ok(()) };
        let now_ms = self.now_ms();
        let envelope = SentEnvelopeName { author: &author, recipient_origin: &origin, id: &report.envelope };
        let Some(sent) = self.store().sent(envelope, now_ms).await? else {
            let envelope = report.envelope.as_str();
            tracing::debug!(actor = report.actor, envelope, "a report on what was not sent there");
            return Ok(());
        };
        let activity = report.to_value(self.origin());
        let digest = hex::encode(report.digest().get(..8).unwrap_or_default());
        if sent.reported.contains(&digest) || sent.reported.len() >= MAX_REPORTS {
            return Ok(());
        }
        let notice = MailboxNotice {
            to: author.clone(),
            device: match report.kind {
                // Every device shows that the envelope arrived.
                ReportKind::Delivered => None,
                // The device that sent the envelope has to act.
                ReportKind::PartialDelivery | ReportKind::Reject | ReportKind::Confirm => Some(sent.device),
            },
            author: report.actor.clone(),
            subject: format!("{} {digest}", report.envelope),
            activity,
        };
        self.store().queue_reports(vec![self.report_delivery(notice, now_ms)]).await?;
        self.store().mark_reported(envelope, &digest).await?;
        Ok(())
    }
}
