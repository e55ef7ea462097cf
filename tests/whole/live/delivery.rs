//! Delivery to sockets: which frames a device gets, in which order, and what becomes of those that
//! cannot be posted.

use eko_client::Device;
use eko_client::device::OutgoingEnvelope;
use eko_engines::connections::{OpenConnection, WAITING_MESSAGES};
use eko_store::device::DeviceAddress;
use eko_store::live::ConnectionId;
use eko_testkit::{CallFault, ChainChanges as _, DirectTransport, World, envelope};
use serde_json::{Value, json};

use super::{addresses, alice_and_bob, assert_ended, kinds};

/// Returns the entries of the first page of a device's mailbox.
async fn page(device: &Device<DirectTransport>) -> Vec<Value> {
    let (method, path) = (http::Method::GET, format!("/user/{}/inbox", device.user()));
    let answer = device.call(method, &path, eko_client::Body::Empty, eko_client::Auth::Device).await;
    answer.unwrap().json().unwrap()["orderedItems"].as_array().unwrap().clone()
}

/// Registers a socket whose connection is not established yet.
async fn begin_connecting(world: &World, device: &Device<DirectTransport>) -> OpenConnection {
    let connection = world.engines.connections().open();
    let id = ConnectionId::parse(&connection.id).unwrap();
    let expires_s = world.now_ms() / 1000 + 900;
    let device = DeviceAddress::new(device.user(), device.id());
    world.state.messaging().connect(device, expires_s, id).await.unwrap();
    connection
}

#[tokio::test]
async fn an_entry_goes_to_every_socket_of_its_device_as_a_fetch_shows_it() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    let mut sockets = [world.connect(&bob).await.unwrap(), world.connect(&bob).await.unwrap()];
    let mut other = world.connect(&second).await.unwrap();
    for _ in 0..3 {
        world.advance(1);
        world.send(&alice, &[&bob, &second]).await;
    }
    world.deliver().await;
    for socket in &mut sockets {
        assert_eq!(socket.frames(), page(&bob).await);
    }
    assert_eq!(other.frames(), page(&second).await);
    // Reports come the same way.
    let mut author = world.connect(&alice).await.unwrap();
    let entries = addresses(&page(&bob).await);
    let accepted = sockets[0].say(&json!({ "type": "Delivered", "id": "a", "object": entries })).await;
    assert_eq!(accepted, [json!({ "type": "Accept", "object": "a" })]);
    assert_eq!(page(&bob).await, [] as [Value; 0]);
    world.deliver().await;
    assert_eq!(author.frames(), page(&alice).await);
}

/// A device connects first and fetches then. Wherever a delivery is meanwhile, nothing is missing.
#[tokio::test]
async fn connecting_while_entries_are_delivered_leaves_no_gap() {
    for (operation, before) in [("BatchWriteItem", 0), ("BatchGetItem", 0), ("DeleteMessageBatch", 0)] {
        let (world, alice, bob) = alice_and_bob().await;
        world.send(&alice, &[&bob]).await;
        let held = world.calls.hold(operation, before);
        let (_, mut socket) = tokio::join!(world.deliver(), async {
            held.reached().await;
            let mut socket = world.connect(&bob).await.unwrap();
            let backlog = socket.fetch().await;
            held.release();
            (socket, backlog)
        });
        let mut frames = socket.1;
        frames.extend(socket.0.frames());
        let mut got = addresses(&frames);
        got.dedup();
        assert_eq!(got, addresses(&page(&bob).await), "{operation}");
        assert_eq!(got.len(), 1, "{operation}");
    }
}

/// A connection that is being established cannot be posted to. It stays registered, and its device
/// finds the entry when it fetches.
#[tokio::test]
async fn a_connection_that_is_being_established_is_not_forgotten() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut connection = begin_connecting(&world, &bob).await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    connection.establish();
    assert_eq!(world.messages(&bob).await.len(), 1);
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    assert!(connection.try_receive().is_some());
}

