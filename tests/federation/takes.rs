//! Takes of key packages of users on other servers, through the own server.

use std::collections::BTreeSet;

use eko_testkit::{Internet, World, refused};

use crate::ServerPair;

#[tokio::test]
async fn keys_of_another_servers_user() {
    let pair = ServerPair::new().await;
    let second = pair.b.further(&pair.bob, "two").await;
    let there = pair.bob.origin();
    let taken = pair.alice.take_from(there, pair.bob.user()).await.unwrap();
    assert_eq!(taken.packages.len(), 2);
    assert!(taken.packages.iter().any(|package| package.device == second.address()));
    assert!(taken.packages.iter().any(|package| package.pre_key.is_some()));
    assert_eq!(taken.device_set.unwrap().length, 2);
    // The packages match the device chain, which the other server shows everyone.
    let (_, chain) = pair.bob.chain(pair.bob.user()).await.unwrap();
    let again = pair.alice.take_from(there, pair.bob.user()).await.unwrap();
    again.check(there, &chain).unwrap();
    let nobody = eko_protocol::address::UserName::parse("nobody").unwrap();
    assert_eq!(refused(pair.alice.take_from(there, &nobody).await), "404 not-found");
}

/// Each one-time key is handed out once, whoever asks. Another server gets only its budget of a
/// device's keys.
#[tokio::test]
async fn a_server_does_not_drain_a_pool() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let b = World::at(&internet, "b.example", |config| {
        config.limits.take_budget = 2;
        config.limits.take_server_budget = 3;
    })
    .await;
    internet.serve("b.example", b.app.clone()).await;
    let counts = eko_client::KeyCounts { pre_keys: 9, kyber_pre_keys: 0, last_resort: true };
    let bob = b.user_with("bob", counts).await;
    let mut ids = BTreeSet::new();
    let mut without = 0;
    for name in ["alice", "anna"] {
        let taker = a.user(name).await;
        for _ in 0..3 {
            let taken = taker.take_from(bob.origin(), bob.user()).await.unwrap();
            match &taken.packages[0].pre_key {
                Some(key) => assert!(ids.insert(key.id.get()), "{} went twice", key.id.get()),
                None => without += 1,
            }
            assert!(taken.packages[0].kyber_pre_key.is_some());
        }
    }
    // Alice got two keys and Anna one, and no take was refused.
    assert_eq!((ids.len(), without), (3, 3));
    // Users of the own server still get keys.
    let carol = b.user("carol").await;
    assert!(carol.take(bob.user()).await.unwrap().packages[0].pre_key.is_some());
}
