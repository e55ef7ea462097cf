//! Authorization codes. A code is valid for one minute and one use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::subject::IssuerSubject;

/// The time for which a code is valid, in milliseconds.
const LIFETIME_MS: i64 = 60_000;

/// The codes that were issued and not used. They are in memory, so a sign-in that a restart
/// interrupts has to be repeated.
#[derive(Default)]
pub(super) struct AuthorizationCodes {
    issued: Mutex<HashMap<String, IssuedCode>>,
}

/// A code that was issued and not used.
struct IssuedCode {
    grant: Grant,
    /// The end of its validity, in milliseconds since the Unix epoch.
    until: i64,
}

/// The user that a code stands for, and the values that its use must match.
pub(super) struct Grant {
    pub(super) subject: IssuerSubject,
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<String>,
    /// The PKCE challenge: the base64url of the SHA-256 of a verifier that only the client knows.
    pub(super) code_challenge: String,
}

impl AuthorizationCodes {
    /// Makes a code for a grant.
    ///
    /// # Errors
    /// There are no random bytes.
    pub(super) fn issue(&self, grant: Grant, now: i64) -> anyhow::Result<String> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| anyhow!("no random bytes to be had"))?;
        let code = URL_SAFE_NO_PAD.encode(random);
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|_, earlier| earlier.until > now);
        issued.insert(code.clone(), IssuedCode { grant, until: now + LIFETIME_MS });
        Ok(code)
    }

    /// Uses a code up and returns its grant. Returns `None` if the code is unknown, used or
    /// expired.
    pub(super) fn take(&self, code: &str, now: i64) -> Option<Grant> {
        let code = self.issued.lock().unwrap_or_else(PoisonError::into_inner).remove(code)?;
        (code.until > now).then_some(code.grant)
    }
}
