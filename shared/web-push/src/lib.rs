//! Web Push (`docs/protocol.md`, section 8): one message to a push service wakes an absent device.
//!
//! | module | content |
//! |---|---|
//! | [`vapid`] | the server's VAPID key, its tokens (RFC 8292), and the operator's contact |
//! | [`encryption`] | the encryption of a message for a browser (RFC 8291) |
//! | [`service`] | the request to a push service (RFC 8030), and the meaning of its answer |
//!
//! **Invariant:** every request goes through [`GuardedClient`], because the endpoint of a
//! subscription is a URL that somebody else chose. A message carries no sender, no content and no
//! count.
//!
//! [`GuardedClient`]: eko_federation::client::GuardedClient

pub mod encryption;
pub mod service;
pub mod vapid;

pub use service::{PushOutcome, PushService, service_host};
pub use vapid::{Contact, KeyError, VapidKey};
