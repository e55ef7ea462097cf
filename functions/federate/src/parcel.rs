//! One parcel: an attempt, and what it means for the parcel.

use std::time::Duration;

use bytes::Bytes;
use eko_federation::StoredActor;
use eko_federation::post::Verdict;
use eko_protocol::activity;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::{EntryKey, EnvelopeId};
use eko_service::dispatch::{Attempt, Attempted, attempt as dispatch};
use eko_service::{AppState, Federated, Problem};
use eko_store::StoreError;
use eko_store::deliveries::Report;
use eko_store::hosts::HostRecord;
use eko_store::parcels::Parcel;

use crate::wait;

/// How long one attempt may take: two of them, one after another, fit into the function's time.
const ATTEMPT_TIME: Duration = Duration::from_secs(6);

/// What becomes of a parcel.
pub(crate) enum Fate {
    /// It is done with; what its sender is told.
    Done(Option<Report>),
    /// It waits.
    Wait {
        /// Until when, epoch milliseconds.
        until_ms: i64,
        /// Whether everything for that server has to.
        whole_server: bool,
    },
}

/// Whether it is too early: what another server asked for can be longer than SQS delays a message.
pub(crate) fn too_early(state: &AppState, parcel: &Parcel) -> Option<Fate> {
    let until_ms = parcel.not_before?;
    (state.now_ms() < until_ms).then_some(Fate::Wait { until_ms, whole_server: false })
}

/// Tries once.
pub(crate) async fn attempt(
    state: &Federated,
    origin: &Origin,
    host: &HostRecord,
    parcel: &Parcel,
) -> Result<Fate, Problem> {
    let author = UserName::parse(&parcel.author).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let refused = |why: &str| Ok(Fate::Done(told(state, parcel, &Outcome::Failed(why.to_owned()))?));
    let Some(federation) = state.federates() else {
        return refused("this server does not federate any more");
    };
    let body = Bytes::from(state.store().parcel_text(&parcel.body).await?);
    let tried = Attempt {
        to: &parcel.to,
        origin,
        host,
        copy: StoredActor::Unread,
        author: &author,
        body: &body,
        time: ATTEMPT_TIME,
    };
    match dispatch(state, federation, tried).await {
        Ok(Attempted::Answered(response)) => {
            let envelope = parcel.tell.as_ref().map(|tell| tell.envelope.as_str()).unwrap_or_default();
            let outcome = match Verdict::of(&response, &parcel.to, envelope) {
                Verdict::Accepted => Outcome::Taken,
                Verdict::Partial(report) | Verdict::Rejected(report) => Outcome::Reported(Box::new(report)),
                Verdict::UnknownRecipient => Outcome::Failed(format!("{} does not exist", parcel.to)),
                Verdict::Refused(why) => Outcome::Failed(format!("{}: {why}", origin.authority())),
            };
            Ok(Fate::Done(told(state, parcel, &outcome)?))
        }
        Ok(Attempted::Never(why)) => refused(&why),
        Ok(Attempted::Later { why, until_ms, whole_server }) => {
            let until_ms = until_ms.max(wait::next_ms(parcel.first, state.now_ms()));
            Ok(wait_or_end(state, parcel, until_ms, whole_server, &why)?)
        }
        // What the other server says of its actor will not become better by asking again and again.
        Err(Problem::NotFound(_)) => refused(&format!("{} does not exist", parcel.to)),
        Err(Problem::NotFederated(why) | Problem::RemoteFailed(why)) => refused(&why),
        Err(problem) => Err(problem),
    }
}

/// What becomes of a parcel whose server is left alone until `until_ms`.
pub(crate) fn postponed(
    state: &AppState,
    origin: &Origin,
    host: &HostRecord,
    parcel: &Parcel,
    until_ms: i64,
) -> Fate {
    let why = if host.why.is_empty() {
        format!("{} is out of reach", origin.authority())
    } else {
        host.why.clone()
    };
    wait_or_end(state, parcel, until_ms, true, &why).unwrap_or(Fate::Wait { until_ms, whole_server: true })
}

/// Waits for the next attempt, the last of which is when its time is over; after that, it is given up.
fn wait_or_end(
    state: &AppState,
    parcel: &Parcel,
    until_ms: i64,
    whole_server: bool,
    why: &str,
) -> Result<Fate, StoreError> {
    let (now_ms, ends_ms) = (state.now_ms(), parcel.ends_ms());
    if now_ms >= ends_ms {
        let why = format!("not delivered in time; {why}");
        return Ok(Fate::Done(told(state, parcel, &Outcome::Failed(why))?));
    }
    Ok(Fate::Wait { until_ms: until_ms.min(ends_ms), whole_server })
}

/// What the sender of an envelope is told.
enum Outcome {
    Taken,
    Reported(Box<activity::Report>),
    Failed(String),
}

/// The report for the device that waits for one.
fn told(state: &AppState, parcel: &Parcel, outcome: &Outcome) -> Result<Option<Report>, StoreError> {
    let Some(tell) = &parcel.tell else { return Ok(None) };
    let corrupt = |e: eko_protocol::Invalid| StoreError::Corrupt(e.to_string());
    let origin = state.origin();
    let author = origin.actor(&UserName::parse(&parcel.author).map_err(corrupt)?);
    let envelope = EnvelopeId::parse(&tell.envelope).map_err(corrupt)?;
    let report = match outcome {
        Outcome::Taken => activity::Report::confirm(&parcel.to, &author, &envelope),
        Outcome::Reported(report) => activity::Report { to: author, ..(**report).clone() },
        Outcome::Failed(why) => activity::Report::undeliverable(origin, &author, &envelope, why),
    };
    let now_ms = state.now_ms();
    // A `Delivered` on the same envelope may come in the same millisecond.
    let subject = format!("{}#{}", tell.envelope, report.kind.as_str());
    Ok(Some(Report {
        to: parcel.author.clone(),
        device: Some(tell.device()?.to_string()),
        entry: EntryKey::new(now_ms.unsigned_abs(), &report.actor, &subject).to_string(),
        ttl: state.keep_until(now_ms),
        activity: report.to_value(origin),
    }))
}
