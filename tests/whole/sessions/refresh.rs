//! Refresh tokens: each is exchanged once, which may be repeated for a minute, and later once in a day.
//! Any other use or a logout ends all tokens of its family.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use eko_client::device::{DeviceTokens, JoinKind, RegistrationStatus};
use eko_client::{Device, DeviceKeys, Exchange, Transport, TransportError};
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, World, parallel, refusal, refused};
use http::{Request, Response};
use serde_json::json;
use tokio::sync::Notify;

use super::first_device;
use crate::people::alice_and_bob;
use crate::redactions::redacted;
use crate::requests::{get_with_token, post_public};
use crate::{DAY_MS, MINUTE_MS, SECOND_MS};

/// Tries a fetch with the access token and a refresh with the refresh token, and returns both
/// answers in one line each.
async fn try_tokens(device: &Device<DirectTransport>, tokens: &DeviceTokens) -> (String, String) {
    let path = device.origin().inbox(device.user());
    let fetch = get_with_token(device, &path, &tokens.access).await;
    let body = json!({ "refreshToken": tokens.refresh });
    let refresh = post_public(device, "/auth/refresh", &body).await;
    let without_body = |line: String| line.split(" {").next().unwrap_or_default().to_owned();
    (without_body(refusal(&fetch)), without_body(refusal(&refresh)))
}

/// The answers to tokens that are good.
const GOOD: (&str, &str) = ("200", "200");

/// The answers to an access token that is good and a refresh token that is not.
const SPENT: (&str, &str) = ("200", "401 unauthenticated");

fn pair((fetch, refresh): (&str, &str)) -> (String, String) {
    (fetch.to_owned(), refresh.to_owned())
}

