//! Talking to other servers: a guarded HTTP client, actors and their cache, HTTP signatures made and
//! verified, activities posted. `docs/protocol.md`, section 7.
//!
//! Everything that goes out passes [`client::GuardedClient`], which checks the address that it connects to;
//! everything that comes in passes [`Federation::verify`]. [`Federation::permitted`] is the one place that
//! says whom this server talks with.

pub mod address_guard;
pub mod client;
mod directory;
mod error;
pub mod keys;
mod memory;
pub mod network;
pub mod policy;
pub mod post;
pub mod verify;

use std::sync::Arc;
use std::time::Duration;

use eko_protocol::address::Origin;
use eko_protocol::http_signature::{self, OutgoingRequest};
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

/// Bytes of a document or an answer that is read of another server: 1 MiB.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How long one exchange with another server may take: 10 seconds (`docs/protocol.md`, section 7).
pub const EXCHANGE_TIME: Duration = Duration::from_secs(10);
/// The same where a client waits for three of them, one after another.
pub const STEP_TIME: Duration = Duration::from_secs(5);

/// This server among the others.
pub struct Federation {
    origin: Origin,
    key: Arc<SigningKey>,
    client: GuardedClient,
    policy: FederationPolicy,
    window_ms: i64,
    store: Store,
    memory: Memory,
}

impl Federation {
    /// Makes no call. `window_ms` is how far a signature's time may be off.
    pub fn new(
        origin: Origin,
        key: Arc<SigningKey>,
        client: GuardedClient,
        policy: FederationPolicy,
        window_ms: i64,
        store: Store,
    ) -> Self {
        Self { origin, key, client, policy, window_ms, store, memory: Memory::default() }
    }

    /// This server's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The headers that sign a request.
    fn signed_headers(
        &self,
        scheme: Scheme,
        request: &OutgoingRequest<'_>,
        now_ms: i64,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let signed = http_signature::prepare(scheme, request, now_ms)
            .map_err(|error| error.to_string())
            .and_then(|unsigned| {
                let signature = self.key.sign(unsigned.base()).map_err(|error| error.to_string())?;
                Ok(unsigned.into_headers(&signature))
            });
        let headers = signed.unwrap_or_else(|error| {
            // The other server will refuse what is not signed, and the reason is in our log.
            tracing::error!(url = %request.url, error, "a request could not be signed");
            Vec::new()
        });
        let typed = |(name, value): (&'static str, String)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
        };
        headers.into_iter().filter_map(typed).collect()
    }
}

/// The id of the key of an actor of ours. All are one key under each actor's own id.
pub fn key_id(actor: &str) -> String {
    format!("{actor}#main-key")
}

/// Whether a status may mean that the signature's scheme is not known: worth a second knock with the other. 500 too:
/// fediverse-pasture answers it to RFC 9421.
fn asks_for_another(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403 | 500)
}

/// The limits of one exchange within `time`.
pub fn limits(time: Duration) -> ExchangeLimits {
    ExchangeLimits { time, body_bytes: MAX_ANSWER_BYTES }
}