#[tokio::test]
async fn many_entries_and_long_ones_are_announced() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    let announce = json!({ "type": "Announce", "object": "https://eko.example/user/bob/inbox" });
    // A ciphertext of 32 KB is longer in base64.
    let long = |bytes| {
        let messages = vec![(bob.id().clone(), vec![7; bytes])];
        OutgoingEnvelope::new(bob.user().clone(), alice.envelope_id(), messages)
    };
    alice.send(&long(20 * 1024)).await.unwrap();
    world.advance(1);
    alice.send(&long(32 * 1024)).await.unwrap();
    world.deliver().await;
    let frames = socket.frames();
    assert_eq!(kinds(&frames), ["Create", "Announce"]);
    assert_eq!(frames[1], announce);
    assert_eq!(socket.fetch().await, std::slice::from_ref(&announce));
    world.empty(&bob).await;

    for number in 0..26 {
        world.advance(10_000);
        world.send(&alice, &[&bob]).await;
        world.deliver().await;
        socket.frames();
        let backlog = socket.fetch().await;
        match number {
            0..25 => assert_eq!(backlog.len(), number + 2, "the entries, and QueueEmpty"),
            _ => assert_eq!(backlog, std::slice::from_ref(&announce)),
        }
    }
}

#[tokio::test]
async fn the_backlog_ends_with_the_counts_of_keys() {
    let (world, alice, bob) = alice_and_bob().await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    let mut socket = world.connect(&bob).await.unwrap();
    let backlog = socket.say(&json!({ "type": "Fetch", "id": "f" })).await;
    let entries = page(&bob).await;
    let keys = bob.fetch().await.unwrap();
    let empty = json!({ "type": "QueueEmpty", "object": "f", "eko:preKeyCount": keys.keys_left.pre_keys,
                        "eko:kyberPreKeyCount": keys.keys_left.kyber_pre_keys });
    assert_eq!(backlog, [entries, vec![empty]].concat());
}

/// A connection that is gone is removed by the first frame for it, and no other is posted.
#[tokio::test]
async fn a_connection_that_is_gone_is_removed() {
    let (world, alice, bob) = alice_and_bob().await;
    drop(world.connect(&bob).await.unwrap());
    world.advance(15_000);
    let mut socket = world.connect(&bob).await.unwrap();
    let posts = |made: Vec<String>| made.iter().filter(|call| *call == "PostToConnection").count();
    for expected in [2, 1] {
        world.send(&alice, &[&bob]).await;
        world.calls.reset();
        world.deliver().await;
        assert_eq!(posts(world.calls.made()), expected);
        assert_eq!(kinds(&socket.frames()), ["Create"]);
    }
}

/// A client that does not read is left to fetch, and told so when it reads again. Others get their
/// frames, and the queue's messages are done.
#[tokio::test]
async fn a_slow_client_is_left_to_fetch() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut slow = world.connect(&bob).await.unwrap();
    let mut quick = world.connect(&bob).await.unwrap();
    let most = WAITING_MESSAGES + 3;
    for _ in 0..most {
        world.send(&alice, &[&bob]).await;
        world.deliver().await;
        assert_eq!(kinds(&quick.frames()), ["Create"]);
    }
    assert_eq!(world.queued().await, (0, 0));
    // It does not read before it is told, either.
    world.advance(5_000);
    world.deliver().await;
    assert_eq!(slow.frames().len(), WAITING_MESSAGES);
    world.advance(20_000);
    world.deliver().await;
    // One announcement, though three entries could not be posted.
    assert_eq!(kinds(&slow.frames()), ["Announce"]);
    assert_eq!(kinds(&quick.frames()), [] as [&str; 0]);
}

