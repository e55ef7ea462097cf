//! Verification of signed requests (`docs/protocol.md`, section 7).
//!
//! Only the actor that the activity names is fetched, and the key must be in that actor's document.
//! A `keyId` is compared with the ids in the document and never fetched. A key that the document
//! links under that id is fetched with it, or alone if there is a copy of the document.
//!
//! A request causes one fetch at most, within the bounds of `inbound`. Nothing is stored for an
//! actor before a signature of it was verified, except the copy that a planned fetch keeps for ten
//! minutes.

use std::sync::Arc;

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;
use eko_protocol::http_signature::{self, ReceivedRequest, SignatureClaim};
use eko_protocol::json::{has_type, text};
use eko_store::inbound::InboundHost;
use eko_store::remote::{CachedLookup, LookupFailure};
use serde_json::Value;

use crate::directory::{is_out_of_reach, remembered_ms};
use crate::fetch::error;
use crate::inbound::{InboundAnswer, NamedActor, REFETCH_AFTER_MS, too_many_wait};
use crate::keys::PublicKey;
use crate::memory::CachedActor;
use crate::{Federation, RemoteError};

/// The age up to which a copy of an actor is used without a new fetch, in milliseconds: 6 hours
/// (`docs/protocol.md`, section 7). An older copy serves for up to
/// seven days while it cannot be renewed.
const FRESH_MS: i64 = 6 * 3_600_000;

/// The reason why a request does not count as its actor's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerificationError {
    /// The signature is missing, malformed, too old or wrong, or covers too little. The text says
    /// which.
    #[error("{0}")]
    Signature(String),
    /// The actor is not permitted or could not be fetched.
    #[error(transparent)]
    Actor(#[from] RemoteError),
}

/// A copy of the actor that a request names.
#[derive(Clone)]
struct KnownCopy {
    actor: CachedActor,
    /// True if a signature of the actor was verified before, or a user here asked for the actor.
    vouched_for: bool,
}

/// The judgement of a claim by a copy of its actor.
enum Judgement {
    /// The claim is good.
    Good,
    /// The claim is bad.
    Bad(VerificationError),
    /// The copy is old, or the actor may have another key now. Holds what the copy says.
    Unsure(Result<(), VerificationError>),
}

impl Federation {
    /// Reads the signature of a request of `actor` and checks everything that needs no key. It makes
    /// no call.
    ///
    /// # Errors
    /// [`VerificationError::Signature`] with the text of the
    /// [`SignatureFault`](http_signature::SignatureFault).
    pub fn claim(
        &self,
        request: &ReceivedRequest<'_>,
        actor: &str,
        now_ms: i64,
    ) -> Result<SignatureClaim, VerificationError> {
        http_signature::read_claim(request, self.origin(), actor, now_ms, self.settings.window_ms)
            .map_err(|fault| VerificationError::Signature(fault.to_string()))
    }

    /// Verifies that a key of `actor` signed the claim, and returns the actor.
    ///
    /// It makes no call if the actor is in memory, and a BatchGetItem if the table has a copy.
    /// Otherwise the actor is fetched: an UpdateItem takes a place to wait in, and another leaves
    /// it; a PutItem keeps a verified actor, and once a day an UpdateItem notes that its server has
    /// one. If the signature fails with a copy older than a
    /// minute, or if the copy is older than six hours, the actor is fetched in the same way.
    ///
    /// # Errors
    /// [`VerificationError::Signature`] if the actor has no such key or the signature does not
    /// verify; [`VerificationError::Actor`] with [`RemoteError::NotFederated`],
    /// [`RemoteError::Gone`], [`RemoteError::Unusable`], [`RemoteError::Unreachable`],
    /// [`RemoteError::Slow`], or the store's error.
    pub async fn verify(
        &self,
        claim: &SignatureClaim,
        actor: &str,
        now_ms: i64,
    ) -> Result<CachedActor, VerificationError> {
        let origin = self.permitted(actor)?;
        let document = claim.key_id.split('#').next().unwrap_or_default();
        if Origin::of(document).as_ref() != Some(&origin) {
            return Err(VerificationError::Signature(
                "the key is on another server than the actor".to_owned(),
            ));
        }
        let mut named = NamedActor {
            id: actor,
            origin: &origin,
            host: InboundHost::default(),
            key_id: &claim.key_id,
            lacking: None,
            is_renewal: false,
            now_ms,
        };
        if let Some(verified) = self.verify_by_memory(claim, named).await {
            return verified;
        }
        let Some(_turn) = self.waits.turn(&origin, actor).await else {
            return Err(too_many_wait(&origin).into());
        };
        // Another request may have asked for the actor meanwhile.
        if let Some(verified) = self.verify_by_memory(claim, named).await {
            return verified;
        }
        let remembered = self.remembered(actor, now_ms).and_then(Result::ok);
        let context =
            self.store.inbound_context(actor, origin.authority()).await.map_err(RemoteError::from)?;
        named.host = context.host;
        // Another process may have fetched the actor since.
        let remembered_ms = remembered.as_ref().map_or(i64::MIN, |copy| copy.actor.fetched_ms);
        let stored = context.actor.filter(|copy| counts(copy, now_ms) && copy.fetched_ms > remembered_ms);
        let copy = match stored {
            Some(CachedLookup { result: Err(failure), .. }) => return Err(error(actor, failure).into()),
            Some(CachedLookup { fetched_ms, result: Ok(actor), unverified }) => Some(KnownCopy {
                actor: CachedActor { actor: Arc::new(actor), fetched_ms },
                vouched_for: !unverified,
            }),
            None => remembered,
        };
        let Some(copy) = copy else { return self.verify_anew(claim, named).await };
        match judge(claim, &copy, now_ms) {
            Judgement::Good => {
                if copy.vouched_for {
                    self.memory.put(actor, copy.actor.clone(), now_ms);
                } else {
                    self.befriend(named, &copy.actor).await;
                }
                Ok(copy.actor)
            }
            Judgement::Bad(fault) => Err(fault),
            Judgement::Unsure(judged) => self.verify_again(claim, named, copy, judged).await,
        }
    }

