//! Blocks: whoever is blocked is answered as before and reaches nobody.

mod hidden;

use std::sync::Arc;

use eko_client::device::JoinKind;
use eko_client::{Auth, Body, Device};
use eko_protocol::block::{BlockedParty, ListedBlock};
use eko_testkit::{
    BARE, ChainChanges as _, DirectTransport, PushSite, World, envelope, lose_each_answer, parallel, refusal,
    refused,
};
use http::Method;
use serde_json::{Value, json};

use crate::outcomes::accepted;
use crate::people::{alice_and_bob, alice_and_bobs_two};

fn party(text: &str) -> BlockedParty {
    BlockedParty::parse(text).unwrap()
}

/// Blocks a party, or undoes that.
async fn change(device: &Device<DirectTransport>, text: &str, is_undone: bool) {
    device.change_block(&party(text), is_undone).await.unwrap();
}

/// Returns what a device is shown, without the times.
async fn blocked(device: &Device<DirectTransport>) -> Vec<String> {
    let blocks = device.blocks().await.unwrap();
    blocks.iter().map(|block| block.party.as_str().to_owned()).collect()
}

async fn post(device: &Device<DirectTransport>, activity: &Value) -> String {
    let path = format!("/user/{}/outbox", device.user());
    refusal(&device.call(Method::POST, &path, Body::Json(activity), Auth::Device).await.unwrap())
}

#[tokio::test]
async fn a_blocked_sender_reaches_no_device_until_the_block_is_undone() {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let site = PushSite::online(&world.internet, "push.example").await;
    let subscription = site.browser("1").subscription();
    bob.call(Method::POST, "/user/bob/push", Body::Json(&subscription), Auth::Device).await.unwrap();
    let mut socket = world.connect(&second).await.unwrap();
    let before = world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    assert_eq!(socket.frames().len(), 1);
    world.confirm(&bob).await;
    world.confirm(&second).await;
    world.deliver().await;
    world.empty(&alice).await;
    world.push().await;
    site.taken();

    // A block by one device is a block by all.
    change(&second, &alice.actor(), false).await;
    assert_eq!(blocked(&bob).await, [alice.actor()]);
    let dropped = world.send(&alice, &[&bob, &second]).await;
    accepted(alice.send(&dropped).await.unwrap());
    accepted(alice.send(&before).await.unwrap());
    world.deliver().await;
    world.push().await;
    for device in [&bob, &second] {
        assert_eq!(device.fetch().await.unwrap().entries, []);
    }
    assert_eq!((socket.frames().len(), site.taken().len()), (0, 0));
    assert_eq!(world.reports(&alice).await, []);
    // Bob still writes to Alice, and the reports on that come.
    world.send(&bob, &[&alice]).await;
    world.deliver().await;
    world.confirm(&alice).await;
    world.deliver().await;
    assert_eq!(world.reports(&bob).await.len(), 1);
    world.empty(&bob).await;
    world.empty(&second).await;
    socket.frames();

    change(&bob, &alice.actor(), true).await;
    assert_eq!(blocked(&second).await, Vec::<String>::new());
    accepted(alice.send(&dropped).await.unwrap());
    world.deliver().await;
    assert_eq!((world.messages(&bob).await.len(), world.messages(&second).await.len()), (1, 1));
    assert_eq!(socket.frames().len(), 1);
    world.push().await;
}

#[tokio::test]
async fn an_envelope_that_came_before_the_block_stays() {
    let (world, alice, bob) = alice_and_bob().await;
    world.send(&alice, &[&bob]).await;
    change(&bob, &alice.actor(), false).await;
    world.deliver().await;
    assert_eq!(world.messages(&bob).await.len(), 1);
}

#[tokio::test]
async fn blocks_are_listed_once_the_latest_first() {
    let (world, _alice, bob) = alice_and_bob().await;
    let eve = "https://b.example/user/eve";
    change(&bob, eve, false).await;
    let first_ms = world.now_ms();
    world.advance(1_000);
    change(&bob, "https://spam.example", false).await;
    world.advance(1_000);
    change(&bob, eve, false).await;
    let blocks = bob.blocks().await.unwrap();
    let due = |text, since_ms| ListedBlock { party: party(text), since_ms };
    assert_eq!(blocks, [due("https://spam.example", first_ms + 1_000), due(eve, first_ms)]);
    for is_undone in [true, true] {
        change(&bob, "https://spam.example", is_undone).await;
    }
    assert_eq!(blocked(&bob).await, [eve]);
}

