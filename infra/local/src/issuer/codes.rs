//! Authorization codes: for one minute and one use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::subject::Subject;

const LIFETIME_MS: i64 = 60_000;

/// The codes given out and not used yet. In memory: a restart costs who is signing in just now one more try.
#[derive(Default)]
pub(super) struct Codes {
    given: Mutex<HashMap<String, Given>>,
}

struct Given {
    grant: Grant,
    until: i64,
}

/// What a code stands for, and what its use must match.
pub(super) struct Grant {
    pub(super) subject: Subject,
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<String>,
    /// PKCE: the base64url SHA-256 of the verifier that only the client knows.
    pub(super) code_challenge: String,
}

impl Codes {
    /// A new code for this grant.
    pub(super) fn give(&self, grant: Grant, now: i64) -> anyhow::Result<String> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow!("no random bytes to be had"))?;
        let code = URL_SAFE_NO_PAD.encode(random);
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, earlier| earlier.until > now);
        given.insert(code.clone(), Given { grant, until: now + LIFETIME_MS });
        Ok(code)
    }

    /// The code's grant, once: a second use, or one that is refused afterwards, finds nothing.
    pub(super) fn take(&self, code: &str, now: i64) -> Option<Grant> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).remove(code)?;
        (given.until > now).then_some(given.grant)
    }
}
