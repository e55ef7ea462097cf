//! A blocked sender is shown nothing: two servers that differ in the block alone give it the same
//! answers, byte by byte, after the same calls.

use eko_client::{Auth, Body, Device, KeyCounts};
use eko_protocol::id::DeviceId;
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_service::config::Config;
use eko_testkit::{BARE, COUNTS, DirectTransport, World, envelope};
use http::Method;
use serde_json::Value;

use super::change;

/// A server with Alice, and Bob who has two devices and a block.
struct BlockScene {
    world: World,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
    second: Device<DirectTransport>,
}

/// What a sender sees of an answer, and the calls that took its time.
#[derive(Debug, PartialEq, Eq)]
struct SeenAnswer {
    status: u16,
    headers: Vec<String>,
    body: Value,
    calls: Vec<String>,
    rounds: usize,
}

/// Returns scenes that are alike, except that Bob blocks Alice in the first one and somebody else in
/// the second one.
async fn pair(keys: [KeyCounts; 2], limits: impl Fn(&mut Config)) -> [BlockScene; 2] {
    let scene = async |keys: KeyCounts, blocked: &str| {
        let world = World::with(|config| limits(config)).await;
        let (alice, bob) = (world.user("alice").await, world.user_with("bob", keys).await);
        let second = world.further(&bob, "two").await;
        change(&bob, blocked, false).await;
        BlockScene { world, alice, bob, second }
    };
    let [first, other] = keys;
    [
        scene(first, "https://eko.example/user/alice").await,
        scene(other, "https://eko.example/user/carol").await,
    ]
}

impl BlockScene {
    /// Has Alice post an activity. Returns what she sees, and the calls of the server in the order
    /// of their names, since some run at once.
    async fn post(&self, activity: &Value) -> SeenAnswer {
        self.world.calls.reset();
        let answer = self.alice.call(Method::POST, "/user/alice/outbox", Body::Json(activity), Auth::Device);
        let answer = answer.await.unwrap();
        let (mut calls, rounds) = (self.world.calls.made(), self.world.calls.rounds());
        calls.sort();
        let mut headers: Vec<String> = answer.headers.iter().map(|header| format!("{header:?}")).collect();
        headers.retain(|header| !header.contains("x-request-id"));
        headers.sort();
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
        // A problem has the id of its request.
        body.as_object_mut().unwrap().remove("instance");
        SeenAnswer { status: answer.status.as_u16(), headers, body, calls, rounds }
    }
}

/// Answers to envelopes: whole, partial, completed, repeated, stale, for one's own devices of the
/// past, and over the budget.
#[tokio::test]
async fn answers_to_envelopes() {
    let [blocked, open] = pair([BARE; 2], |config| config.limits.sender_budget = 8).await;
    let mut statuses = Vec::new();
    let whole = envelope(&blocked.alice, &[&blocked.bob, &blocked.second]);
    let half = envelope(&blocked.alice, &[&blocked.bob]);
    let mut rest = envelope(&blocked.alice, &[&blocked.second]);
    rest.id = half.id.clone();
    let mut stale = envelope(&blocked.alice, &[&blocked.bob, &blocked.second]);
    stale.messages[0].0 = DeviceId::parse("00000000-0000-4000-8000-000000000001").unwrap();
    for (what, outgoing) in [
        ("whole", &whole),
        ("half", &half),
        ("half again", &half),
        ("rest", &rest),
        ("half, now whole", &half),
        ("stale", &stale),
        ("whole again", &whole),
        ("whole again", &whole),
        ("whole again", &whole),
        ("over the budget", &whole),
    ] {
        let activity = blocked.alice.create_activity(outgoing);
        let (hidden, shown) = (blocked.post(&activity).await, open.post(&activity).await);
        assert_eq!(hidden, shown, "{what}");
        statuses.push(hidden.status);
        blocked.world.deliver().await;
        open.world.deliver().await;
    }
    assert_eq!(statuses, [201, 207, 207, 201, 201, 409, 201, 201, 201, 429]);
    assert_eq!(blocked.bob.fetch().await.unwrap().entries, []);
    assert_eq!(open.world.messages(&open.bob).await.len(), 2);
}

/// Answers to takes: those of an empty pool.
#[tokio::test]
async fn answers_to_takes() {
    let empty = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, ..COUNTS };
    let [blocked, open] = pair([COUNTS, empty], |config| config.limits.take_budget = 2).await;
    let keys_left = blocked.bob.fetch().await.unwrap().keys_left;
    for number in 0..4 {
        let take = blocked.alice.take_activity(blocked.bob.origin().key_packages(blocked.bob.user()).into());
        let (hidden, shown) = (blocked.post(&take).await, open.post(&take).await);
        assert_eq!((hidden.status, shown.status), (200, 200));
        // The keys of both scenes differ with their number; what there is does not.
        assert_eq!(members(&hidden.body), members(&shown.body), "take {number}");
        assert_eq!((hidden.calls, hidden.rounds), (shown.calls, shown.rounds), "take {number}");
    }
    assert_eq!(blocked.bob.fetch().await.unwrap().keys_left, keys_left);
    // The takes are counted apart, and leave the others their share.
    let carol = blocked.world.user("carol").await;
    let taken = carol.take(blocked.bob.user()).await.unwrap();
    assert!(taken.packages.iter().any(|package| package.pre_key.is_some()));
}

/// A block shows as little if not everyone may write to Bob, whether he knew Alice or not.
#[tokio::test]
async fn answers_if_not_everyone_may_write() {
    for who_may_write in [WhoMayWrite::Known, WhoMayWrite::Nobody] {
        for is_known in [false, true] {
            let [blocked, open] = pair([COUNTS; 2], |_| ()).await;
            for scene in [&blocked, &open] {
                scene.bob.change_settings(AccountSettings { who_may_write }).await.unwrap();
                if is_known {
                    scene.bob.accept_actor(&scene.alice.actor()).await.unwrap();
                }
            }
            let message = envelope(&blocked.alice, &[&blocked.bob, &blocked.second]);
            let (to, create) = (blocked.bob.origin().key_packages(blocked.bob.user()), &message);
            let activities = [blocked.alice.create_activity(create), blocked.alice.take_activity(to.into())];
            for activity in activities.iter().chain(&activities) {
                let (hidden, shown) = (blocked.post(activity).await, open.post(activity).await);
                let case = (who_may_write, is_known, activity["type"].to_string());
                assert_eq!((hidden.status, hidden.calls), (shown.status, shown.calls), "{case:?}");
                blocked.world.deliver().await;
                open.world.deliver().await;
            }
            assert_eq!(blocked.bob.fetch().await.unwrap().entries, []);
        }
    }
}

/// Returns the names of the members of each package, in no particular order of the packages.
fn members(collection: &Value) -> Vec<Vec<String>> {
    let packages = collection["items"].as_array().unwrap().iter();
    let mut members: Vec<Vec<String>> =
        packages.map(|package| package.as_object().unwrap().keys().cloned().collect()).collect();
    members.sort();
    members
}
