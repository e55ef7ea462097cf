//! The registration of a device, and the first sign-in of a user.

use axum::extract::State;
use axum::response::Response;
use eko_protocol::Invalid;
use eko_protocol::chain::ChainPosition;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::bearer_token;
use eko_service::{AppState, Problem};
use eko_store::accounts::AccountOutcome;
use http::{HeaderMap, StatusCode};

use crate::oidc::VerifiedSubject;
use crate::registration::RegistrationRequest;
use crate::state::SignInState;
use crate::tokens::{self, DeviceMembership, RefreshToken, RegisteredStatus};
use crate::{further_device, reset, sign_in};

/// POST `/auth/devices` (`docs/protocol.md`, section 10): registers a device, signs a registered
/// device in again, or resets the device chain.
///
/// The ID token says who the user is, and its nonce for which device at which server the user has
/// signed in: it is checked before the store is asked. A subject without an account claims a name,
/// and its device starts the chain. For a subject with an account, `signIn` makes it a repeated
/// sign-in, `node` makes it a reset, and otherwise the device waits for approval. All of it is
/// stored in one transaction, after one GetItem of the account. A device that signs in again for another
/// account than the subject's costs one GetItem more: its account may be deleted.
pub(crate) async fn register_device(
    State(state): State<SignInState>,
    headers: HeaderMap,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let id_token = bearer_token(&headers)?;
    let subject = state.id_tokens().verify(id_token, state.now_ms()).await?;
    let request = RegistrationRequest::parse(&body)?;
    subject.require_nonce(&request.nonce(state.origin()))?;
    let account = state.store().account_of(subject.as_oidc()).await?;
    if let (Some(name), Some(_)) = (&request.username, &request.sign_in)
        && account.as_ref() != Some(name)
        && state.store().device_set(name).await?.is_deleted()
    {
        return Err(Problem::AccountDeleted);
    }
    let Some(user) = account else {
        if request.sign_in.is_some() {
            // A registered device has an account. This server has lost it, or never had it.
            return Err(Problem::NotFound("user"));
        }
        return first_device(&state, &subject, &request).await;
    };
    if request.username.as_ref().is_some_and(|name| *name != user) {
        return Err(Problem::AccountExists(user.to_string()));
    }
    if let Some(proof) = &request.sign_in {
        sign_in::sign_in_again(&state, user, &request, proof, id_token).await
    } else if request.has_node() {
        reset::reset_chain(&state, &user, &subject, &request).await
    } else {
        further_device::register_further_device(&state, &user, &request).await
    }
}

/// Creates the account of a subject: its name, its chain and its first device, which is active.
async fn first_device(
    state: &AppState,
    subject: &VerifiedSubject,
    request: &RegistrationRequest,
) -> Result<Response, Problem> {
    let user =
        request.username.as_ref().ok_or(Invalid::at("/username", "is missing: this is the first sign-in"))?;
    let device = request.verify(state, user)?;
    let node = request.verify_node(state, &device, &ChainPosition::default())?;
    let token = RefreshToken::new(state, &device.caller);
    let registration = device.registration(token.session(state));
    match state.store().create_account(subject.as_oidc(), &registration, &node).await? {
        AccountOutcome::Created => {}
        AccountOutcome::NameTaken => return Err(Problem::NameTaken),
        AccountOutcome::SubjectTaken => return Err(Problem::AccountExists(user.to_string())),
        AccountOutcome::DeviceIdUsed => return Err(Problem::DeviceIdUsed),
    }
    if let Err(error) = state.store().count_user().await {
        tracing::warn!(%error, "a user was not counted");
    }
    let membership = DeviceMembership { status: RegisteredStatus::Active, set: node.device_set() };
    tokens::answer(state, StatusCode::CREATED, &device.caller, &token, Some(membership))
}
