//! Budgets of envelopes.

use super::{TwoUsers, told};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "envelopes a minute, one sender to one recipient",
    "envelopes a minute, all senders to one recipient",
    "bytes of ciphertexts a minute to one recipient",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Answers a request with exactly `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    match limit {
        "envelopes a minute, one sender to one recipient" => {
            let pair = TwoUsers::new().await;
            for _ in 1..count {
                assert_eq!(pair.send().await.status, 201);
            }
            let answer = pair.send().await;
            pair.world.deliver().await;
            told(&answer)
        }
        "envelopes a minute, all senders to one recipient" => {
            let most = TwoUsers::new().await.world.state.config().limits.recipient_budget;
            let pair = TwoUsers::with(|config| config.limits.recipient_budget = 1).await;
            assert_eq!(pair.send().await.status, 201);
            let answer = pair.send().await;
            pair.world.deliver().await;
            if count <= most { "201".to_owned() } else { told(&answer) }
        }
        "bytes of ciphertexts a minute to one recipient" => {
            let most = TwoUsers::new().await.world.state.config().limits.recipient_bytes_budget;
            let pair = TwoUsers::with(|config| config.limits.recipient_bytes_budget = 1).await;
            let answer = pair.send().await;
            if count <= most { "201".to_owned() } else { told(&answer) }
        }
        other => panic!("nothing plays the limit {other:?}"),
    }
}
