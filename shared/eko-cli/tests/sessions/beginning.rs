//! Tests of how sessions begin: key packages, and the prekeys that they use up.

use eko_cli::LibSignal;
use eko_client::sessions::{KyberUse, LocalDevice, PeerDevice};
use eko_client::{DeviceKeys, Environment, KeyCounts, SessionError, SignalSessions};

use super::endpoint::{START_MS, SessionEndpoint, begun, repeatable};

#[test]
fn what_a_first_message_used_up_is_told() {
    let (mut alice, mut bob) = begun();
    let first = bob.keys.first();
    let (one_time, kyber) = (first.pre_keys[0].id, first.kyber_pre_keys[0].id);
    let signed = bob.keys.signed_pre_key().id;
    let content = alice.write(&bob, "hello");
    let decrypted = bob.look(&alice, &content).unwrap();
    assert_eq!(decrypted.one_time, Some(one_time));
    let KyberUse { id, signed: beside, base_key } = decrypted.kyber.unwrap();
    assert_eq!((id, beside), (kyber, signed));
    // The base key is in field 2 of the message: tag, length, key.
    let spelled = [&[0x12, 33], &base_key.as_bytes()[..]].concat();
    assert!(content.windows(spelled.len()).any(|window| window == spelled));
    bob.read(&alice, &content).unwrap();
    // Later messages name the same prekeys, but do not use any up.
    let content = alice.write(&bob, "again");
    let decrypted = bob.look(&alice, &content).unwrap();
    assert_eq!((decrypted.one_time, decrypted.kyber), (None, None));
}

#[test]
fn without_one_time_keys_the_last_resort_serves_everyone() {
    let mut bob = SessionEndpoint::new("bob");
    let last_resort = bob.keys.last_resort().unwrap().id;
    for n in 0..5 {
        let mut alice = SessionEndpoint::new("alice");
        alice.begin(&bob, &bob.package()).unwrap();
        let content = alice.write(&bob, &format!("{n}"));
        assert_eq!(bob.read(&alice, &content), Ok(n.to_string()));
        let answer = bob.write(&alice, "heard");
        assert_eq!(alice.read(&bob, &answer).as_deref(), Ok("heard"));
    }
    assert!(bob.spent.is_empty());
    assert_eq!(bob.used.len(), 5);
    assert!(bob.used.iter().all(|used| used.id == last_resort));
}

#[test]
fn one_kind_of_one_time_key_may_run_out_before_the_other() {
    let (mut alice, mut bob) = (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"));
    let mut package = bob.package();
    package.pre_key = bob.keys.first().pre_keys.first().cloned();
    alice.begin(&bob, &package).unwrap();
    let content = alice.write(&bob, "with a Curve25519 key");
    bob.read(&alice, &content).unwrap();
    let mut carol = SessionEndpoint::new("carol");
    let mut package = bob.package();
    package.kyber_pre_key = bob.keys.first().kyber_pre_keys.first().cloned();
    carol.begin(&bob, &package).unwrap();
    let content = carol.write(&bob, "with a Kyber key");
    bob.read(&carol, &content).unwrap();
    assert_eq!((bob.spent.len(), bob.used.len()), (1, 2));
}

#[test]
fn prekeys_before_a_rotation_still_open_what_was_under_way() {
    let (mut alice, mut bob) = begun();
    let mut carol = SessionEndpoint::new("carol");
    carol.begin(&bob, &bob.package()).unwrap();
    let (from_alice, from_carol) = (alice.write(&bob, "one-time"), carol.write(&bob, "last resort"));
    let environment = bob.environment.clone();
    bob.keys.rotate(&environment).unwrap();
    assert_eq!(bob.read(&alice, &from_alice).as_deref(), Ok("one-time"));
    assert_eq!(bob.read(&carol, &from_carol).as_deref(), Ok("last resort"));
}

#[test]
fn libsignal_accepts_every_signature_over_a_prekey() {
    let counts = KeyCounts { pre_keys: 1, kyber_pre_keys: 4, last_resort: true };
    let mut alice = SessionEndpoint::new("alice");
    let mut accepted = 0;
    // XEdDSA has a sign bit. Several identities produce both of its values.
    for _ in 0..12 {
        let mut bob = SessionEndpoint::new("bob");
        bob.keys = DeviceKeys::generate(counts, &bob.environment).unwrap();
        let environment = bob.environment.clone();
        let rotated = bob.keys.rotate(&environment).unwrap();
        let first = bob.keys.first();
        let signed = [&first.signed_pre_key, &rotated.signed_pre_key].map(|key| key.clone().unwrap());
        let kybers = first.kyber_pre_keys.iter().chain(&first.last_resort).chain(&rotated.last_resort);
        for (kyber, signed) in kybers.zip(signed.iter().cycle()) {
            let mut package = bob.package();
            package.signed_pre_key = signed.clone();
            package.kyber_pre_key = Some(kyber.clone());
            assert_eq!(alice.begin(&bob, &package), Ok(()));
            accepted += 1;
        }
    }
    assert_eq!(accepted, 12 * 6);
}

#[test]
fn all_randomness_is_the_environments() {
    let bob = SessionEndpoint::new("bob");
    let write = || {
        let mut alice = SessionEndpoint::with("alice", repeatable(START_MS));
        alice.begin(&bob, &bob.package_with(0)).unwrap();
        let content = alice.write(&bob, "the same");
        (content, alice.records)
    };
    assert_eq!(write(), write());
}

#[test]
fn a_session_that_nobody_answered_for_a_month_is_over() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let bob = SessionEndpoint::new("bob");
    let mut alice = SessionEndpoint::with("alice", repeatable(START_MS));
    alice.begin(&bob, &bob.package_with(0)).unwrap();
    let record = alice.records[&bob.address()].clone();
    let at = |now_ms: i64| {
        let environment = Environment { clock: std::sync::Arc::new(move || now_ms), ..Environment::system() };
        let (own, address, identity) = (alice.address(), bob.address(), bob.identity());
        let own = LocalDevice { environment: &environment, ..alice.own(&own) };
        let peer = PeerDevice { address: &address, identity: &identity };
        LibSignal.encrypt(own, peer, &record, b"still there?").map(drop)
    };
    assert_eq!(at(START_MS + 30 * DAY_MS), Ok(()));
    assert_eq!(LibSignal.usable(&record, START_MS + 30 * DAY_MS), Ok(true));
    assert_eq!(at(START_MS + 31 * DAY_MS), Err(SessionError::NoSession(bob.address())));
    assert_eq!(LibSignal.usable(&record, START_MS + 31 * DAY_MS), Ok(false));
    assert!(matches!(LibSignal.usable(b"no record", START_MS), Err(SessionError::Broken(_))));
}
