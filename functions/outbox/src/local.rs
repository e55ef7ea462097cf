//! An envelope for devices of this server (`docs/protocol.md`, section 5).
//!
//! Four AWS calls in three rounds: both device sets in one BatchGetItem, the budgets beside it; the
//! envelope's record; the queue.

use axum::response::Response;
use eko_protocol::activity::DeliveryProgress;
use eko_protocol::address::UserName;
use eko_protocol::envelope::Create;
use eko_service::acceptance::{self, Outcome};
use eko_service::caller::{Caller, inactive};
use eko_service::{AppState, Problem};
use http::StatusCode;

use crate::create::{accepted, reported};

pub(crate) async fn send(
    state: &AppState,
    caller: &Caller,
    create: &Create,
    user: &UserName,
) -> Result<Response, Problem> {
    // Shape first: what cannot be meant for this user costs no call.
    create.local_messages(state.origin(), user)?;
    let (sets, spent) = tokio::join!(
        state.store().device_sets([&caller.user, user]),
        acceptance::spend(state, create, user.as_str())
    );
    let [own, recipient] = sets?;
    let own = own.ok_or(Problem::DeviceRevoked)?;
    if !own.active.contains_key(&caller.device) {
        return Err(inactive(&own, &caller.device));
    }
    let recipient = recipient.ok_or(Problem::NotFound("user"))?;
    spent?;
    let sender = create.is_sync().then_some(&caller.device);
    Ok(match acceptance::accept(state, create, user, &recipient, sender).await? {
        Outcome::Accepted { activity } => accepted(state, create, &activity, DeliveryProgress::Done),
        Outcome::Partial(report) => reported(state, StatusCode::MULTI_STATUS, &report),
        Outcome::Rejected(report) => reported(state, StatusCode::CONFLICT, &report),
    })
}
