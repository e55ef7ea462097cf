//! ID tokens of the OpenID Connect issuer, by which users prove who they are (OpenID Connect Core
//! 1.0, section 3.1.3.7; Discovery 1.0).

use std::collections::HashSet;
use std::time::Duration;

use eko_federation::client::{ExchangeLimits, FetchError, FetchOutcome, GuardedClient, MediaTypes};
use eko_service::Problem;
use eko_service::config::{Config, ConfigError, OidcConfig};
use eko_store::accounts::OidcSubject;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tokio::sync::Mutex;

/// The age from which the issuer's keys are fetched again, in milliseconds.
const KEYS_FRESH_MS: i64 = 3_600_000;
/// The age of the keys from which a token with an unknown key id makes us fetch them again, in
/// milliseconds. It limits how often a flood of forged tokens can make us ask the issuer.
const KEYS_RETRY_MS: i64 = 30_000;
/// The largest difference between the issuer's clock and this server's, in seconds.
const LEEWAY_SECONDS: i64 = 60;
/// The limits of a request to the issuer. Its documents are small, and a client waits for them.
const LIMITS: ExchangeLimits = ExchangeLimits { time: Duration::from_secs(5), body_bytes: 256 * 1024 };

/// The subject of a verified ID token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedSubject {
    /// The issuer, the claim `iss`.
    pub(crate) issuer: String,
    /// The subject's id at the issuer, the claim `sub`.
    pub(crate) subject: String,
    /// The claim `nonce`, which the device has chosen, if there is one.
    pub(crate) nonce: Option<String>,
    /// The time at which the person signed in, in epoch seconds: the claim `auth_time`, or `iat` if
    /// the issuer does not state it.
    pub(crate) signed_in_s: i64,
}

