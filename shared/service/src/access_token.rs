//! Access tokens: JWTs bound to a device, verified without I/O (`docs/protocol.md`, section 10).

use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_store::device::DeviceAddress;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::config::{ACCESS_TOKEN_SECONDS, Config};

/// Makes and verifies access tokens.
pub struct AccessTokens {
    origin: String,
    keys: Vec<Key>,
}

struct Key {
    id: String,
    signs: EncodingKey,
    verifies: DecodingKey,
}

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
}

impl Bearer {
    /// Returns the address of the device.
    pub fn address(&self) -> DeviceAddress<'_> {
        DeviceAddress { user: &self.user, device: &self.device }
    }
}

/// RFC 9068's claims as far as we need them; `dev` is the device.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    dev: String,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    pub(crate) fn new(config: &Config) -> Self {
        let key = |key: &crate::config::TokenKey| Key {
            id: key.id.clone(),
            signs: EncodingKey::from_secret(&key.secret),
            verifies: DecodingKey::from_secret(&key.secret),
        };
        Self { origin: config.origin.as_str().to_owned(), keys: config.token_keys.iter().map(key).collect() }
    }

    /// A token for a device, good for [`ACCESS_TOKEN_SECONDS`].
    pub fn issue(&self, bearer: &Bearer, now_ms: i64) -> Result<String, Problem> {
        let Some(key) = self.keys.first() else {
            return Err(Problem::Unavailable("no token key".to_owned()));
        };
        let now = now_ms.div_euclid(1000);
        let claims = Claims {
            iss: self.origin.clone(),
            aud: self.origin.clone(),
            sub: bearer.user.to_string(),
            dev: bearer.device.to_string(),
            iat: now,
            exp: now.saturating_add(ACCESS_TOKEN_SECONDS),
        };
        let header = Header {
            kid: Some(key.id.clone()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims, &key.signs).map_err(|e| Problem::Unavailable(e.to_string()))
    }

    /// Verifies a token: key, signature, issuer, audience, times.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Bearer, Problem> {
        const BAD: Problem = Problem::Unauthenticated("the access token is not valid");
        let header = jsonwebtoken::decode_header(token).map_err(|_| BAD)?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err(BAD);
        }
        let key = self.keys.iter().find(|key| Some(&key.id) == header.kid.as_ref()).ok_or(BAD)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&self.origin]);
        validation.set_audience(&[&self.origin]);
        // Times are checked below, against the state's clock.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        let claims =
            jsonwebtoken::decode::<Claims>(token, &key.verifies, &validation).map_err(|_| BAD)?.claims;
        if claims.exp <= now_ms.div_euclid(1000) {
            return Err(Problem::Unauthenticated("the access token has expired"));
        }
        Ok(Bearer {
            user: UserName::parse(&claims.sub).map_err(|_| BAD)?,
            device: DeviceId::parse(&claims.dev).map_err(|_| BAD)?,
        })
    }
}
