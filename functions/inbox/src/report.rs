//! Reports of another server about envelopes that users here have sent.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_protocol::json::has_type;
use eko_service::signed::SignedActivity;
use eko_service::{AppState, Problem};

use crate::{accepted, check_path, ignored};

/// POST `/user/{name}/inbox` or `/inbox` with `Delivered`, `PartialDelivery`, `Reject`, `Confirm`
/// or `Accept` (`docs/protocol.md`, sections 5 to 7): passes a report on to the devices of the
/// envelope's author. The answer is 202, or 422 for a report of this protocol that cannot be read.
///
/// The calls are listed at [`pass_on_report`](eko_messaging::Messaging::pass_on_report).
pub(crate) async fn receive_report(
    state: &AppState,
    path: Option<&UserName>,
    signed: &SignedActivity,
) -> Result<Response, Problem> {
    let report = match Report::parse(&signed.activity) {
        Ok(report) => report,
        // Other software uses `Accept` and `Reject` for other things, for example of a `Follow`.
        Err(fault) => {
            let own = ["Delivered", "PartialDelivery", "Confirm"];
            let is_own = own.iter().any(|kind| has_type(&signed.activity, kind));
            return if is_own { Err(fault.into()) } else { ignored(signed) };
        }
    };
    let Some(author) = state.origin().parse_actor(&report.to) else {
        return Err(Invalid::at("/to", "must be a user of this server").into());
    };
    check_path(path, &author, "/to")?;
    state.messaging().pass_on_report(&signed.actor, author, &report).await?;
    Ok(accepted())
}
