//! Tests of the device's store: over crashes, restarts, lost answers and weeks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::device::{PoolCount, RegistrationStatus};
use eko_client::messenger::{MessengerError, Notice, Severity};
use eko_client::{DeviceStore, Environment, Messenger};
use eko_protocol::json::has_type;
use eko_testkit::World;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::people::{self, COUNTS, TestMessenger, first, hear, request, say};
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

async fn sign_in(
    world: &World,
    wire: &TestNetwork,
    folder: &TempDir,
    user: &str,
) -> Result<TestMessenger, MessengerError> {
    let store = DeviceStore::open(&folder.path().join("eko.db")).unwrap();
    let request = request(world, user, false);
    let signed_in = people::sign_in(world, wire, store, environment(world), request).await;
    signed_in.map(|(client, registered)| {
        assert_eq!(registered.status, RegistrationStatus::Active);
        client
    })
}

fn environment(world: &World) -> Environment {
    // The random bytes are not seeded. Otherwise each process that opens the store would draw the
    // same ids.
    Environment { clock: world.clock(), ..Environment::system() }
}

fn open(world: &World, wire: &TestNetwork, folder: &TempDir) -> TestMessenger {
    let store = DeviceStore::open(&folder.path().join("eko.db")).unwrap();
    Messenger::open(wire.clone(), LibSignal, store, environment(world)).unwrap().unwrap()
}

#[tokio::test]
async fn sessions_and_words_outlive_the_process() {
    let world = World::new().await;
    let (wire, folder) = (TestNetwork::to(&[&world]), TempDir::new().unwrap());
    let bob = first(&world, &wire, "bob").await;
    let mut alice = sign_in(&world, &wire, &folder, "alice").await.unwrap();
    for round in 0..3 {
        say(&alice, &bob.me(), &format!("{round}")).await;
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await, [format!("{round}")]);
        say(&bob, &alice.me(), &format!("{round} back")).await;
        world.deliver().await;
        drop(alice);
        alice = open(&world, &wire, &folder);
        assert_eq!(hear(&world, &alice).await, [format!("{round} back")]);
    }
    assert_eq!(alice.history(None, 10).unwrap().len(), 6);
    let another = sign_in(&world, &wire, &folder, "bob").await;
    assert!(matches!(another, Err(MessengerError::Invalid(_))));
    world.deliver().await;
}

#[tokio::test]
async fn a_registration_whose_answer_is_lost_goes_on() {
    for fault in [NetworkFault::LostRequest, NetworkFault::LostAnswer] {
        let world = World::new().await;
        let (wire, folder) = (TestNetwork::to(&[&world]), TempDir::new().unwrap());
        // The first request is for the chain, the second one is the registration.
        let requests = std::sync::atomic::AtomicUsize::new(0);
        wire.fail(move || {
            let n = requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            (n == 1).then_some(fault)
        });
        let lost = sign_in(&world, &wire, &folder, "alice").await;
        assert!(matches!(lost, Err(MessengerError::Client(_))));
        wire.honest();
        let alice = sign_in(&world, &wire, &folder, "alice").await.unwrap();
        let bob = first(&world, &wire, "bob").await;
        say(&bob, &alice.me(), "there you are").await;
        world.deliver().await;
        assert_eq!(hear(&world, &alice).await, ["there you are"]);
        world.deliver().await;
    }
}

#[tokio::test]
async fn two_processes_share_tokens_and_sessions() {
    let world = World::new().await;
    let (wire, folder) = (TestNetwork::to(&[&world]), TempDir::new().unwrap());
    let bob = first(&world, &wire, "bob").await;
    let listens = sign_in(&world, &wire, &folder, "alice").await.unwrap();
    let sends = open(&world, &wire, &folder);
    for round in 0..6 {
        // This is longer than an access token lives. A refresh token can be used once.
        world.advance(1_000_000);
        let (client, other) = if round % 2 == 0 { (&sends, &listens) } else { (&listens, &sends) };
        say(client, &bob.me(), &format!("{round}")).await;
        say(other, &bob.me(), &format!("{round} too")).await;
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await.len(), 2);
        say(&bob, &listens.me(), "heard").await;
        world.deliver().await;
        assert_eq!(hear(&world, &listens).await, ["heard"]);
        world.deliver().await;
    }
    assert_eq!(sends.history(None, 100).unwrap().len(), 18);
}

