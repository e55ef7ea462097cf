//! The fate of one parcel: an attempt, and what it means for the parcel and its sender.

use std::time::Duration;

use eko_federation::post::EnvelopeAnswer;
use eko_federation::{Federation, RemoteError, StoredActor};
use eko_protocol::activity::Report;
use eko_protocol::address::Origin;
use eko_store::deliveries::ReportDelivery;
use eko_store::hosts::HostRecord;
use eko_store::parcels::{OutcomeAddress, Parcel};

use super::wait;
use crate::dispatch::{Dispatch, DispatchOutcome, WaitScope};
use crate::report::MailboxNotice;
use crate::{Messaging, MessagingError, Result};

/// The time for one attempt. Two attempts, one after another, fit into the function's time.
const ATTEMPT_TIME: Duration = Duration::from_secs(6);

/// The fate of a parcel.
pub(super) enum ParcelFate {
    /// The parcel is done.
    Done {
        /// The report for its sender, if somebody waits for one.
        report: Option<ReportDelivery>,
        /// The activities that wait.
        scope: WaitScope,
    },
    /// The parcel waits.
    Wait {
        /// The time of the next attempt, in epoch milliseconds.
        until_ms: i64,
        /// The activities that wait because of this failure.
        scope: WaitScope,
    },
}

/// The outcome of an envelope, of which the sending device gets a report.
enum ParcelOutcome {
    /// The other server has it.
    Accepted,
    /// The other server reported on it.
    Reported(Box<Report>),
    /// Nobody will deliver it. Holds the reason, for a person.
    Undeliverable(String),
}

impl ParcelFate {
    /// Returns what should wait besides the parcel.
    pub(super) fn scope(&self) -> WaitScope {
        match self {
            Self::Done { scope, .. } | Self::Wait { scope, .. } => *scope,
        }
    }
}

impl Messaging {
    /// Returns [`ParcelFate::Wait`] if it is too early for the next attempt. Another server can ask
    /// for a longer wait than SQS can delay or hide a message.
    pub(super) fn too_early(&self, parcel: &Parcel) -> Option<ParcelFate> {
        let until_ms = parcel.not_before_ms?.min(parcel.ends_ms());
        (self.now_ms() < until_ms).then_some(ParcelFate::Wait { until_ms, scope: WaitScope::Activity })
    }

    /// Makes one attempt and decides the fate of the parcel.
    ///
    /// # Errors
    /// The store is broken or out of reach. The parcel is tried again after the queue's visibility
    /// timeout.
    pub(super) async fn try_parcel(
        &self,
        federation: Option<&Federation>,
        origin: &Origin,
        host: &HostRecord,
        parcel: &Parcel,
    ) -> Result<ParcelFate> {
        let give_up = |why: String| {
            let report = self.outcome_report(parcel, ParcelOutcome::Undeliverable(why));
            Ok(ParcelFate::Done { report, scope: WaitScope::Activity })
        };
        let Some(federation) = federation else {
            return give_up("this server does not federate any more".to_owned());
        };
        let Some(text) = self.store().parcel_text(&parcel.body).await? else {
            // An earlier receive of the message has done the parcel, and queued the report.
            return Ok(ParcelFate::Done { report: None, scope: WaitScope::Activity });
        };
        let author = match parcel.by_server {
            true => self.origin().server_actor(),
            false => self.origin().actor(&parcel.author),
        };
        let dispatch = Dispatch {
            to: &parcel.to,
            origin,
            host,
            recipient: StoredActor::Unread,
            author: &author,
            text: &text,
            time: ATTEMPT_TIME,
        };
        match self.dispatch(federation, dispatch).await {
            Ok(DispatchOutcome::Answered(answer)) => {
                let Some(OutcomeAddress { envelope, .. }) = &parcel.outcome_to else {
                    return Ok(ParcelFate::Done { report: None, scope: WaitScope::Activity });
                };
                let outcome = match EnvelopeAnswer::of(&answer, &parcel.to, envelope) {
                    EnvelopeAnswer::Accepted => ParcelOutcome::Accepted,
                    EnvelopeAnswer::Partial(report) | EnvelopeAnswer::Rejected(report) => {
                        ParcelOutcome::Reported(Box::new(report))
                    }
                    EnvelopeAnswer::UnknownRecipient => {
                        ParcelOutcome::Undeliverable(format!("{} does not exist", parcel.to))
                    }
                    EnvelopeAnswer::DeletedRecipient => {
                        ParcelOutcome::Undeliverable(format!("{} was deleted", parcel.to))
                    }
                    EnvelopeAnswer::MovedRecipient(_) => {
                        ParcelOutcome::Undeliverable(format!("{} has moved", parcel.to))
                    }
                    EnvelopeAnswer::Refused(why) => {
                        ParcelOutcome::Undeliverable(format!("{}: {why}", origin.authority()))
                    }
                };
                let report = self.outcome_report(parcel, outcome);
                Ok(ParcelFate::Done { report, scope: WaitScope::Activity })
            }
            Ok(DispatchOutcome::Never(why)) => give_up(why),
            Ok(DispatchOutcome::Later(later)) => {
                let next_ms = wait::next_ms(parcel.first_ms, self.now_ms());
                let until_ms = later.until_ms.map_or(next_ms, |until| until.max(next_ms));
                Ok(self.wait_or_end(parcel, until_ms, later.scope, &later.why))
            }
            // The other server's word on its actor does not become better by asking again.
            Err(MessagingError::Remote(
                error @ (RemoteError::Gone(_)
                | RemoteError::Deleted(_)
                | RemoteError::Unusable(_)
                | RemoteError::NotFederated(_)
                | RemoteError::Excluded(_)),
            )) => give_up(error.to_string()),
            Err(error) => Err(error),
        }
    }

