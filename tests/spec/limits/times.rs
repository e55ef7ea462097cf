//! Limits of time.

use eko_client::device::RegistrationProof;
use eko_client::{Auth, Body, Device, Exchange};
use eko_testkit::{BARE, DirectTransport, World, post_registration};
use http::Method;
use serde_json::json;

use super::{TwoUsers, told};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "seconds of an access token",
    "seconds of a refresh token",
    "seconds in which a refresh may be repeated",
    "later repetitions of a refresh in 24 hours",
    "seconds since the sign-in of a reset",
    "days of an entry in a mailbox",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Answers a request with exactly `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    match limit {
        // A token is good until the second in which it ends.
        "seconds of an access token" => told(&fetch_after(count - 1).await),
        "seconds of a refresh token" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            world.advance(i64::try_from((count - 1) * 1000).unwrap());
            let body = json!({ "refreshToken": alice.tokens().unwrap().refresh });
            told(&alice.call(Method::POST, "/auth/refresh", Body::Json(&body), Auth::Nobody).await.unwrap())
        }
        "seconds in which a refresh may be repeated" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            // The only later repetition of the day is over.
            repeat_later(&world, &alice, 60).await;
            told(&repeat_later(&world, &alice, count - 1).await)
        }
        "later repetitions of a refresh in 24 hours" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            for _ in 1..count {
                repeat_later(&world, &alice, 600).await;
            }
            told(&repeat_later(&world, &alice, 600).await)
        }
        "seconds since the sign-in of a reset" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            let device = world.device("alice", "two", BARE);
            let token = world.id_token(&device).await;
            world.advance(i64::try_from(count * 1000).unwrap());
            let (_, chain) = alice.chain(alice.user()).await.unwrap();
            let body =
                device.registration(RegistrationProof::Node(device.reset_node(&chain.position).unwrap()));
            told(&post_registration(&device, &token, &body).await)
        }
        "days of an entry in a mailbox" => {
            let TwoUsers { world, alice, bob } = TwoUsers::new().await;
            world.send(&alice, &[&bob]).await;
            world.deliver().await;
            let day_ms = 24 * 3_600_000;
            // One second less than that many days.
            world.advance(i64::try_from(count).unwrap() * day_ms - 1000);
            bob.refresh().await.unwrap();
            let there = !bob.fetch().await.unwrap().entries.is_empty();
            if there { "200".to_owned() } else { "200, without the entry".to_owned() }
        }
        other => panic!("nothing plays the limit {other:?}"),
    }
}

/// Refreshes the tokens of a device, and repeats that so long after.
async fn repeat_later(world: &World, device: &Device<DirectTransport>, seconds: u64) -> Exchange {
    let body = json!({ "refreshToken": device.tokens().unwrap().refresh });
    device.refresh().await.unwrap();
    world.advance(i64::try_from(seconds * 1000).unwrap());
    device.call(Method::POST, "/auth/refresh", Body::Json(&body), Auth::Nobody).await.unwrap()
}

/// Fetches a mailbox so long after the access token was made.
async fn fetch_after(seconds: u64) -> Exchange {
    let TwoUsers { world, alice, .. } = TwoUsers::new().await;
    world.advance(i64::try_from(seconds * 1000).unwrap());
    alice.call(Method::GET, "/user/alice/inbox", Body::Empty, Auth::Device).await.unwrap()
}
