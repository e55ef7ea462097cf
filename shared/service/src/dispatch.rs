//! One attempt to bring an activity to another server: the recipient looked up, the POST, and what is noted of
//! how that server fares. For the outbox, which has little time, and for the queue `federation`.

use std::time::Duration;

use bytes::Bytes;
use eko_federation::post::{Later, Posted};
use eko_federation::{Federation, RemoteError, Scheme, StoredActor, limits};
use eko_protocol::address::{Origin, UserName};
use eko_store::hosts::{HostGate, HostRecord};
use http::Response;

use crate::{AppState, Problem};

/// What is sent where, and what is known of it.
pub struct Attempt<'a> {
    /// Actor id of the recipient.
    pub to: &'a str,
    /// The recipient's server.
    pub origin: &'a Origin,
    /// How that server fares.
    pub host: &'a HostRecord,
    /// The copy of the recipient in the table, where the caller has looked for it.
    pub copy: StoredActor,
    /// The local user whose key signs.
    pub author: &'a UserName,
    /// The activity.
    pub body: &'a Bytes,
    /// How long all of it may take.
    pub time: Duration,
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Attempted {
    /// The other server answered for good.
    Answered(Response<Bytes>),
    /// Not now.
    Later {
        /// Why, for a person.
        why: String,
        /// Not before, epoch milliseconds; 0 where it does not matter.
        until_ms: i64,
        /// Whether the whole server fails.
        whole_server: bool,
    },
    /// Never; why, for a person.
    Never(String),
}

/// The signature to knock with first.
pub fn scheme(host: &HostRecord) -> Scheme {
    if host.wants_cavage { Scheme::Cavage } else { Scheme::Rfc9421 }
}

/// Whether a server may be tried now; where it failed before, claims the one try (an UpdateItem). Otherwise
/// answers when it may, epoch milliseconds.
pub async fn admitted(
    state: &AppState,
    origin: &Origin,
    host: &HostRecord,
) -> Result<Result<(), i64>, Problem> {
    let now_ms = state.now_ms();
    match host.gate(now_ms) {
        HostGate::Open => Ok(Ok(())),
        HostGate::Closed { until_ms } => Ok(Err(until_ms)),
        HostGate::Probe => match state.store().claim_probe(origin.authority(), host, now_ms).await? {
            true => Ok(Ok(())),
            false => Ok(Err(now_ms.saturating_add(5_000))),
        },
    }
}

/// Tries once. No AWS call where the recipient is known and its server fares as before; otherwise those of
/// [`Federation::recipient`], and an UpdateItem that notes the change.
pub async fn attempt(
    state: &AppState,
    federation: &Federation,
    attempt: Attempt<'_>,
) -> Result<Attempted, Problem> {
    let Attempt { to, origin, host, copy, author, body, time } = attempt;
    let now_ms = state.now_ms();
    let limits = limits(time);
    let tried = async {
        let known = federation.recipient(to, copy, now_ms, &limits).await?;
        let author = state.origin().actor(author);
        Ok(federation.post(&known.actor.inbox, &author, body, scheme(host), now_ms, &limits).await)
    };
    let whole = |why: String| Posted::Later(Later { why, retry_after: None, whole_server: true });
    let posted = match tokio::time::timeout(time, tried).await {
        Ok(Ok(posted)) => posted,
        Ok(Err(RemoteError::Unreachable(why))) => whole(why),
        Ok(Err(error)) => {
            if matches!(error, RemoteError::Gone(_) | RemoteError::Unusable(_)) {
                answered(state, origin, host, host.wants_cavage).await?;
            }
            return Err(error.into());
        }
        Err(_) => whole(format!("it did not answer within {} s", time.as_secs_f32())),
    };
    note(state, origin, host, posted).await
}

/// Notes what a POST says of how its server fares: an UpdateItem where that has changed, otherwise no call.
pub async fn note(
    state: &AppState,
    origin: &Origin,
    host: &HostRecord,
    posted: Posted,
) -> Result<Attempted, Problem> {
    let now_ms = state.now_ms();
    match posted {
        Posted::Answered { response, scheme } => {
            let refused = response.status().is_client_error();
            let wants_cavage = if refused { host.wants_cavage } else { scheme == Scheme::Cavage };
            answered(state, origin, host, wants_cavage).await?;
            Ok(Attempted::Answered(response))
        }
        Posted::Later(Later { why, retry_after, whole_server }) => {
            let why = format!("{}: {why}", origin.authority());
            let asked_ms = retry_after.and_then(|s| i64::try_from(s).ok()).map(|s| s.saturating_mul(1000));
            let until_ms = if whole_server {
                tracing::info!(
                    host = origin.authority(),
                    why,
                    failed_before = host.failures,
                    "left alone for a while"
                );
                state.store().host_failed(origin.authority(), host, &why, asked_ms, now_ms).await?
            } else {
                // It is there, whatever it has against this one.
                answered(state, origin, host, host.wants_cavage).await?;
                asked_ms.map_or(0, |ms| now_ms.saturating_add(ms))
            };
            Ok(Attempted::Later { why, until_ms, whole_server })
        }
        Posted::Never(why) => Ok(Attempted::Never(format!("{}: {why}", origin.authority()))),
    }
}

/// Forgets that a server failed, and remembers what signature it took. No call where that is known.
async fn answered(
    state: &AppState,
    origin: &Origin,
    host: &HostRecord,
    wants_cavage: bool,
) -> Result<(), Problem> {
    if host.failures > 0 {
        tracing::info!(host = origin.authority(), failures = host.failures, "is back");
    }
    if host.failures > 0 || host.wants_cavage != wants_cavage {
        state.store().host_answered(origin.authority(), wants_cavage, state.now_ms()).await?;
    }
    Ok(())
}
