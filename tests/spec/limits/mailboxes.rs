//! The limits of a device's mailbox.

use eko_client::{Auth, Body, Device};
use eko_protocol::address::Origin;
use eko_service::config::Config;
use eko_testkit::{DirectTransport, envelope};
use http::Method;
use serde_json::json;

use super::TwoUsers;

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "entries of a device's mailbox",
    "entries of one user here, or of one site, in a device's mailbox",
    "bytes of a device's mailbox",
    "bytes of one user here, or of one site, in a device's mailbox",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Returns the answers to one envelope after a mailbox has `count` less one of what the row `limit`
/// names. It is played with a small number, and the default is compared.
async fn answer(limit: &'static str, count: u64) -> String {
    let default = Config::new(Origin::parse("https://eko.example").unwrap()).limits;
    let most = if limit.starts_with("entries") { default.mailbox_entries } else { default.mailbox_bytes };
    let most = if limit.contains("one user here") { most / 4 } else { most };
    if count <= most {
        return "201".to_owned();
    }
    // A sender has one entry; a mailbox has four, or four senders' bytes.
    let small = |config: &mut Config| {
        config.limits.mailbox_entries = 4;
        config.limits.mailbox_bytes = 4_000;
    };
    let TwoUsers { world, alice, bob } = TwoUsers::with(small).await;
    let second = world.further(&bob, "two").await;
    let send = async |to: &[&Device<DirectTransport>]| {
        let activity = alice.create_activity(&envelope(&alice, to));
        alice.call(Method::POST, "/user/alice/outbox", Body::Json(&activity), Auth::Device).await.unwrap()
    };
    assert_eq!(send(&[&bob]).await.status, 207);
    world.deliver().await;
    let (some, all) = (send(&[&bob, &second]).await, send(&[&bob]).await);
    world.deliver().await;
    for answer in [&some, &all] {
        assert_eq!(answer.json().unwrap()["eko:fullDevices"], json!([bob.address()]));
    }
    let (some, all) = (some.status.as_u16(), all.status.as_u16());
    format!("{some}, or {all} if all named are full; `eko:fullDevices`")
}