#[tokio::test]
async fn a_refresh_is_answered_with_new_tokens() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let body = json!({ "refreshToken": alice.tokens().unwrap().refresh });
    let answer = post_public(&alice, "/auth/refresh", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let _redacted = redacted();
    insta::assert_json_snapshot!(answer.json().unwrap(), @r#"
    {
      "accessToken": "[token]",
      "actor": "https://eko.example/user/alice",
      "device": "https://eko.example/user/alice/device/90816503-b9ba-4649-bfc0-f3beb547eb8a",
      "expiresIn": 900,
      "refreshToken": "[token]",
      "tokenType": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn tokens_are_rotated() {
    let world = World::new().await;
    let alice = first_device(&world, "alice");
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    let first = alice.tokens().unwrap();
    world.advance(10 * SECOND_MS);
    alice.refresh().await.unwrap();
    let second = alice.tokens().unwrap();
    assert_ne!((&first.access, &first.refresh), (&second.access, &second.refresh));
    // An access token is good for exactly fifteen minutes.
    world.advance(889 * SECOND_MS);
    let fetch = async |tokens: &DeviceTokens| {
        get_with_token(&alice, "/user/alice/inbox", &tokens.access).await.status.as_u16()
    };
    assert_eq!((fetch(&first).await, fetch(&second).await), (200, 200));
    world.advance(SECOND_MS);
    assert_eq!((fetch(&first).await, fetch(&second).await), (401, 200));
    world.advance(10 * SECOND_MS);
    assert_eq!(refused(alice.fetch().await), "401 unauthenticated");
    // A refresh token is good for sixty days after it was made.
    world.advance(60 * DAY_MS - 901 * SECOND_MS);
    alice.refresh().await.unwrap();
    world.advance(60 * DAY_MS);
    assert_eq!(refused(alice.refresh().await), "401 unauthenticated");
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_family() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let second = world.further(&alice, "two").await;
    let stolen = alice.tokens().unwrap();
    alice.refresh().await.unwrap();
    alice.refresh().await.unwrap();
    let current = alice.tokens().unwrap();
    world.advance(60 * SECOND_MS);
    assert_eq!(try_tokens(&alice, &stolen).await, pair(SPENT));
    // The second use ends the device's current tokens as well, but not those of the user's other
    // device.
    assert_eq!(try_tokens(&alice, &current).await, pair(SPENT));
    assert_eq!(try_tokens(&second, &second.tokens().unwrap()).await, pair(GOOD));
    alice.sign_in_again(&world.id_token(&alice).await).await.unwrap();
    assert_eq!(try_tokens(&alice, &alice.tokens().unwrap()).await, pair(GOOD));
}

/// Two uses of one token have both read it before either is stored. Whichever comes first, both get
/// the same next token.
#[tokio::test]
async fn two_racing_uses_get_the_same_token() {
    for first_wins in [true, false] {
        let world = World::new().await;
        let alice = world.user("alice").await;
        let body = json!({ "refreshToken": alice.tokens().unwrap().refresh });
        let refresh = async |gate: Arc<Notify>| {
            let answer = post_public(&alice, "/auth/refresh", &body).await;
            gate.notify_one();
            answer
        };
        let ended = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let one = world.calls.hold("TransactWriteItems", 0);
        let other_and_order = async {
            one.reached().await;
            let other = world.calls.hold("TransactWriteItems", 0);
            let order = async {
                other.reached().await;
                let (sooner, later) = if first_wins { (&one, &other) } else { (&other, &one) };
                sooner.release();
                ended[usize::from(!first_wins)].notified().await;
                later.release();
            };
            tokio::join!(refresh(Arc::clone(&ended[1])), order).0
        };
        let answers: [Exchange; 2] = tokio::join!(refresh(Arc::clone(&ended[0])), other_and_order).into();
        let [first, second] = answers.map(|answer| refresh_token(&answer));
        assert_eq!(first, second, "{first_wins}");
        let stored = world.stored().await;
        assert_eq!(stored.keys("D#", "S#").len(), 2, "the loser stored a token: {first_wins}");
        let answer = post_public(&alice, "/auth/refresh", &json!({ "refreshToken": first })).await;
        assert_eq!(answer.status, 200, "the family has ended: {first_wins}");
    }
}

/// Returns the refresh token of an answer, which must be 200.
fn refresh_token(answer: &Exchange) -> String {
    assert_eq!(answer.status, 200, "{}", refusal(answer));
    answer.json().unwrap()["refreshToken"].as_str().unwrap().to_owned()
}

/// Exchanges a refresh token. Returns the next one, or the refusal.
async fn exchange(device: &Device<DirectTransport>, token: &str) -> String {
    let answer = post_public(device, "/auth/refresh", &json!({ "refreshToken": token })).await;
    if answer.status == 200 { refresh_token(&answer) } else { refusal(&answer) }
}

/// A refresh is repeated for a minute, and only until the next token is exchanged. An ended family stays
/// so.
#[tokio::test]
async fn a_refresh_may_be_repeated_for_a_minute() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let refresh = async |token: &str| exchange(&alice, token).await;
    let first = alice.tokens().unwrap().refresh;
    let second = refresh(&first).await;
    assert_ne!(first, second);
    for _ in 0..59 {
        world.advance(SECOND_MS);
        assert_eq!(refresh(&first).await, second);
    }
    let third = refresh(&second).await;
    assert_eq!(refresh(&second).await, third);
    // The first token belongs to an exchange that went on.
    assert_eq!(refresh(&first).await, "401 unauthenticated");
    assert_eq!(refresh(&second).await, "401 unauthenticated", "the family has ended");
    assert_eq!(refresh(&third).await, "401 unauthenticated");
}

/// The device dies during a refresh, and comes back days later. That may happen again a day later.
#[tokio::test]
async fn a_refresh_is_repeated_late_once_in_a_day() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let refresh = async |token: &str| exchange(&alice, token).await;
    let mut token = alice.tokens().unwrap().refresh;
    for _ in 0..3 {
        let next = refresh(&token).await;
        world.advance(3 * DAY_MS);
        // Its answer may be lost, too.
        for _ in 0..2 {
            assert_eq!(refresh(&token).await, next);
            world.advance(59 * SECOND_MS);
        }
        token = refresh(&next).await;
        assert_eq!(refresh(&next).await, token, "within a minute as always");
        world.advance(DAY_MS);
    }
    // Two on one day end the family. What a token knows of the last one goes on to the next ones.
    let next = refresh(&token).await;
    world.advance(60 * SECOND_MS);
    assert_eq!(refresh(&token).await, next);
    let after = refresh(&next).await;
    let last = refresh(&after).await;
    world.advance(DAY_MS - SECOND_MS);
    assert_eq!(refresh(&after).await, "401 unauthenticated");
    assert_eq!(refresh(&last).await, "401 unauthenticated");
}

/// A thief repeats each exchange of the device a few minutes later, and so has each next token too. The
/// second one ends the session.
#[tokio::test]
async fn a_thief_who_follows_the_device_is_found_out() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let mut stolen = alice.tokens().unwrap().refresh;
    let mut exchanges = Vec::new();
    for _ in 0..2 {
        alice.refresh().await.unwrap();
        world.advance(5 * MINUTE_MS);
        stolen = exchange(&alice, &stolen).await;
        exchanges.push(stolen == alice.tokens().unwrap().refresh);
        world.advance(9 * MINUTE_MS);
    }
    assert_eq!(exchanges, [true, false]);
    assert_eq!(refused(alice.refresh().await), "401 unauthenticated");
}

