//! The configuration of a function. In Lambda it is read once, at the start, from environment
//! variables and secrets.

use std::time::Duration;

use eko_federation::client::PrivateHosts;
use eko_federation::policy::FederationPolicy;
use eko_messaging::Limits;
use eko_protocol::address::Origin;
use eko_protocol::profile::handle_domain;
use eko_store::Names;
use eko_web_push::Contact;

/// The configuration of a function. In Lambda it comes from the environment and from secrets
/// ([`Config::from_env`]), in local mode from the command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ORIGIN`: the public base URL, `https://DOMAIN`.
    pub origin: Origin,
    /// `HANDLE_DOMAIN`: the domain of the users' handles, in the form of
    /// [`Handle::authority`](eko_protocol::address::Handle::authority). It is that of the origin unless
    /// another domain delegates its handles to this server.
    pub handle_domain: String,
    /// The names of the table and the queues: `TABLE`, `DELIVERIES_URL`, `FEDERATION_URL`,
    /// `PUSHES_URL`. The URL of a queue that the function does not need is empty.
    pub names: Names,
    /// `SOCKETS_URL`: the management endpoint of the WebSocket API, by which frames go to sockets.
    /// `None` if the server has no sockets, or if the function posts to none.
    pub sockets_url: Option<String>,
    /// `LIVE_URL`: the address at which devices open sockets, `wss://live.DOMAIN`. `None` if the
    /// server has no sockets, or if the function need not know.
    pub live_url: Option<String>,
    /// The issuer of ID tokens: `OIDC_ISSUER`, `OIDC_AUDIENCE`, `OIDC_REQUIRE_EMAIL_VERIFIED`. The
    /// texts are empty in a function that does not need it.
    pub oidc: OidcConfig,
    /// The keys of access tokens, from the secret that `TOKEN_KEYS_PARAMETER` names
    /// ([`TokenKey::list`]). The first key signs, all verify. Empty in a function that does not
    /// need them, and then no access token is good.
    pub token_keys: Vec<TokenKey>,
    /// The limits that the operator may set. Each names its variable.
    pub limits: Limits,
    /// The settings of federation, or `None` if the server does not federate: no secret is named by
    /// `SIGNING_KEY_PARAMETER`.
    pub federation: Option<FederationConfig>,
    /// The settings of pushes, or `None` if the server sends none: `VAPID_CONTACT` is not set.
    pub push: Option<PushConfig>,
    /// The server's VAPID key, from the secret that `VAPID_KEY_PARAMETER` names: a P-256 key,
    /// PKCS#8 in PEM. `None` in a function that does not need it, and on a server that sends no
    /// pushes.
    pub vapid_key: Option<String>,
    /// `DANGER_ALLOW_LOOPBACK_HTTP`: true if the issuer and other servers may be at
    /// `http://localhost` or `http://127.0.0.1`. For local mode only: whoever can answer on that
    /// port can sign anyone in.
    pub danger_allow_loopback_http: bool,
}

/// The settings of federation with other servers.
#[derive(Clone)]
pub struct FederationConfig {
    /// The server's signing key, from the secret that `SIGNING_KEY_PARAMETER` names: an RSA key of
    /// 2048 bits or more, PKCS#8 in PEM. Empty in a function that sends nothing itself.
    pub signing_key: String,
    /// The servers to federate with: `FEDERATION_ALLOW` and `FEDERATION_DENY`, domains with commas
    /// between.
    pub policy: FederationPolicy,
    /// `SIGNATURE_WINDOW_SECONDS`: the largest difference between the time of a signature and this
    /// server's clock, in seconds. Default [`SIGNATURE_WINDOW_SECONDS`].
    pub window_seconds: u64,
}

impl FederationConfig {
    /// Creates the default settings with this signing key.
    pub fn new(signing_key: String) -> Self {
        Self { signing_key, policy: FederationPolicy::default(), window_seconds: SIGNATURE_WINDOW_SECONDS }
    }
}

impl std::fmt::Debug for FederationConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FederationConfig").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The settings of pushes.
#[derive(Clone, Debug)]
pub struct PushConfig {
    /// `VAPID_CONTACT`: the operator's address, by which push services can complain.
    pub contact: Contact,
    /// `PUSH_ALLOW`: the hosts of push services that may be at private addresses, each with a port
    /// or without, with commas between.
    pub private: PrivateHosts,
}

/// The OpenID Connect issuer of the ID tokens with which users sign in.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// The issuer's URL, exactly as in the `iss` claim.
    pub issuer: String,
    /// The audience that ID tokens must be for: the client id of the server's clients at the
    /// issuer.
    pub audience: String,
    /// True if ID tokens without `email_verified: true` are refused.
    pub require_email_verified: bool,
}

