//! The queue `federation`: actors that are fetched later, because their server is too slow for the
//! request that named them.
//!
//! Such a message is lost without harm: the other server sends its request again, and the fetch is
//! planned anew.

use serde::{Deserialize, Serialize};

use crate::attribute::corrupt;
use crate::queue::OutgoingMessage;
use crate::{Result, Store};

/// The time for which a planned fetch is worth making, in milliseconds: 5 minutes.
const USEFUL_MS: i64 = 300_000;

/// A planned fetch of an actor: one message of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFetch {
    /// The id of the actor to fetch.
    pub fetch: String,
    /// The time when the fetch was planned, in epoch milliseconds.
    pub planned_ms: i64,
}

impl PlannedFetch {
    /// Reads the body of a queue message. Returns `None` for a message of another kind.
    pub fn parse(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// True if the fetch was planned so long ago that nobody waits for it any more.
    pub fn is_stale(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.planned_ms) > USEFUL_MS
    }
}

impl Store {
    /// Queues a planned fetch of an actor.
    ///
    /// One SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach. The fetch is not made then.
    pub async fn queue_fetch(&self, actor: &str, now_ms: i64) -> Result<()> {
        let planned = PlannedFetch { fetch: actor.to_owned(), planned_ms: now_ms };
        let body = serde_json::to_string(&planned).map_err(corrupt)?;
        self.send(self.federation_url(), vec![OutgoingMessage::from(body)]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_is_told_from_a_parcel() {
        let planned = PlannedFetch { fetch: "https://b.example/users/eve".to_owned(), planned_ms: 1_000 };
        let body = serde_json::to_string(&planned).unwrap();
        assert_eq!(PlannedFetch::parse(&body), Some(planned.clone()));
        assert!(crate::parcels::Parcel::parse(&body).is_err());
        let parcel =
            r#"{"to":"https://b.example/users/eve","author":"alice","first_ms":1,"body":{"text":"{}"}}"#;
        assert!(crate::parcels::Parcel::parse(parcel).is_ok() && PlannedFetch::parse(parcel).is_none());
        assert!(!planned.is_stale(301_000) && planned.is_stale(301_001));
    }
}
