//! The limits of a device's mailbox.

use eko_protocol::address::Origin;
use eko_service::config::Config;

use super::{TwoUsers, told};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "entries of a device's mailbox",
    "entries of one sender in a device's mailbox",
    "bytes of a device's mailbox",
    "bytes of one sender in a device's mailbox",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Returns the answer to one envelope after a mailbox has `count` less one of what the row `limit`
/// names. It is played with a small number, and the default is compared.
async fn answer(limit: &'static str, count: u64) -> String {
    let default = Config::new(Origin::parse("https://eko.example").unwrap()).limits;
    let most = if limit.starts_with("entries") { default.mailbox_entries } else { default.mailbox_bytes };
    let most = if limit.contains("one sender") { most / 4 } else { most };
    if count <= most {
        return "201".to_owned();
    }
    // A sender has one entry; a mailbox has four, or four senders' bytes.
    let small = |config: &mut Config| {
        config.limits.mailbox_entries = 4;
        config.limits.mailbox_bytes = 4_000;
    };
    let pair = TwoUsers::with(small).await;
    assert_eq!(pair.send().await.status, 201);
    pair.world.deliver().await;
    let answer = pair.send().await;
    pair.world.deliver().await;
    if answer.json().unwrap()["eko:fullDevices"].is_array() {
        format!("{}, `eko:fullDevices`", answer.status.as_u16())
    } else {
        told(&answer)
    }
}
