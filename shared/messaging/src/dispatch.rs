//! One attempt to bring an activity to another server, and the record of how that server fares.
//!
//! [`crate::send`] makes an attempt while a client waits, [`crate::parcel`] from the queue
//! `federation`.

use std::time::Duration;

use bytes::Bytes;
use eko_federation::post::{FailingPart, PostOutcome, Posted, PostedKind, Postponement, ServerAnswer};
use eko_federation::{Federation, RemoteError, Scheme, StoredActor, limits};
use eko_protocol::address::Origin;
use eko_protocol::vocabulary::text_in_context;
use eko_store::hosts::{HostGate, HostRecord, InboxFailure, Witness};
use tokio::time::{Instant, timeout_at};

use crate::{Messaging, Result};

/// The time after which a caller asks again if another one holds the probe of a failing server, in
/// milliseconds.
const PROBE_TAKEN_MS: i64 = 5_000;
/// The longest wait that another server can ask for, in milliseconds: 11 hours. SQS hides a message
/// for a little longer, so that the parcel does not come back before its time.
const LONGEST_ASKED_MS: i64 = 11 * 3_600_000;

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
    /// The actor id of the activity's actor, who is on this server.
    pub(crate) author: &'a str,
    /// The activity's text, without its context.
    pub(crate) text: &'a str,
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
#[derive(Debug, Default)]
pub(crate) struct Wait {
    /// The reason, for a person.
    pub(crate) why: String,
    /// The earliest time of the next attempt in epoch milliseconds, if the other server or its
    /// circuit breaker sets one.
    pub(crate) until_ms: Option<i64>,
    /// The activities that wait because of this failure.
    pub(crate) scope: WaitScope,
}

impl Wait {
    /// True if the time is the end of the circuit breaker's pause, and nobody asked for it.
    pub(crate) fn is_of_breaker(&self) -> bool {
        matches!(self.scope, WaitScope::Server { until_ms } if self.until_ms == Some(until_ms))
    }
}

/// The activities that a failed attempt stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WaitScope {
    /// The one that was tried.
    #[default]
    Activity,
    /// Those of the same author and those for the same recipient on that server.
    Parties,
    /// All for that server: its circuit breaker has tripped.
    Server {
        /// The time before which nobody tries the server, in epoch milliseconds.
        until_ms: i64,
    },
}

