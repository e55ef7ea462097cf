//! The Eko protocol as pure code: names and addresses, strict JSON, keys and signatures, the device
//! chain, key packages, envelopes, coverage, HTTP signatures, and the bodies that clients and
//! servers exchange. The specification is `docs/protocol.md`; the sections named in this crate are
//! sections of that page.
//!
//! **Invariant:** this crate has no clock, no randomness and no I/O, and it does not panic. A
//! function depends on its arguments only. Times are parameters in epoch milliseconds; the lints
//! below keep panics out. The crate signs nothing and holds no private key; it
//! computes the MACs of joining from a secret that the caller holds.
//!
//! # From bytes to a decision
//!
//! 1. [`json::parse`] reads the bytes strictly. It refuses duplicate members, deep nesting and
//!    JSON-LD that restructures a document.
//! 2. A decoder such as [`envelope::Create::parse`] or [`chain::ChainNode::parse`] reads the shape.
//!    A fault is an [`Invalid`] with a JSON pointer to the member.
//! 3. A decision such as [`chain::verify_next`] or [`coverage::check`] compares the decoded value
//!    with the state that the caller read from its store.
//!
//! ```
//! use eko_protocol::activity::DeliveredActivity;
//! use eko_protocol::json;
//!
//! let body = br#"{"type": "Delivered", "object": "https://a.example/user/bob/inbox/x"}"#;
//! let delivered = DeliveredActivity::parse(&json::parse(body)?)?;
//! assert_eq!(delivered.entries, ["https://a.example/user/bob/inbox/x"]);
//!
//! let fault = DeliveredActivity::parse(&json::parse(br#"{"type": "Delivered", "object": []}"#)?);
//! assert_eq!(fault.unwrap_err().pointer, "/object");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to find
//!
//! | Topic | Section | Module |
//! |---|---|---|
//! | user names, handles, origins, the addresses under an origin | 1 | [`address`] |
//! | device ids, envelope ids, keys of mailbox entries | 1, 6 | [`id`] |
//! | strict and canonical JSON, members that may be one value or an array | 1 | [`json`] |
//! | every limit, with its unit | 12 | [`limits`] |
//! | the beginning of a text that somebody else chose | 12 | [`excerpt`] |
//! | public keys, key ids, signatures, base64 | 1, 4 | [`key`] |
//! | signatures in proofs, in multibase | 1, 3 | [`multibase`] |
//! | XEdDSA verification | 3 | [`xeddsa`] |
//! | chain nodes, the bytes they sign, replay, the MACs of joining | 3 | [`chain`] |
//! | the request for a chain through the own server | 3 | [`chain_request`] |
//! | device sets and their short form, `eko:deviceSet` | 3 | [`device_set`] |
//! | key packages, `Add`, `Check` and `Take` | 4 | [`key_package`] |
//! | `Create` of a `SignalEnvelope` | 5 | [`envelope`] |
//! | accepted envelopes, as they travel in the server and as a device fetches them | 5, 6 | [`letter`] |
//! | missing and stale devices of an envelope | 5 | [`coverage`] |
//! | `Block`, its `Undo`, and whom a block is about | 6 | [`block`] |
//! | `Delivered`, reports, answers, mailbox entries | 5, 6 | [`activity`] |
//! | the frames of a device's socket | 8 | [`frame`] |
//! | collections: mailbox page, key packages, device chain | 3, 4, 6 | [`collection`] |
//! | actors on other servers | 7 | [`actor`] |
//! | the settings of an account | 6 | [`settings`] |
//! | display names, avatars, and the handle that an actor claims | 2, 6 | [`profile`] |
//! | subscriptions for Web Push | 8 | [`push`] |
//! | the nonce of an ID token | 10 | [`sign_in`] |
//! | RFC 9421 and draft-cavage signatures | 7 | [`http_signature`] |
//! | RFC 3339 timestamps | 1 | [`timestamp`] |
//! | the vocabulary, and the JSON-LD contexts | 1 | [`vocabulary`] |
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unreachable))]

pub mod activity;
pub mod actor;
pub mod address;
pub mod block;
pub mod chain;
pub mod chain_request;
pub mod collection;
pub mod coverage;
pub mod deletion;
pub mod device_set;
pub mod envelope;
pub mod excerpt;
pub mod flag;
pub mod frame;
pub mod franking;
pub mod group_state;
pub mod http_signature;
pub mod id;
mod invalid;
pub mod json;
pub mod key;
pub mod key_package;
pub mod letter;
pub mod limits;
pub mod moving;
pub mod multibase;
pub mod profile;
pub mod push;
pub mod settings;
pub mod sign_in;
#[cfg(test)]
mod signer;
pub mod timestamp;
pub mod vocabulary;
pub mod xeddsa;

pub use invalid::Invalid;
