//! Sign-in, tokens and their ends (`docs/protocol.md`, section 10).

use std::sync::Arc;

use eko_client::device::{Joining, Status, Tokens};
use eko_client::{Auth, Body, Device};
use eko_testkit::{BARE, Direct, START_MS, World, jwt, parallel, read_jwt, refusal, refused};
use http::Method;
use serde_json::{Value, json};

const SECOND_MS: i64 = 1000;
const DAY_MS: i64 = 24 * 3600 * SECOND_MS;

fn first_device(world: &World, user: &str) -> Device<Direct> {
    world.device(user, "one", BARE)
}

/// What a device is told with these tokens: by a fetch, and by a refresh.
async fn told(device: &Device<Direct>, tokens: &Tokens) -> (String, String) {
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
async fn the_first_sign_in_claims_a_name() {
    let world = World::new().await;
    let alice = first_device(&world, "alice");
    let body = alice.registration(Some(alice.first_node().unwrap()));
    let token = world.id_token("alice").await;
    let answer =
        alice.call(Method::POST, "/auth/devices", Body::Json(&body), Auth::Token(&token)).await.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["cache-control"], "no-store");
    insta::assert_json_snapshot!(answer.json().unwrap(), { ".accessToken" => "[token]", ".refreshToken" => "[token]" }, @r#"
    {
      "accessToken": "[token]",
      "actor": "https://eko.example/user/alice",
      "device": "https://eko.example/user/alice/device/dd639f7a-fe88-4eab-bb3b-17081b5ecefa",
      "eko:deviceSet": {
        "head": "ede45bd4b8acbd65d708c07564d174c35cb41de28eb31cf7755d242cafe0c8c0",
        "length": 1
      },
      "expiresIn": 900,
      "refreshToken": "[token]",
      "status": "active",
      "tokenType": "Bearer"
    }
    "#);
    let (header, claims) = read_jwt(answer.json().unwrap()["accessToken"].as_str().unwrap());
    insta::assert_json_snapshot!([header, claims], @r#"
    [
      {
        "alg": "HS256",
        "kid": "test",
        "typ": "at+jwt"
      },
      {
        "aud": "https://eko.example",
        "dev": "dd639f7a-fe88-4eab-bb3b-17081b5ecefa",
        "exp": 1769715900,
        "iat": 1769715000,
        "iss": "https://eko.example",
        "sub": "alice"
      }
    ]
    "#);
    let info = alice.call(Method::GET, "/nodeinfo/2.1", Body::Empty, Auth::Nobody).await.unwrap();
    assert_eq!(info.json().unwrap()["usage"]["users"]["total"], 1);
}

#[tokio::test]
async fn a_name_and_a_subject_are_bound_once() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let before = world.stored().await;
    // Another subject wants the name, in any case.
    let mallory = world.id_token("mallory").await;
    for user in ["alice", "ALICE"] {
        let thief = first_device(&world, user);
        assert_eq!(refused(thief.register(&mallory, Joining::First).await), "409 name-taken");
    }
    // The subject wants another name.
    let token = world.id_token("alice").await;
    let second = world.device("bob", "two", BARE);
    assert_eq!(refused(second.register(&token, Joining::First).await), "409 account-exists");
    // The first device's registration again is no second first sign-in.
    let again = alice.registration(Some(alice.first_node().unwrap()));
    let answer =
        alice.call(Method::POST, "/auth/devices", Body::Json(&again), Auth::Token(&token)).await.unwrap();
    assert_eq!(refusal(&answer), "422 invalid #/node/type");
    assert_eq!(world.stored().await.difference(&before), []);
    alice.fetch().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_one_name_one_has_it() {
    let world = Arc::new(World::new().await);
    let sign_ins = (0..6).map(|number| {
        let world = Arc::clone(&world);
        async move {
            let device = world.device("alice", &format!("of subject {number}"), BARE);
            let registered =
                device.register(&world.id_token(&format!("subject{number}")).await, Joining::First).await;
            (device, registered)
        }
    });
    let (winners, losers): (Vec<_>, Vec<_>) =
        parallel(sign_ins).await.into_iter().partition(|(_, registered)| registered.is_ok());
    assert_eq!((winners.len(), losers.len()), (1, 5));
    for (_, registered) in losers {
        assert_eq!(refused(registered), "409 name-taken");
    }
    // Of the losers nothing is left.
    let stored = world.stored().await;
    let winner = &winners[0].0;
    assert_eq!(
        stored.keys("D#", "DEVICE").into_iter().map(|(pk, _)| pk.clone()).collect::<Vec<_>>(),
        [format!("D#alice#{}", winner.id())]
    );
    assert_eq!((stored.keys("S#", "").len(), stored.keys("O#", "").len()), (1, 1));
    assert_eq!(winner.chain(winner.user()).await.unwrap().1.active.len(), 1);
    winner.fetch().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_signs_in_twice_at_once_has_one_account() {
    let world = Arc::new(World::new().await);
    let sign_ins =
        ["alice", "alicia", "alison"].map(|user| {
            let world = Arc::clone(&world);
            async move {
                first_device(&world, user).register(&world.id_token("alice").await, Joining::First).await
            }
        });
    let (won, lost): (Vec<_>, Vec<_>) = parallel(sign_ins).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for refusal in lost {
        assert_eq!(refused(refusal), "409 account-exists");
    }
    assert_eq!(world.stored().await.keys("U#", "PROFILE").len(), 1);
}

#[tokio::test]
async fn tokens_are_rotated() {
    let world = World::new().await;
    let alice = first_device(&world, "alice");
    alice.register(&world.id_token("alice").await, Joining::First).await.unwrap();
    let first = alice.tokens().unwrap();
    world.advance(10 * SECOND_MS);
    alice.refresh().await.unwrap();
    let second = alice.tokens().unwrap();
    assert_ne!((&first.access, &first.refresh), (&second.access, &second.refresh));
    // An access token is good for fifteen minutes, to the second.
    world.advance(889 * SECOND_MS);
    let fetch = async |tokens: &Tokens| {
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
    assert_eq!((registered.status, registered.device_set.length), (Status::Active, 1));
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

#[tokio::test]
async fn a_registered_device_signs_in_again_by_its_identity_key() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let waiting = world.pending(&alice, "two").await;
    let token = world.id_token("alice").await;
    assert_eq!(alice.sign_in_again(&token).await.unwrap().status, Status::Active);
    assert_eq!(waiting.sign_in_again(&token).await.unwrap().status, Status::Pending);

    let before = world.stored().await;
    let sign_in = |id: &Device<Direct>, key: &Device<Direct>, over: &str| {
        let environment = key.environment();
        let proof =
            key.keys().identity().sign(&eko_protocol::chain::sign_in_base(over.as_bytes()), environment);
        json!({
            "deviceId": id.id(),
            "identityKey": id.keys().identity().public(),
            "registrationId": id.keys().registration_id(),
            "signIn": eko_protocol::multibase::encode(&proof.unwrap()),
        })
    };
    let other_token = world.id_token("alice").await;
    let cases = [
        // Whoever has only the ID token has no device's key.
        ("another key", sign_in(&alice, &bob, &token), "422 invalid #/signIn"),
        ("over another ID token", sign_in(&alice, &alice, &other_token), "422 invalid #/signIn"),
        ("a device of another user", sign_in(&bob, &bob, &token), "404 not-found"),
        ("a device that never was", sign_in(&first_device(&world, "carol"), &alice, &token), "404 not-found"),
    ];
    for (name, body, expected) in cases {
        let answer = alice.call(Method::POST, "/auth/devices", Body::Json(&body), Auth::Token(&token)).await;
        assert_eq!(refusal(&answer.unwrap()), expected, "{name}");
    }
    assert_eq!(world.stored().await.difference(&before), []);
    world.deliver().await;
}

#[tokio::test]
async fn access_tokens_that_nobody_here_made() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let good = alice.tokens().unwrap().access;
    let (header, claims) = read_jwt(&good);
    let secret = &world.state.config().token_keys[0].secret;
    let with = |of: &Value, name: &str, value: Value| {
        let mut changed = of.clone();
        changed.as_object_mut().unwrap().insert(name.to_owned(), value);
        changed
    };
    let without = |name: &str| {
        let mut changed = claims.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    let signed = |header: &Value, claims: &Value| jwt(header, claims, Some(secret));
    let claim = |name: &str, value: Value| signed(&header, &with(&claims, name, value));
    let named = |name: &str, value: Value| signed(&with(&header, name, value), &claims);
    let now = START_MS / 1000;
    // A server elsewhere that shares the key, and one at the same origin that does not.
    let elsewhere = World::with(|config| {
        config.origin = eko_protocol::address::Origin::parse("https://b.example").unwrap();
    });
    let impostor = World::with(|config| config.token_keys[0].secret = vec![8; 32]);
    let token_of = async |world: World| {
        let bearer = eko_service::caller::Caller { user: alice.user().clone(), device: alice.id().clone() };
        world.state.tokens().issue(&bearer, START_MS).unwrap()
    };
    let (elsewhere, impostor) = (token_of(elsewhere.await).await, token_of(impostor.await).await);
    let mut parts: Vec<&str> = good.split('.').collect();
    let mallory = claim("sub", json!("mallory"));
    parts[1] = mallory.split('.').nth(1).unwrap();
    let spliced = parts.join(".");
    let cases = [
        ("alg none", jwt(&with(&header, "alg", json!("none")), &claims, None)),
        ("alg none, signed all the same", named("alg", json!("none"))),
        ("alg HS384", named("alg", json!("HS384"))),
        ("alg RS256", named("alg", json!("RS256"))),
        ("no signature", jwt(&header, &claims, None)),
        ("another key", jwt(&header, &claims, Some(&[8; 32]))),
        ("an empty key", jwt(&header, &claims, Some(&[]))),
        ("another key id", named("kid", json!("other"))),
        ("no key id", named("kid", Value::Null)),
        ("another type", named("typ", json!("JWT"))),
        ("another audience", claim("aud", json!("https://b.example"))),
        ("no audience", signed(&header, &without("aud"))),
        ("another issuer", claim("iss", json!("https://b.example"))),
        ("no issuer", signed(&header, &without("iss"))),
        ("expired", claim("exp", json!(now))),
        ("no end", signed(&header, &without("exp"))),
        ("an end that is text", claim("exp", json!("never"))),
        ("no device", signed(&header, &without("dev"))),
        ("a device that is none", claim("dev", json!("../one"))),
        ("a user that is none", claim("sub", json!("alice#x"))),
        ("of a server elsewhere", elsewhere),
        ("of an impostor", impostor),
        ("another's claims under this signature", spliced),
        ("an ID token", world.id_token("alice").await),
    ];
    let fetch = async |token: &str| {
        let answer = alice.call(Method::GET, "/user/alice/inbox", Body::Empty, Auth::Token(token)).await;
        refusal(&answer.unwrap())
    };
    for (name, token) in cases {
        assert_eq!(fetch(&token).await, "401 unauthenticated", "{name}");
    }
    // What only the key could make is refused for what it says: the same way of making one is good.
    assert!(fetch(&signed(&header, &claims)).await.starts_with("200 "));
    // A token for a device that never registered opens nothing.
    let unknown = claim("dev", json!("00000000-0000-4000-8000-000000000001"));
    assert_eq!(fetch(&unknown).await, "401 device-revoked");
}

#[tokio::test]
async fn id_tokens_that_are_not_for_us() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let carol = first_device(&world, "carol");
    let good = world.id_token("carol").await;
    let (header, claims) = read_jwt(&good);
    let audience = claims["aud"].as_str().unwrap();
    let with = |of: &Value, name: &str, value: Value| {
        let mut changed = of.clone();
        changed.as_object_mut().unwrap().insert(name.to_owned(), value);
        changed
    };
    let parts: Vec<&str> = good.split('.').collect();
    let other = world.id_token("mallory").await;
    let others: Vec<&str> = other.split('.').collect();
    let spliced = [parts[0], others[1], parts[2]].join(".");
    let symmetric = with(&header, "alg", json!("HS256"));
    let cases = [
        ("another audience", world.foreign_id_token(None, "another-client", "carol").await),
        ("another issuer", world.foreign_id_token(Some("https://issuer.example"), audience, "carol").await),
        ("unsigned", jwt(&with(&header, "alg", json!("none")), &claims, None)),
        ("no signature", [parts[0], parts[1], ""].join(".")),
        ("another's claims", spliced),
        // The public key is known to all: it must not become a secret (RFC 8725, section 2.1).
        (
            "HMAC under the key's id",
            jwt(&symmetric, &claims, Some(header["kid"].as_str().unwrap().as_bytes())),
        ),
        ("an unknown key", jwt(&with(&header, "kid", json!("other")), &claims, Some(b"secret"))),
        ("two parts", [parts[0], parts[1]].join(".")),
        ("an access token", alice.tokens().unwrap().access),
    ];
    let before = world.stored().await;
    for (name, token) in cases {
        assert_eq!(refused(carol.register(&token, Joining::First).await), "401 unauthenticated", "{name}");
    }
    // Ten minutes and a minute's leeway for clocks that differ; and as much ahead.
    world.advance(660 * SECOND_MS);
    assert_eq!(refused(carol.register(&good, Joining::First).await), "401 unauthenticated");
    world.advance(-720 * SECOND_MS - 1);
    assert_eq!(refused(carol.register(&good, Joining::First).await), "401 unauthenticated");
    assert_eq!(world.stored().await.difference(&before), []);
    world.advance(61 * SECOND_MS);
    carol.register(&good, Joining::First).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_is_out_of_reach() {
    let world =
        World::with(|config| config.oidc.issuer = "https://nowhere.example/dev/oidc".to_owned()).await;
    let alice = first_device(&world, "alice");
    let token = world.id_token("alice").await;
    assert_eq!(refused(alice.register(&token, Joining::First).await), "503 unavailable");
    assert_eq!(world.stored().await.items.len(), 0);
}
