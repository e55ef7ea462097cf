//! Access tokens: JWTs bound to a device, verified without a call (`docs/protocol.md`, section 10).
//!
//! ```text
//! header  {"alg": "HS256", "typ": "at+jwt", "kid": <id of the token key>}
//! claims  {"iss": ORIGIN, "aud": ORIGIN, "sub": <user name>, "dev": <device id>,
//!          "iat": <epoch seconds>, "exp": <epoch seconds>}
//! ```

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::caller::Caller;
use crate::config::{ACCESS_TOKEN_SECONDS, Config, TokenKey};

/// The maker and verifier of access tokens. The first key signs; all keys verify.
pub struct AccessTokens {
    origin: String,
    keys: Vec<AccessTokenKey>,
}

/// A [`TokenKey`] in the forms that signing and verifying need.
struct AccessTokenKey {
    id: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// An access token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The device that the token is for.
    pub caller: Caller,
    /// The time at which the token expires, in epoch seconds.
    pub expires_s: i64,
}

/// The claims of an access token: a subset of RFC 9068's, and `dev`, the id of the device.
#[derive(Serialize, Deserialize)]
struct AccessTokenClaims {
    iss: String,
    aud: String,
    sub: String,
    dev: String,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    pub(crate) fn new(config: &Config) -> Self {
        let key = |key: &TokenKey| AccessTokenKey {
            id: key.id.clone(),
            signing: EncodingKey::from_secret(&key.secret),
            verifying: DecodingKey::from_secret(&key.secret),
        };
        Self { origin: config.origin.as_str().to_owned(), keys: config.token_keys.iter().map(key).collect() }
    }

    /// Makes a token for a device. It is good for [`ACCESS_TOKEN_SECONDS`] from `now_ms` (epoch
    /// milliseconds).
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if the function has no token key.
    pub fn issue(&self, caller: &Caller, now_ms: i64) -> Result<String, Problem> {
        let Some(key) = self.keys.first() else {
            return Err(Problem::Unavailable("no token key".to_owned()));
        };
        let now = now_ms.div_euclid(1000);
        let claims = AccessTokenClaims {
            iss: self.origin.clone(),
            aud: self.origin.clone(),
            sub: caller.user.to_string(),
            dev: caller.device.to_string(),
            iat: now,
            exp: now.saturating_add(ACCESS_TOKEN_SECONDS),
        };
        let header = Header {
            kid: Some(key.id.clone()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims, &key.signing).map_err(|e| Problem::Unavailable(e.to_string()))
    }

    /// Verifies a token at the time `now_ms` (epoch milliseconds): its type, key, signature,
    /// issuer, audience and expiry. Returns the device that the token is for.
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`].
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Caller, Problem> {
        Ok(self.verify_lasting(token, now_ms)?.caller)
    }

    /// Does as [`verify`](Self::verify), and returns the time of expiry too.
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`].
    pub fn verify_lasting(&self, token: &str, now_ms: i64) -> Result<VerifiedToken, Problem> {
        const BAD: Problem = Problem::Unauthenticated("the access token is not valid");
        let header = jsonwebtoken::decode_header(token).map_err(|_| BAD)?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err(BAD);
        }
        let key = self.keys.iter().find(|key| Some(&key.id) == header.kid.as_ref()).ok_or(BAD)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&self.origin]);
        validation.set_audience(&[&self.origin]);
        // The library would compare with the system's clock. The expiry is compared with `now_ms`
        // below.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        let decoded = jsonwebtoken::decode::<AccessTokenClaims>(token, &key.verifying, &validation);
        let claims = decoded.map_err(|_| BAD)?.claims;
        if claims.exp <= now_ms.div_euclid(1000) {
            return Err(Problem::Unauthenticated("the access token has expired"));
        }
        let caller = Caller {
            user: UserName::parse(&claims.sub).map_err(|_| BAD)?,
            device: DeviceId::parse(&claims.dev).map_err(|_| BAD)?,
        };
        Ok(VerifiedToken { caller, expires_s: claims.exp })
    }
}
