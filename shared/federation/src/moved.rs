//! Actors whose server has moved their inbox since it was last asked for them.
//!
//! A copy of an actor serves for a day. An inbox that is not there any more, or that leads
//! elsewhere, may be the old one of an actor who exists. So the actor is fetched once more before
//! the answer counts.

use std::sync::Arc;

use eko_store::remote::{CachedLookup, LookupFailure};
use tokio::time::Instant;

use crate::client::ExchangeLimits;
use crate::directory::is_out_of_reach;
use crate::fetch::error;
use crate::inbound::REFETCH_AFTER_MS;
use crate::memory::CachedActor;
use crate::post::{FailingPart, PostOutcome, Posted, Postponement, may_have_moved};
use crate::{Federation, RemoteError, Scheme, limits};

impl Federation {
    /// POSTs an activity of `actor`, an actor id of this server, to the inbox of an actor, as
    /// [`Federation::post`] does.
    ///
    /// If the answer says that the inbox is not there, or elsewhere, the actor is fetched once more
    /// ([`Federation::renewed`]). The activity is sent again if the inbox is another one now.
    pub async fn post_to(
        &self,
        known: &CachedActor,
        actor: &str,
        posted: Posted<'_>,
        first: Scheme,
        now_ms: i64,
        ends: Instant,
    ) -> PostOutcome {
        let inbox = &known.actor.inbox;
        let outcome = self.post(inbox, actor, posted, first, now_ms, ends).await;
        match &outcome {
            PostOutcome::Answered { response, scheme } if may_have_moved(response.status()) => {
                let left = limits(ends.saturating_duration_since(Instant::now()));
                match self.renewed(known, now_ms, &left).await {
                    Ok(Some(renewed)) if renewed.actor.inbox != *inbox => {
                        self.post(&renewed.actor.inbox, actor, posted, *scheme, now_ms, ends).await
                    }
                    // The server has answered. It is not known yet whether the actor exists.
                    Err(RemoteError::Unconnected(why) | RemoteError::Unreachable(why)) => {
                        let failing = FailingPart::Request;
                        PostOutcome::Later(Postponement { why, retry_after: None, failing })
                    }
                    Ok(_) | Err(_) => outcome,
                }
            }
            _ => outcome,
        }
    }

    /// Fetches an actor once more whose inbox is not there, or elsewhere, and keeps what its server
    /// says: one PutItem. Returns `None` without a call if the server was asked for the actor less
    /// than a minute ago, so that an actor who is gone costs a fetch a minute at most.
    ///
    /// # Errors
    /// [`RemoteError::Gone`], [`RemoteError::Unusable`], [`RemoteError::Unconnected`],
    /// [`RemoteError::Unreachable`]. After the last two the known copy stays in use.
    pub async fn renewed(
        &self,
        known: &CachedActor,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<Option<CachedActor>, RemoteError> {
        let id = known.actor.id.as_str();
        if now_ms.saturating_sub(known.fetched_ms) < REFETCH_AFTER_MS {
            return Ok(None);
        }
        let fetched = self.fetch_actor(id, None, now_ms, limits).await.map_err(LookupFailure::from);
        match fetched {
            Ok(actor) => {
                self.keep(id, &CachedLookup::new(now_ms, Ok(actor.clone()))).await;
                let renewed = CachedActor { actor: Arc::new(actor), fetched_ms: now_ms };
                self.memory.put(id, renewed.clone(), now_ms);
                Ok(Some(renewed))
            }
            Err(failure) if is_out_of_reach(&failure) => Err(error(id, failure)),
            Err(failure) => {
                self.memory.forget(id);
                self.keep(id, &CachedLookup::new(now_ms, Err(failure.clone()))).await;
                Err(error(id, failure))
            }
        }
    }
}