/// A key that signs and verifies access tokens (HMAC-SHA-256).
#[derive(Clone)]
pub struct TokenKey {
    /// The key's id, the `kid` in the header of a token.
    pub id: String,
    /// The secret, of 32 bytes or more.
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
/// The variable that names the parameter with [`Config::vapid_key`].
pub const VAPID_KEY_PARAMETER: &str = "VAPID_KEY_PARAMETER";

/// The settings that one function needs beside those that every function has: origin, table and
/// limits. The template and the function's IAM policy grant exactly these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The keys of access tokens.
    pub token_keys: bool,
    /// The issuer of ID tokens.
    pub issuer: bool,
    /// The key that signs requests to other servers, if the server federates.
    pub signing_key: bool,
    /// The queue `deliveries`, to send messages to it.
    pub deliveries: bool,
    /// The queue `deliveries`, to send a message to it so seldom that no connection is opened for
    /// it at the start.
    pub seldom_deliveries: bool,
    /// The sockets of devices, to post frames to them, if the server has sockets.
    pub sockets: bool,
    /// The address of the sockets, if the server has them.
    pub live: bool,
    /// The key by which push services know this server, if it sends pushes.
    pub vapid_key: bool,
    /// The queue `pushes`, to send messages to it or to change their visibility, if the server
    /// sends pushes.
    pub pushes: bool,
    /// The queue `federation`, to send messages to it or to change their visibility, if the server
    /// federates.
    pub parcels: bool,
}

impl Needs {
    /// The needs of a function that has no settings but those of every function.
    pub const NOTHING: Self = Self {
        token_keys: false,
        issuer: false,
        signing_key: false,
        deliveries: false,
        seldom_deliveries: false,
        sockets: false,
        live: false,
        vapid_key: false,
        pushes: false,
        parcels: false,
    };
}

/// The secrets that a function needs.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The text of [`Config::token_keys`].
    pub token_keys: Option<String>,
    /// The text of [`FederationConfig::signing_key`]. `None` if the server does not federate.
    pub signing_key: Option<String>,
    /// The text of [`Config::vapid_key`]. `None` if the server sends no pushes.
    pub vapid_key: Option<String>,
}

/// An error in the configuration: a variable that is missing or wrong.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// The reason, for the operator.
    pub reason: String,
}

/// The lifetime of an access token, in seconds (`docs/protocol.md`, section 10).
pub const ACCESS_TOKEN_SECONDS: i64 = 900;
/// The lifetime of a refresh token, in seconds: 60 days (`docs/protocol.md`, section 10).
pub const REFRESH_TOKEN_SECONDS: i64 = 60 * 24 * 3600;
/// The default of [`FederationConfig::window_seconds`].
pub const SIGNATURE_WINDOW_SECONDS: u64 = 300;
/// The minimum length of a token key's secret, in bytes.
const SECRET_BYTES: usize = 32;

impl Config {
    /// Creates the default configuration of the server at `origin`: without names, issuer and keys.
    /// Local mode and tests fill these in.
    pub fn new(origin: Origin) -> Self {
        Self {
            handle_domain: origin.authority().to_owned(),
            origin,
            names: Names {
                table: String::new(),
                deliveries_url: String::new(),
                federation_url: String::new(),
                pushes_url: String::new(),
            },
            sockets_url: None,
            live_url: None,
            oidc: OidcConfig {
                issuer: String::new(),
                audience: String::new(),
                require_email_verified: false,
            },
            token_keys: Vec::new(),
            limits: Limits::default(),
            federation: None,
            push: None,
            vapid_key: None,
            danger_allow_loopback_http: false,
        }
    }

