//! Who asks: the bearer of an access token, and whether the path is theirs.

use std::collections::HashMap;

use axum::extract::{FromRef, FromRequestParts, Path};
use eko_protocol::Invalid;
use eko_protocol::address::UserName;
use http::{HeaderMap, header, request::Parts};
use serde_json::Value;

pub use crate::access_token::Bearer as Caller;
use crate::{AppState, Problem};

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

/// The token of an `Authorization: Bearer` header (RFC 6750).
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

/// The user that the path's `{name}` names; 404 for what cannot be a user name.
pub struct PathUser(pub UserName);

impl<S: Send + Sync> FromRequestParts<S> for PathUser
where
    AppState: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(UserName::parse(&parameter(parts, "name").await?).map_err(|_| Problem::NotFound("user"))?))
    }
}

/// A parameter of the path, decoded.
pub async fn parameter(parts: &mut Parts, name: &str) -> Result<String, Problem> {
    let Path(mut all) = Path::<HashMap<String, String>>::from_request_parts(parts, &())
        .await
        .map_err(|_| Problem::NotFound("path"))?;
    all.remove(name).ok_or(Problem::NotFound("path"))
}

/// A caller whose path is their own: 401 without a token, 403 with another user's.
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

/// Refuses an activity of somebody else's: its `actor`, where it names one, must be the caller.
pub fn check_actor(state: &AppState, caller: &Caller, activity: &Value) -> Result<(), Problem> {
    match activity.get("actor") {
        None => Ok(()),
        Some(Value::String(actor)) if *actor == state.origin().actor(&caller.user) => Ok(()),
        Some(Value::String(_)) => Err(Problem::NotYours(Invalid::at("/actor", "must be the caller"))),
        Some(_) => Err(Invalid::at("/actor", "must be a string").into()),
    }
}
