//! Configuration: environment variables, read once, checked at start.

use std::time::Duration;

use eko_federation::policy::FederationPolicy;
use eko_messaging::Limits;
use eko_protocol::address::Origin;
use eko_store::Names;

/// Everything a function is told. In Lambda it comes from the environment and from secrets
/// ([`Config::from_env`]), in local mode from the command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ORIGIN`: the public base URL, `https://DOMAIN`.
    pub origin: Origin,
    /// `TABLE`, `DELIVERIES_URL` and `FEDERATION_URL`; a queue that the function never sends to is empty.
    pub names: Names,
    /// `OIDC_ISSUER`, `OIDC_AUDIENCE`, `OIDC_REQUIRE_EMAIL_VERIFIED`; empty where no ID token is seen.
    pub oidc: OidcConfig,
    /// In the secret that `TOKEN_KEYS_PARAMETER` names: `kid:base64,kid:base64`, 32 bytes or more each. The first
    /// signs, all verify. None where no access token is seen: none is good.
    pub token_keys: Vec<TokenKey>,
    /// The limits that the operator may set.
    pub limits: Limits,
    /// How this server talks to others; `None` without a `SIGNING_KEY_PARAMETER`: it does not.
    pub federation: Option<FederationConfig>,
    /// `DANGER_ALLOW_LOOPBACK_HTTP`: allow an issuer, and other servers, at `http://localhost` or
    /// `http://127.0.0.1`. For local mode only: whoever can answer on that port can sign anyone in.
    pub danger_allow_loopback_http: bool,
}

/// How this server talks to others.
#[derive(Clone)]
pub struct FederationConfig {
    /// In the secret that `SIGNING_KEY_PARAMETER` names: the server's RSA key, 2048 bits or more, PKCS#8 in PEM.
    pub signing_key: String,
    /// `FEDERATION_ALLOW`, `FEDERATION_DENY`: domains, separated by commas.
    pub policy: FederationPolicy,
    /// `SIGNATURE_WINDOW_SECONDS`: how far the time of a signature may be off. Default 300.
    pub window_seconds: u64,
}

