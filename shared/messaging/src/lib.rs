//! The life of a message on the server, from acceptance to acknowledgement, without HTTP or Lambda.
//!
//! | module | verb | caller |
//! |---|---|---|
//! | [`send`] | sends a local device's envelope to devices here or to another server | `outbox` |
//! | [`accept`] | accepts an envelope for a user here: coverage, record, queue | `inbox`, [`send`] |
//! | [`deliver`] | turns messages of the queue `deliveries` into mailbox entries | `deliver` |
//! | [`fetch`] | reads a page of a mailbox | `devices` |
//! | [`acknowledge`] | deletes entries of a mailbox and sends receipts to their authors | `outbox`, `devices` |
//! | `erase` | orders the erasure of revoked devices, and carries it out step by step | `auth`, `devices`, [`deliver`] |
//! | [`live`] | connects sockets, answers what they ask for, and posts new entries to them | `socket`, [`deliver`] |
//! | [`report`] | puts reports into a user's mailboxes | `inbox`, `auth`, and the modules here |
//! | [`block`] | blocks an actor or a domain, and lists what is blocked | `outbox`, `devices` |
//! | `flag` | keeps reports of messages for the operators, and passes them on | `outbox`, `inbox` |
//! | [`known`] | decides who may write; changes whom a user knows, and the setting | `outbox`, `devices`, [`accept`], [`take`] |
//! | [`take`] | gives out key packages, or asks another server for them | `key-packages`, `outbox`, `inbox` |
//! | [`chain`] | reads a device chain here, or at another server | `outbox` |
//! | [`parcel`] | tries the messages of the queue `federation` and decides what becomes of each | `federate` |
//! | [`push`] | orders pushes and checks, and carries the orders out | [`deliver`], `push` |
//! | [`dispatch`] | makes one attempt at another server and keeps its circuit breaker | [`send`], [`take`], [`chain`], [`parcel`] |
//! | `wake` | wakes what waits for a server that sends something | `inbox`, `federate` |
//! | `export` | reads a page of everything that is stored about a user | `devices` |
//! | `group_state` | keeps the sealed group states of a user | `group-state` |
//! | [`active_device`] | checks that the calling device is active | every function that a device calls |
//!
//! Every verb is a method of [`Messaging`], which holds what all of them need. A verb that talks to
//! another server takes the [`eko_federation::Federation`] as a parameter, so that functions
//! without one do not link it.
//!
//! **Invariant:** this crate knows no HTTP status, no header, no Lambda event. It calls AWS through
//! `eko-store` only, and other servers through `eko-federation` only. Time and randomness come from
//! [`Messaging`].
//!
//! **API boundary:** an outcome that a client is told is a value ([`send::SendOutcome`],
//! [`accept::Acceptance`]). [`MessagingError`] says why there is no outcome; `eko-service` maps it
//! to a problem.

pub mod accept;
pub mod acknowledge;
pub mod active_device;
pub mod block;
mod budget;
pub mod chain;
mod context;
mod delete;
pub mod deliver;
pub mod dispatch;
mod erase;
mod error;
mod export;
pub mod fetch;
mod fill;
pub mod flag;
mod group_state;
pub mod known;
pub mod live;
pub mod parcel;
mod profile;
pub mod push;
mod queue_message;
pub mod report;
pub mod send;
pub mod take;
mod wake;

pub use context::{Clock, Limits, Messaging, Random};
pub use error::{MessagingError, Refusal, Result};
pub use queue_message::QueueMessage;