/// A client that reads again before it is told to fetch is told so instead of the next entry, since
/// it lacks those before. It gets entries from then on.
#[tokio::test]
async fn a_client_that_reads_again_is_told_to_fetch_at_once() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    for _ in 0..=WAITING_MESSAGES {
        world.send(&alice, &[&bob]).await;
        world.deliver().await;
    }
    assert_eq!(socket.frames().len(), WAITING_MESSAGES);
    for expected in ["Announce", "Create"] {
        world.send(&alice, &[&bob]).await;
        world.deliver().await;
        assert_eq!(kinds(&socket.frames()), [expected]);
    }
    // The announcement that was ordered comes all the same.
    world.advance(5_000);
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), ["Announce"]);
}

/// A connection that is there may answer as if it were gone. It is closed, so that its client
/// notices, and connects again.
#[tokio::test]
async fn a_connection_that_seems_to_be_gone_is_closed() {
    let (world, alice, bob) = alice_and_bob().await;
    let connection = begin_connecting(&world, &bob).await;
    world.advance(15_000);
    world.send(&alice, &[&bob]).await;
    let held = world.calls.hold("DeleteConnection", 0);
    let mut delivery = std::pin::pin!(world.deliver());
    tokio::select! {
        biased;
        _ = &mut delivery => panic!("nothing is closed"),
        () = held.reached() => {}
    }
    connection.establish();
    held.release();
    delivery.await;
    assert!(connection.is_deleted());
}

/// An announcement does not find a connection that is being established, and leaves it registered.
#[tokio::test]
async fn an_announcement_forgets_no_connection_that_is_being_established() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut connection = begin_connecting(&world, &bob).await;
    world.send(&alice, &[&bob]).await;
    world.calls.fail("PostToConnection", CallFault::Down, 2);
    world.deliver().await;
    world.advance(5_000);
    world.deliver().await;
    connection.establish();
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    assert!(connection.try_receive().is_some());
}

/// All posts of a batch have one deadline. Sockets that are not closed by then stay, and the order comes
/// back for them.
#[tokio::test]
async fn an_order_that_has_no_time_left_comes_back() {
    let (world, alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    let mut socket = world.connect(&second).await.unwrap();
    world.send(&alice, &[&bob, &second]).await;
    bob.revoke(second.id()).await.unwrap();
    // Neither the entry nor the end of the socket is answered.
    let _posts = [(); 2].map(|()| world.calls.hold("PostToConnection", 0));
    let _close = world.calls.hold("DeleteConnection", 0);
    world.deliver().await;
    assert!(!socket.is_closed());
    world.advance(30_000);
    world.deliver().await;
    let told = kinds(&socket.frames());
    assert!(told.contains(&"Terminated device-revoked".to_owned()), "{told:?}");
    assert!(socket.is_closed());
}

/// A client that never reads is cut off after some minutes.
#[tokio::test]
async fn a_client_that_never_reads_is_cut_off() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    for _ in 0..=WAITING_MESSAGES {
        world.send(&alice, &[&bob]).await;
    }
    world.deliver().await;
    for _ in 0..6 {
        bob.refresh().await.unwrap();
        world.advance(900_000);
        world.deliver().await;
    }
    assert!(socket.is_closed());
    assert_eq!(socket.frames().len(), WAITING_MESSAGES);
}

#[tokio::test]
async fn posts_that_fail_fail_no_message() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.calls.fail("PostToConnection", CallFault::Down, 2);
    world.deliver().await;
    assert_eq!(world.queued().await, (0, 0));
    assert_eq!(kinds(&socket.frames()), [] as [&str; 0]);
    world.advance(5_000);
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), ["Announce"]);
}

/// If it cannot be read who has a socket, nobody would tell the devices: the message comes again.
#[tokio::test]
async fn a_delivery_that_does_not_know_the_sockets_comes_again() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.calls.fail("BatchGetItem", CallFault::Down, 3);
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), [] as [&str; 0]);
    assert_eq!(world.messages(&bob).await.len(), 1, "it is in the mailbox");
    world.advance(30_000);
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), ["Create"]);
}

