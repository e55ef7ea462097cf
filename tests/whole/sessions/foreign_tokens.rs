//! Access tokens and ID tokens that somebody else made, or that are for somebody else: none is
//! accepted.

use eko_client::device::JoinKind;
use eko_client::{IdToken, SignInChallenge};
use eko_testkit::{START_MS, World, jwt, read_jwt, refusal, refused};
use serde_json::{Value, json};

use super::first_device;
use crate::SECOND_MS;
use crate::requests::get_with_token;
use crate::variants::{with, without};

#[tokio::test]
async fn access_tokens_that_nobody_here_made() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let good = alice.tokens().unwrap().access;
    let (header, claims) = read_jwt(&good);
    let secret = &world.state.config().token_keys[0].secret;
    let without = |name: &str| without(&claims, "", name);
    let signed = |header: &Value, claims: &Value| jwt(header, claims, Some(secret));
    let claim = |name: &str, value: Value| signed(&header, &with(&claims, name, value));
    let named = |name: &str, value: Value| signed(&with(&header, name, value), &claims);
    let now = START_MS / 1000;
    // One token is of a server at another origin that has the same key, one of a server at this
    // origin with another key.
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
        ("an ID token", world.id_token(&alice).await.text().to_owned()),
    ];
    let fetch = async |token: &str| refusal(&get_with_token(&alice, "/user/alice/inbox", token).await);
    for (name, token) in cases {
        assert_eq!(fetch(&token).await, "401 unauthenticated", "{name}");
    }
    // A token that this test makes with the good header and claims is accepted: the others were
    // refused for their content.
    assert!(fetch(&signed(&header, &claims)).await.starts_with("200 "));
    // A token for a device that never registered is refused.
    let unknown = claim("dev", json!("00000000-0000-4000-8000-000000000001"));
    assert_eq!(fetch(&unknown).await, "401 device-revoked");
}

#[tokio::test]
async fn id_tokens_that_are_not_for_us() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let carol = first_device(&world, "carol");
    let token = world.id_token(&carol).await;
    let good = token.text();
    let (header, claims) = read_jwt(good);
    let audience = claims["aud"].as_str().unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let other = world.id_token_of("mallory", &carol).await;
    let others: Vec<&str> = other.text().split('.').collect();
    let spliced = [parts[0], others[1], parts[2]].join(".");
    let text = |token: IdToken| token.text().to_owned();
    let symmetric = with(&header, "alg", json!("HS256"));
    let cases = [
        ("another audience", text(world.foreign_id_token(None, "another-client", &carol).await)),
        (
            "another issuer",
            text(world.foreign_id_token(Some("https://issuer.example"), audience, &carol).await),
        ),
        ("unsigned", jwt(&with(&header, "alg", json!("none")), &claims, None)),
        ("no signature", [parts[0], parts[1], ""].join(".")),
        ("another's claims", spliced),
        // The issuer's public key must not be taken for an HMAC secret (RFC 8725, section 2.1).
        (
            "HMAC under the key's id",
            jwt(&symmetric, &claims, Some(header["kid"].as_str().unwrap().as_bytes())),
        ),
        ("an unknown key", jwt(&with(&header, "kid", json!("other")), &claims, Some(b"secret"))),
        ("two parts", [parts[0], parts[1]].join(".")),
        ("an access token", alice.tokens().unwrap().access),
    ];
    let (before, identity) = (world.stored().await, carol.keys().identity().public());
    for (name, text) in cases {
        let token = SignInChallenge::new(carol.origin(), &identity, *token.random()).answered(&text);
        assert_eq!(refused(carol.register(&token, JoinKind::First).await), "401 unauthenticated", "{name}");
    }
    // An ID token lasts ten minutes. Clocks may differ by a minute in either direction.
    world.advance(660 * SECOND_MS);
    assert_eq!(refused(carol.register(&token, JoinKind::First).await), "401 unauthenticated");
    world.advance(-720 * SECOND_MS - 1);
    assert_eq!(refused(carol.register(&token, JoinKind::First).await), "401 unauthenticated");
    assert_eq!(world.stored().await.difference(&before), []);
    world.advance(61 * SECOND_MS);
    carol.register(&token, JoinKind::First).await.unwrap();
}
