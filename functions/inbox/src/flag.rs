//! The activity `Flag` by another server, about a message of a user of this server.

use axum::response::Response;
use eko_protocol::address::UserName;
use eko_protocol::flag::Flag;
use eko_service::signed::SignedActivity;
use eko_service::{FederatedState, Problem};

use crate::{accepted, check_path};

/// POST `/user/{name}/inbox` or `/inbox` with `Flag` (`docs/protocol.md`, section 7): stores a report
/// for the operator. The answer is 202, whether or not the report is true.
///
/// The calls are listed at [`keep_report_of`](eko_messaging::Messaging::keep_report_of).
pub(crate) async fn receive_flag(
    state: &FederatedState,
    path: Option<&UserName>,
    signed: &SignedActivity,
) -> Result<Response, Problem> {
    let flag = Flag::parse(&signed.activity)?;
    let (author, signer) = (state.origin().parse_actor(&flag.author), signed.actor.origin());
    let (Some(author), Some(signer)) = (author, signer) else { return Ok(accepted()) };
    check_path(path, &author, "/object")?;
    state.messaging().keep_report_of(state.federation("/actor")?, &signer, &author, &flag).await?;
    Ok(accepted())
}
