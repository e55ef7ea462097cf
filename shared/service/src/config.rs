//! Configuration: environment variables, read once, checked at start.

use eko_federation::policy::Policy;
use eko_protocol::address::Origin;
use eko_store::Names;

/// Everything a function is told. In Lambda it comes from the environment ([`Config::from_env`]), in local
/// mode from the command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ORIGIN`: the public base URL, `https://DOMAIN`.
    pub origin: Origin,
    /// `TABLE`, `DELIVERIES_URL` and `FEDERATION_URL`.
    pub names: Names,
    /// `OIDC_ISSUER`, `OIDC_AUDIENCE`, `OIDC_REQUIRE_EMAIL_VERIFIED`.
    pub oidc: OidcConfig,
    /// `TOKEN_KEYS`: `kid:base64,kid:base64`, 32 bytes or more each. The first signs, all verify.
    pub token_keys: Vec<TokenKey>,
    /// `MESSAGE_TTL_DAYS`: how long an unacknowledged entry is kept. Default 30.
    pub message_ttl_days: u16,
    /// `SENDER_BUDGET`: envelopes a minute from one sender to one recipient. Default 60.
    pub sender_budget: u64,
    /// `RECIPIENT_BUDGET`: envelopes a minute to one recipient, from everyone. Default 6,000.
    pub recipient_budget: u64,
    /// `RECIPIENT_BYTES_BUDGET`: bytes of content a minute to one recipient, from anyone. Default 32 MiB.
    pub recipient_bytes_budget: u64,
    /// `TAKE_BUDGET`: one-time keys an hour that one taker gets of one device. Default 5.
    pub take_budget: u64,
    /// `TAKE_TOTAL_BUDGET`: one-time keys an hour that all takers get of one device. Default 100.
    pub take_total_budget: u64,
    /// `TAKE_SERVER_BUDGET`: one-time keys an hour that all takers of one other server get of one device.
    /// Default 20.
    pub take_server_budget: u64,
    /// How this server talks to others; `None` without a `SIGNING_KEY`: it does not.
    pub federation: Option<FederationConfig>,
    /// `DANGER_ALLOW_LOOPBACK_HTTP`: allow an issuer, and other servers, at `http://localhost` or
    /// `http://127.0.0.1`. For local mode only: whoever can answer on that port can sign anyone in.
    pub danger_allow_loopback_http: bool,
}

/// How this server talks to others.
#[derive(Clone)]
pub struct FederationConfig {
    /// `SIGNING_KEY`: the server's RSA key, 2048 bits or more, PKCS#8 in PEM. Never in plain environment but
    /// from a secret.
    pub signing_key: String,
    /// `FEDERATION_ALLOW`, `FEDERATION_DENY`: domains, separated by commas.
    pub policy: Policy,
    /// `REMOTE_SEND_MS`: how long a send waits for the recipient's server before it is queued. Default 3,000.
    pub send_ms: u64,
    /// `SIGNATURE_WINDOW_SECONDS`: how far the time of a signature may be off. Default 300.
    pub window_seconds: u64,
}

impl FederationConfig {
    /// The defaults for a key.
    pub fn new(signing_key: String) -> Self {
        Self { signing_key, policy: Policy::default(), send_ms: 3_000, window_seconds: 300 }
    }
}

impl std::fmt::Debug for FederationConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FederationConfig").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Who says who someone is.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// The issuer's URL, exactly as in the `iss` claim.
    pub issuer: String,
    /// The audience that ID tokens must be for: this server's client id.
    pub audience: String,
    /// Refuse tokens without `email_verified: true`.
    pub require_email_verified: bool,
}

/// A key that access tokens are signed with (HMAC-SHA-256).
#[derive(Clone)]
pub struct TokenKey {
    /// Its id, in the token's header.
    pub id: String,
    /// 32 bytes or more.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is wrong with the environment: the variable and why.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// What to mend.
    pub reason: String,
}

/// Access tokens live this long, in seconds (`docs/protocol.md`, section 10).
pub const ACCESS_TOKEN_SECONDS: i64 = 900;
/// Refresh tokens live this long, in seconds: 60 days.
pub const REFRESH_TOKEN_SECONDS: i64 = 60 * 24 * 3600;
/// Secrets of token keys have at least this many bytes.
const SECRET_BYTES: usize = 32;

