//! Limits of key packages.

use eko_client::{Auth, Body};
use eko_protocol::key_package::{PublicationKind, PublishedKeys};
use eko_service::config::Config;
use eko_testkit::{BARE, Internet, Stranger, World};
use http::Method;
use serde_json::json;

use super::{TwoUsers, told};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "one-time keys of a kind in a request",
    "one-time keys of a kind in a pool",
    "key id",
    "ids from the highest published one-time key of a kind to a new one",
    "seconds that the time of a publication is off",
    "replacements of all keys of a device an hour",
    "key packages in a `Take`",
    "one-time keys of a device an hour, to one taker",
    "one-time keys of a device an hour, to one other site",
    "one-time keys of a device an hour, to all",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Answers a request with exactly `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    match limit {
        "one-time keys of a kind in a request" => told(&TwoUsers::new().await.publish(1..count + 1).await),
        "one-time keys of a kind in a pool" => {
            let pair = TwoUsers::new().await;
            for start in (0..count - 1).step_by(100) {
                let end = (start + 100).min(count - 1);
                assert_eq!(pair.publish(start..end).await.status, 200);
            }
            told(&pair.publish(count - 1..count).await)
        }
        "key id" => {
            // A replacement may begin with any id.
            let pair = TwoUsers::new().await;
            let signed = pair.alice.keys().signed_pre_key();
            let object =
                json!({ "signedPreKey": signed, "preKeys": [{ "keyId": count, "key": signed.key }] });
            told(&pair.publish_at(&object, PublicationKind::Replacement, pair.world.now_ms()).await)
        }
        "ids from the highest published one-time key of a kind to a new one" => {
            told(&TwoUsers::new().await.publish(count..count + 1).await)
        }
        "seconds that the time of a publication is off" => {
            let pair = TwoUsers::new().await;
            let object = json!({ "signedPreKey": pair.alice.keys().signed_pre_key() });
            let published_ms = pair.world.now_ms() - i64::try_from(count * 1000).unwrap();
            told(&pair.publish_at(&object, PublicationKind::Addition, published_ms).await)
        }
        "replacements of all keys of a device an hour" => {
            let pair = TwoUsers::new().await;
            let object = json!({ "signedPreKey": pair.alice.keys().signed_pre_key() });
            let mut last = String::new();
            for ms in 0..i64::try_from(count).unwrap() {
                let published_ms = pair.world.now_ms() + ms;
                last = told(&pair.publish_at(&object, PublicationKind::Replacement, published_ms).await);
            }
            last
        }
        "key packages in a `Take`" => {
            let pair = TwoUsers::new().await;
            let packages: Vec<String> = (0..count)
                .map(|number| format!("https://eko.example/user/bob/keyPackage/00000000-0000-4000-8000-0000000000{number:02}"))
                .collect();
            told(&pair.post("/user/bob/keyPackages", &pair.alice.take_activity(json!(packages))).await)
        }
        "one-time keys of a device an hour, to one taker" => last_take(count, |_| {}, false).await,
        "one-time keys of a device an hour, to one other site" => {
            let most = TwoUsers::new().await.world.state.config().limits.take_server_budget;
            let over = last_take(2, |config| config.limits.take_server_budget = 1, true).await;
            if count <= most { "200".to_owned() } else { over }
        }
        "one-time keys of a device an hour, to all" => {
            let most = TwoUsers::new().await.world.state.config().limits.take_total_budget;
            let over = last_take(2, |config| config.limits.take_total_budget = 1, false).await;
            if count <= most { "200".to_owned() } else { over }
        }
        other => panic!("nothing plays the limit {other:?}"),
    }
}

/// Takes Bob's package so often, and tells whether the last came with a one-time key.
async fn last_take(takes: u64, change: impl FnOnce(&mut Config), by_server: bool) -> String {
    let internet = Internet::new();
    let world = World::at(&internet, "eko.example", change).await;
    let stranger = Stranger::new(&internet, "b.example").await;
    let (alice, mut bob) = (world.user_with("alice", BARE).await, world.user_with("bob", BARE).await);
    let environment = bob.environment().clone();
    let keys: PublishedKeys = bob.keys_mut().more(10, 0, &environment).unwrap();
    bob.publish(&keys).await.unwrap();
    let mut with = false;
    for _ in 0..takes {
        let collection = json!("https://eko.example/user/bob/keyPackages");
        let body = if by_server {
            let take = json!({ "type": "Take", "actor": stranger.actor, "object": collection });
            let (status, body) = stranger.deliver(&world, "/user/bob/inbox", &take).await;
            assert_eq!(status, 200);
            body
        } else {
            let take = alice.take_activity(collection);
            let answer = alice
                .call(Method::POST, "/user/bob/keyPackages", Body::Json(&take), Auth::Device)
                .await
                .unwrap();
            assert_eq!(answer.status, 200);
            answer.json().unwrap()
        };
        with = body["items"][0].get("preKey").is_some();
    }
    if with { "200".to_owned() } else { "200, without one-time keys".to_owned() }
}
