//! The caller of an endpoint: extractors for the device that an access token is for and for the
//! user that the path names, and the check that both are the same user.

use std::collections::HashMap;

use axum::extract::{FromRef, FromRequestParts, Path};
use eko_protocol::Invalid;
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_store::device::DeviceAddress;
use http::{HeaderMap, header, request::Parts};

use crate::{AppState, Problem};

/// The device that calls: the one that the request's access token is for.
///
/// As an extractor it rejects with [`Problem::Unauthenticated`] if there is no good token. That the
/// device is still active is for the verb to check (`eko_messaging::active_device`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
}

impl Caller {
    /// Returns the address of the device.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress { user: &self.user, device: &self.device }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    AppState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let state = AppState::from_ref(state);
        state.tokens().verify(bearer_token(&parts.headers)?, state.now_ms())
    }
}

/// Returns the token of the `Authorization: Bearer` header (RFC 6750).
///
/// # Errors
/// [`Problem::Unauthenticated`] if there is no such header, more than one, or another scheme.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Problem::Unauthenticated("send Authorization: Bearer <token>"))?;
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && values.next().is_none() => {
            Ok(token.trim())
        }
        _ => Err(Problem::Unauthenticated("send one Authorization: Bearer <token>")),
    }
}

/// The user that the path's `{name}` names. The user need not exist.
///
/// As an extractor it rejects with [`Problem::NotFound`] if the text cannot be a user name.
pub struct PathUser(pub UserName);

impl<S: Send + Sync> FromRequestParts<S> for PathUser
where
    AppState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const NONE: Problem = Problem::NotFound("user");
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, &()).await;
        let Path(mut parameters) = path.map_err(|_| NONE)?;
        let name = parameters.remove("name").ok_or(NONE)?;
        Ok(Self(UserName::parse(&name).map_err(|_| NONE)?))
    }
}

/// A caller whose user is the one that the path's `{name}` names.
///
/// As an extractor it rejects as [`Caller`] and [`PathUser`] do, and with [`Problem::NotOwner`] if
/// the two users differ.
pub struct Owner(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Owner
where
    AppState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let PathUser(user) = PathUser::from_request_parts(parts, state).await?;
        if caller.user == user { Ok(Self(caller)) } else { Err(Problem::NotOwner) }
    }
}

/// Checks that the `actor` that an activity states, if it states one, is the caller.
///
/// # Errors
/// [`Problem::NotYours`] at `/actor`.
pub fn check_actor(state: &AppState, caller: &Caller, actor: Option<&str>) -> Result<(), Problem> {
    match actor {
        Some(actor) if actor != state.origin().actor(&caller.user) => {
            Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")))
        }
        _ => Ok(()),
    }
}
