//! `Delivered`, `PartialDelivery`, `Reject`, `Confirm` and `Accept` of another server (`docs/protocol.md`, sections 5
//! to 7). The calls that they make are listed at
//! [`Messaging::pass_on_report`](eko_messaging::Messaging::pass_on_report).

use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_service::signed::SignedActivity;
use eko_service::{AppState, Problem};

use crate::{accepted, check_path};

pub(crate) async fn receive_report(
    state: &AppState,
    path: Option<&UserName>,
    signed: &SignedActivity,
) -> Result<Response, Problem> {
    let Ok(report) = Report::parse(&signed.activity) else {
        // `Accept` and `Reject` have other meanings elsewhere: of a `Follow`, for one.
        return Ok(accepted());
    };
    let Some(author) = state.origin().parse_actor(&report.to) else {
        return Err(Invalid::at("/to", "must be a user of this server").into());
    };
    check_path(path, &author, "/to")?;
    state.messaging().pass_on_report(&signed.actor, author, &report).await?;
    Ok(accepted())
}
