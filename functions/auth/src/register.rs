//! POST `/auth/devices` (`docs/protocol.md`, section 10): registers a device of the user whom an ID
//! token identifies. The first sign-in also claims the user name. All of it is one transaction.
//!
//! A user's first device starts the chain and is active. Another device waits for approval by an
//! active one, unless it sends a `ResetDevices` node. A registered device signs in again with
//! `signIn`.

use axum::extract::State;
use axum::response::Response;
use eko_messaging::report::MailboxNotice;
use eko_protocol::Invalid;
use eko_protocol::activity;
use eko_protocol::address::UserName;
use eko_protocol::chain::{ChainPosition, NewDevice as Offered};
use eko_protocol::key_package::PublishedKeys;
use eko_service::body::{JsonBody, SmallBody};
use eko_service::caller::{Caller, bearer_token};
use eko_service::{AppState, Problem};
use eko_store::accounts::{AccountOutcome, DeviceRegistration, OidcSubject, PendingOutcome, ResetOutcome};
use eko_store::device::{DeviceAddress, DeviceStatus};
use eko_store::device_keys::LastingKeys;
use eko_store::devices::UserDevices;
use http::{HeaderMap, StatusCode};

use crate::oidc::Subject;
use crate::registration::Registration;
use crate::sign_in;
use crate::state::SignInState;
use crate::tokens::{self, RefreshToken, Standing};

/// The greatest age of an ID token that permits a reset of the device chain, in seconds.
const FRESH_SIGN_IN_SECONDS: i64 = 600;

pub(crate) async fn register(
    State(state): State<SignInState>,
    headers: HeaderMap,
    JsonBody(body): SmallBody,
) -> Result<Response, Problem> {
    let id_token = bearer_token(&headers)?;
    let subject = state.oidc().verify(id_token, state.now_ms()).await?;
    let registration = Registration::parse(&body)?;
    match state.store().account_of(oidc_subject(&subject)).await? {
        None => first_device(&state, &subject, &registration).await,
        Some(user) => {
            if registration.username.as_ref().is_some_and(|name| *name != user) {
                return Err(Problem::AccountExists(user.to_string()));
            }
            if registration.sign_in.is_some() {
                return sign_in::again(&state, &user, &registration, id_token).await;
            }
            further_device(&state, user, &subject, &registration).await
        }
    }
}

/// Answers the first sign-in of a subject: creates the account with its name, chain and device.
async fn first_device(
    state: &AppState,
    subject: &Subject,
    asked: &Registration,
) -> Result<Response, Problem> {
    let user =
        asked.username.clone().ok_or(Invalid::at("/username", "is missing: this is the first sign-in"))?;
    let (keys, one_time) = asked.keys(state, &user)?;
    let node = asked.node(state, &user, &ChainPosition::default())?;
    let token = RefreshToken::new(state);
    let device = new_device(state, &user, asked, keys, &one_time, &token);
    match state.store().create_account(oidc_subject(subject), &device, &node).await? {
        AccountOutcome::Created => {}
        AccountOutcome::NameTaken => return Err(Problem::NameTaken),
        AccountOutcome::SubjectTaken => return Err(Problem::AccountExists(user.to_string())),
        AccountOutcome::DeviceIdUsed => return Err(Problem::DeviceIdUsed),
    }
    if let Err(error) = state.store().count_user().await {
        tracing::warn!(%error, "a user was not counted");
    }
    let standing = Standing { status: DeviceStatus::Active, set: node.set() };
    tokens::answer(state, StatusCode::CREATED, &caller(user, asked), &token, Some(standing))
}