/// A late repetition comes between the look at the next token and its exchange, whose next token would
/// not know of it.
#[tokio::test]
async fn a_late_repetition_in_the_middle_of_an_exchange() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let first = alice.tokens().unwrap().refresh;
    let second = exchange(&alice, &first).await;
    world.advance(60 * SECOND_MS);
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        assert_eq!(exchange(&alice, &first).await, second);
        held.release();
    };
    let (answer, ()) = tokio::join!(exchange(&alice, &second), meanwhile);
    assert_eq!(answer, "503 unavailable");
    let third = exchange(&alice, &second).await;
    world.advance(60 * SECOND_MS);
    assert_eq!(exchange(&alice, &second).await, "401 unauthenticated", "it is the second one of the day");
    assert_eq!(exchange(&alice, &third).await, "401 unauthenticated");
}

/// The family ends after a refresh has read its token and before the next one is stored.
#[tokio::test]
async fn a_logout_in_the_middle_of_a_refresh() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let tokens = alice.tokens().unwrap();
    let held = world.calls.hold("TransactWriteItems", 0);
    let body = json!({ "refreshToken": tokens.refresh });
    let meanwhile = async {
        held.reached().await;
        assert_eq!(post_public(&alice, "/auth/logout", &body).await.status, 204);
        held.release();
    };
    let (answer, ()) = tokio::join!(post_public(&alice, "/auth/refresh", &body), meanwhile);
    assert_eq!(refusal(&answer), "401 unauthenticated");
    assert_eq!(world.stored().await.keys("D#", "S#").len(), 1);
}

