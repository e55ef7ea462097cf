//! The reset of a device chain, by which a user who has lost every device starts over.

use axum::response::Response;
use eko_messaging::active_device::require_here;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_service::{AppState, Problem};
use eko_store::resets::ResetOutcome;
use http::StatusCode;

use crate::oidc::VerifiedSubject;
use crate::registration::RegistrationRequest;
use crate::tokens::{self, DeviceMembership, RefreshToken, RegisteredStatus};

/// The maximum age of the sign-in of a reset or a deletion, in seconds.
const FRESH_SIGN_IN_SECONDS: i64 = 600;

/// Checks that a person has signed in at the issuer in the last ten minutes. `old` says what that is needed
/// for.
///
/// # Errors
/// [`Problem::Unauthenticated`] with `old`.
pub(crate) fn require_fresh(
    subject: &VerifiedSubject,
    now_ms: i64,
    old: &'static str,
) -> Result<(), Problem> {
    let age_s = now_ms.div_euclid(1000).saturating_sub(subject.signed_in_s);
    if age_s > FRESH_SIGN_IN_SECONDS { Err(Problem::Unauthenticated(old)) } else { Ok(()) }
}

/// Registers a device as the user's only one. All others, active and pending, are revoked.
///
/// The sign-in at the issuer is at most ten minutes old, and has reset nothing before. One
/// BatchGetItem of device set and profile, the call of
/// [`order_erasure`](eko_messaging::Messaging::order_erasure), one transaction, and the call of
/// [`end_revoked`](eko_messaging::Messaging::end_revoked).
pub(crate) async fn reset_chain(
    state: &AppState,
    user: &UserName,
    subject: &VerifiedSubject,
    request: &RegistrationRequest,
) -> Result<Response, Problem> {
    let device = request.verify(state, user)?;
    let seen = state.store().reset_state(user).await?.stored()?;
    require_here(&seen.devices)?;
    require_fresh(subject, state.now_ms(), "a reset needs a sign-in of the last ten minutes")?;
    let node = request.verify_node(state, &device, &seen.devices.position()).map_err(|error| {
        if error.is_stale_head() { Problem::StaleHead(seen.devices.set.clone()) } else { error.into() }
    })?;
    let token = RefreshToken::new(state, &device.caller);
    let registration = device.registration(token.session(state));
    let (id, signed_in_s) = (&device.caller.device, subject.signed_in_s);
    let outcome = match seen.refusal(id, signed_in_s, device.keys.registered_ms) {
        Some(refused) => refused,
        None => {
            let revoked: Vec<DeviceId> =
                seen.devices.active.keys().chain(&seen.devices.pending).cloned().collect();
            state.messaging().order_erasure(user, revoked.clone()).await?;
            let outcome = state.store().reset_devices(&seen, &registration, &node, signed_in_s).await?;
            if matches!(outcome, ResetOutcome::Reset) {
                state.messaging().end_revoked(user, revoked).await;
            }
            outcome
        }
    };
    match outcome {
        ResetOutcome::Reset => {}
        ResetOutcome::SignInUsed => {
            return Err(Problem::Unauthenticated("this sign-in has reset the devices: sign in once more"));
        }
        ResetOutcome::TooSoon { retry_after_s } => {
            let what = "the devices were reset a short time ago";
            return Err(Problem::TooMany { retry_after: retry_after_s, what });
        }
        ResetOutcome::DeviceIdUsed => return Err(Problem::DeviceIdUsed),
        ResetOutcome::Lost => {
            let now = state.store().device_set(user).await?;
            return Err(Problem::StaleHead(now.stored()?.set));
        }
    }
    let membership = DeviceMembership { status: RegisteredStatus::Active, set: node.device_set() };
    tokens::answer(state, StatusCode::CREATED, &device.caller, &token, Some(membership))
}
