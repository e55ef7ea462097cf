//! Configuration: environment variables, read once, checked at start.

use eko_protocol::address::Origin;
use eko_store::Names;

/// Everything a function is told. In Lambda it comes from the environment ([`Config::from_env`]), in local
/// mode from the command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ORIGIN`: the public base URL, `https://DOMAIN`.
    pub origin: Origin,
    /// `TABLE` and `DELIVERIES_URL`.
    pub names: Names,
    /// `OIDC_ISSUER`, `OIDC_AUDIENCE`, `OIDC_REQUIRE_EMAIL_VERIFIED`.
    pub oidc: OidcConfig,
    /// `TOKEN_KEYS`: `kid:base64,kid:base64`, 32 bytes or more each. The first signs, all verify.
    pub token_keys: Vec<TokenKey>,
    /// `MESSAGE_TTL_DAYS`: how long an unacknowledged entry is kept. Default 30.
    pub message_ttl_days: u16,
    /// `SENDER_BUDGET`: envelopes a minute from one sender to one recipient. Default 60.
    pub sender_budget: u64,
    /// `RECIPIENT_BYTES_BUDGET`: bytes of content a minute to one recipient, from anyone. Default 32 MiB.
    pub recipient_bytes_budget: u64,
    /// `TAKE_BUDGET`: one-time keys an hour that one taker gets of one device. Default 5.
    pub take_budget: u64,
    /// `TAKE_TOTAL_BUDGET`: one-time keys an hour that all takers get of one device. Default 100.
    pub take_total_budget: u64,
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
    /// `DANGER_ALLOW_LOOPBACK_HTTP`: allow an issuer at `http://localhost` or `http://127.0.0.1`. For local
    /// mode only: whoever can answer on that port can sign anyone in.
    pub danger_allow_loopback_http: bool,
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
            names: Names { table: String::new(), deliveries_url: String::new() },
            oidc: OidcConfig {
                issuer: String::new(),
                audience: String::new(),
                require_email_verified: false,
                danger_allow_loopback_http: false,
            },
            token_keys: Vec::new(),
            message_ttl_days: 30,
            sender_budget: 60,
            recipient_bytes_budget: 32 << 20,
            take_budget: 5,
            take_total_budget: 100,
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
        let days = number("MESSAGE_TTL_DAYS", u64::from(default.message_ttl_days))?;
        Ok(Self {
            names: Names { table: need("TABLE")?, deliveries_url: need("DELIVERIES_URL")? },
            oidc: OidcConfig {
                issuer: need("OIDC_ISSUER")?,
                audience: need("OIDC_AUDIENCE")?,
                require_email_verified: switch("OIDC_REQUIRE_EMAIL_VERIFIED"),
                danger_allow_loopback_http: switch("DANGER_ALLOW_LOOPBACK_HTTP"),
            },
            token_keys: TokenKey::list(&need("TOKEN_KEYS")?)?,
            message_ttl_days: u16::try_from(days).ok().filter(|days| (1..=365).contains(days)).ok_or(
                ConfigError {
                    variable: "MESSAGE_TTL_DAYS",
                    reason: format!("{days} is not between 1 and 365"),
                },
            )?,
            sender_budget: number("SENDER_BUDGET", default.sender_budget)?,
            recipient_bytes_budget: number("RECIPIENT_BYTES_BUDGET", default.recipient_bytes_budget)?,
            take_budget: number("TAKE_BUDGET", default.take_budget)?,
            take_total_budget: number("TAKE_TOTAL_BUDGET", default.take_total_budget)?,
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
