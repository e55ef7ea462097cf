//! The push subscription of the calling device.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use eko_federation::client::UrlPolicy;
use eko_messaging::active_device::require_status;
use eko_protocol::Invalid;
use eko_protocol::push::PushSubscription;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::{Caller, Owner};
use eko_service::{AppState, Problem};
use http::StatusCode;

/// POST `/user/{name}/push` (`docs/protocol.md`, section 8): stores the subscription of the calling
/// device in the place of an earlier one. The answer is 204.
///
/// One GetItem, one UpdateItem of the account's budget, and one transaction.
pub(crate) async fn subscribe(
    State(state): State<AppState>,
    Owner(caller): Owner,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let config = state.config();
    let push = config.push.as_ref().ok_or(Problem::NotFound("push service"))?;
    let mut subscription = PushSubscription::parse(&body)?;
    let policy = UrlPolicy { danger_allow_loopback_http: config.danger_allow_loopback_http };
    let endpoint = policy.read_exempt(&subscription.endpoint, &push.private);
    subscription.endpoint = endpoint.map_err(|refusal| Invalid::at("/endpoint", refusal.to_string()))?.into();
    require_signed_in(&state, &caller).await?;
    state.messaging().charge_subscription(&caller.user).await?;
    match state.store().subscribe(caller.address(), &subscription, state.now_ms()).await? {
        true => Ok(StatusCode::NO_CONTENT.into_response()),
        // It was revoked or signed out a moment ago.
        false => Err(Problem::DeviceRevoked),
    }
}

/// DELETE `/user/{name}/push` (`docs/protocol.md`, section 8): removes the subscription of the
/// calling device. The answer is 204, also if there is none.
///
/// One GetItem, one UpdateItem of the account's budget, and one transaction.
pub(crate) async fn unsubscribe(
    State(state): State<AppState>,
    Owner(caller): Owner,
) -> Result<Response, Problem> {
    require_signed_in(&state, &caller).await?;
    state.messaging().charge_subscription(&caller.user).await?;
    state.store().unsubscribe(caller.address()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Checks that the calling device is active and has a refresh token. One GetItem.
async fn require_signed_in(state: &AppState, caller: &Caller) -> Result<(), Problem> {
    let record = state.store().device_record(caller.address()).await?;
    require_status(record.as_ref().map(|record| record.status))?;
    match record.and_then(|record| record.family) {
        Some(_) => Ok(()),
        None => Err(Problem::Unauthenticated("the device has signed out")),
    }
}