impl FederationConfig {
    /// The defaults for a key.
    pub fn new(signing_key: String) -> Self {
        Self { signing_key, policy: FederationPolicy::default(), window_seconds: 300 }
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

/// The variable that names the parameter with the token keys.
pub const TOKEN_KEYS_PARAMETER: &str = "TOKEN_KEYS_PARAMETER";
/// The variable that names the parameter with the signing key.
pub const SIGNING_KEY_PARAMETER: &str = "SIGNING_KEY_PARAMETER";

/// What a function has to be told beyond origin, table and what has a default. Whatever a function does not need it
/// is not given: neither by the template nor by IAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The keys of access tokens.
    pub token_keys: bool,
    /// Who issues ID tokens.
    pub issuer: bool,
    /// The key that requests to other servers are signed with, if the server federates at all.
    pub signing_key: bool,
    /// The queue `deliveries`, to send to.
    pub deliveries: bool,
    /// The queue `federation`, to send to or to hide messages of, if the server federates at all.
    pub parcels: bool,
}

impl Needs {
    /// Nothing more.
    pub const NOTHING: Self =
        Self { token_keys: false, issuer: false, signing_key: false, deliveries: false, parcels: false };
}

/// The secrets of a function, as far as it needs them.
#[derive(Clone, Default)]
pub struct Secrets {
    /// See [`Config::token_keys`].
    pub token_keys: Option<String>,
    /// See [`FederationConfig::signing_key`].
    pub signing_key: Option<String>,
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
            limits: Limits::default(),
            federation: None,
            danger_allow_loopback_http: false,
        }
    }

    /// Reads the configuration through `get`, which is `std::env::var` in Lambda, and what needs to be secret from
    /// `secrets`.
    ///
    /// # Errors
    /// The first variable that is missing or wrong.
    pub fn from_env(
        needs: Needs,
        get: impl Fn(&str) -> Option<String>,
        secrets: Secrets,
    ) -> Result<Self, ConfigError> {
        let need = |variable: &'static str| {
            let value = get(variable).filter(|value| !value.is_empty());
            value.ok_or(ConfigError { variable, reason: "is not set".to_owned() })
        };
        let need_if = |needed: bool, variable| if needed { need(variable) } else { Ok(String::new()) };
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
        let federation = match secrets.signing_key {
            None => None,
            Some(key) => {
                let default = FederationConfig::new(key);
                let domains = |variable: &'static str| {
                    FederationPolicy::list(&get(variable).unwrap_or_default())
                        .map_err(|reason| ConfigError { variable, reason })
                };
                Some(FederationConfig {
                    policy: FederationPolicy {
                        allow: domains("FEDERATION_ALLOW")?,
                        deny: domains("FEDERATION_DENY")?,
                    },
                    window_seconds: number("SIGNATURE_WINDOW_SECONDS", default.window_seconds)?,
                    ..default
                })
            }
        };
        let limits = default.limits;
        let days = number("MESSAGE_TTL_DAYS", u64::from(limits.message_ttl_days))?;
        let send_ms = u64::try_from(limits.remote_send_time.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            names: Names {
                table: need("TABLE")?,
                deliveries_url: need_if(needs.deliveries, "DELIVERIES_URL")?,
                federation_url: need_if(needs.parcels && federation.is_some(), "FEDERATION_URL")?,
            },
            oidc: OidcConfig {
                issuer: need_if(needs.issuer, "OIDC_ISSUER")?,
                audience: need_if(needs.issuer, "OIDC_AUDIENCE")?,
                require_email_verified: switch("OIDC_REQUIRE_EMAIL_VERIFIED"),
            },
            token_keys: secrets.token_keys.as_deref().map(TokenKey::list).transpose()?.unwrap_or_default(),
            limits: Limits {
                message_ttl_days: u16::try_from(days).ok().filter(|days| (1..=365).contains(days)).ok_or(
                    ConfigError {
                        variable: "MESSAGE_TTL_DAYS",
                        reason: format!("{days} is not between 1 and 365"),
                    },
                )?,
                sender_budget: number("SENDER_BUDGET", limits.sender_budget)?,
                recipient_budget: number("RECIPIENT_BUDGET", limits.recipient_budget)?,
                recipient_bytes_budget: number("RECIPIENT_BYTES_BUDGET", limits.recipient_bytes_budget)?,
                take_budget: number("TAKE_BUDGET", limits.take_budget)?,
                take_total_budget: number("TAKE_TOTAL_BUDGET", limits.take_total_budget)?,
                take_server_budget: number("TAKE_SERVER_BUDGET", limits.take_server_budget)?,
                remote_send_time: Duration::from_millis(number("REMOTE_SEND_MS", send_ms)?),
            },
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
        let error = |reason: &str| ConfigError { variable: TOKEN_KEYS_PARAMETER, reason: reason.to_owned() };
        let one = |part: &str| {
            let (id, secret) = part.trim().split_once(':').ok_or_else(|| error("needs kid:base64"))?;
            let secret = base64::engine::general_purpose::STANDARD.decode(secret);
            let secret = secret.map_err(|_| error("a secret is not base64"))?;
            if secret.len() < SECRET_BYTES {
                return Err(error("a secret is shorter than 32 bytes"));
            }
            Ok(Self { id: id.to_owned(), secret })
        };
        text.trim().split(',').map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Needs =
        Needs { token_keys: true, issuer: true, signing_key: true, deliveries: true, parcels: true };

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "ORIGIN" => "https://eko.example",
            "TABLE" => "eko",
            "DELIVERIES_URL" => "https://queue.example/deliveries",
            "FEDERATION_URL" => "https://queue.example/federation",
            "OIDC_ISSUER" => "https://id.example",
            "OIDC_AUDIENCE" => "eko",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn secrets() -> Secrets {
        let secret = "A".repeat(43);
        let token_keys = format!("2:{secret}=,1:{secret}=\n");
        Secrets { token_keys: Some(token_keys), signing_key: Some("a key".to_owned()) }
    }

    #[test]
    fn what_a_function_needs_is_read() {
        let config = Config::from_env(ALL, environment, secrets()).unwrap();
        assert_eq!(config.names.federation_url, "https://queue.example/federation");
        assert_eq!(config.oidc.issuer, "https://id.example");
        let ids: Vec<&str> = config.token_keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, ["2", "1"]);
        assert_eq!(config.federation.unwrap().signing_key, "a key");
    }

    #[test]
    fn what_it_does_not_need_is_not_asked_for() {
        let bare = |name: &str| environment(name).filter(|_| matches!(name, "ORIGIN" | "TABLE"));
        let config = Config::from_env(Needs::NOTHING, bare, Secrets::default()).unwrap();
        assert_eq!(config.names.table, "eko");
        assert!(config.token_keys.is_empty() && config.federation.is_none());
        // A server without a signing key sends nothing to other servers.
        Config::from_env(Needs { parcels: true, ..Needs::NOTHING }, bare, Secrets::default()).unwrap();
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for missing in ["ORIGIN", "TABLE", "DELIVERIES_URL", "FEDERATION_URL", "OIDC_ISSUER", "OIDC_AUDIENCE"]
        {
            let without = |name: &str| environment(name).filter(|_| name != missing);
            let error = Config::from_env(ALL, without, secrets()).unwrap_err();
            assert_eq!(error.to_string(), format!("{missing}: is not set"));
        }
        for (variable, value, told) in [
            ("ORIGIN", "eko.example", "ORIGIN: "),
            ("MESSAGE_TTL_DAYS", "0", "MESSAGE_TTL_DAYS: 0 is not between 1 and 365"),
            ("SENDER_BUDGET", "many", "SENDER_BUDGET: many is not a whole number"),
            ("FEDERATION_DENY", "not a domain", "FEDERATION_DENY: "),
        ] {
            let wrong =
                |name: &str| if name == variable { Some(value.to_owned()) } else { environment(name) };
            let error = Config::from_env(ALL, wrong, secrets()).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
        }
        for (keys, reason) in [
            ("", "needs kid:base64"),
            ("1:!", "a secret is not base64"),
            ("1:AAAA", "a secret is shorter than 32 bytes"),
        ] {
            let secrets = Secrets { token_keys: Some(keys.to_owned()), ..secrets() };
            let error = Config::from_env(ALL, environment, secrets).unwrap_err();
            assert_eq!(error.to_string(), format!("TOKEN_KEYS_PARAMETER: {reason}"));
        }
    }
}
