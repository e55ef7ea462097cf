//! Group records that a user's devices keep at their server (`docs/protocol.md`, section 9): the keys
//! under which they are sealed, sealing and opening, and their content.

mod key;
mod record;
mod seal;

pub use key::{MOST_STATE_KEYS, StateKey, StateKeys};
pub use record::GroupRecord;
pub use seal::{MAX_RECORD, OpenError, RECORD_LENGTHS, SealedPlace, key_of, open, seal};

#[cfg(test)]
mod tests;