/// The connection is killed a thousand times after the server has read a refresh. The device stays
/// signed in.
#[tokio::test]
async fn a_thousand_refreshes_whose_answers_are_lost() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let killed = Arc::new(AtomicBool::new(false));
    let fault = Arc::clone(&killed);
    wire.fail(move || fault.swap(false, Ordering::Relaxed).then_some(NetworkFault::LostAnswer));
    for number in 0..1_000 {
        world.advance(1_000_000);
        wire.asked.lock().unwrap().clear();
        killed.store(true, Ordering::Relaxed);
        bob.key_status().await.unwrap_or_else(|error| panic!("{number}: {error}"));
        let refreshes =
            wire.asked.lock().unwrap().iter().filter(|url| url.ends_with("/auth/refresh")).count();
        assert_eq!(refreshes, 2, "{number}");
    }
}

#[tokio::test]
async fn keys_are_topped_up_renewed_and_the_old_ones_kept_for_what_is_under_way() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    hear(&world, &bob).await;
    let status = bob.key_status().await.unwrap();
    assert_eq!(
        (status.left.pre_keys, status.left.kyber_pre_keys),
        (COUNTS.pre_keys.into(), COUNTS.kyber_pre_keys.into())
    );
    assert!(status.agrees);
    // This message is encrypted with the old signed keys, and decrypted after the renewal.
    say(&alice, &bob.me(), "long under way").await;
    world.deliver().await;
    world.advance(8 * 24 * 3_600_000);
    bob.upkeep(status.left).await.unwrap();
    let renewed = bob.key_status().await.unwrap();
    assert!(renewed.agrees && renewed.renewed_ms > status.renewed_ms);
    assert_eq!(renewed.left.pre_keys, u64::from(COUNTS.pre_keys) - 1);
    assert_eq!(hear(&world, &bob).await, ["long under way"]);
    let carol = first(&world, &wire, "carol").await;
    say(&carol, &bob.me(), "under the new ones").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["under the new ones"]);
    world.deliver().await;
}

#[tokio::test]
async fn keys_that_the_server_has_otherwise_are_renewed_at_once() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let before = alice.key_status().await.unwrap();
    assert!(before.agrees);
    wire.tamper(|passing| {
        let asked: Value = serde_json::from_slice(passing.request).ok()?;
        let differ = json!({ "type": "x/keys-differ", "title": "other keys", "status": 409 });
        has_type(&asked, "Check").then(|| FalseAnswer { status: 409, body: differ.to_string().into_bytes() })
    });
    assert!(!alice.key_status().await.unwrap().agrees);
    world.advance(1000);
    alice.upkeep(before.left).await.unwrap();
    wire.honest();
    let after = alice.key_status().await.unwrap();
    assert!(after.agrees && after.renewed_ms > before.renewed_ms, "{after:?}");
}