    /// Reads the configuration of a function with these needs. `get` returns the value of an
    /// environment variable; `secrets` holds what was read from the Parameter Store.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or wrong.
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
        let optional =
            |needed: bool, variable: &'static str| get(variable).filter(|value| needed && !value.is_empty());
        let number =
            |variable: &'static str, default: u64| match get(variable).filter(|value| !value.is_empty()) {
                None => Ok(default),
                Some(text) => text
                    .parse()
                    .map_err(|_| ConfigError { variable, reason: format!("{text} is not a whole number") }),
            };
        // With 0 nobody could send or receive anything.
        let positive = |variable: &'static str, default: u64| match number(variable, default)? {
            0 => Err(ConfigError { variable, reason: "0 is not 1 or more".to_owned() }),
            value => Ok(value),
        };
        let switch = |variable: &'static str| matches!(get(variable).as_deref(), Some("1" | "true"));
        let origin = Origin::parse(&need("ORIGIN")?)
            .map_err(|e| ConfigError { variable: "ORIGIN", reason: e.to_string() })?;
        let default = Self::new(origin);
        let handle_domain = match get("HANDLE_DOMAIN").filter(|value| !value.is_empty()) {
            None => default.handle_domain,
            Some(text) => handle_domain(&text).map_err(|fault| ConfigError {
                variable: "HANDLE_DOMAIN",
                reason: format!("{text} {fault}"),
            })?,
        };
        // A function that only queues for other servers is not given the key. It knows by the queue
        // that there are some.
        let queues_only = (needs.parcels && !needs.signing_key)
            .then(|| get("FEDERATION_URL").filter(|url| !url.is_empty()).map(|_| String::new()));
        let federation = match secrets.signing_key.or(queues_only.flatten()) {
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
        let danger_allow_loopback_http = switch("DANGER_ALLOW_LOOPBACK_HTTP");
        let push = match get("VAPID_CONTACT").filter(|value| !value.is_empty()) {
            None => None,
            Some(text) => Some(PushConfig {
                contact: contact(&text, danger_allow_loopback_http)?,
                private: PrivateHosts::list(&get("PUSH_ALLOW").unwrap_or_default())
                    .map_err(|reason| ConfigError { variable: "PUSH_ALLOW", reason })?,
            }),
        };
        match (&push, &secrets.vapid_key) {
            (Some(_), None) if needs.vapid_key => drop(need(VAPID_KEY_PARAMETER)?),
            (None, Some(_)) => drop(need("VAPID_CONTACT")?),
            _ => {}
        }
        let limits = default.limits;
        let days = number("MESSAGE_TTL_DAYS", u64::from(limits.message_ttl_days))?;
        let send_ms = u64::try_from(limits.remote_send_time.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            names: Names {
                table: need("TABLE")?,
                deliveries_url: need_if(needs.deliveries || needs.seldom_deliveries, "DELIVERIES_URL")?,
                federation_url: need_if(needs.parcels && federation.is_some(), "FEDERATION_URL")?,
                pushes_url: need_if(needs.pushes && push.is_some(), "PUSHES_URL")?,
            },
            sockets_url: optional(needs.sockets, "SOCKETS_URL"),
            live_url: optional(needs.live, "LIVE_URL"),
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
                sender_budget: positive("SENDER_BUDGET", limits.sender_budget)?,
                sender_bytes_budget: positive("SENDER_BYTES_BUDGET", limits.sender_bytes_budget)?,
                server_budget: number("SERVER_BUDGET", limits.server_budget)?,
                server_bytes_budget: number("SERVER_BYTES_BUDGET", limits.server_bytes_budget)?,
                server_senders: number("SERVER_SENDERS", limits.server_senders)?,
                recipient_budget: positive("RECIPIENT_BUDGET", limits.recipient_budget)?,
                recipient_bytes_budget: positive("RECIPIENT_BYTES_BUDGET", limits.recipient_bytes_budget)?,
                account_budget: positive("ACCOUNT_BUDGET", limits.account_budget)?,
                account_bytes_budget: positive("ACCOUNT_BYTES_BUDGET", limits.account_bytes_budget)?,
                account_parcels: number("ACCOUNT_PARCELS", limits.account_parcels)?,
                server_receipts: number("SERVER_RECEIPTS", limits.server_receipts)?,
                account_receipts: number("ACCOUNT_RECEIPTS", limits.account_receipts)?,
                mailbox_entries: positive("MAILBOX_ENTRIES", limits.mailbox_entries)?,
                mailbox_bytes: positive("MAILBOX_BYTES", limits.mailbox_bytes)?,
                take_budget: number("TAKE_BUDGET", limits.take_budget)?,
                take_total_budget: number("TAKE_TOTAL_BUDGET", limits.take_total_budget)?,
                deletable_after_ms: limits.deletable_after_ms,
                take_server_budget: number("TAKE_SERVER_BUDGET", limits.take_server_budget)?,
                remote_send_time: Duration::from_millis(number("REMOTE_SEND_MS", send_ms)?),
            },
            federation,
            vapid_key: secrets.vapid_key,
            push,
            danger_allow_loopback_http,
            handle_domain,
            origin: default.origin,
        })
    }
}

/// Reads the operator's contact address. A local server may have its own.
///
/// # Errors
/// [`ConfigError`] if the address is none, or cannot be reached.
pub fn contact(text: &str, is_local: bool) -> Result<Contact, ConfigError> {
    let local = Contact::of_local_server();
    if is_local && text == local.as_str() {
        return Ok(local);
    }
    Contact::parse(text)
        .map_err(|error| ConfigError { variable: "VAPID_CONTACT", reason: format!("{text} {error}") })
}