    /// Returns what memory knows of an actor: a copy, or the failure of the last lookup.
    fn remembered(&self, actor: &str, now_ms: i64) -> Option<Result<KnownCopy, LookupFailure>> {
        let known = self.memory.get(actor, now_ms).map(|actor| KnownCopy { actor, vouched_for: true });
        let unverified = || {
            let lookup = self.memory.unverified(actor, now_ms)?;
            Some(lookup.map(|actor| KnownCopy { actor, vouched_for: false }))
        };
        known.map(Ok).or_else(unverified)
    }

    /// Verifies a claim with what memory knows of its actor. Returns `None` if that does not
    /// decide.
    async fn verify_by_memory(
        &self,
        claim: &SignatureClaim,
        named: NamedActor<'_>,
    ) -> Option<Result<CachedActor, VerificationError>> {
        let copy = match self.remembered(named.id, named.now_ms)? {
            Ok(copy) => copy,
            Err(failure) => return Some(Err(error(named.id, failure).into())),
        };
        match judge(claim, &copy, named.now_ms) {
            Judgement::Good => {
                // What is in memory is not put there again: it would never grow old.
                if !copy.vouched_for {
                    self.befriend(named, &copy.actor).await;
                }
                Some(Ok(copy.actor))
            }
            Judgement::Bad(fault) => Some(Err(fault)),
            Judgement::Unsure(_) => None,
        }
    }

    /// Fetches an actor of whom there is a copy once more, and verifies the claim with what comes
    /// back. If the server is out of reach, `judged` counts, which is what the copy says.
    async fn verify_again(
        &self,
        claim: &SignatureClaim,
        named: NamedActor<'_>,
        copy: KnownCopy,
        judged: Result<(), VerificationError>,
    ) -> Result<CachedActor, VerificationError> {
        let KnownCopy { actor: known, vouched_for } = copy;
        let lacking = lacks_linked_key(claim, &known, named.now_ms).then_some(&known);
        let NamedActor { id, now_ms, .. } = named;
        let asked = NamedActor { is_renewal: vouched_for, lacking, ..named };
        let InboundAnswer { result, place } = match self.fetch_now(asked).await {
            Ok(answer) => answer,
            Err(RemoteError::Unreachable(why)) => {
                InboundAnswer { result: Err(LookupFailure::Unreachable(why)), place: None }
            }
            Err(slow @ RemoteError::Slow { .. }) => {
                // If the copy says no, the next request looks into the table, where a planned fetch
                // leaves its result.
                if judged.is_ok() && vouched_for {
                    self.memory.put(id, tried_at(&known, now_ms), now_ms);
                }
                return judged.map(|()| known).map_err(|_| slow.into());
            }
            Err(error) => return Err(error.into()),
        };
        match result {
            Ok(fetched) => {
                let verified = check_signature(claim, &fetched);
                match (&verified, vouched_for) {
                    (Ok(()), _) => {
                        tokio::join!(self.befriend(named, &fetched), self.leave(place));
                    }
                    // The new document takes the place of the old one, whoever signed this request:
                    // it may lack a key that the old one has.
                    (Err(_), true) => {
                        tokio::join!(self.keep_known(named, &fetched), self.leave(place));
                    }
                    (Err(_), false) => {
                        self.memory.put_unverified(id, Ok(fetched.clone()), now_ms);
                        self.leave(place).await;
                    }
                }
                verified.map(|()| fetched)
            }
            Err(failure) if is_out_of_reach(&failure) => {
                // The copy stays. In memory it gets the time of this attempt, so that forged
                // signatures and an old copy do not cause another attempt at once.
                let tried = tried_at(&known, now_ms);
                match vouched_for {
                    true => self.memory.put(id, tried, now_ms),
                    false => self.memory.put_unverified(id, Ok(tried), now_ms),
                }
                self.leave(place).await;
                judged.map(|()| known).map_err(|_| error(id, failure).into())
            }
            Err(failure) => {
                let (forgotten, ()) = tokio::join!(self.forget(id), self.leave(place));
                forgotten?;
                self.memory.put_unverified(id, Err(failure.clone()), now_ms);
                Err(error(id, failure).into())
            }
        }
    }

