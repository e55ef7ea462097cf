//! A whole server in a test, with its own store, clock and issuer. For development only.
//!
//! [`World`] is the server. Devices talk to it by [`eko_client`] over [`DirectTransport`], which
//! calls the router without a socket. The engines, the SDK clients and the functions are those of
//! local mode.
//!
//! Time stands still unless a test moves it, and random bytes are the same in every run, so whole
//! answers can be compared with snapshots. Each function has AWS clients of its own, under the
//! policy that the deployment template gives it. Several servers, and strangers (servers of other
//! software), talk over an [`Internet`] of the test.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use this crate: a panic is how a test fails"
)]

mod answers;
mod backend;
mod calls;
mod chain_changes;
mod delayed;
mod direct;
mod excuses;
mod franked;
mod hidden;
mod internet;
mod jwt;
mod letters;
mod losses;
mod parallel;
mod people;
mod policies;
mod push_service;
mod random;
mod socket;
mod stored;
mod stranger;
pub mod template;
mod world;

pub use answers::{refusal, refused};
pub use calls::{CallFault, Calls, HeldCall, RecordedCall};
pub use chain_changes::ChainChanges;
pub use direct::DirectTransport;
pub use excuses::{ANNOUNCED, Feature};
pub use franked::FrankedContent;
pub use internet::{Internet, TlsListener};
pub use jwt::{jwt, read_jwt};
pub use letters::{ciphertext, envelope};
pub use losses::lose_each_answer;
pub use parallel::parallel;
pub use people::{BARE, COUNTS, post_registration};
pub use policies::{Action, Policies};
pub use push_service::{Browser, PushAnswer, PushSite};
pub use random::seeded;
pub use socket::TestSocket;
pub use stored::StoredState;
pub use stranger::{AnswerTail, Stranger, StrangerAnswer, StrangerRequest, sign, signing_key};
pub use world::{START_MS, World};