impl TokenKey {
    /// Reads a list of keys: `kid:base64,kid:base64`.
    ///
    /// # Errors
    /// [`ConfigError`] if the text has another form, or a secret has fewer than 32 bytes.
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

    const ALL: Needs = Needs {
        token_keys: true,
        issuer: true,
        signing_key: true,
        deliveries: true,
        seldom_deliveries: true,
        sockets: true,
        live: true,
        vapid_key: true,
        pushes: true,
        parcels: true,
    };

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "ORIGIN" => "https://eko.example",
            "TABLE" => "eko",
            "DELIVERIES_URL" => "https://queue.example/deliveries",
            "FEDERATION_URL" => "https://queue.example/federation",
            "PUSHES_URL" => "https://queue.example/pushes",
            "VAPID_CONTACT" => "mailto:operator@eko.chat",
            "OIDC_ISSUER" => "https://id.example",
            "OIDC_AUDIENCE" => "eko",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn secrets() -> Secrets {
        let secret = "A".repeat(43);
        let token_keys = format!("2:{secret}=,1:{secret}=\n");
        Secrets {
            token_keys: Some(token_keys),
            signing_key: Some("a key".to_owned()),
            vapid_key: Some("a key".to_owned()),
        }
    }

    #[test]
    fn what_a_function_needs_is_read() {
        let config = Config::from_env(ALL, environment, secrets()).unwrap();
        assert_eq!(config.names.federation_url, "https://queue.example/federation");
        assert_eq!(config.oidc.issuer, "https://id.example");
        let ids: Vec<&str> = config.token_keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, ["2", "1"]);
        assert_eq!(config.federation.unwrap().signing_key, "a key");
        assert_eq!(config.names.pushes_url, "https://queue.example/pushes");
        assert_eq!(config.push.unwrap().contact.as_str(), "mailto:operator@eko.chat");
        assert_eq!(config.vapid_key.unwrap(), "a key");
    }

    #[test]
    fn what_it_does_not_need_is_not_asked_for() {
        let bare = |name: &str| environment(name).filter(|_| matches!(name, "ORIGIN" | "TABLE"));
        let config = Config::from_env(Needs::NOTHING, bare, Secrets::default()).unwrap();
        assert_eq!(config.names.table, "eko");
        assert!(config.token_keys.is_empty() && config.federation.is_none() && config.push.is_none());
        // A server without a signing key sends nothing to other servers.
        Config::from_env(Needs { parcels: true, ..Needs::NOTHING }, bare, Secrets::default()).unwrap();
    }

    #[test]
    fn a_server_that_sends_pushes_needs_a_key_and_a_contact() {
        let secrets = Secrets { vapid_key: None, ..secrets() };
        let error = Config::from_env(ALL, environment, secrets).unwrap_err();
        assert_eq!(error.to_string(), "VAPID_KEY_PARAMETER: is not set");
        let without = |name: &str| environment(name).filter(|_| name != "VAPID_CONTACT");
        let error = Config::from_env(ALL, without, self::secrets()).unwrap_err();
        assert_eq!(error.to_string(), "VAPID_CONTACT: is not set");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for missing in [
            "ORIGIN",
            "TABLE",
            "DELIVERIES_URL",
            "FEDERATION_URL",
            "PUSHES_URL",
            "OIDC_ISSUER",
            "OIDC_AUDIENCE",
        ] {
            let without = |name: &str| environment(name).filter(|_| name != missing);
            let error = Config::from_env(ALL, without, secrets()).unwrap_err();
            assert_eq!(error.to_string(), format!("{missing}: is not set"));
        }
        for (variable, value, told) in [
            ("ORIGIN", "eko.example", "ORIGIN: "),
            ("MESSAGE_TTL_DAYS", "0", "MESSAGE_TTL_DAYS: 0 is not between 1 and 365"),
            ("SENDER_BUDGET", "0", "SENDER_BUDGET: 0 is not 1 or more"),
            ("SENDER_BUDGET", "many", "SENDER_BUDGET: many is not a whole number"),
            ("FEDERATION_DENY", "not a domain", "FEDERATION_DENY: "),
            (
                "VAPID_CONTACT",
                "mailto:operator@localhost",
                "VAPID_CONTACT: mailto:operator@localhost must be",
            ),
            ("PUSH_ALLOW", "not a host", "PUSH_ALLOW: not a host is not a host"),
            ("HANDLE_DOMAIN", "https://b.example", "HANDLE_DOMAIN: https://b.example must be a domain name"),
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