/// Registers another device of a user who has an account. The device is pending, or active if it
/// resets the chain.
async fn further_device(
    state: &AppState,
    user: UserName,
    subject: &Subject,
    asked: &Registration,
) -> Result<Response, Problem> {
    let (keys, one_time) = asked.keys(state, &user)?;
    let token = RefreshToken::new(state);
    let device = new_device(state, &user, asked, keys, &one_time, &token);
    let seen = state.store().device_set(&user).await?.ok_or(Problem::NotFound("user"))?;
    let position = ChainPosition { length: seen.set.length, head: Some(seen.set.head.clone()) };
    let standing = if asked.has_node() {
        if state.now_ms().div_euclid(1000).saturating_sub(subject.issued) > FRESH_SIGN_IN_SECONDS {
            return Err(Problem::Unauthenticated("a reset needs an ID token of the last ten minutes"));
        }
        let node = asked.node(state, &user, &position)?;
        match state.store().reset_devices(&seen, &device, &node).await? {
            ResetOutcome::Reset => {}
            ResetOutcome::DeviceIdUsed => return Err(Problem::DeviceIdUsed),
            ResetOutcome::Lost => return Err(stale(state, &user, &seen).await?),
        }
        erase(state, &user, &seen).await;
        Standing { status: DeviceStatus::Active, set: node.set() }
    } else {
        if seen.active.is_empty() {
            return Err(Problem::NoActiveDevice);
        }
        match state.store().add_pending(&device).await? {
            PendingOutcome::Added => {}
            PendingOutcome::DeviceIdUsed => return Err(Problem::DeviceIdUsed),
            PendingOutcome::TooMany => {
                let what = "too many devices wait for approval: approve one";
                return Err(Problem::TooMany { retry_after: 3600, what });
            }
        }
        offer(state, &device).await;
        Standing { status: DeviceStatus::Pending, set: seen.set }
    };
    tokens::answer(state, StatusCode::CREATED, &caller(user, asked), &token, Some(standing))
}

fn new_device<'a>(
    state: &AppState,
    user: &'a UserName,
    asked: &'a Registration,
    keys: LastingKeys,
    one_time: &'a PublishedKeys,
    token: &RefreshToken,
) -> DeviceRegistration<'a> {
    let address = DeviceAddress::new(user, &asked.device);
    DeviceRegistration { address, keys, one_time, session: token.session(state) }
}

fn oidc_subject(subject: &Subject) -> OidcSubject<'_> {
    OidcSubject { issuer: &subject.issuer, subject: &subject.subject }
}

fn caller(user: UserName, asked: &Registration) -> Caller {
    Caller { user, device: asked.device.clone() }
}

/// Sends the active devices a notice of a pending one. They find it in the list of pending devices
/// in any case, so a failure is only logged.
async fn offer(state: &AppState, device: &DeviceRegistration<'_>) {
    let (origin, now_ms) = (state.origin(), device.keys.registered_ms);
    let offered = Offered {
        id: device.address.device.clone(),
        identity_key: device.keys.identity_key,
        registration_id: device.keys.registration_id,
        possession: device.keys.possession,
    };
    let notice = MailboxNotice {
        to: device.address.user.clone(),
        device: None,
        author: origin.server_actor(),
        subject: device.address.device.to_string(),
        activity: activity::device_offered(origin, device.address.user, &offered, now_ms),
    };
    let report = state.messaging().report_delivery(notice, now_ms);
    if let Err(error) = state.store().queue_reports(vec![report]).await {
        tracing::warn!(%error, "the active devices were not told of a pending one");
    }
}

/// Deletes the keys and mailboxes of the devices that a reset revoked. Failures are only logged.
async fn erase(state: &AppState, user: &UserName, seen: &UserDevices) {
    for device in seen.active.keys().chain(&seen.pending) {
        if let Err(error) = state.store().erase_device(DeviceAddress::new(user, device)).await {
            tracing::warn!(%error, "what a revoked device left is not cleared yet");
        }
    }
}

async fn stale(state: &AppState, user: &UserName, seen: &UserDevices) -> Result<Problem, Problem> {
    let now = state.store().device_set(user).await?;
    Ok(Problem::StaleHead(now.map_or_else(|| seen.set.clone(), |now| now.set)))
}