#[tokio::test]
async fn who_may_block_whom() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let block = |object: &str| json!({ "type": "Block", "object": object });
    for (activity, answer) in [
        (block("https://eko.example/user/bob"), "422 invalid #/object"),
        (block("https://eko.example"), "422 invalid #/object"),
        (block("https://example"), "422 invalid #/object"),
        (block("https://eko.example/actor"), "422 invalid #/object"),
        (block("@eve@b.example"), "422 invalid #/object"),
        (json!({ "type": "Block" }), "422 invalid #/object"),
        (json!({ "type": "Undo", "object": "https://b.example" }), "422 invalid #/object/type"),
        (json!({ "type": "Undo", "object": block("b.example") }), "422 invalid #/object/object"),
        (
            json!({ "type": "Block", "actor": alice.actor(), "object": "https://b.example" }),
            "403 not-yours #/actor",
        ),
        (json!({ "type": "Follow", "object": "https://b.example" }), "422 invalid #/type"),
    ] {
        assert_eq!(post(&bob, &activity).await, answer, "{activity}");
    }
    let waiting = world.pending(&bob, "three").await;
    world.deliver().await;
    assert_eq!(refused(waiting.change_block(&party("https://b.example"), false).await), "403 device-pending");
    assert_eq!(refused(waiting.blocks().await), "403 device-pending");
    bob.revoke(second.id()).await.unwrap();
    for is_undone in [false, true] {
        let changed = second.change_block(&party("https://b.example"), is_undone).await;
        assert_eq!(refused(changed), "401 device-revoked");
    }
    assert_eq!(refused(second.blocks().await), "401 device-revoked");
    let theirs = alice.call(Method::GET, "/user/bob/blocked", Body::Empty, Auth::Device).await.unwrap();
    assert_eq!(refusal(&theirs), "403 not-owner");
    let nobody = alice.call(Method::GET, "/user/bob/blocked", Body::Empty, Auth::Nobody).await.unwrap();
    assert_eq!(refusal(&nobody), "401 unauthenticated");
    assert_eq!(blocked(&bob).await, Vec::<String>::new());
    world.deliver().await;
    world.erase().await;
}

/// Blocks and undone blocks that race with each other, with a revocation and with a reset lose
/// nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_outlive_what_happens_beside_them() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    change(&bob, &alice.actor(), false).await;
    let bob = Arc::new(bob);
    let blocks = (0..16).map(|number| {
        let bob = Arc::clone(&bob);
        async move { change(&bob, &format!("https://s{number}.example"), false).await }
    });
    let revocation = {
        let (bob, second) = (Arc::clone(&bob), second.id().clone());
        async move { bob.revoke(&second).await.unwrap() }
    };
    tokio::join!(parallel(blocks), parallel([revocation]));
    assert_eq!(blocked(&bob).await.len(), 17);
    let undone = (0..16).map(|number| {
        let bob = Arc::clone(&bob);
        async move { change(&bob, &format!("https://s{number}.example"), true).await }
    });
    parallel(undone).await;
    let anew = world.device("bob", "anew", BARE);
    anew.register(&world.id_token(&anew).await, JoinKind::Reset).await.unwrap();
    assert_eq!(blocked(&anew).await, [alice.actor()]);
    world.send(&alice, &[&anew]).await;
    world.deliver().await;
    assert_eq!(anew.fetch().await.unwrap().entries, []);
    world.erase().await;
}

#[tokio::test]
async fn a_block_whose_answer_is_lost() {
    lose_each_answer(
        alice_and_bob,
        |(world, ..)| &world.calls,
        async |(_, alice, bob), _| {
            let changed = bob.change_block(&party(&alice.actor()), false).await;
            changed.map_err(|error| error.to_string())
        },
        async |(world, alice, bob), run| {
            assert_eq!(blocked(bob).await, [alice.actor()], "{run}");
            change(bob, &alice.actor(), true).await;
            alice.send(&envelope(alice, &[bob])).await.unwrap();
            world.deliver().await;
            assert_eq!(world.messages(bob).await.len(), 1, "{run}");
        },
    )
    .await;
}

#[tokio::test]
async fn an_undone_block_whose_answer_is_lost() {
    let scene = async || {
        let (world, alice, bob) = alice_and_bob().await;
        change(&bob, &alice.actor(), false).await;
        (world, alice, bob)
    };
    lose_each_answer(
        scene,
        |(world, ..)| &world.calls,
        async |(_, alice, bob), _| {
            let changed = bob.change_block(&party(&alice.actor()), true).await;
            changed.map_err(|error| error.to_string())
        },
        async |(_, _, bob), run| assert_eq!(blocked(bob).await, Vec::<String>::new(), "{run}"),
    )
    .await;
}
