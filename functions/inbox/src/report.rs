//! `Delivered`, `PartialDelivery`, `Reject`, `Confirm` and `Accept` of another server (`docs/protocol.md`,
//! sections 5 to 7): to the author's devices, if the envelope was sent to that server at all.
//!
//! At most three AWS calls, one after another: the record of the sending, the queue, a note on the record that
//! this report has been passed on. In this order, so that no crash loses a report; one that is repeated is
//! found on the record and has no effect.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::address::UserName;
use eko_protocol::id::EntryKey;
use eko_service::signed::Signed;
use eko_service::{AppState, Problem};
use eko_store::deliveries;
use eko_store::sent::MAX_REPORTS;
use sha2::{Digest, Sha256};

use crate::{check_path, taken};

pub(crate) async fn report(
    state: &AppState,
    path: Option<&UserName>,
    signed: &Signed,
) -> Result<Response, Problem> {
    let Ok(report) = Report::parse(&signed.activity) else {
        // `Accept` and `Reject` mean other things elsewhere, of a `Follow` for one.
        return Ok(taken());
    };
    let origin = state.origin();
    let Some(author) = origin.parse_actor(&report.to) else {
        return Err(Invalid::at("/to", "must be a user of this server").into());
    };
    check_path(path, &author, "/to")?;
    let Some(sender) = signed.actor.origin() else { return Ok(taken()) };
    let now_ms = state.now_ms();
    let store = state.store();
    let envelope = report.envelope.as_str();
    let Some(sent) = store.sent(&author, &sender, envelope, now_ms).await? else {
        tracing::debug!(actor = report.actor, envelope, "a report on what was not sent there");
        return Ok(taken());
    };
    let body = report.to_value(origin);
    let digest = hex::encode(Sha256::digest(body.to_string()).get(..8).unwrap_or_default());
    if sent.reported.contains(&digest) || sent.reported.len() >= MAX_REPORTS {
        return Ok(taken());
    }
    let device = match report.kind {
        // Every device shows that it arrived; what remains to be done is for the one that sent it.
        ReportKind::Delivered => None,
        ReportKind::PartialDelivery | ReportKind::Reject | ReportKind::Confirm => {
            Some(sent.device.to_string())
        }
    };
    let key = EntryKey::new(now_ms.unsigned_abs(), &report.actor, &format!("{envelope}#{digest}"));
    let queued = deliveries::Report {
        to: author.to_string(),
        device,
        entry: key.to_string(),
        ttl: state.keep_until(now_ms),
        activity: body,
    };
    store.queue_reports(vec![queued]).await?;
    store.mark_reported(&author, &sender, envelope, &digest).await?;
    Ok(taken())
}