/// The answer of the circuit breaker.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The server may be tried now. Holds its record, under the caller's claim if this is a probe.
    Admitted(HostRecord),
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
    pub(crate) async fn admit(&self, origin: &Origin, host: HostRecord) -> Result<Admission> {
        let now_ms = self.now_ms();
        match host.gate(now_ms) {
            HostGate::Open => Ok(Admission::Admitted(host)),
            HostGate::Closed { until_ms } => Ok(Admission::LeftAlone { until_ms }),
            HostGate::Probe => match self.store().claim_probe(origin.authority(), &host, now_ms).await? {
                Some(claimed) => Ok(Admission::Admitted(claimed)),
                None => Ok(Admission::LeftAlone { until_ms: now_ms.saturating_add(PROBE_TAKEN_MS) }),
            },
        }
    }

    /// Makes one attempt: finds the recipient and posts the activity.
    ///
    /// No AWS call if the recipient is known and its server fares as before. Otherwise those of
    /// [`Federation::recipient`], and an UpdateItem that records the change. A PutItem if the inbox
    /// is not there and the recipient is fetched once more ([`Federation::post_to`]).
    ///
    /// # Errors
    /// The recipient cannot be found ([`RemoteError::Gone`], [`RemoteError::Unusable`],
    /// [`RemoteError::NotFederated`]); the store is broken or out of reach.
    pub(crate) async fn dispatch(
        &self,
        federation: &Federation,
        dispatch: Dispatch<'_>,
    ) -> Result<DispatchOutcome> {
        let Dispatch { to, origin, host, recipient, author, text, time } = dispatch;
        let body = Bytes::from(text_in_context(text));
        let now_ms = self.now_ms();
        let ends = Instant::now() + time;
        let later = |why, failing| PostOutcome::Later(Postponement { why, retry_after: None, failing });
        let found = timeout_at(ends, federation.recipient(to, recipient, now_ms, &limits(time))).await;
        let (posts, outcome) = match found {
            Ok(Ok(known)) => {
                let posted = Posted { kind: PostedKind::Delivery, body: &body };
                (true, federation.post_to(&known, author, posted, first_scheme(host), now_ms, ends).await)
            }
            Ok(Err(RemoteError::Unconnected(why))) => (false, later(why, FailingPart::Server)),
            Ok(Err(RemoteError::Unreachable(why))) => (false, later(why, FailingPart::Address)),
            Ok(Err(error)) => {
                self.end_probe(origin, host).await?;
                return Err(error.into());
            }
            Err(_) => (false, later("it did not answer in time".to_owned(), FailingPart::Address)),
        };
        // A sender chooses which documents are fetched. Only an inbox that a valid actor has speaks
        // of its server.
        let witness = posts.then_some(Witness { sender: author, recipient: to });
        self.note_outcome(origin, host, witness, outcome).await
    }

    /// Records what the outcome of an attempt says about a server: an UpdateItem if that has
    /// changed, two if it trips the circuit breaker, otherwise no call. There is a `witness` if
    /// the address that was asked is the inbox of a valid actor.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    pub(crate) async fn note_outcome(
        &self,
        origin: &Origin,
        host: &HostRecord,
        witness: Option<Witness<'_>>,
        outcome: PostOutcome,
    ) -> Result<DispatchOutcome> {
        let authority = origin.authority();
        match outcome {
            PostOutcome::Answered { response, scheme } => {
                let refused = response.status().is_client_error();
                let wants_cavage = if refused { host.wants_cavage } else { scheme == Scheme::Cavage };
                self.note_answer(origin, host, wants_cavage).await?;
                Ok(DispatchOutcome::Answered(response))
            }
            PostOutcome::Later(Postponement { why, retry_after, failing }) => {
                let why = format!("{authority}: {why}");
                let scope = self.note_failure(origin, host, witness, failing, &why).await?;
                let asked_ms = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
                let asked_until_ms =
                    retry_after.map(|s| self.now_ms().saturating_add(asked_ms(s).min(LONGEST_ASKED_MS)));
                // What one inbox asks for holds for the activity only.
                let until_ms = match scope {
                    WaitScope::Server { until_ms } => asked_until_ms.max(Some(until_ms)),
                    WaitScope::Activity | WaitScope::Parties => asked_until_ms,
                };
                Ok(DispatchOutcome::Later(Wait { why, until_ms, scope }))
            }
            PostOutcome::Never(why) => {
                self.end_probe(origin, host).await?;
                Ok(DispatchOutcome::Never(format!("{authority}: {why}")))
            }
        }
    }

    /// Records what the outcome of a fetch says about a server: an UpdateItem if that has changed,
    /// otherwise no call.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    pub(crate) async fn note_fetch<T>(
        &self,
        origin: &Origin,
        host: &HostRecord,
        fetched: &std::result::Result<T, RemoteError>,
    ) -> Result<()> {
        match fetched {
            Ok(_) | Err(RemoteError::Gone(_) | RemoteError::Deleted(_)) => {
                self.note_answer(origin, host, host.wants_cavage).await
            }
            Err(RemoteError::Unconnected(why)) => {
                let why = format!("{}: {why}", origin.authority());
                self.note_failure(origin, host, None, FailingPart::Server, &why).await.map(drop)
            }
            // Whoever asks has chosen the address, so that its silence is no evidence.
            Err(_) => self.end_probe(origin, host).await,
        }
    }

    /// Records a failure of a server. Returns what should wait because of it.
    async fn note_failure(
        &self,
        origin: &Origin,
        host: &HostRecord,
        witness: Option<Witness<'_>>,
        failing: FailingPart,
        why: &str,
    ) -> Result<WaitScope> {
        let (store, authority, now_ms) = (self.store(), origin.authority(), self.now_ms());
        let scope = match (failing, witness) {
            (FailingPart::Server, _) => {
                let until_ms = store.host_unconnected(authority, host, why, now_ms).await?;
                WaitScope::Server { until_ms }
            }
            (FailingPart::Address, Some(witness)) => {
                match store.inbox_failed(authority, host, witness, why, now_ms).await? {
                    InboxFailure::Closed { until_ms } => WaitScope::Server { until_ms },
                    InboxFailure::Witnessed => WaitScope::Parties,
                }
            }
            (FailingPart::Address, None) => {
                self.end_probe(origin, host).await?;
                WaitScope::Parties
            }
            // The server answers, whatever it has against this activity.
            (FailingPart::Request, _) => {
                self.note_answer(origin, host, host.wants_cavage).await?;
                WaitScope::Activity
            }
        };
        if matches!(scope, WaitScope::Server { .. }) {
            tracing::info!(host = authority, why, failed_before = host.failures, "left alone");
        }
        Ok(scope)
    }

    /// Opens the circuit breaker after a probe that has found a server which accepts connections
    /// and nothing else. One UpdateItem; no call if the caller does not hold the probe.
    ///
    /// The one who probes may have chosen a hopeless address. That must not keep the breaker tripped
    /// for others.
    async fn end_probe(&self, origin: &Origin, host: &HostRecord) -> Result<()> {
        if host.until_ms > 0 {
            self.store().end_probe(origin.authority(), host).await?;
        }
        Ok(())
    }

    /// Records that a server answered: forgets its failures and remembers its signature scheme. No
    /// call if that is known already.
    async fn note_answer(&self, origin: &Origin, host: &HostRecord, wants_cavage: bool) -> Result<()> {
        let authority = origin.authority();
        if host.failures > 0 {
            tracing::info!(host = authority, failures = host.failures, "answers again");
        }
        if host.has_failures() || host.wants_cavage != wants_cavage {
            self.store().host_answered(authority, wants_cavage, self.now_ms()).await?;
        }
        Ok(())
    }
}
