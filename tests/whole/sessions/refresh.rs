//! Refresh tokens: each is exchanged once, and a second use or a logout ends all tokens of its
//! family.

use std::sync::Arc;

use eko_client::device::{DeviceTokens, JoinKind, RegistrationStatus};
use eko_client::{Device, Exchange};
use eko_testkit::{ChainChanges as _, DirectTransport, World, parallel, refusal, refused};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::first_device;
use crate::people::alice_and_bob;
use crate::redactions::redacted;
use crate::requests::{get_with_token, post_public};
use crate::{DAY_MS, SECOND_MS};

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
    let current = alice.tokens().unwrap();
    assert_eq!(try_tokens(&alice, &stolen).await, pair(SPENT));
    // The second use ends the device's current tokens as well, but not those of the user's other
    // device.
    assert_eq!(try_tokens(&alice, &current).await, pair(SPENT));
    assert_eq!(try_tokens(&second, &second.tokens().unwrap()).await, pair(GOOD));
    alice.sign_in_again(&world.id_token(&alice).await).await.unwrap();
    assert_eq!(try_tokens(&alice, &alice.tokens().unwrap()).await, pair(GOOD));
}

/// Two uses of one token have both read it before either is stored. Whichever comes first, the
/// other is refused and ends the family.
#[tokio::test]
async fn of_two_racing_uses_one_wins_and_the_family_ends() {
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
        let [won, lost] = if first_wins { [0, 1] } else { [1, 0] };
        assert_eq!(answers[won].status, 200, "{first_wins}");
        assert_eq!(refusal(&answers[lost]), "401 unauthenticated", "{first_wins}");
        let next = json!({ "refreshToken": answers[won].json().unwrap()["refreshToken"] });
        let answer = post_public(&alice, "/auth/refresh", &next).await;
        assert_eq!(refusal(&answer), "401 unauthenticated", "the family lives: {first_wins}");
        let stored = world.stored().await;
        assert_eq!(stored.keys("S#", "").len(), 2, "the loser stored a token: {first_wins}");
    }
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
    assert_eq!(world.stored().await.keys("S#", "").len(), 1);
}

/// The device is revoked after a sign-in or a refresh has read it and before the session is stored.
#[tokio::test]
async fn a_revocation_in_the_middle_of_a_sign_in() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    for label in ["two", "three"] {
        let second = world.further(&alice, label).await;
        let token = world.id_token(&second).await;
        let sessions = world.stored().await.keys("S#", "").len();
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
        assert_eq!(world.stored().await.keys("S#", "").len(), sessions, "{label}: a session was started");
        let record = world.stored().await.keys(second.id().as_str(), "DEVICE").len();
        assert_eq!(record, 1, "the id stays used");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_used_twice_at_once_ends_its_family() {
    let world = World::new().await;
    let alice = Arc::new(world.user("alice").await);
    let body = json!({ "refreshToken": alice.tokens().unwrap().refresh });
    let uses = (0..4).map(|_| {
        let (alice, body) = (Arc::clone(&alice), body.clone());
        async move { post_public(&alice, "/auth/refresh", &body).await }
    });
    let answers = parallel(uses).await;
    let won: Vec<Value> = answers.iter().filter(|a| a.status == 200).map(|a| a.json().unwrap()).collect();
    assert!(won.len() <= 1, "one token was exchanged {} times", won.len());
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refusal(answer), "401 unauthenticated");
    }
    for tokens in won {
        let next = json!({ "refreshToken": tokens["refreshToken"] });
        let answer = post_public(&alice, "/auth/refresh", &next).await;
        assert_eq!(refusal(&answer), "401 unauthenticated");
    }
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