/// The device is revoked after a sign-in or a refresh has read it and before the session is stored.
#[tokio::test]
async fn a_revocation_in_the_middle_of_a_sign_in() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    for label in ["two", "three"] {
        let second = world.further(&alice, label).await;
        let token = world.id_token(&second).await;
        let sessions = world.stored().await.keys("D#", "S#").len();
        let held = world.calls.hold("TransactWriteItems", 0);
        let meanwhile = async {
            held.reached().await;
            alice.revoke(second.id()).await.unwrap();
            held.release();
        };
        if label == "two" {
            let (signed_in, ()) = tokio::join!(second.sign_in_again(&token), meanwhile);
            assert_eq!(refused(signed_in), "401 device-revoked");
        } else {
            let (refreshed, ()) = tokio::join!(second.refresh(), meanwhile);
            assert_eq!(refused(refreshed), "401 unauthenticated");
        }
        assert_eq!(refused(second.fetch().await), "401 device-revoked");
        assert_eq!(world.stored().await.keys("D#", "S#").len(), sessions, "{label}: a session was started");
        let record = world.stored().await.keys(second.id().as_str(), "DEVICE").len();
        assert_eq!(record, 1, "the id stays used");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_refreshes_at_once_get_the_same_token() {
    let world = World::new().await;
    let alice = Arc::new(world.user("alice").await);
    let body = json!({ "refreshToken": alice.tokens().unwrap().refresh });
    let uses = (0..8).map(|_| {
        let (alice, body) = (Arc::clone(&alice), body.clone());
        async move { post_public(&alice, "/auth/refresh", &body).await }
    });
    let tokens: BTreeSet<String> = parallel(uses).await.iter().map(refresh_token).collect();
    assert_eq!(tokens.len(), 1);
    for token in tokens {
        let answer = post_public(&alice, "/auth/refresh", &json!({ "refreshToken": token })).await;
        assert_eq!(answer.status, 200);
    }
}

/// A transport that kills a connection after the server has read the request, each second time.
struct KillingTransport {
    inner: DirectTransport,
    requests: AtomicUsize,
}

impl Transport for KillingTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let answer = self.inner.send(request).await?;
        match self.requests.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(TransportError::Timeout),
            _ => Ok(answer),
        }
    }
}

#[tokio::test]
async fn a_thousand_refreshes_whose_answers_are_lost() {
    let world = World::new().await;
    let alice = world.user_with("alice", BARE).await;
    let transport = KillingTransport { inner: world.transport(), requests: AtomicUsize::new(0) };
    let environment = alice.environment().clone();
    let keys = DeviceKeys::generate(BARE, &environment).unwrap();
    let killed = Device::new(transport, alice.origin().clone(), alice.user().clone(), keys, environment);
    killed.set_tokens(alice.tokens());
    for number in 0..1_000 {
        assert!(killed.refresh().await.is_err(), "{number}");
        killed.refresh().await.unwrap_or_else(|error| panic!("{number}: {error}"));
        world.advance(14 * MINUTE_MS);
    }
    alice.set_tokens(killed.tokens());
    alice.refresh().await.unwrap();
    alice.fetch().await.unwrap();
}

#[tokio::test]
async fn a_logout_ends_the_session_and_not_the_device() {
    let (world, alice, bob) = alice_and_bob().await;
    let before = alice.tokens().unwrap();
    alice.refresh().await.unwrap();
    let current = alice.tokens().unwrap();
    alice.logout().await.unwrap();
    assert_eq!(alice.tokens(), None);
    assert_eq!(try_tokens(&alice, &current).await, pair(SPENT));
    assert_eq!(try_tokens(&alice, &before).await, pair(SPENT));
    // Logging out again with a token that is spent succeeds.
    alice.set_tokens(Some(current));
    alice.logout().await.unwrap();
    // The device still gets messages, and fetches them after the next sign-in.
    world.send(&bob, &[&alice]).await;
    world.deliver().await;
    let registered = alice.sign_in_again(&world.id_token(&alice).await).await.unwrap();
    assert_eq!((registered.status, registered.device_set.length), (RegistrationStatus::Active, 1));
    assert_eq!(world.messages(&alice).await.len(), 1);
}

#[tokio::test]
async fn an_old_refresh_token_logs_nobody_else_out() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let old = alice.tokens().unwrap();
    alice.sign_in_again(&world.id_token(&alice).await).await.unwrap();
    // The new sign-in ended the former family of tokens: a logout with one of them ends nothing.
    let body = json!({ "refreshToken": old.refresh });
    let answer = post_public(&alice, "/auth/logout", &body).await;
    assert_eq!(answer.status, 204);
    assert_eq!(try_tokens(&alice, &old).await, pair(SPENT));
    alice.refresh().await.unwrap();
}