impl VerifiedSubject {
    /// Returns the subject by which the store finds an account.
    pub(crate) fn as_oidc(&self) -> OidcSubject<'_> {
        OidcSubject { issuer: &self.issuer, subject: &self.subject }
    }

    /// Checks that the person has signed in for this device at this server. An ID token that
    /// another server has got from the person, or that was made for another key, is refused.
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`] if the nonce is missing or is another one.
    pub(crate) fn require_nonce(&self, nonce: &str) -> Result<(), Problem> {
        match self.nonce.as_deref() {
            Some(own) if own == nonce => Ok(()),
            Some(_) => Err(Problem::Unauthenticated(
                "the ID token was made for another device or another server: its nonce is another one",
            )),
            None => Err(Problem::Unauthenticated("the ID token has no nonce, so it is for no device")),
        }
    }
}

/// The verifier of the configured issuer's ID tokens. It keeps the issuer's keys in memory.
pub(crate) struct IdTokenVerifier {
    config: OidcConfig,
    client: GuardedClient,
    keys: Mutex<Option<IssuerKeys>>,
}

/// The issuer's keys, and the time at which they were fetched (epoch milliseconds).
struct IssuerKeys {
    set: JwkSet,
    fetched_ms: i64,
}

/// The issuer's discovery document, as far as it is read.
#[derive(Deserialize)]
struct ProviderConfiguration {
    issuer: String,
    jwks_uri: String,
}

/// The claims of an ID token, as far as they are read.
#[derive(Deserialize)]
struct SignInClaims {
    sub: String,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    auth_time: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    email_verified: Option<serde_json::Value>,
}

impl IdTokenVerifier {
    /// Creates a verifier. Makes no call; the first token causes the discovery.
    ///
    /// # Errors
    /// [`ConfigError`] if the client may not ask the issuer's URL.
    pub(crate) fn new(config: &Config, client: GuardedClient) -> Result<Self, ConfigError> {
        let config = config.oidc.clone();
        client
            .check_url(&config.issuer)
            .map_err(|refusal| ConfigError { variable: "OIDC_ISSUER", reason: refusal.to_string() })?;
        Ok(Self { config, client, keys: Mutex::new(None) })
    }

    /// Verifies an ID token at the time `now_ms` (epoch milliseconds): the signature by one of the
    /// issuer's keys, the issuer, the audience, the times, and, if the configuration requires it,
    /// that the e-mail address is verified.
    ///
    /// No call if the issuer's keys are in memory; otherwise two GETs at the issuer.
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`] if the token is not good; [`Problem::Unavailable`] if the
    /// issuer's keys are needed and cannot be fetched.
    pub(crate) async fn verify(&self, token: &str, now_ms: i64) -> Result<VerifiedSubject, Problem> {
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
        // The library would compare with the system's clock. `check` compares the times with
        // `now_ms`.
        validation.validate_exp = false;
        validation.required_spec_claims = HashSet::from(["iss", "aud", "sub", "exp"].map(str::to_owned));
        let claims = jsonwebtoken::decode::<SignInClaims>(token, &key, &validation).map_err(|_| BAD)?.claims;
        self.check(claims, now_ms)
    }

    /// Checks the claims of a token whose signature, issuer and audience are verified.
    fn check(&self, claims: SignInClaims, now_ms: i64) -> Result<VerifiedSubject, Problem> {
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
        // A sign-in is never younger than its token.
        let signed_in_s = claims.auth_time.map_or(claims.iat, |time| time.min(claims.iat));
        let (issuer, nonce) = (self.config.issuer.clone(), claims.nonce);
        Ok(VerifiedSubject { issuer, subject: claims.sub, nonce, signed_in_s })
    }

    /// Returns the issuer's key with this id, or `None` if the issuer has no such key. Fetches the
    /// keys if there are none, if they are old, and if the id is unknown.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if the keys cannot be fetched. If the key is known all the same,
    /// the failure is only logged.
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
                Ok(set) => *keys = Some(IssuerKeys { set, fetched_ms: now_ms }),
                // A known key stays good while the issuer is out of reach.
                Err(error) if known => tracing::warn!(%error, "the issuer's keys could not be refreshed"),
                Err(error) => return Err(Problem::Unavailable(format!("the OIDC issuer: {error}"))),
            }
        }
        let jwk = keys.as_ref().and_then(|keys| find(&keys.set, id, algorithm));
        Ok(jwk.and_then(|jwk| DecodingKey::from_jwk(jwk).ok()))
    }

    /// Fetches the issuer's keys: the discovery document, and the key set that it names.
    async fn fetch(&self) -> Result<JwkSet, IssuerError> {
        let issuer = self.config.issuer.trim_end_matches('/');
        let discovery: ProviderConfiguration =
            self.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if discovery.issuer != self.config.issuer {
            return Err(IssuerError::AnotherIssuer);
        }
        self.get(&discovery.jwks_uri).await
    }

    /// Fetches a JSON document of the issuer.
    async fn get<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, IssuerError> {
        match self.client.get_json(url, MediaTypes::OPENID, |_| Ok(Vec::new()), &LIMITS).await? {
            FetchOutcome::Document(document) => {
                serde_json::from_slice(&document.body).map_err(|_| IssuerError::WrongShape)
            }
            FetchOutcome::Gone(_) | FetchOutcome::NotFound => Err(IssuerError::NotFound),
        }
    }
}

/// The reason why the issuer's keys cannot be fetched.
#[derive(Debug, thiserror::Error)]
enum IssuerError {
    /// A request failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The discovery document names another issuer.
    #[error("the discovery document is of another issuer")]
    AnotherIssuer,
    /// A document does not have the shape that the specification gives it.
    #[error("a document is not what was asked for")]
    WrongShape,
    /// A document does not exist.
    #[error("a document is not there")]
    NotFound,
}

/// Returns the key with this id. If the token names no key, returns the only key that fits the
/// algorithm, or `None` if there is not exactly one.
fn find<'a>(set: &'a JwkSet, id: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let fits =
        |jwk: &&Jwk| jwk.common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    match id {
        Some(id) => set.find(id).filter(fits),
        None => {
            let mut fitting = set.keys.iter().filter(fits);
            fitting.next().filter(|_| fitting.next().is_none())
        }
    }
}
