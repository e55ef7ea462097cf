//! The deletion of an account (`docs/protocol.md`, section 10): what a device signs, what other servers
//! are told, and what is left at the account's addresses.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::json::{has_type, text};
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

/// True if a document is the tombstone of what was at `id`. The status 410 alone proves no deletion: a
/// proxy or a broken release may answer it for a while.
pub fn is_tombstone(document: &Value, id: &str) -> bool {
    has_type(document, "Tombstone") && text(document, "id").is_ok_and(|named| named == id)
}

/// True if a document is the problem `user-deleted`, by which an address that is not the account's own
/// says that the account was deleted.
pub fn is_user_deleted(document: &Value) -> bool {
    text(document, "type").is_ok_and(|kind| kind.rsplit('/').next() == Some("user-deleted"))
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

    #[test]
    fn a_deletion_is_told_by_the_document_at_the_address() {
        const BOB: &str = "https://b.example/user/bob";
        assert!(is_tombstone(&tombstone(BOB, "Person", 0), BOB));
        for (other, why) in [
            (tombstone("https://b.example/user/eve", "Person", 0), "of somebody else"),
            (json!({ "type": "Person", "id": BOB }), "a person"),
            (json!({ "type": "Tombstone" }), "of nobody"),
            (json!({}), "nothing"),
        ] {
            assert!(!is_tombstone(&other, BOB), "{why}");
        }
        assert!(is_user_deleted(&json!({ "type": "https://b.example/problems/user-deleted" })));
        assert!(!is_user_deleted(&json!({ "type": "https://b.example/problems/not-found" })));
    }
}
