//! Verification of signed requests (`docs/protocol.md`, section 7).
//!
//! Only the actor that the activity names is fetched, and the key must be in that actor's document.
//! A `keyId` is compared with the ids in the document and never fetched, so servers that publish
//! keys at addresses of their own need no special treatment.

use eko_protocol::address::Origin;
use eko_protocol::http_signature::{self, ReceivedRequest, SignatureClaim};

use crate::client::ExchangeLimits;
use crate::keys::PublicKey;
use crate::memory::CachedActor;
use crate::{Federation, RemoteError};

/// The age from which a copy of an actor is fetched again if a signature fails, in milliseconds.
/// The actor may have replaced its key; but forged signatures must not cause a fetch each.
const REFETCH_AFTER_MS: i64 = 60_000;

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

impl Federation {
    /// Reads the signature of a request and checks everything that needs no key. It makes no call.
    ///
    /// # Errors
    /// [`VerificationError::Signature`] with the text of the
    /// [`SignatureFault`](http_signature::SignatureFault).
    pub fn claim(
        &self,
        request: &ReceivedRequest<'_>,
        now_ms: i64,
    ) -> Result<SignatureClaim, VerificationError> {
        http_signature::read_claim(request, self.origin(), now_ms, self.settings.window_ms)
            .map_err(|fault| VerificationError::Signature(fault.to_string()))
    }

    /// Verifies that a key of `actor` signed the claim, and returns the actor.
    ///
    /// It makes no call if the actor is in memory, and otherwise those of [`Federation::actor`]. If
    /// the signature fails with a copy older than a minute, the actor is fetched once more.
    ///
    /// # Errors
    /// [`VerificationError::Signature`] if the actor has no such key or the signature does not
    /// verify; [`VerificationError::Actor`] with the errors of [`Federation::actor`].
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
