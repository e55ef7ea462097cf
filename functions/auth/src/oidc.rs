//! ID tokens: an OpenID Connect issuer says who someone is (OpenID Connect Core 1.0, section
//! 3.1.3.7; Discovery 1.0).

use std::collections::HashSet;
use std::time::Duration;

use eko_federation::client::{ExchangeLimits, FetchError, FetchOutcome, GuardedClient, MediaTypes};
use eko_service::Problem;
use eko_service::config::{Config, ConfigError, OidcConfig};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tokio::sync::Mutex;

/// The time for which fetched keys are used without a new fetch, in milliseconds.
const KEYS_FRESH_MS: i64 = 3_600_000;
/// The time after a fetch in which an unknown key id causes no new fetch, in milliseconds. A flood
/// of forged tokens must not become a flood at the issuer.
const KEYS_RETRY_MS: i64 = 30_000;
/// The accepted difference between the issuer's clock and this server's, in seconds.
const LEEWAY_SECONDS: i64 = 60;
/// The limits of a fetch from the issuer. The documents are small, and a client waits for them.
const LIMITS: ExchangeLimits = ExchangeLimits { time: Duration::from_secs(5), body_bytes: 256 * 1024 };

/// The subject of an ID token: the person who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The issuer.
    pub(crate) issuer: String,
    /// The id that the issuer has given the subject.
    pub(crate) subject: String,
    /// The time when the token was issued, in epoch seconds.
    pub(crate) issued: i64,
}

/// Verifies ID tokens of the configured issuer.
pub(crate) struct Oidc {
    config: OidcConfig,
    client: GuardedClient,
    keys: Mutex<Option<Keys>>,
}

struct Keys {
    set: JwkSet,
    fetched_ms: i64,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    email_verified: Option<serde_json::Value>,
}

impl Oidc {
    /// Creates a verifier. Makes no call: the first token starts discovery.
    ///
    /// # Errors
    /// The issuer's URL may not be requested.
    pub(crate) fn new(config: &Config, client: GuardedClient) -> Result<Self, ConfigError> {
        let config = config.oidc.clone();
        client
            .check_url(&config.issuer)
            .map_err(|refusal| ConfigError { variable: "OIDC_ISSUER", reason: refusal.to_string() })?;
        Ok(Self { config, client, keys: Mutex::new(None) })
    }

    /// Verifies a token: the signature by one of the issuer's keys, the issuer, the audience, the
    /// times, and, if the configuration requires it, that the e-mail address is verified.
    pub(crate) async fn verify(&self, token: &str, now_ms: i64) -> Result<Subject, Problem> {
        const BAD: Problem = Problem::Unauthenticated("the ID token is not valid");
        let header = jsonwebtoken::decode_header(token).map_err(|_| BAD)?;
        let algorithm = header.alg;
        if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            return Err(BAD);
        }
        let key = self.key(header.kid.as_deref(), algorithm, now_ms).await?.ok_or(BAD)?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        // Times are checked below, against the state's clock.
        validation.validate_exp = false;
        validation.required_spec_claims = HashSet::from(["iss", "aud", "sub", "exp"].map(str::to_owned));
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|_| BAD)?.claims;
        self.check(claims, now_ms)
    }

    fn check(&self, claims: Claims, now_ms: i64) -> Result<Subject, Problem> {
        let now = now_ms.div_euclid(1000);
        let ahead = now.saturating_add(LEEWAY_SECONDS);
        if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(Problem::Unauthenticated("the ID token has expired"));
        }
        if claims.iat > ahead || claims.nbf.is_some_and(|nbf| nbf > ahead) {
            return Err(Problem::Unauthenticated("the ID token is from the future"));
        }
        if claims.azp.is_some_and(|azp| azp != self.config.audience) {
            return Err(Problem::Unauthenticated("the ID token was issued to another client"));
        }
        let verified = claims.email_verified.is_some_and(|value| value == true || value == "true");
        if self.config.require_email_verified && !verified {
            return Err(Problem::Unauthenticated("the e-mail address is not verified"));
        }
        // OpenID Connect Core, section 2: at most 255 ASCII characters.
        if claims.sub.is_empty() || claims.sub.len() > 255 || !claims.sub.is_ascii() {
            return Err(Problem::Unauthenticated("the ID token's subject is not usable"));
        }
        Ok(Subject { issuer: self.config.issuer.clone(), subject: claims.sub, issued: claims.iat })
    }

    /// Returns the issuer's key with this id. Fetches the keys if there are none, if they are old,
    /// or if the id is unknown.
    async fn key(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now_ms: i64,
    ) -> Result<Option<DecodingKey>, Problem> {
        let mut keys = self.keys.lock().await;
        let age = keys.as_ref().map(|keys| now_ms.saturating_sub(keys.fetched_ms));
        let known = keys.as_ref().and_then(|keys| find(&keys.set, id, algorithm)).is_some();
        let fetch = match age {
            None => true,
            Some(age) => age > KEYS_FRESH_MS || (!known && age > KEYS_RETRY_MS),
        };
        if fetch {
            match self.fetch().await {
                Ok(set) => *keys = Some(Keys { set, fetched_ms: now_ms }),
                // The keys that are known stay valid while the issuer is out of reach.
                Err(error) if known => tracing::warn!(%error, "the issuer's keys could not be refreshed"),
                Err(error) => return Err(Problem::Unavailable(format!("the OIDC issuer: {error}"))),
            }
        }
        let jwk = keys.as_ref().and_then(|keys| find(&keys.set, id, algorithm));
        Ok(jwk.and_then(|jwk| DecodingKey::from_jwk(jwk).ok()))
    }

    async fn fetch(&self) -> Result<JwkSet, IssuerError> {
        let issuer = self.config.issuer.trim_end_matches('/');
        let discovery: Discovery = self.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if discovery.issuer != self.config.issuer {
            return Err(IssuerError::AnotherIssuer);
        }
        self.get(&discovery.jwks_uri).await
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, IssuerError> {
        match self.client.get_json(url, MediaTypes::OPENID, |_| Ok(Vec::new()), &LIMITS).await? {
            FetchOutcome::Document(document) => {
                serde_json::from_slice(&document.body).map_err(|_| IssuerError::NotThat)
            }
            FetchOutcome::Gone | FetchOutcome::NotFound => Err(IssuerError::NotThere),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum IssuerError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the discovery document is of another issuer")]
    AnotherIssuer,
    #[error("a document is not what was asked for")]
    NotThat,
    #[error("a document is not there")]
    NotThere,
}

/// Returns the key with this id. If the token names no key, returns the only key that fits the
/// algorithm, or `None` if there is not exactly one.
fn find<'a>(set: &'a JwkSet, id: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let fits = |jwk: &&Jwk| {
        let named = jwk.common.key_algorithm.map(|a| a.to_string());
        named.is_none_or(|named| named == format!("{algorithm:?}"))
    };
    match id {
        Some(id) => set.find(id).filter(fits),
        None => {
            let mut fitting = set.keys.iter().filter(fits);
            fitting.next().filter(|_| fitting.next().is_none())
        }
    }
}
