//! Reports of another server about envelopes that users here have sent.

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_service::signed::SignedActivity;
use eko_service::{AppState, Problem};

use crate::{accepted, check_path, ignored};

/// POST `/user/{name}/inbox` or `/inbox` with `Delivered`, `PartialDelivery`, `Reject`, `Confirm`
/// or `Accept` (`docs/protocol.md`, sections 5 to 7): passes a report on to the devices of the
/// envelope's author. The answer is 202.
///
/// The calls are listed at [`pass_on_report`](eko_messaging::Messaging::pass_on_report).
pub(crate) async fn receive_report(
    state: &AppState,
    path: Option<&UserName>,
    signed: &SignedActivity,
) -> Result<Response, Problem> {
    let Ok(report) = Report::parse(&signed.activity) else {
        // Other software uses `Accept` and `Reject` for other things, for example of a `Follow`.
        return ignored(signed);
    };
    let Some(author) = state.origin().parse_actor(&report.to) else {
        return Err(Invalid::at("/to", "must be a user of this server").into());
    };
    check_path(path, &author, "/to")?;
    state.messaging().pass_on_report(&signed.actor, author, &report).await?;
    Ok(accepted())
}