#[tokio::test]
async fn a_socket_whose_token_has_expired_gets_no_entry() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    world.advance(899_000);
    alice.refresh().await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), ["Create"]);
    world.advance(1_000);
    alice.send(&envelope(&alice, &[&bob])).await.unwrap();
    world.deliver().await;
    assert_ended(&mut socket, "token-expired");
}

/// No connection of API Gateway is older than two hours. A server without that limit ends older ones
/// by itself, and says so.
#[tokio::test]
async fn a_socket_whose_time_is_over_ends() {
    let (world, alice, bob) = alice_and_bob().await;
    let mut sockets = [world.connect(&bob).await.unwrap(), world.connect(&bob).await.unwrap()];
    for _ in 0..9 {
        world.advance(800_000);
        bob.refresh().await.unwrap();
        let token = bob.tokens().unwrap().access;
        for socket in &mut sockets {
            let authenticate = json!({ "type": "Authenticate", "id": "t", "token": token });
            assert_eq!(kinds(&socket.say(&authenticate).await), ["Accept"]);
        }
    }
    world.advance(600_000);
    alice.refresh().await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    for socket in &mut sockets {
        assert_ended(socket, "going-away");
    }
    let mut former = world.connect(&bob).await.unwrap();
    world.advance(7_800_000);
    bob.refresh().await.unwrap();
    let mut socket = world.connect(&bob).await.unwrap();
    assert_ended(&mut former, "going-away");
    assert_eq!(kinds(&socket.fetch().await), ["Create", "QueueEmpty"]);
}

/// Answers that cannot be posted do not put off the announcement that is ordered.
#[tokio::test]
async fn a_client_whose_answers_fail_is_told_to_fetch() {
    let (world, _alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..4 {
        world.calls.fail("PostToConnection", CallFault::Down, 2);
        told.extend(socket.say(&json!({ "type": "Ping" })).await);
        world.advance(2_500);
        world.deliver().await;
        told.extend(socket.frames());
    }
    assert_eq!(kinds(&told), ["Announce"]);
    // The last answer failed soon after that, so that its announcement comes later.
    world.advance(15_000);
    world.deliver().await;
    assert_eq!(kinds(&socket.frames()), ["Announce"]);
    world.advance(900_000);
    assert_eq!(world.deliver().await, 0, "no other one is ordered");
}

/// An announcement that is ordered shares a batch with an entry whose socket does not answer. It is made all
/// the same.
#[tokio::test]
async fn an_announcement_waits_for_no_other_socket() {
    let (world, alice, bob) = alice_and_bob().await;
    let carol = world.user("carol").await;
    let mut behind = world.connect(&bob).await.unwrap();
    let hangs = world.connect(&carol).await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.calls.fail("PostToConnection", CallFault::Down, 2);
    world.deliver().await;
    world.advance(5_000);
    world.calls.hang_posts_to(hangs.id());
    world.send(&alice, &[&carol]).await;
    world.deliver().await;
    assert_eq!(kinds(&behind.frames()), ["Announce"]);
}

/// A client that takes no frames is cut off, though each try takes all of an order's time. If it is not, the
/// order comes back.
#[tokio::test]
async fn a_client_on_whose_socket_everything_hangs_is_cut_off() {
    let (world, alice, bob) = alice_and_bob().await;
    let socket = world.connect(&bob).await.unwrap();
    world.calls.hang_posts_to(socket.id());
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    for pause_ms in [5_000, 20_000, 80_000, 320_000] {
        assert!(!socket.is_closed());
        world.advance(pause_ms);
        let _held = (pause_ms == 320_000).then(|| world.calls.hold("DeleteConnection", 0));
        world.deliver().await;
    }
    assert!(!socket.is_closed(), "it could not be closed");
    world.advance(30_000);
    world.deliver().await;
    assert!(socket.is_closed());
    assert_eq!(world.queued().await, (0, 0));
}
