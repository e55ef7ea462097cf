//! ID tokens (section 10): the issuer makes each of them for one device at one server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_protocol::address::Origin;
use eko_protocol::key::{IdentityKey, NonceRandom};
use eko_protocol::sign_in;
use serde::Deserialize;

/// The nonce that a device asks the issuer to put into the ID token, and the random bytes that it
/// was made with.
///
/// The nonce is a hash of the server's origin, the device's identity key and the random bytes. So
/// the ID token is of no use for another server, which may get it, nor for another device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInChallenge {
    nonce: String,
    random: NonceRandom,
}

impl SignInChallenge {
    /// Computes the nonce of a device at a server.
    pub fn new(origin: &Origin, identity: &IdentityKey, random: NonceRandom) -> Self {
        Self { nonce: sign_in::nonce(origin, identity, &random), random }
    }

    /// Returns the nonce, the parameter `nonce` of the authorization request.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Returns the random bytes of the nonce.
    pub fn random(&self) -> &NonceRandom {
        &self.random
    }

    /// Checks an ID token as far as that is possible without the issuer's keys: it is of this
    /// issuer, made for this audience, and the answer to this challenge (OpenID Connect Core,
    /// section 3.1.3.7). The server verifies the signature and the times.
    ///
    /// # Errors
    /// [`IdTokenFault`]
    pub fn accept(&self, id_token: &str, issuer: &str, audience: &str) -> Result<IdToken, IdTokenFault> {
        let claims = id_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice::<IdTokenClaims>(&claims).ok());
        let claims = claims.ok_or(IdTokenFault::Unreadable)?;
        let is_for_us = match &claims.aud {
            TokenAudience::One(one) => one == audience,
            TokenAudience::Several(several) => several.iter().any(|one| one == audience),
        };
        if claims.iss != issuer {
            return Err(IdTokenFault::OtherIssuer);
        }
        if !is_for_us {
            return Err(IdTokenFault::OtherAudience);
        }
        if claims.nonce.as_deref() != Some(&self.nonce) {
            return Err(IdTokenFault::OtherNonce);
        }
        Ok(self.answered(id_token))
    }

    /// Returns an ID token together with the random bytes of this challenge, without a check. For
    /// tools and tests; [`SignInChallenge::accept`] checks.
    pub fn answered(&self, id_token: &str) -> IdToken {
        IdToken { text: id_token.to_owned(), random: self.random }
    }
}

/// An ID token, and the random bytes of the nonce in it.
#[derive(Clone)]
pub struct IdToken {
    text: String,
    random: NonceRandom,
}

impl IdToken {
    /// Returns the token as the issuer gave it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the random bytes, which the server needs to compute the nonce.
    pub fn random(&self) -> &NonceRandom {
        &self.random
    }
}

/// The reason why an ID token is not sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// The text has no claims that can be read.
    #[error("this is no ID token")]
    Unreadable,
    /// The token is of another issuer.
    #[error("the ID token is of another issuer than the one that the server trusts")]
    OtherIssuer,
    /// The token was made for another client.
    #[error("the ID token is for another client than the server's")]
    OtherAudience,
    /// The token has no nonce, or that of another sign-in.
    #[error("the ID token is not the answer to this sign-in: its nonce is another one")]
    OtherNonce,
}

/// The claims of an ID token that a client can compare.
#[derive(Deserialize)]
struct IdTokenClaims {
    iss: String,
    aud: TokenAudience,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenAudience {
    One(String),
    Several(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::IdentityPair;
    use serde_json::{Value, json};

    const ISSUER: &str = "https://issuer.example";

    fn challenge() -> SignInChallenge {
        let origin = Origin::parse("https://a.example").unwrap();
        let identity = IdentityPair::from_secret([1; 32]).public();
        SignInChallenge::new(&origin, &identity, NonceRandom::from([2; 32]))
    }

    fn checked(claims: &Value) -> Result<(), IdTokenFault> {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        challenge().accept(&token, ISSUER, "eko").map(|accepted| {
            assert_eq!((accepted.text(), accepted.random()), (&*token, &NonceRandom::from([2; 32])));
        })
    }

    #[test]
    fn a_token_is_of_its_issuer_for_its_client_and_its_sign_in() {
        use IdTokenFault::{OtherAudience, OtherIssuer, OtherNonce, Unreadable};
        let good = json!({ "iss": ISSUER, "aud": "eko", "nonce": challenge().nonce(), "sub": "x" });
        assert_eq!(checked(&good), Ok(()));
        for (member, value, due) in [
            ("aud", json!(["other", "eko"]), Ok(())),
            ("aud", json!(["other"]), Err(OtherAudience)),
            ("aud", json!("other"), Err(OtherAudience)),
            ("aud", json!("eko2"), Err(OtherAudience)),
            ("aud", json!(1), Err(Unreadable)),
            ("iss", json!("https://evil.example"), Err(OtherIssuer)),
            ("iss", json!("https://issuer.example/"), Err(OtherIssuer)),
            ("nonce", json!("n2"), Err(OtherNonce)),
            ("nonce", json!(challenge().nonce().to_uppercase()), Err(OtherNonce)),
            ("nonce", Value::Null, Err(OtherNonce)),
        ] {
            let mut claims = good.clone();
            claims[member] = value.clone();
            assert_eq!(checked(&claims), due, "{member}: {value}");
        }
        for token in ["", "a", "a.b", "a.b.c", "e30.e30.e30", "..", "e30.!!.e30"] {
            assert_eq!(challenge().accept(token, ISSUER, "eko").err(), Some(Unreadable), "{token}");
        }
    }
}
