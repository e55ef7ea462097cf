//! The reference client library of Eko Messages.
//!
//! Begin with [`Messenger`]: one device of one user, which signs in, sends, receives, forms groups
//! and verifies people. A program gives it four things:
//!
//! | What | Type | Given here |
//! |---|---|---|
//! | the way to servers | [`Transport`]; for live delivery [`SocketTransport`](transport::SocketTransport) | [`HttpTransport`] |
//! | a Signal library | [`SignalSessions`] | none, see [Sessions](#sessions) |
//! | a place for keys and messages | [`DeviceStore`] | one SQLite file, or memory |
//! | time and randomness | [`Environment`] | those of the system |
//!
//! # Two people talk
//!
//! This example runs against a whole server in the same process. The sessions in it encrypt
//! nothing.
//!
//! ```
//! use eko_client::messenger::{
//!     MessageDraft, MessengerError, Notice, PreparedSignIn, SignInRequest,
//! };
//! use eko_client::sessions::{
//!     DecryptedMessage, EncryptedMessage, LocalDevice, PeerDevice, PrivateKeys,
//! };
//! use eko_client::store::EnvelopeState;
//! use eko_client::{DeviceStore, Environment, KeyCounts, Messenger, SessionError, SignalSessions};
//! use eko_protocol::address::UserName;
//! use eko_protocol::key_package::KeyPackage;
//! use eko_testkit::{DirectTransport, World};
//!
//! /// Stands in for a Signal library: it passes every message on as it is.
//! struct NoEncryption;
//!
//! impl SignalSessions for NoEncryption {
//!     fn begin(
//!         &self,
//!         _: LocalDevice<'_>,
//!         _: PeerDevice<'_>,
//!         _: &KeyPackage,
//!         _: Option<&[u8]>,
//!     ) -> Result<Vec<u8>, SessionError> {
//!         Ok(b"a session".to_vec())
//!     }
//!
//!     fn usable(&self, _: &[u8], _: i64) -> Result<bool, SessionError> {
//!         Ok(true)
//!     }
//!
//!     fn encrypt(
//!         &self,
//!         _: LocalDevice<'_>,
//!         _: PeerDevice<'_>,
//!         record: &[u8],
//!         plaintext: &[u8],
//!     ) -> Result<EncryptedMessage, SessionError> {
//!         Ok(EncryptedMessage { record: record.to_vec(), content: plaintext.to_vec() })
//!     }
//!
//!     fn decrypt(
//!         &self,
//!         _: LocalDevice<'_>,
//!         _: PeerDevice<'_>,
//!         _: Option<&[u8]>,
//!         _: &dyn PrivateKeys,
//!         content: &[u8],
//!     ) -> Result<DecryptedMessage, SessionError> {
//!         let (record, plaintext) = (b"a session".to_vec(), content.to_vec());
//!         Ok(DecryptedMessage { record, plaintext, one_time: None, kyber: None })
//!     }
//! }
//!
//! type Client = Messenger<DirectTransport, NoEncryption>;
//!
//! async fn sign_in(world: &World, name: &str) -> Result<Client, MessengerError> {
//!     let environment = Environment { clock: world.clock(), ..Environment::system() };
//!     let issuer = &world.state.config().oidc; // a client reads it from the server's capabilities
//!     let request = SignInRequest {
//!         origin: world.state.origin().clone(),
//!         issuer: issuer.issuer.clone(),
//!         audience: issuer.audience.clone(),
//!         user: UserName::parse(name)?,
//!         device_name: None,
//!         counts: KeyCounts { pre_keys: 1, kyber_pre_keys: 1, last_resort: true },
//!         reset: false,
//!     };
//!     let store = DeviceStore::in_memory()?;
//!     let prepared = PreparedSignIn::new(world.transport(), store, environment, request)?;
//!     // The user signs in at the issuer, which puts the nonce of this device into the ID token.
//!     let id_token = world.issue(name, Some(prepared.challenge().nonce())).await;
//!     Ok(prepared.complete(NoEncryption, &id_token).await?.0)
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), MessengerError> {
//!     let world = World::new().await;
//!     let alice = sign_in(&world, "alice").await?;
//!     let bob = sign_in(&world, "bob").await?;
//!
//!     let draft = MessageDraft { text: "Hello, Bob!".to_owned(), attachments: Vec::new() };
//!     alice.send(&bob.me(), draft).await?;
//!     world.deliver().await; // a server in a process of its own does this by itself
//!
//!     // Bob has never written to Alice, so that her message is a request. He accepts it.
//!     bob.receive().await?;
//!     assert_eq!(bob.requests()?[0].messages[0].text, "Hello, Bob!");
//!     bob.accept_contact(&alice.me())?;
//!     let received = bob.receive().await?;
//!     assert_eq!(received.messages[0].content.text, "Hello, Bob!");
//!     assert_eq!(received.messages[0].content.actor, alice.me().actor());
//!     world.deliver().await;
//!
//!     // Bob's device has sent a receipt, so Alice hears that he has it.
//!     let [Notice::Settled(envelope)] = &alice.receive().await?.notices[..] else { panic!() };
//!     assert_eq!(envelope.state, EnvelopeState::Delivered);
//!     Ok(())
//! }
//! ```
//!
//! `examples/talk.rs` does the same over HTTP, with a local server. The package `eko-cli` is a
//! whole client, with libsignal.
//!
//! # Sessions
//!
//! This library has no ratchet, because no permissively licensed crate speaks Signal's sessions.
//! They come in through the trait [`SignalSessions`]. `eko-cli` implements it with libsignal, which
//! is AGPL-3.0.
//!
//! # Live delivery
//!
//! [`Messenger::receive`] fetches the mailbox once. [`Messenger::live_feed`] keeps a socket on which the
//! server sends entries at once, fetches while there is none, and leaves the waiting to the program:
//! the library has neither timers nor tasks. One wait is its own: that for another process which
//! replaces the tokens.
//!
//! # What the library checks
//!
//! It trusts a server with nothing that it can check. It replays the device chain of every user
//! whom it hears of, pins it, and compares it with what the server shows later ([`messenger::Trust`],
//! [`messenger::Distrust`]). A new device believes no chain of its own user before another device
//! has approved it ([`joining`]). It verifies the signatures over keys. Two people verify each
//! other by a [safety number](fingerprint). Every member of a [group] judges each change of the
//! group.
//!
//! # The layers
//!
//! * [`messenger`]: what a person does. Begin here.
//! * [`store`]: the device's keys, sessions, chains and messages, in SQLite.
//! * [`content`], [`attachment`], [`group`]: what an encrypted message says.
//! * [`device`]: single calls, one method each. For tools and tests that need no store.
//! * [`keys`], [`joining`], [`id_token`], [`fingerprint`], [`sessions`]: cryptography, as far as it is
//!   not the Signal library's.
//! * [`exchange`], [`transport`]: one HTTP request and its answer, and the frames of a socket.
//!
//! `docs/protocol.md` specifies the protocol. Section numbers in these pages are its.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod attachment;
mod brief;
pub mod capabilities;
mod clock;
pub mod content;
pub mod device;
pub mod environment;
mod error;
pub mod exchange;
pub mod fingerprint;
pub mod group;
pub mod id_token;
pub mod joining;
pub mod keys;
pub mod messenger;
mod problem;
mod reach;
pub mod sealed;
mod secret;
pub mod sessions;
mod shares;
pub mod store;
mod stored_time;
pub mod transport;

pub use brief::brief;
pub use clock::{CLOCK_TOLD_MS, ClockDifference};
pub use device::Device;
pub use environment::Environment;
pub use error::ClientError;
pub use exchange::{Auth, Body, Exchange, retry_after_s};
pub use id_token::{IdToken, IdTokenFault, SignInChallenge};
pub use joining::JoiningCode;
pub use keys::{DeviceKeys, KeyCounts};
pub use messenger::{Messenger, MessengerError};
pub use problem::ProblemDetails;
pub use reach::Reach;
pub use sessions::{SessionError, SignalSessions};
pub use store::DeviceStore;
pub use transport::{HttpTransport, Transport, TransportError};
