//! Federation: exchanges with other servers (`docs/protocol.md`, section 7).
//!
//! **Invariant:** every request to another server goes through [`client::GuardedClient`], which
//! checks the address that it connects to. Every request of another server is verified by
//! [`Federation::verify`]. Only [`Federation::permitted`] and [`Federation::permit`] decide which
//! servers this one federates with.
//!
//! # Where to find
//!
//! | Topic | Module |
//! |---|---|
//! | requests with limits, redirects, TLS, the check of URLs | [`client`] |
//! | the check of IP addresses | [`address_guard`] |
//! | name resolution and sockets, replaceable in tests | [`network`] |
//! | actors and handles of other servers, in memory, in the table, from their server | `directory` |
//! | fetches of actors that unverified requests cause | `inbound`, `waits` |
//! | one fetch of an actor document | `fetch` |
//! | an actor whose inbox is not there any more | `moved` |
//! | one fetch of a device chain | `chain` |
//! | signatures of received requests | [`verify`] |
//! | signed POSTs, and the meaning of their answers | [`post`] |
//! | RSA keys in PEM | [`keys`] |
//! | allow and deny lists | [`policy`] |

pub mod address_guard;
mod chain;
pub mod client;
mod directory;
mod error;
mod fetch;
mod inbound;
pub mod keys;
mod memory;
mod moved;
pub mod network;
pub mod policy;
pub mod post;
pub mod verify;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use eko_protocol::address::Origin;
use eko_protocol::franking::FrankingSecret;
use eko_protocol::http_signature::{self, OutgoingRequest, RequestedSignature};
use eko_store::Store;
use http::{HeaderName, HeaderValue, StatusCode};

pub use client::ExchangeLimits;
pub use directory::StoredActor;
pub use eko_protocol::http_signature::Scheme;
pub use error::RemoteError;
pub use memory::CachedActor;

use client::GuardedClient;
use keys::SigningKey;
use memory::Memory;
use policy::FederationPolicy;
use waits::Waits;

/// The maximum size of a document or an answer of another server, in bytes: 1 MiB.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The time for one exchange if a client waits for up to three of them in succession: 5 seconds.
pub const STEP_TIME: Duration = Duration::from_secs(5);

/// The settings of this server as a member of the federation.
pub struct FederationSettings {
    /// The origin of this server.
    pub origin: Origin,
    /// The key that signs the requests of all local actors.
    pub key: Arc<SigningKey>,
    /// The policy that permits or excludes other servers.
    pub policy: FederationPolicy,
    /// The accepted difference between the time of a signature and the current time, in both
    /// directions, in milliseconds.
    pub window_ms: i64,
}

/// This server as a member of the federation: its settings, and its view of other servers.
pub struct Federation {
    settings: FederationSettings,
    client: GuardedClient,
    store: Store,
    memory: Memory,
    waits: Waits,
}

impl Federation {
    /// Creates the server's federation. It makes no call.
    pub fn new(settings: FederationSettings, client: GuardedClient, store: Store) -> Self {
        Self { settings, client, store, memory: Memory::default(), waits: Waits::default() }
    }

    /// Returns the key with which this server vouches for the envelopes of its users.
    pub fn franking(&self) -> &FrankingSecret {
        self.settings.key.franking()
    }

    /// Returns this server's origin.
    pub fn origin(&self) -> &Origin {
        &self.settings.origin
    }

    /// Notes a verified request of a server. Returns true for the first one in ten seconds, as far as
    /// this process knows. Makes no call.
    pub fn hears(&self, origin: &Origin, now_ms: i64) -> bool {
        self.memory.hear(origin, now_ms)
    }

    /// Returns the headers that sign a request.
    fn signed_headers(
        &self,
        signing: &Signing,
        request: &OutgoingRequest<'_>,
        now_ms: i64,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let unsigned = match signing {
            Signing::Usual(scheme) => http_signature::prepare(*scheme, request, now_ms),
            Signing::Requested(wish) => http_signature::prepare_requested(wish, request, now_ms),
        };
        let signed = unsigned.map_err(|error| error.to_string()).and_then(|unsigned| {
            let signature = self.settings.key.sign(unsigned.base()).map_err(|error| error.to_string())?;
            Ok(unsigned.into_headers(&signature))
        });
        let headers = signed.unwrap_or_else(|error| {
            // The request is sent without a signature. The other server refuses it, and our log has
            // the reason.
            tracing::error!(url = %request.url, error, "a request could not be signed");
            Vec::new()
        });
        let typed = |(name, value): (&'static str, String)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
        };
        headers.into_iter().filter_map(typed).collect()
    }
}

/// Returns the id of the key of a local actor. All local actors share one key; each publishes it
/// under an id of its own.
pub fn key_id(actor: &str) -> String {
    format!("{actor}#main-key")
}

/// The header by which a server asks for a signature (RFC 9421, section 5).
const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");

/// The signature of one knock.
#[derive(Debug, Clone)]
enum Signing {
    /// The usual signature by a scheme.
    Usual(Scheme),
    /// The signature that the server asked for, by RFC 9421.
    Requested(RequestedSignature),
}

impl Signing {
    /// Returns the signature of the second knock, after the answer to the first one, or `None` if
    /// the answer asks for none. A request for a signature (`Accept-Signature` of a 401) is honoured
    /// if it can be; otherwise it is the other scheme's turn.
    fn second(
        first: Scheme,
        status: StatusCode,
        accept_signature: Option<&str>,
        has_body: bool,
        key_id: &str,
    ) -> Option<Self> {
        if !asks_for_another(status) {
            return None;
        }
        let wish = accept_signature.filter(|_| status == StatusCode::UNAUTHORIZED);
        let wish = wish.and_then(|text| RequestedSignature::read(text, has_body, key_id));
        Some(wish.map_or(Self::Usual(first.other()), Self::Requested))
    }

    /// Returns the scheme.
    fn scheme(&self) -> Scheme {
        match self {
            Self::Usual(scheme) => *scheme,
            Self::Requested(_) => Scheme::Rfc9421,
        }
    }
}

/// True if a status may mean that the other server does not know the signature scheme, so that a
/// second knock with the other scheme is worthwhile. 500 is among them: fediverse-pasture answers
/// it to RFC 9421.
fn asks_for_another(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403 | 500)
}

/// Returns the limits of one exchange that takes at most `time`.
pub fn limits(time: Duration) -> ExchangeLimits {
    ExchangeLimits { time, body_bytes: MAX_ANSWER_BYTES }
}
