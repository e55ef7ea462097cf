//! Tests with two devices on each side: every message reaches all other devices of both users.

use crate::device::OfficialDevice;
use crate::eko_device::{EkoDevice, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server() {
    let here = LocalServer::start().await;
    all_write(&here, &here).await;
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_two_servers() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    all_write(&hers, &his).await;
    hers.end().await;
    his.end().await;
}

/// Every device begins its sessions before it has received a message of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_begin_at_once() {
    let (hers, his) = (LocalServer::start().await, LocalServer::start().await);
    let alice = EkoDevice::two(&hers, "alice").await;
    let mut bob = OfficialDevice::two(Library::Current, &his, "bob").await;
    let (to_alice, to_bob) = (alice[0].actor(), bob[0].actor.clone());
    let [phone, tablet] = &mut bob;
    let (_, _, sent, other) = tokio::join!(
        alice[0].say(&to_bob, "hers 0"),
        alice[1].say(&to_bob, "hers 1"),
        phone.send(&to_alice, "his 0"),
        tablet.send(&to_alice, "his 1"),
    );
    phone.sync(sent.activity()).await;
    tablet.sync(other.activity()).await;
    for (index, device) in alice.iter().enumerate() {
        let mut texts: Vec<_> = device.hear(3).await.into_iter().map(|heard| heard.text).collect();
        texts.sort();
        assert_eq!(texts, [&format!("hers {}", 1 - index), "his 0", "his 1"]);
    }
    for (index, device) in bob.iter_mut().enumerate() {
        let read = device.fetch(3).await;
        let mut texts: Vec<_> =
            read.iter().map(|read| read["activity"]["object"]["content"].as_str().unwrap()).collect();
        texts.sort();
        assert_eq!(texts, ["hers 0", "hers 1", &format!("his {}", 1 - index)]);
    }
    for round in 0..ROUNDS {
        for index in [0, 1] {
            alice_writes(&alice, index, &mut bob, &format!("{round}: hers {index}")).await;
            bob_writes(&mut bob, index, &alice, &format!("{round}: his {index}")).await;
        }
    }
    for device in &alice {
        device.settled().await;
    }
    for device in &mut bob {
        device.settled().await;
    }
    hers.end().await;
    his.end().await;
}

async fn all_write(hers: &LocalServer, his: &LocalServer) {
    let alice = EkoDevice::two(hers, "alice").await;
    let mut bob = OfficialDevice::two(Library::Current, his, "bob").await;
    let mut log = Vec::new();
    for round in 0..ROUNDS {
        for index in [0, 1] {
            let words = format!("{round}: hers {index}");
            alice_writes(&alice, index, &mut bob, &words).await;
            log.push((alice[0].actor(), words));
            let words = format!("{round}: his {index}");
            bob_writes(&mut bob, index, &alice, &words).await;
            log.push((bob[0].actor.clone(), words));
        }
    }
    for device in &alice {
        device.settled().await;
        assert_eq!(device.history(&bob[0].actor), log);
    }
    for device in &mut bob {
        device.settled().await;
    }
}

/// One of Alice's devices writes. Both of Bob's devices read it, and Alice's other device gets a
/// copy.
async fn alice_writes(alice: &[EkoDevice; 2], index: usize, bob: &mut [OfficialDevice; 2], words: &str) {
    let (by, other) = (&alice[index], &alice[1 - index]);
    let said = by.say(&bob[0].actor, words).await;
    for device in bob {
        let received = device.fetch(1).await.remove(0);
        said.assert_is(&received, by, &device.actor);
    }
    let copy = other.hear(1).await.remove(0);
    assert!(copy.outgoing);
    assert_eq!((copy.id, copy.actor, copy.device), (said.id().to_owned(), by.actor(), by.address()));
    assert_eq!(copy.text, words);
}

/// One of Bob's devices writes. Both of Alice's devices read it, and Bob's other device gets a
/// copy.
async fn bob_writes(bob: &mut [OfficialDevice; 2], index: usize, alice: &[EkoDevice; 2], words: &str) {
    let [first, second] = bob;
    let (by, other) = if index == 0 { (first, second) } else { (second, first) };
    let sent = by.send(&alice[0].actor(), words).await;
    sent.assert_accepted(2);
    let copy = by.sync(sent.activity()).await;
    copy.assert_accepted(1);
    for device in alice {
        let heard = device.hear(1).await.remove(0);
        assert!(!heard.outgoing);
        assert_heard(&heard, &sent, by);
    }
    copy.assert_is(&other.fetch(1).await[0], by, other);
}
