//! ID tokens: an OpenID Connect issuer says who someone is (OpenID Connect Core 1.0, section 3.1.3.7;
//! Discovery 1.0).

use std::collections::HashSet;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::Problem;
use crate::config::{Config, ConfigError, OidcConfig};

/// How long fetched keys are trusted without looking again, in milliseconds.
const KEYS_FRESH_MS: i64 = 3_600_000;
/// How soon an unknown key id may make us look again, in milliseconds: a flood of forged tokens must not
/// become a flood at the issuer.
const KEYS_RETRY_MS: i64 = 30_000;
/// Clocks may differ by this much, in seconds.
const LEEWAY_SECONDS: i64 = 60;
/// Discovery and key documents are small; anything larger is refused.
const DOCUMENT_BYTES: usize = 256 * 1024;

/// Who an ID token speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The issuer.
    pub issuer: String,
    /// The subject within it.
    pub subject: String,
    /// When the token was issued, epoch seconds.
    pub issued: i64,
}

/// Verifies ID tokens of the configured issuer.
pub struct Oidc {
    config: OidcConfig,
    /// The configuration's `danger_allow_loopback_http`.
    loopback: bool,
    http: reqwest::Client,
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
    /// A verifier. Makes no call: discovery happens with the first token.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let loopback = config.danger_allow_loopback_http;
        let config = config.oidc.clone();
        let error = |reason: &str| ConfigError { variable: "OIDC_ISSUER", reason: reason.to_owned() };
        let issuer = Url::parse(&config.issuer).map_err(|e| error(&e.to_string()))?;
        if !may_fetch(&issuer, loopback) {
            return Err(error("must be https"));
        }
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| error(&e.to_string()))?;
        Ok(Self { config, loopback, http, keys: Mutex::new(None) })
    }

    /// Verifies a token: signature by one of the issuer's keys, issuer, audience, times, e-mail policy.
    pub async fn verify(&self, token: &str, now_ms: i64) -> Result<Subject, Problem> {
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

    /// The issuer's key with this id; keys are fetched when there are none, when they are old, and when the
    /// id is unknown.
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
                // Keys that we have stay good while the issuer is out of reach.
                Err(error) if known => tracing::warn!(%error, "the issuer's keys could not be refreshed"),
                Err(error) => return Err(Problem::Unavailable(format!("the OIDC issuer: {error}"))),
            }
        }
        let jwk = keys.as_ref().and_then(|keys| find(&keys.set, id, algorithm));
        Ok(jwk.and_then(|jwk| DecodingKey::from_jwk(jwk).ok()))
    }

    async fn fetch(&self) -> Result<JwkSet, FetchError> {
        let issuer = self.config.issuer.trim_end_matches('/');
        let discovery: Discovery = self.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if discovery.issuer != self.config.issuer {
            return Err(FetchError::Other("the discovery document is of another issuer"));
        }
        self.get(&discovery.jwks_uri).await
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::Other("not a URL"))?;
        if !may_fetch(&url, self.loopback) {
            return Err(FetchError::Other("not an https URL"));
        }
        let mut response = self.http.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > DOCUMENT_BYTES {
                return Err(FetchError::Other("the document is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|_| FetchError::Other("the document is not what was asked for"))
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("{0}")]
    Other(&'static str),
}

/// https; http only to loopback, and only where the switch says so.
fn may_fetch(url: &Url, danger_allow_loopback_http: bool) -> bool {
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (danger_allow_loopback_http && url.scheme() == "http" && loopback)
}

/// The key with this id, or the only key that fits when the token names none.
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
