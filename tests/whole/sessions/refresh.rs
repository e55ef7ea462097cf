//! Refresh tokens: each is exchanged once, and a second use or a logout ends all tokens of its family.

use std::sync::Arc;

use eko_client::device::{DeviceTokens, JoinKind, RegistrationStatus};
use eko_client::{Auth, Body, Device};
use eko_testkit::{Direct, World, parallel, refusal, refused};
use http::Method;
use serde_json::{Value, json};

use super::first_device;
use crate::{DAY_MS, SECOND_MS};

/// What a device is told with these tokens: by a fetch, and by a refresh.
async fn told(device: &Device<Direct>, tokens: &DeviceTokens) -> (String, String) {
    let path = device.origin().inbox(device.user());
    let fetch = device.call(Method::GET, &path, Body::Empty, Auth::Token(&tokens.access)).await.unwrap();
    let body = json!({ "refreshToken": tokens.refresh });
    let refresh = device.call(Method::POST, "/auth/refresh", Body::Json(&body), Auth::Nobody).await.unwrap();
    let short = |said: String| said.split(" {").next().unwrap_or_default().to_owned();
    (short(refusal(&fetch)), short(refusal(&refresh)))
}

const GOOD: (&str, &str) = ("200", "200");

const SPENT: (&str, &str) = ("200", "401 unauthenticated");

fn pair((fetch, refresh): (&str, &str)) -> (String, String) {
    (fetch.to_owned(), refresh.to_owned())
}

#[tokio::test]
async fn tokens_are_rotated() {
    let world = World::new().await;
    let alice = first_device(&world, "alice");
    alice.register(&world.id_token("alice").await, JoinKind::First).await.unwrap();
    let first = alice.tokens().unwrap();
    world.advance(10 * SECOND_MS);
    alice.refresh().await.unwrap();
    let second = alice.tokens().unwrap();
    assert_ne!((&first.access, &first.refresh), (&second.access, &second.refresh));
    // An access token is good for fifteen minutes, to the second.
    world.advance(889 * SECOND_MS);
    let fetch = async |tokens: &DeviceTokens| {
        let inbox = "/user/alice/inbox";
        let answer = alice.call(Method::GET, inbox, Body::Empty, Auth::Token(&tokens.access)).await.unwrap();
        answer.status.as_u16()
    };
    assert_eq!((fetch(&first).await, fetch(&second).await), (200, 200));
    world.advance(SECOND_MS);
    assert_eq!((fetch(&first).await, fetch(&second).await), (401, 200));
    world.advance(10 * SECOND_MS);
    assert_eq!(refused(alice.fetch().await), "401 unauthenticated");
    // A refresh token for sixty days from when it was made.
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
    assert_eq!(told(&alice, &stolen).await, pair(SPENT));
    // The thief's use has ended what the device has as well; another device of the user has its own.
    assert_eq!(told(&alice, &current).await, pair(SPENT));
    assert_eq!(told(&second, &second.tokens().unwrap()).await, pair(GOOD));
    alice.sign_in_again(&world.id_token("alice").await).await.unwrap();
    assert_eq!(told(&alice, &alice.tokens().unwrap()).await, pair(GOOD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_used_twice_at_once_ends_its_family() {
    let world = World::new().await;
    let alice = Arc::new(world.user("alice").await);
    let body = json!({ "refreshToken": alice.tokens().unwrap().refresh });
    let uses =
        (0..4).map(|_| {
            let (alice, body) = (Arc::clone(&alice), body.clone());
            async move {
                alice.call(Method::POST, "/auth/refresh", Body::Json(&body), Auth::Nobody).await.unwrap()
            }
        });
    let answers = parallel(uses).await;
    let won: Vec<Value> = answers.iter().filter(|a| a.status == 200).map(|a| a.json().unwrap()).collect();
    assert!(won.len() <= 1, "one token was exchanged {} times", won.len());
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refusal(answer), "401 unauthenticated");
    }
    for tokens in won {
        let next = json!({ "refreshToken": tokens["refreshToken"] });
        let answer =
            alice.call(Method::POST, "/auth/refresh", Body::Json(&next), Auth::Nobody).await.unwrap();
        assert_eq!(refusal(&answer), "401 unauthenticated");
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_and_not_the_device() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let before = alice.tokens().unwrap();
    alice.refresh().await.unwrap();
    let current = alice.tokens().unwrap();
    alice.logout().await.unwrap();
    assert_eq!(alice.tokens(), None);
    assert_eq!(told(&alice, &current).await, pair(SPENT));
    assert_eq!(told(&alice, &before).await, pair(SPENT));
    // Once more, and with a token that is spent: it is as good as logged out.
    alice.set_tokens(Some(current));
    alice.logout().await.unwrap();
    // It is still written to, and reads it when it is back.
    world.send(&bob, &[&alice]).await;
    world.deliver().await;
    let registered = alice.sign_in_again(&world.id_token("alice").await).await.unwrap();
    assert_eq!((registered.status, registered.device_set.length), (RegistrationStatus::Active, 1));
    assert_eq!(world.messages(&alice).await.len(), 1);
}

#[tokio::test]
async fn an_old_refresh_token_logs_nobody_else_out() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let old = alice.tokens().unwrap();
    alice.sign_in_again(&world.id_token("alice").await).await.unwrap();
    // The former family ended with the new sign-in: its tokens end nothing any more.
    let body = json!({ "refreshToken": old.refresh });
    let answer = alice.call(Method::POST, "/auth/logout", Body::Json(&body), Auth::Nobody).await.unwrap();
    assert_eq!(answer.status, 204);
    assert_eq!(told(&alice, &old).await, pair(SPENT));
    alice.refresh().await.unwrap();
}