/// The server says that it has later keys of Alice's device, as it does after somebody with a copy
/// of her identity key has published some.
#[tokio::test]
async fn keys_that_somebody_else_published_are_replaced() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let replacements = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&replacements);
    wire.tamper(move |passing| {
        let asked: Value = serde_json::from_slice(passing.request).ok()?;
        if asked["type"] != "Add" {
            return None;
        }
        if asked["eko:replacesAll"] == true {
            seen.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        let pointer = "/object/preKeys/0/id";
        let refusal = json!({ "type": "x/invalid", "title": "no", "status": 422, "pointer": pointer });
        Some(FalseAnswer { status: 422, body: refusal.to_string().into_bytes() })
    });
    let few = PoolCount { pre_keys: 0, kyber_pre_keys: 0 };
    // The keys did arrive, and the server replaces none in the minute after that.
    assert!(alice.upkeep(few).await.is_err());
    world.advance(60_000);
    let notice = alice.upkeep(few).await.unwrap();
    assert_eq!(notice, Some(Notice::KeysReplaced));
    assert_eq!(notice.map(|notice| notice.severity()), Some(Severity::Warning));
    let status = alice.key_status().await.unwrap();
    assert_eq!(
        (status.left.pre_keys, status.left.kyber_pre_keys),
        (COUNTS.pre_keys.into(), COUNTS.kyber_pre_keys.into())
    );
    assert!(status.agrees);
    // A server that says so all the time gets new keys once an hour at most.
    assert!(alice.upkeep(few).await.is_err());
    assert_eq!(replacements.load(Ordering::SeqCst), 2);
    world.advance(3_600_000);
    assert_eq!(alice.upkeep(few).await.unwrap(), Some(Notice::KeysReplaced));
    assert_eq!(replacements.load(Ordering::SeqCst), 3);
    // An honest one is believed again, and messages arrive.
    wire.honest();
    let bob = first(&world, &wire, "bob").await;
    say(&bob, &alice.me(), "under the newest ones").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["under the newest ones"]);
    world.deliver().await;
}

/// The answer to a replacement is lost: it is repeated as it was, and the user is told then.
#[tokio::test]
async fn a_replacement_is_repeated_as_it_was() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let passed = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&passed);
    wire.tamper(move |passing| {
        let asked: Value = serde_json::from_slice(passing.request).ok()?;
        if asked["type"] != "Add" {
            return None;
        }
        if asked["eko:replacesAll"] == true {
            seen.lock().unwrap().push((asked["published"].clone(), asked["object"].clone()));
            return Some(FalseAnswer { status: 503, body: Vec::new() });
        }
        let pointer = "/object/signedPreKey/id";
        let refusal = json!({ "type": "x/invalid", "title": "no", "status": 422, "pointer": pointer });
        Some(FalseAnswer { status: 422, body: refusal.to_string().into_bytes() })
    });
    let few = PoolCount { pre_keys: 0, kyber_pre_keys: 0 };
    for _ in 0..2 {
        assert!(alice.upkeep(few).await.is_err());
        world.advance(60_000);
    }
    let passed = passed.lock().unwrap().clone();
    assert_eq!(passed.len(), 2);
    assert_eq!(passed[0], passed[1]);
    wire.honest();
    assert_eq!(alice.upkeep(few).await.unwrap(), Some(Notice::KeysReplaced));
    assert!(alice.key_status().await.unwrap().agrees);
}

#[tokio::test]
async fn a_server_that_has_forgotten_a_device_is_told_from_one_that_never_knew_it() {
    let (before, folder) = (World::new().await, TempDir::new().unwrap());
    sign_in(&before, &TestNetwork::to(&[&before]), &folder, "alice").await.unwrap();
    let after = World::new().await;
    let forgotten = sign_in(&after, &TestNetwork::to(&[&after]), &folder, "alice").await;
    assert!(matches!(forgotten, Err(MessengerError::Forgotten)));
}

#[tokio::test]
async fn news_is_told_though_what_follows_from_the_look_fails() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let bob = first(&world, &wire, "bob").await;
    let (two, _) = crate::people::device(&world, &wire, "bob", "two").await;
    world.deliver().await;
    // The page and its acknowledgement pass. The requests that top up the keys fail.
    let requests = std::sync::atomic::AtomicUsize::new(0);
    wire.fail(move || {
        (requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 2)
            .then_some(NetworkFault::LostRequest)
    });
    let notices = bob.receive().await.unwrap().notices;
    assert!(
        matches!(&notices[..], [Notice::DeviceWaits(waiting)] if waiting.device.id == *two.device().id())
    );
    assert!(bob.receive().await.is_err());
    wire.honest();
    assert!(bob.receive().await.unwrap().notices.is_empty());
}
