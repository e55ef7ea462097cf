//! One attempt to bring an activity to another server, and the record of how that server fares.
//!
//! [`crate::send`] makes an attempt while a client waits, [`crate::parcel`] from the queue
//! `federation`.

use std::time::Duration;

use bytes::Bytes;
use eko_federation::post::{PostOutcome, Postponement, ServerAnswer};
use eko_federation::{Federation, RemoteError, Scheme, StoredActor, limits};
use eko_protocol::address::{Origin, UserName};
use eko_store::hosts::{HostGate, HostRecord};

use crate::{Messaging, Result};

/// The time after which a caller asks again if another one holds the probe of a failing server, in
/// milliseconds.
const PROBE_TAKEN_MS: i64 = 5_000;

/// An activity that is to be posted to another server.
pub(crate) struct Dispatch<'a> {
    /// The recipient's actor id.
    pub(crate) to: &'a str,
    /// The recipient's server.
    pub(crate) origin: &'a Origin,
    /// The record of how that server fares.
    pub(crate) host: &'a HostRecord,
    /// The stored copy of the recipient, if the caller has read it.
    pub(crate) recipient: StoredActor,
    /// The local user who is the activity's actor.
    pub(crate) author: &'a UserName,
    /// The activity.
    pub(crate) body: &'a Bytes,
    /// The time for the whole attempt.
    pub(crate) time: Duration,
}

/// The outcome of an attempt.
#[derive(Debug)]
pub(crate) enum DispatchOutcome {
    /// The other server gave a final answer.
    Answered(ServerAnswer),
    /// The activity has to wait.
    Later(Wait),
    /// The activity can never be delivered. Holds the reason, for a person.
    Never(String),
}

/// The reason to wait before the next attempt.
#[derive(Debug)]
pub(crate) struct Wait {
    /// The reason, for a person.
    pub(crate) why: String,
    /// The earliest time of the next attempt in epoch milliseconds, if the other server or its
    /// circuit breaker sets one.
    pub(crate) until_ms: Option<i64>,
    /// True if the whole server fails, so that nothing else should be tried there either.
    pub(crate) whole_server: bool,
}

/// The answer of the circuit breaker.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The server may be tried now.
    Admitted,
    /// The server must not be tried now.
    LeftAlone {
        /// The earliest time of the next try, in epoch milliseconds.
        until_ms: i64,
    },
}

/// Returns the signature scheme for the first knock at a server.
pub(crate) fn first_scheme(host: &HostRecord) -> Scheme {
    if host.wants_cavage { Scheme::Cavage } else { Scheme::Rfc9421 }
}

impl Messaging {
    /// Asks the circuit breaker whether a server may be tried now.
    ///
    /// No call for a server that fares well. A server whose pause is over is tried by one caller,
    /// which claims the probe by an UpdateItem.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    pub(crate) async fn admit(&self, origin: &Origin, host: &HostRecord) -> Result<Admission> {
        let now_ms = self.now_ms();
        match host.gate(now_ms) {
            HostGate::Open => Ok(Admission::Admitted),
            HostGate::Closed { until_ms } => Ok(Admission::LeftAlone { until_ms }),
            HostGate::Probe => match self.store().claim_probe(origin.authority(), host, now_ms).await? {
                true => Ok(Admission::Admitted),
                false => Ok(Admission::LeftAlone { until_ms: now_ms.saturating_add(PROBE_TAKEN_MS) }),
            },
        }
    }

    /// Makes one attempt: finds the recipient and posts the activity.
    ///
    /// No AWS call if the recipient is known and its server fares as before. Otherwise those of
    /// [`Federation::recipient`], and an UpdateItem that records the change.
    ///
    /// # Errors
    /// The recipient cannot be found ([`RemoteError::Gone`], [`RemoteError::Unusable`],
    /// [`RemoteError::NotFederated`]); the store is broken or out of reach.
    pub(crate) async fn dispatch(
        &self,
        federation: &Federation,
        dispatch: Dispatch<'_>,
    ) -> Result<DispatchOutcome> {
        let Dispatch { to, origin, host, recipient, author, body, time } = dispatch;
        let now_ms = self.now_ms();
        let limits = limits(time);
        let attempt = async {
            let known = federation.recipient(to, recipient, now_ms, &limits).await?;
            let author = self.origin().actor(author);
            let inbox = &known.actor.inbox;
            Ok(federation.post(inbox, &author, body, first_scheme(host), now_ms, &limits).await)
        };
        let unreachable =
            |why: String| PostOutcome::Later(Postponement { why, retry_after: None, whole_server: true });
        let outcome = match tokio::time::timeout(time, attempt).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(RemoteError::Unreachable(why))) => unreachable(why),
            Ok(Err(error)) => {
                if matches!(error, RemoteError::Gone(_) | RemoteError::Unusable(_)) {
                    self.note_answer(origin, host, host.wants_cavage).await?;
                }
                return Err(error.into());
            }
            Err(_) => unreachable(format!("it did not answer within {} s", time.as_secs_f32())),
        };
        self.note_outcome(origin, host, outcome).await
    }

    /// Records what the outcome of a POST says about a server: an UpdateItem if that has changed,
    /// otherwise no call.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    pub(crate) async fn note_outcome(
        &self,
        origin: &Origin,
        host: &HostRecord,
        outcome: PostOutcome,
    ) -> Result<DispatchOutcome> {
        let now_ms = self.now_ms();
        let authority = origin.authority();
        match outcome {
            PostOutcome::Answered { response, scheme } => {
                let refused = response.status().is_client_error();
                let wants_cavage = if refused { host.wants_cavage } else { scheme == Scheme::Cavage };
                self.note_answer(origin, host, wants_cavage).await?;
                Ok(DispatchOutcome::Answered(response))
            }
            PostOutcome::Later(Postponement { why, retry_after, whole_server }) => {
                let why = format!("{authority}: {why}");
                let asked_ms =
                    retry_after.and_then(|s| i64::try_from(s).ok()).map(|s| s.saturating_mul(1000));
                let until_ms = if whole_server {
                    tracing::info!(host = authority, why, failed_before = host.failures, "left alone");
                    Some(self.store().host_failed(authority, host, &why, asked_ms, now_ms).await?)
                } else {
                    // The server answers, whatever it has against this activity.
                    self.note_answer(origin, host, host.wants_cavage).await?;
                    asked_ms.map(|ms| now_ms.saturating_add(ms))
                };
                Ok(DispatchOutcome::Later(Wait { why, until_ms, whole_server }))
            }
            PostOutcome::Never(why) => Ok(DispatchOutcome::Never(format!("{authority}: {why}"))),
        }
    }

    /// Records that a server answered: forgets its failures and remembers its signature scheme. No
    /// call if that is known already.
    async fn note_answer(&self, origin: &Origin, host: &HostRecord, wants_cavage: bool) -> Result<()> {
        let authority = origin.authority();
        if host.failures > 0 {
            tracing::info!(host = authority, failures = host.failures, "answers again");
        }
        if host.failures > 0 || host.wants_cavage != wants_cavage {
            self.store().host_answered(authority, wants_cavage, self.now_ms()).await?;
        }
        Ok(())
    }
}
