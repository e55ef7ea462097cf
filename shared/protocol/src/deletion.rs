//! The deletion of an account (`docs/protocol.md`, section 10): what a device signs, what other servers
//! are told, and what is left at the account's addresses.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::timestamp;
use crate::vocabulary::PUBLIC;

/// Returns what a device signs with its identity key to delete its account: a fresh ID token.
///
/// ```text
/// ┌─────────────────────────┬──────┬───────────────────────┐
/// │ "eko-account-delete-v1" │ 0x00 │ SHA-256 of the token  │
/// └─────────────────────────┴──────┴───────────────────────┘
/// ```
///
/// A sign-in signs another text ([`sign_in_base`](crate::chain::sign_in_base)), so that none becomes a
/// deletion.
pub fn deletion_base(id_token: &[u8]) -> Vec<u8> {
    let mut base = b"eko-account-delete-v1\0".to_vec();
    base.extend(Sha256::digest(id_token));
    base
}

/// Returns the activity by which an actor tells other servers that it is deleted, without its context.
/// `activity` is its id.
pub fn delete_activity(actor: &str, activity: &str) -> Value {
    json!({ "type": "Delete", "id": activity, "actor": actor, "object": actor, "to": PUBLIC })
}

/// Returns the document at an address of a deleted account, without its context. `former_type` is the
/// type of what was there; the account was deleted at `deleted_ms`, in epoch milliseconds.
pub fn tombstone(id: &str, former_type: &str, deleted_ms: i64) -> Value {
    json!({
        "type": "Tombstone",
        "id": id,
        "formerType": former_type,
        "deleted": timestamp::format(deleted_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::sign_in_base;

    #[test]
    fn a_deletion_signs_the_token_and_is_no_sign_in() {
        let base = deletion_base(b"token");
        assert_eq!(&base[..22], b"eko-account-delete-v1\0");
        assert_eq!(base[22..], *Sha256::digest(b"token"));
        assert_ne!(base, sign_in_base(b"token"));
    }
}