impl Config {
    /// The defaults for an origin, with no names, no issuer and no keys: for local mode and tests to fill in.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            names: Names {
                table: String::new(),
                deliveries_url: String::new(),
                federation_url: String::new(),
            },
            oidc: OidcConfig {
                issuer: String::new(),
                audience: String::new(),
                require_email_verified: false,
            },
            token_keys: Vec::new(),
            message_ttl_days: 30,
            sender_budget: 60,
            recipient_budget: 6_000,
            recipient_bytes_budget: 32 << 20,
            take_budget: 5,
            take_total_budget: 100,
            take_server_budget: 20,
            federation: None,
            danger_allow_loopback_http: false,
        }
    }

    /// Reads the configuration through `get`, which is `std::env::var` in Lambda.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let need = |variable: &'static str| {
            let value = get(variable).filter(|value| !value.is_empty());
            value.ok_or(ConfigError { variable, reason: "is not set".to_owned() })
        };
        let number =
            |variable: &'static str, default: u64| match get(variable).filter(|value| !value.is_empty()) {
                None => Ok(default),
                Some(text) => text
                    .parse()
                    .map_err(|_| ConfigError { variable, reason: format!("{text} is not a whole number") }),
            };
        let switch = |variable: &'static str| matches!(get(variable).as_deref(), Some("1" | "true"));
        let origin = Origin::parse(&need("ORIGIN")?)
            .map_err(|e| ConfigError { variable: "ORIGIN", reason: e.to_string() })?;
        let default = Self::new(origin);
        let federation = match get("SIGNING_KEY").filter(|value| !value.is_empty()) {
            None => None,
            Some(key) => {
                let default = FederationConfig::new(key);
                let domains = |variable: &'static str| {
                    Policy::list(&get(variable).unwrap_or_default())
                        .map_err(|reason| ConfigError { variable, reason })
                };
                Some(FederationConfig {
                    policy: Policy { allow: domains("FEDERATION_ALLOW")?, deny: domains("FEDERATION_DENY")? },
                    send_ms: number("REMOTE_SEND_MS", default.send_ms)?,
                    window_seconds: number("SIGNATURE_WINDOW_SECONDS", default.window_seconds)?,
                    ..default
                })
            }
        };
        let days = number("MESSAGE_TTL_DAYS", u64::from(default.message_ttl_days))?;
        Ok(Self {
            names: Names {
                table: need("TABLE")?,
                deliveries_url: need("DELIVERIES_URL")?,
                federation_url: if federation.is_some() { need("FEDERATION_URL")? } else { String::new() },
            },
            oidc: OidcConfig {
                issuer: need("OIDC_ISSUER")?,
                audience: need("OIDC_AUDIENCE")?,
                require_email_verified: switch("OIDC_REQUIRE_EMAIL_VERIFIED"),
            },
            token_keys: TokenKey::list(&need("TOKEN_KEYS")?)?,
            message_ttl_days: u16::try_from(days).ok().filter(|days| (1..=365).contains(days)).ok_or(
                ConfigError {
                    variable: "MESSAGE_TTL_DAYS",
                    reason: format!("{days} is not between 1 and 365"),
                },
            )?,
            sender_budget: number("SENDER_BUDGET", default.sender_budget)?,
            recipient_budget: number("RECIPIENT_BUDGET", default.recipient_budget)?,
            recipient_bytes_budget: number("RECIPIENT_BYTES_BUDGET", default.recipient_bytes_budget)?,
            take_budget: number("TAKE_BUDGET", default.take_budget)?,
            take_total_budget: number("TAKE_TOTAL_BUDGET", default.take_total_budget)?,
            take_server_budget: number("TAKE_SERVER_BUDGET", default.take_server_budget)?,
            federation,
            danger_allow_loopback_http: switch("DANGER_ALLOW_LOOPBACK_HTTP"),
            origin: default.origin,
        })
    }
}

impl TokenKey {
    /// Reads `kid:base64,kid:base64`.
    pub fn list(text: &str) -> Result<Vec<Self>, ConfigError> {
        use base64::Engine as _;
        let error = |reason: &str| ConfigError { variable: "TOKEN_KEYS", reason: reason.to_owned() };
        let one = |part: &str| {
            let (id, secret) = part.trim().split_once(':').ok_or_else(|| error("needs kid:base64"))?;
            let secret = base64::engine::general_purpose::STANDARD.decode(secret);
            let secret = secret.map_err(|_| error("a secret is not base64"))?;
            if secret.len() < SECRET_BYTES {
                return Err(error("a secret is shorter than 32 bytes"));
            }
            Ok(Self { id: id.to_owned(), secret })
        };
        text.split(',').map(one).collect()
    }
}
