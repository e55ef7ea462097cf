//! The registration of a further device of a user, which waits for the approval of an active one.

use axum::response::Response;
use eko_messaging::active_device::require_here;
use eko_messaging::report::MailboxNotice;
use eko_protocol::activity::{self, PendingRegistration};
use eko_protocol::address::UserName;
use eko_service::{AppState, Problem};
use eko_store::accounts::PendingOutcome;
use http::StatusCode;

use crate::registration::RegistrationRequest;
use crate::tokens::{self, DeviceMembership, RefreshToken, RegisteredStatus};

/// The time after which a device that found too many pending ones may try again, in seconds.
const RETRY_SECONDS: u64 = 3600;

/// Registers a device as pending and tells the active devices.
///
/// One GetItem of the device set, one transaction, one SendMessageBatch.
pub(crate) async fn register_further_device(
    state: &AppState,
    user: &UserName,
    request: &RegistrationRequest,
) -> Result<Response, Problem> {
    let mut device = request.verify(state, user)?;
    let joining_mac = request.joining_mac()?;
    device.keys.joining_mac = Some(joining_mac);
    let token = RefreshToken::new(state, &device.caller);
    let registration = device.registration(token.session(state));
    let devices = state.store().device_set(user).await?.stored()?;
    require_here(&devices)?;
    if devices.active.is_empty() {
        return Err(Problem::NoActiveDevice);
    }
    match state.store().add_pending(&registration).await? {
        PendingOutcome::Added => {}
        PendingOutcome::DeviceIdUsed => return Err(Problem::DeviceIdUsed),
        PendingOutcome::TooMany => {
            let what = "too many devices wait for approval: approve or turn away one";
            return Err(Problem::TooMany { retry_after: RETRY_SECONDS, what });
        }
    }
    let now_ms = device.keys.registered_ms;
    let (new_device, joining_mac) = (&device.new_device(), &joining_mac);
    offer_device(
        state,
        user,
        &PendingRegistration { device: new_device, joining_mac, registered_ms: now_ms },
    )
    .await;
    let membership = DeviceMembership { status: RegisteredStatus::Pending, set: devices.set };
    tokens::answer(state, StatusCode::CREATED, &device.caller, &token, Some(membership))
}

/// Tells the user's active devices of a pending one. They can also list pending devices, so a
/// failure is only logged.
///
/// One SendMessageBatch. The notice has the time of the registration, so that a repeated one
/// overwrites the first.
pub(crate) async fn offer_device(state: &AppState, user: &UserName, pending: &PendingRegistration<'_>) {
    let origin = state.origin();
    let notice = MailboxNotice {
        to: user.clone(),
        device: None,
        author: origin.server_actor(),
        charged_to: origin.actor(user),
        subject: pending.device.id.to_string(),
        activity: activity::device_offered(origin, user, pending),
    };
    let report = state.messaging().report_delivery(notice, pending.registered_ms);
    if let Err(error) = state.store().queue_reports(vec![report]).await {
        tracing::warn!(%error, "the active devices were not told of a pending one");
    }
}