    /// Verifies a claim of an actor of whom nothing is known.
    async fn verify_anew(
        &self,
        claim: &SignatureClaim,
        named: NamedActor<'_>,
    ) -> Result<CachedActor, VerificationError> {
        let NamedActor { id, now_ms, .. } = named;
        let InboundAnswer { result, place } = self.fetch_now(named).await?;
        let refused = match &result {
            Ok(fetched) => match check_signature(claim, fetched) {
                Ok(()) => {
                    tokio::join!(self.befriend(named, fetched), self.leave(place));
                    return Ok(fetched.clone());
                }
                Err(fault) => fault,
            },
            Err(failure) => error(id, failure.clone()).into(),
        };
        self.memory.put_unverified(id, result, now_ms);
        self.leave(place).await;
        Err(refused)
    }

    /// Keeps an actor of whom a first signature was verified, in memory and in the table, and notes
    /// that its server has such an actor.
    async fn befriend(&self, named: NamedActor<'_>, actor: &CachedActor) {
        tokio::join!(self.keep_known(named, actor), self.note_verified(named));
    }

    /// Keeps an actor in memory and in the table.
    async fn keep_known(&self, named: NamedActor<'_>, actor: &CachedActor) {
        self.memory.put(named.id, actor.clone(), named.now_ms);
        let lookup = CachedLookup::new(actor.fetched_ms, Ok(RemoteActor::clone(&actor.actor)));
        self.keep(named.id, &lookup).await;
    }

    /// Notes that an actor of a server was verified: an UpdateItem, once a day.
    async fn note_verified(&self, named: NamedActor<'_>) {
        if !named.host.needs_note(named.now_ms) {
            return;
        }
        if let Err(error) = self.store.note_verified(named.origin.authority(), named.now_ms).await {
            tracing::warn!(%error, "a server is not noted as known");
        }
    }
}

/// Returns a copy with the time of an attempt to fetch it again.
fn tried_at(known: &CachedActor, now_ms: i64) -> CachedActor {
    CachedActor { actor: Arc::clone(&known.actor), fetched_ms: now_ms }
}

/// Judges a claim by a copy of its actor.
fn judge(claim: &SignatureClaim, copy: &KnownCopy, now_ms: i64) -> Judgement {
    let age_ms = now_ms.saturating_sub(copy.actor.fetched_ms);
    match check_signature(claim, &copy.actor) {
        Ok(()) if age_ms < FRESH_MS => Judgement::Good,
        Err(fault) if age_ms < REFETCH_AFTER_MS && !lacks_linked_key(claim, &copy.actor, now_ms) => {
            Judgement::Bad(fault)
        }
        judged => Judgement::Unsure(judged),
    }
}

/// True if a copy of an actor is not old, and lacks the key of a claim only because that was not
/// fetched yet: it links the key.
fn lacks_linked_key(claim: &SignatureClaim, copy: &CachedActor, now_ms: i64) -> bool {
    let is_fresh = now_ms.saturating_sub(copy.fetched_ms) < FRESH_MS;
    is_fresh && copy.actor.key_link(Some(&claim.key_id)).is_some()
}

/// True if a lookup in the table is not too old.
fn counts(copy: &CachedLookup<RemoteActor>, now_ms: i64) -> bool {
    let counts_ms = copy.result.as_ref().err().map_or(copy.serves_ms(), remembered_ms);
    now_ms.saturating_sub(copy.fetched_ms) < counts_ms
}

/// True if an activity says that the actor who sends it has changed or is gone: its own `Update` or
/// `Delete`.
pub fn is_own_change(activity: &Value, actor: &str) -> bool {
    ["Update", "Delete"].iter().any(|kind| has_type(activity, kind)) && is_about(activity, actor)
}

/// True if an activity is the `Delete` of the actor who sends it.
pub fn is_own_deletion(activity: &Value, actor: &str) -> bool {
    has_type(activity, "Delete") && is_about(activity, actor)
}

/// True if the object of an activity is this actor, by its id or as a document.
fn is_about(activity: &Value, actor: &str) -> bool {
    text(activity, "object").is_ok_and(|object| object == actor)
}

/// Verifies the claim with the key that it names, out of the actor's document.
fn check_signature(claim: &SignatureClaim, known: &CachedActor) -> Result<(), VerificationError> {
    let fault = |text: &str| VerificationError::Signature(text.to_owned());
    let pem = known.actor.keys.get(&claim.key_id).ok_or_else(|| fault("the actor has no such key"))?;
    let key = PublicKey::from_pem(pem).map_err(|e| fault(&format!("the actor's key: {e}")))?;
    if key.verify(&claim.base, &claim.signature) {
        Ok(())
    } else {
        Err(fault("the signature does not verify"))
    }
}
