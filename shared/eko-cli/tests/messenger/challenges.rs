//! Tests of the nonce that binds an ID token to one device at one server.

use eko_cli::LibSignal;
use eko_client::messenger::{MessengerError, PreparedSignIn};
use eko_client::{DeviceStore, Environment, IdTokenFault, SignInChallenge};
use eko_protocol::address::Origin;
use eko_protocol::key::NonceRandom;
use eko_testkit::World;

use crate::people::{first, request};
use crate::test_network::{NetworkFault, TestNetwork};

fn environment(world: &World) -> Environment {
    Environment { clock: world.clock(), ..Environment::system() }
}

/// The server cannot have made such a token for this sign-in: it is one of another server's, or a
/// script's mistake.
#[tokio::test]
async fn a_token_for_something_else_is_not_sent() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let identity = bob.device().described().identity_key;
    let other = Origin::parse("https://b.example").unwrap();
    let there = SignInChallenge::new(&other, &identity, NonceRandom::from([7; 32]));
    wire.asked.lock().unwrap().clear();
    for nonce in [None, Some(there.nonce()), Some("7")] {
        let store = DeviceStore::in_memory().unwrap();
        let request = request(&world, "alice", false);
        let prepared = PreparedSignIn::new(wire.clone(), store, environment(&world), request).unwrap();
        let token = world.issue("alice", nonce).await;
        let refused = prepared.complete(LibSignal, &token).await.err().unwrap();
        assert!(matches!(refused, MessengerError::IdToken(IdTokenFault::OtherNonce)), "{refused}");
    }
    // The client was told of another issuer or audience than the token is of.
    for (issuer, audience, due) in [
        (None, Some("another"), IdTokenFault::OtherAudience),
        (Some("https://issuer.example"), None, IdTokenFault::OtherIssuer),
    ] {
        let mut request = request(&world, "alice", false);
        request.issuer = issuer.map_or(request.issuer, str::to_owned);
        request.audience = audience.map_or(request.audience, str::to_owned);
        let store = DeviceStore::in_memory().unwrap();
        let prepared = PreparedSignIn::new(wire.clone(), store, environment(&world), request).unwrap();
        let token = world.issue("alice", Some(prepared.challenge().nonce())).await;
        let refused = prepared.complete(LibSignal, &token).await.err().unwrap();
        assert!(matches!(&refused, MessengerError::IdToken(fault) if *fault == due), "{refused}");
    }
    assert_eq!(wire.asked.lock().unwrap().len(), 0);
}

/// The user may get the token with another program, and a lost answer is repeated with the same one.
#[tokio::test]
async fn a_challenge_is_kept_until_a_sign_in_has_succeeded() {
    let world = World::new().await;
    let (wire, folder) = (TestNetwork::to(&[&world]), tempfile::tempdir().unwrap());
    let prepare = || {
        let store = DeviceStore::open(&folder.path().join("eko.db")).unwrap();
        let request = request(&world, "alice", false);
        PreparedSignIn::new(wire.clone(), store, environment(&world), request).unwrap()
    };
    let nonce = prepare().challenge().nonce().to_owned();
    assert_eq!(prepare().challenge().nonce(), nonce);
    let token = world.issue("alice", Some(&nonce)).await;
    // The first request is for the chain, the second one is the registration.
    let requests = std::sync::atomic::AtomicUsize::new(0);
    wire.fail(move || {
        let n = requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (n == 1).then_some(NetworkFault::LostAnswer)
    });
    assert!(prepare().complete(LibSignal, &token).await.is_err());
    wire.honest();
    let (alice, _) = prepare().complete(LibSignal, &token).await.unwrap();
    drop(alice);

    // The next sign-in of the same device has another nonce, and the old token is over.
    assert_ne!(prepare().challenge().nonce(), nonce);
    let refused = prepare().complete(LibSignal, &token).await.err().unwrap();
    assert!(matches!(refused, MessengerError::IdToken(IdTokenFault::OtherNonce)), "{refused}");
}
