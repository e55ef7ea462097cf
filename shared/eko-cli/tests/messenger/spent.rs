//! Tests of forward secrecy: what becomes of private prekeys once they have been used.

use std::sync::{Arc, Mutex};

use eko_client::DeviceStore;
use eko_client::sessions::PrivateKeys;
use eko_client::store::DeviceStoreError;
use eko_protocol::key::KeyId;
use eko_testkit::World;
use http::Method;
use serde_json::Value;

use crate::people::{first, say};
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, TestNetwork};

/// The prekeys of one key package that a server gave out.
#[derive(Debug, Clone, Copy)]
struct GivenKeys {
    one_time: Option<KeyId>,
    kyber: KeyId,
}

/// Records the prekeys in the key packages of Bob that are given out.
fn watch(wire: &TestNetwork) -> Arc<Mutex<Vec<GivenKeys>>> {
    let given: Arc<Mutex<Vec<GivenKeys>>> = Arc::default();
    let seen = Arc::clone(&given);
    wire.tamper(move |passing| {
        if passing.endpoint != ("POST", "/user/bob/keyPackages") {
            return None;
        }
        let answer: Value = serde_json::from_slice(passing.answer).ok()?;
        for package in answer["items"].as_array()? {
            let id = |name: &str| serde_json::from_value(package[name].clone()).ok();
            let kyber = id("kyberPreKeyId")?;
            seen.lock().unwrap().push(GivenKeys { one_time: id("preKeyId"), kyber });
        }
        None
    });
    given
}

/// Returns whether a store has the private halves of these keys: the one-time key, the Kyber key.
fn has(store: &DeviceStore, keys: GivenKeys) -> (bool, bool) {
    let read = store.read(|tx| {
        let one_time = keys.one_time.and_then(|id| tx.one_time(id).unwrap()).is_some();
        Ok::<_, DeviceStoreError>((one_time, tx.kyber(keys.kyber).unwrap().is_some()))
    });
    read.unwrap()
}

#[tokio::test]
async fn one_time_keys_are_gone_once_a_message_was_read_and_last_resort_keys_stay() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, bob) = RestartingUser::sign_in(&world, "bob").await;
    let store = user.store();
    let given = watch(&wire);
    // Bob publishes no more than the keys that he began with: ten one-time prekeys, and five
    // one-time Kyber keys.
    user.line.drop_requests(|request| {
        let publishes = request.method() == Method::POST && request.uri().path() == "/user/bob/keyPackages";
        publishes.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    for round in 0..7 {
        let alice = first(&world, &wire, &format!("alice{round}")).await;
        say(&alice, &bob.me(), "hello").await;
        let keys = *given.lock().unwrap().last().unwrap();
        assert_eq!(has(&store, keys), (true, true), "{round}: {keys:?}");
        world.deliver().await;
        bob.receive().await.unwrap();
        assert_eq!(bob.requests().unwrap().len(), usize::try_from(round).unwrap() + 1);
        // The sixth package has the last-resort key, which others may have too.
        assert_eq!(has(&store, keys), (false, round >= 5), "{round}: {keys:?}");
    }
    world.deliver().await;
}
