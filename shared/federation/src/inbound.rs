//! Fetches that unverified requests cause, within bounds.
//!
//! Anyone can name an actor, and a signature cannot be verified before the actor was asked for. A
//! request therefore waits for two seconds at most, few requests wait at once, and none waits for a
//! server that was slow a moment ago. An actor for whom a request does not wait is fetched later by
//! the function `federate`, so that the next try of an honest server succeeds
//! (`docs/decisions/0018-unverified-requests.md`).

use std::sync::Arc;
use std::time::Duration;

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;
use eko_store::fetches::PlannedFetch;
use eko_store::inbound::{Admittance, InboundHost, ServerGroup, WaitPlace};
use eko_store::remote::{CachedLookup, LookupFailure};

use crate::client::ExchangeLimits;
use crate::directory::is_out_of_reach;
use crate::fetch::{FetchFault, error};
use crate::memory::{CachedActor, Share};
use crate::{Federation, RemoteError, limits};

/// The time for which an unverified request waits for other servers, in total: 2 seconds
/// (`docs/protocol.md`, section 7).
const WAIT_TIME: Duration = Duration::from_secs(2);
/// The time for a fetch that no request waits for: 6 seconds.
const LATER_TIME: Duration = Duration::from_secs(6);
/// The age from which a copy of an actor is fetched again if a signature fails, in milliseconds.
/// The actor may have replaced its key; but forged signatures must not cause a fetch each.
pub(crate) const REFETCH_AFTER_MS: i64 = 60_000;
/// The time after which a request is worth another try if its actor is fetched meanwhile, in
/// seconds.
const FETCHED_SECONDS: u32 = 10;
/// The time after which a request is worth another try if nothing more may be done for it now, in
/// seconds.
const FULL_SECONDS: u32 = 60;

/// The actor that an unverified request names, as it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedActor<'a> {
    /// The actor's id.
    pub(crate) id: &'a str,
    /// The actor's server.
    pub(crate) origin: &'a Origin,
    /// The record of the actor's server.
    pub(crate) host: InboundHost,
    /// The id of the key that has signed the request.
    pub(crate) key_id: &'a str,
    /// The copy of the actor that lacks only this key, which it links; `None` if the actor is to be
    /// fetched.
    pub(crate) lacking: Option<&'a CachedActor>,
    /// True if there is a verified copy of the actor, which the fetch renews.
    pub(crate) is_renewal: bool,
    /// The time of the request, in epoch milliseconds.
    pub(crate) now_ms: i64,
}

impl NamedActor<'_> {
    /// Returns the group in which the fetch of the actor is counted.
    fn group(&self) -> ServerGroup {
        if self.is_renewal { ServerGroup::Renewals } else { self.host.group(self.now_ms) }
    }
}

/// The answer to a fetch for an unverified request.
#[derive(Debug)]
pub(crate) struct InboundAnswer {
    /// The actor, or the failure.
    pub(crate) result: Result<CachedActor, LookupFailure>,
    /// The place to leave, if the request waited.
    pub(crate) place: Option<WaitPlace>,
}

impl Federation {
    /// Fetches an actor while an unverified request waits, or the key that a copy of it lacks.
    ///
    /// An UpdateItem that takes a place. If the server does not answer in time, an UpdateItem
    /// leaves it while another notes that, and the calls of [`Federation::fetch_later`] follow.
    ///
    /// # Errors
    /// [`RemoteError::Slow`] if the request may not wait, or has waited long enough;
    /// [`RemoteError::Unreachable`] for a server that nobody could connect to a moment ago; the
    /// store's error.
    pub(crate) async fn fetch_now(&self, named: NamedActor<'_>) -> Result<InboundAnswer, RemoteError> {
        let NamedActor { id, origin, host, key_id, lacking, now_ms, .. } = named;
        let authority = origin.authority();
        if self.memory.is_silent(origin, now_ms) {
            return Err(RemoteError::Unreachable(format!("{authority} was out of reach a moment ago")));
        }
        if host.is_slow(now_ms) {
            return Err(self.fetch_later(named).await);
        }
        let Some(place) = self.store.take_place(named.group(), authority, id, now_ms).await? else {
            return Err(self.fetch_later(named).await);
        };
        let limits = &limits(WAIT_TIME);
        let (fetched, fetched_ms) = match lacking {
            // The copy counts as long as without the key.
            Some(copy) => (self.fetch_key(&copy.actor, key_id, now_ms, limits).await, copy.fetched_ms),
            None => (self.fetch_actor(id, Some(key_id), now_ms, limits).await, now_ms),
        };
        let result = match fetched {
            Ok(actor) => Ok(CachedActor { actor: Arc::new(actor), fetched_ms }),
            Err(FetchFault::Failed(failure)) => Err(failure),
            Err(FetchFault::TooSlow(why)) => {
                tracing::debug!(actor = id, why, "an unverified request does not wait longer");
                let (noted, ()) =
                    tokio::join!(self.store.note_slow(authority, now_ms), self.leave(Some(place)));
                noted?;
                return Err(self.fetch_later(named).await);
            }
        };
        Ok(InboundAnswer { result, place: Some(place) })
    }

