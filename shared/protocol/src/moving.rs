//! Answers that say that a user has moved to another account (`docs/protocol.md`, section 3).
//!
//! ```text
//! {"type": "ORIGIN/problems/user-moved", "status": 410, "eko:movedTo": <the new actor id>, …}
//! ```
//!
//! Such an answer is the word of a server. The device chain proves it.

use serde_json::Value;

use crate::json::{optional_text, text};
use crate::limits::MAX_ID_BYTES;

/// True if the body of a 410 is the problem `user-moved`.
pub fn is_user_moved(document: &Value) -> bool {
    text(document, "type").is_ok_and(|kind| kind.rsplit('/').next() == Some("user-moved"))
}

/// Returns the new actor id that such a problem names.
pub fn moved_to(document: &Value) -> Option<String> {
    let actor = optional_text(document, "eko:movedTo").ok().flatten()?;
    (actor.len() <= MAX_ID_BYTES).then(|| actor.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_move_is_told_by_the_type_of_a_problem() {
        let new = "https://c.example/user/bob";
        let moved = json!({ "type": "https://b.example/problems/user-moved", "eko:movedTo": new });
        assert!(is_user_moved(&moved));
        assert_eq!(moved_to(&moved).as_deref(), Some(new));
        assert!(!is_user_moved(&json!({ "type": "https://b.example/problems/user-deleted" })));
        assert_eq!(moved_to(&json!({ "eko:movedTo": 7 })), None);
        assert_eq!(moved_to(&json!({ "eko:movedTo": "x".repeat(513) })), None);
    }
}
