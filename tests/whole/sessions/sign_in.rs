//! Sign-ins: the first binds a user name to a subject of the issuer, and a registered device signs
//! in again by its identity key.

use std::sync::Arc;

use eko_client::device::{JoinKind, RegistrationProof, RegistrationStatus};
use eko_client::{Device, IdToken};
use eko_testkit::{
    BARE, ChainChanges as _, DirectTransport, World, parallel, post_registration, read_jwt, refusal, refused,
};
use serde_json::json;

use super::first_device;
use crate::people::alice_and_bob;
use crate::redactions::redacted;
use crate::requests::get_public;

#[tokio::test]
async fn the_first_sign_in_claims_a_name() {
    let world = World::new().await;
    let alice = first_device(&world, "alice");
    let body = alice.registration(RegistrationProof::Node(alice.first_node().unwrap()));
    let token = world.id_token(&alice).await;
    let answer = post_registration(&alice, &token, &body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let _redacted = redacted();
    insta::assert_json_snapshot!(answer.json().unwrap(), @r#"
    {
      "accessToken": "[token]",
      "actor": "https://eko.example/user/alice",
      "device": "https://eko.example/user/alice/device/dd639f7a-fe88-4eab-bb3b-17081b5ecefa",
      "eko:deviceSet": {
        "head": "8af10aded2a536a8a0fd3d373b5ab9806baea0d163b9f3f2f5b3d2898e0babc7",
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
    let info = get_public(&alice, "/nodeinfo/2.1").await;
    assert_eq!(info.json().unwrap()["usage"]["users"]["total"], 1);
}

#[tokio::test]
async fn a_further_device_is_answered_that_it_is_pending() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let second = world.device("alice", "two", BARE);
    let token = world.id_token(&second).await;
    let answer = post_registration(
        &second,
        &token,
        &second.registration(RegistrationProof::JoiningMac(&second.joining_code())),
    )
    .await;
    assert_eq!(answer.status, 201);
    let _redacted = redacted();
    insta::assert_json_snapshot!(answer.json().unwrap(), @r#"
    {
      "accessToken": "[token]",
      "actor": "https://eko.example/user/alice",
      "device": "https://eko.example/user/alice/device/18fe115a-705a-4e8f-97f4-290cbd2f27a5",
      "eko:deviceSet": {
        "head": "096cd3361d3a6c8111defb12f7de32e7477008d8a86926ab34ad04892d208516",
        "length": 1
      },
      "expiresIn": 900,
      "refreshToken": "[token]",
      "status": "pending",
      "tokenType": "Bearer"
    }
    "#);
    world.deliver().await;
    world.empty(&alice).await;
}

#[tokio::test]
async fn a_name_and_a_subject_are_bound_once() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let before = world.stored().await;
    // Another subject cannot have the name, in upper or lower case.
    for user in ["alice", "ALICE"] {
        let thief = first_device(&world, user);
        let mallory = world.id_token_of("mallory", &thief).await;
        assert_eq!(refused(thief.register(&mallory, JoinKind::First).await), "409 name-taken");
    }
    // The subject cannot have another name.
    let second = world.device("bob", "two", BARE);
    let token = world.id_token_of("alice", &second).await;
    assert_eq!(refused(second.register(&token, JoinKind::First).await), "409 account-exists");
    // Repeating the first device's registration does not sign in a first time again.
    let again = alice.registration(RegistrationProof::Node(alice.first_node().unwrap()));
    let answer = post_registration(&alice, &world.id_token(&alice).await, &again).await;
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
            let token = world.id_token_of(&format!("subject{number}"), &device).await;
            let registered = device.register(&token, JoinKind::First).await;
            (device, registered)
        }
    });
    let (winners, losers): (Vec<_>, Vec<_>) =
        parallel(sign_ins).await.into_iter().partition(|(_, registered)| registered.is_ok());
    assert_eq!((winners.len(), losers.len()), (1, 5));
    for (_, registered) in losers {
        assert_eq!(refused(registered), "409 name-taken");
    }
    // The losers left nothing in the store.
    let stored = world.stored().await;
    let winner = &winners[0].0;
    assert_eq!(
        stored.keys("D#", "DEVICE").into_iter().map(|(pk, _)| pk.clone()).collect::<Vec<_>>(),
        [format!("D#alice#{}", winner.id())]
    );
    assert_eq!((stored.keys("D#", "S#").len(), stored.keys("O#", "").len()), (1, 1));
    assert_eq!(winner.chain(winner.user()).await.unwrap().1.active.len(), 1);
    winner.fetch().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_signs_in_twice_at_once_has_one_account() {
    let world = Arc::new(World::new().await);
    let sign_ins = ["alice", "alicia", "alison"].map(|user| {
        let world = Arc::clone(&world);
        async move {
            let device = first_device(&world, user);
            device.register(&world.id_token_of("alice", &device).await, JoinKind::First).await
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
async fn a_registered_device_signs_in_again_by_its_identity_key() {
    let (world, alice, bob) = alice_and_bob().await;
    let waiting = world.pending(&alice, "two").await;
    let token = world.id_token(&alice).await;
    assert_eq!(alice.sign_in_again(&token).await.unwrap().status, RegistrationStatus::Active);
    let its_own = world.id_token(&waiting).await;
    assert_eq!(waiting.sign_in_again(&its_own).await.unwrap().status, RegistrationStatus::Pending);

    let before = world.stored().await;
    let sign_in = |id: &Device<DirectTransport>, key: &Device<DirectTransport>, over: &IdToken| {
        let (environment, over) = (key.environment(), over.text().as_bytes());
        let proof = key.keys().identity().sign(&eko_protocol::chain::sign_in_base(over), environment);
        json!({
            "deviceId": id.id(),
            "identityKey": key.keys().identity().public(),
            "registrationId": id.keys().registration_id(),
            "signIn": eko_protocol::multibase::encode(&proof),
        })
    };
    // An ID token alone is not enough: the sign-in is signed with the device's identity key.
    let mut forged = sign_in(&alice, &bob, &token);
    forged["identityKey"] = json!(alice.keys().identity().public());
    let other_token = world.id_token(&alice).await;
    let thiefs = world.id_token_of("alice", &bob).await;
    let (bobs, carol) = (world.id_token_of("alice", &bob).await, first_device(&world, "carol"));
    let cases = [
        ("another key's signature", forged, &token, "422 invalid #/signIn"),
        ("another key", sign_in(&alice, &bob, &thiefs), &thiefs, "422 invalid #/identityKey"),
        ("over another ID token", sign_in(&alice, &alice, &other_token), &token, "422 invalid #/signIn"),
        ("a device of another user", sign_in(&bob, &bob, &bobs), &bobs, "404 not-found"),
        ("a device that never was", sign_in(&carol, &alice, &token), &token, "404 not-found"),
    ];
    for (name, body, token, expected) in cases {
        assert_eq!(refusal(&post_registration(&alice, token, &body).await), expected, "{name}");
    }
    assert_eq!(world.stored().await.difference(&before), []);
    world.deliver().await;
}

#[tokio::test]
async fn an_issuer_that_is_out_of_reach() {
    let world =
        World::with(|config| config.oidc.issuer = "https://nowhere.example/dev/oidc".to_owned()).await;
    let alice = first_device(&world, "alice");
    let token = world.id_token(&alice).await;
    assert_eq!(refused(alice.register(&token, JoinKind::First).await), "503 unavailable");
    assert_eq!(world.stored().await.items.len(), 0);
}