    /// Decides the fate of a parcel that is not tried before `until_ms`, in epoch milliseconds, and
    /// not before it has waited as long again as it has. `why` is the reason in the record of its
    /// server.
    pub(super) fn postpone(&self, origin: &Origin, why: &str, parcel: &Parcel, until_ms: i64) -> ParcelFate {
        let unknown = || format!("{} is out of reach", origin.authority());
        let why = if why.is_empty() { unknown() } else { why.to_owned() };
        let next_ms = wait::next_ms(parcel.first_ms, self.now_ms());
        self.wait_or_end(parcel, until_ms.max(next_ms), WaitScope::Activity, &why)
    }

    /// Lets a parcel wait for its next attempt, the last of which is at the end of its time. After
    /// that, gives the parcel up.
    fn wait_or_end(&self, parcel: &Parcel, until_ms: i64, scope: WaitScope, why: &str) -> ParcelFate {
        let ends_ms = parcel.ends_ms();
        if self.now_ms() >= ends_ms {
            let outcome = ParcelOutcome::Undeliverable(format!("not delivered in time; {why}"));
            return ParcelFate::Done { report: self.outcome_report(parcel, outcome), scope };
        }
        ParcelFate::Wait { until_ms: until_ms.min(ends_ms), scope }
    }

    /// Builds the report on a parcel that was received as often as the queue allows. Returns `None`
    /// if no device waits for an outcome.
    pub(super) fn too_often_report(&self, origin: &Origin, parcel: &Parcel) -> Option<ReportDelivery> {
        let why = format!("{} was out of reach too often", origin.authority());
        self.outcome_report(parcel, ParcelOutcome::Undeliverable(why))
    }

    /// Builds the report for the device that waits for an outcome. Returns `None` if none does.
    fn outcome_report(&self, parcel: &Parcel, outcome: ParcelOutcome) -> Option<ReportDelivery> {
        let OutcomeAddress { device, envelope } = parcel.outcome_to.as_ref()?;
        let origin = self.origin();
        let author = origin.actor(&parcel.author);
        let report = match outcome {
            ParcelOutcome::Accepted => Report::confirm(&parcel.to, &author, envelope),
            ParcelOutcome::Reported(report) => Report { to: author, ..*report },
            ParcelOutcome::Undeliverable(why) => Report::undeliverable(origin, &author, envelope, &why),
        };
        let notice = MailboxNotice {
            to: parcel.author.clone(),
            device: Some(device.clone()),
            charged_to: origin.actor(&parcel.author),
            // A `Delivered` on the same envelope may come in the same millisecond.
            subject: format!("{envelope} {}", report.kind.as_str()),
            activity: report.to_value(origin),
            author: report.actor,
        };
        Some(self.report_delivery(notice, self.now_ms()))
    }
}
