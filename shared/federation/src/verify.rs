//! Who signed a request (`docs/protocol.md`, section 7).
//!
//! Only the actor that the activity names is ever fetched: the key must stand in that actor's document, so
//! that a `keyId` is compared and never followed. A stub at the `keyId` that names its owner, as some servers
//! have it, needs no look for the same reason.

use eko_protocol::address::Origin;
use eko_protocol::http_signature::{self, ReceivedRequest, SignatureClaim};

use crate::client::ExchangeLimits;
use crate::keys::PublicKey;
use crate::memory::CachedActor;
use crate::{Federation, RemoteError};

/// How old a copy must be before a signature that fails makes us fetch it again, in milliseconds: a key may
/// have been replaced, but forged signatures must not become fetches.
const REFETCH_AFTER_MS: i64 = 60_000;

/// Why a request is not taken for its actor's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerificationError {
    /// The signature, or what it covers, is not as it must be.
    #[error("{0}")]
    Signature(String),
    /// The actor cannot be had.
    #[error(transparent)]
    Actor(#[from] RemoteError),
}

impl Federation {
    /// Reads and checks everything about a signature that needs no key: no call.
    ///
    /// # Errors
    /// [`VerificationError::Signature`] with the cause.
    pub fn claim(
        &self,
        request: &ReceivedRequest<'_>,
        now_ms: i64,
    ) -> Result<SignatureClaim, VerificationError> {
        http_signature::read_claim(request, self.origin(), now_ms, self.window_ms)
            .map_err(|fault| VerificationError::Signature(fault.to_string()))
    }

    /// Whether `claim` was signed with a key of `actor`. No call while the actor is in memory; otherwise as
    /// [`Federation::actor`], and one more fetch where the signature fails against a copy that is not new.
    ///
    /// # Errors
    /// The key is not the actor's, the signature is not good, or the actor cannot be had.
    pub async fn verify(
        &self,
        claim: &SignatureClaim,
        actor: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<CachedActor, VerificationError> {
        let origin = self.permitted(actor)?;
        let document = claim.key_id.split('#').next().unwrap_or_default();
        if Origin::of(document) != Some(origin) {
            return Err(VerificationError::Signature(
                "the key is on another server than the actor".to_owned(),
            ));
        }
        let known = self.actor(actor, now_ms, limits).await?;
        match check_signature(claim, &known) {
            Err(_) if now_ms.saturating_sub(known.fetched_ms) >= REFETCH_AFTER_MS => {
                let known = self.refetch(actor, now_ms, limits).await?;
                check_signature(claim, &known).map(|()| known)
            }
            checked => checked.map(|()| known),
        }
    }
}

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