    /// Leaves a place: one UpdateItem. A place that cannot be left is free a little later.
    pub(crate) async fn leave(&self, place: Option<WaitPlace>) {
        let Some(place) = place else { return };
        if let Err(error) = self.store.leave_place(&place).await {
            tracing::warn!(%error, "the place of a request that waited is not left");
        }
    }

    /// Has an actor fetched by the function `federate`, if that is not planned already and the
    /// server has not had its share. Returns the error of the request, which says when to try
    /// again.
    ///
    /// An UpdateItem that counts the fetch, and a SendMessageBatch.
    async fn fetch_later(&self, named: NamedActor<'_>) -> RemoteError {
        let NamedActor { id, origin, now_ms, .. } = named;
        let authority = origin.authority();
        let planned = match self.plan_fetch(named).await {
            Ok(Admittance::Granted) => self.store.queue_fetch(id, now_ms).await.map_err(RemoteError::from),
            Ok(Admittance::AlreadyPlanned) => Ok(()),
            Ok(Admittance::ServerFull | Admittance::GroupFull) => {
                let why = format!("{authority} is slow, and enough of its actors are being fetched");
                return RemoteError::Slow { why, retry_after_seconds: FULL_SECONDS };
            }
            Err(error) => Err(error),
        };
        match planned {
            Ok(()) => {
                let why = format!("{authority} is slow, and its actor is fetched meanwhile");
                RemoteError::Slow { why, retry_after_seconds: FETCHED_SECONDS }
            }
            Err(error) => error,
        }
    }

    /// Counts a fetch, unless memory knows that server or group have had their share of the window.
    async fn plan_fetch(&self, named: NamedActor<'_>) -> Result<Admittance, RemoteError> {
        let NamedActor { id, origin, now_ms, .. } = named;
        let group = named.group();
        if self.memory.is_full(group, origin, now_ms) {
            return Ok(Admittance::ServerFull);
        }
        let admittance = self.store.plan_fetch(group, origin.authority(), id, now_ms).await?;
        let server = match admittance {
            Admittance::Granted | Admittance::AlreadyPlanned => return Ok(admittance),
            Admittance::ServerFull => Some(origin.clone()),
            Admittance::GroupFull => None,
        };
        let window_ms = group.fetches().window_ms;
        let ends_ms = now_ms.div_euclid(window_ms).saturating_add(1).saturating_mul(window_ms);
        self.memory.fill(Share { group, server }, ends_ms, now_ms);
        Ok(admittance)
    }

    /// Makes planned fetches, all at once. The function `federate` calls it.
    ///
    /// For each actor a GetItem, and a PutItem if its server answers. Nothing is fetched that was
    /// fetched in the last minute. A fetch that fails is not repeated: the other server sends its
    /// request again.
    pub async fn fetch_planned(&self, planned: Vec<PlannedFetch>, now_ms: i64) {
        let limits = limits(LATER_TIME);
        let useful = planned.iter().filter(|fetch| !fetch.is_stale(now_ms));
        let fetches = useful.map(|planned| async {
            if let Err(error) = self.fetch_unasked(&planned.fetch, now_ms, &limits).await {
                tracing::info!(actor = planned.fetch, %error, "a planned fetch failed");
            }
        });
        futures_util::future::join_all(fetches).await;
    }

    /// Fetches an actor that no request waits for, and keeps what its server answers.
    async fn fetch_unasked(&self, id: &str, now_ms: i64, limits: &ExchangeLimits) -> Result<(), RemoteError> {
        self.permitted(id)?;
        let copy = self.store.remote_actor(id).await?.filter(|copy| {
            let age_ms = now_ms.saturating_sub(copy.fetched_ms);
            copy.result.is_ok() && age_ms < copy.serves_ms()
        });
        if copy.as_ref().is_some_and(|copy| now_ms.saturating_sub(copy.fetched_ms) < REFETCH_AFTER_MS) {
            return Ok(());
        }
        let result = self.fetch_actor(id, None, now_ms, limits).await.map_err(LookupFailure::from);
        if let Err(failure) = &result
            && is_out_of_reach(failure)
        {
            return Err(error(id, failure.clone()));
        }
        // Somebody vouched for the existing copy, so the new one takes its place for as long.
        let unverified = copy.is_none_or(|copy| copy.unverified);
        let lookup: CachedLookup<RemoteActor> = CachedLookup { fetched_ms: now_ms, result, unverified };
        if unverified {
            self.store.keep_unverified(id, &lookup).await?;
        } else {
            self.store.keep_actor(id, &lookup).await?;
        }
        Ok(())
    }
}

/// Returns the error of a request that would be one too many to wait in this process.
pub(crate) fn too_many_wait(origin: &Origin) -> RemoteError {
    let why = format!("too many requests wait for {}", origin.authority());
    RemoteError::Slow { why, retry_after_seconds: FETCHED_SECONDS }
}
