//! Who may write: strangers are asked to wait at a door whose state they do not see.

use eko_client::{Auth, Body, Device};
use eko_protocol::letter::FetchedLetter;
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_testkit::{DirectTransport, World, envelope, lose_each_answer, refusal, refused};
use http::Method;
use serde_json::{Value, json};

use crate::outcomes::{accepted, partial};
use crate::people::{alice_and_bob, alice_and_bobs_two};

async fn let_write(device: &Device<DirectTransport>, who_may_write: WhoMayWrite) {
    device.change_settings(AccountSettings { who_may_write }).await.unwrap();
}

/// Returns for each message of a device whether it is a request, and whether it may wake the device.
async fn shown(world: &World, device: &Device<DirectTransport>) -> Vec<(bool, bool)> {
    world.deliver().await;
    let shown = |message: FetchedLetter| (message.letter.is_request, message.letter.header.notify);
    world.messages(device).await.into_iter().map(shown).collect()
}

#[tokio::test]
async fn a_stranger_makes_three_requests_and_one_wakes() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let_write(&second, WhoMayWrite::Known).await;
    assert_eq!(bob.settings().await.unwrap().who_may_write, WhoMayWrite::Known);
    let taken = alice.take(bob.user()).await.unwrap();
    assert!(taken.packages.iter().all(|package| package.pre_key.is_none()));
    // The parts of one envelope are one request.
    let half = envelope(&alice, &[&bob]);
    partial(alice.send(&half).await.unwrap());
    let mut rest = envelope(&alice, &[&second]);
    rest.id = half.id.clone();
    accepted(alice.send(&rest).await.unwrap());
    accepted(alice.send(&half).await.unwrap());
    for _ in 0..3 {
        world.advance(1);
        world.send(&alice, &[&bob, &second]).await;
    }
    let requests = [(true, true), (true, false), (true, false)];
    assert_eq!(shown(&world, &bob).await, requests);
    assert_eq!(shown(&world, &second).await.len(), 3);

    // One device accepts for all. What was dropped comes if it is sent again.
    bob.accept_actor(&alice.actor()).await.unwrap();
    world.advance(1);
    bob.accept_actor(&alice.actor()).await.unwrap();
    world.send(&alice, &[&bob, &second]).await;
    assert_eq!(shown(&world, &bob).await, [&requests[..], &[(false, true)]].concat());
    let taken = alice.take(bob.user()).await.unwrap();
    assert!(taken.packages.iter().any(|package| package.pre_key.is_some()));
    // A sync is nobody's request.
    world.advance(1);
    let_write(&bob, WhoMayWrite::Nobody).await;
    world.send(&second, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await.last(), Some(&(false, true)));
}

#[tokio::test]
async fn nobody_new_comes_in_and_everyone_does_again() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Nobody).await;
    let lost = world.send(&alice, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await, []);
    let carol = world.user("carol").await;
    bob.accept_actor(&carol.actor()).await.unwrap();
    world.send(&carol, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await, [(false, true)]);
    let_write(&bob, WhoMayWrite::Everyone).await;
    accepted(alice.send(&lost).await.unwrap());
    assert_eq!(shown(&world, &bob).await.len(), 2);
}

#[tokio::test]
async fn requests_are_forgotten_after_a_while() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    for _ in 0..4 {
        world.send(&alice, &[&bob]).await;
    }
    assert_eq!(shown(&world, &bob).await.len(), 3);
    world.advance(31 * crate::DAY_MS);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
    }
    for _ in 0..4 {
        world.send(&alice, &[&bob]).await;
    }
    assert_eq!(shown(&world, &bob).await.len(), 3);
}

#[tokio::test]
async fn a_site_makes_twenty_requests_a_day() {
    let (world, _alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    let mut strangers = Vec::new();
    for number in 0..11 {
        strangers.push(world.user(&format!("s{number}")).await);
    }
    for stranger in &strangers {
        world.send(stranger, &[&bob]).await;
        world.send(stranger, &[&bob]).await;
    }
    assert_eq!(shown(&world, &bob).await.len(), 20);
    world.advance(crate::DAY_MS);
    for device in [&strangers[10], &bob] {
        device.refresh().await.unwrap();
    }
    world.send(&strangers[10], &[&bob]).await;
    assert_eq!(shown(&world, &bob).await.len(), 21);
}

/// The calls of a server for a stranger are the same whatever becomes of the envelope, and for a known
/// actor one more than for everyone.
#[tokio::test]
async fn the_calls_tell_a_stranger_nothing() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    let mut calls = Vec::new();
    let mut send = async |setting: Option<WhoMayWrite>| {
        if let Some(setting) = setting {
            let_write(&bob, setting).await;
        }
        let outgoing = envelope(&alice, &[&bob]);
        world.calls.reset();
        accepted(alice.send(&outgoing).await.unwrap());
        let mut made = world.calls.made();
        made.sort();
        calls.push((made, world.calls.rounds()));
        world.deliver().await;
    };
    for setting in [None, None, None, None, Some(WhoMayWrite::Nobody)] {
        send(setting).await;
    }
    let due = ["BatchGetItem", "GetItem", "SendMessageBatch", "TransactWriteItems"];
    let due = [&due[..], &["UpdateItem"; 3]].concat();
    for (made, _) in &calls {
        assert_eq!(*made, due);
    }
    bob.accept_actor(&alice.actor()).await.unwrap();
    world.calls.reset();
    world.send(&alice, &[&bob]).await;
    let mut made = world.calls.made();
    made.sort();
    assert_eq!(
        made,
        ["BatchGetItem", "GetItem", "SendMessageBatch", "UpdateItem", "UpdateItem", "UpdateItem"]
    );
    // It runs beside the envelope's record.
    assert_eq!(world.calls.rounds(), 3);
    world.calls.reset();
    alice.take(bob.user()).await.unwrap();
    assert_eq!(world.calls.made(), ["BatchGetItem", "GetItem", "UpdateItem", "BatchGetItem"]);
    world.calls.reset();
    bob.accept_actor("https://b.example/user/eve").await.unwrap();
    bob.settings().await.unwrap();
    let_write(&bob, WhoMayWrite::Known).await;
    assert_eq!(world.calls.made(), ["TransactWriteItems", "GetItem", "UpdateItem"]);
    world.deliver().await;
}

#[tokio::test]
async fn who_may_change_what() {
    let (world, alice, bob) = alice_and_bob().await;
    let post = async |path: &str, body: Value| {
        let method = if path.ends_with("outbox") { Method::POST } else { Method::PUT };
        let answer = bob.call(method, path, Body::Json(&body), Auth::Device).await.unwrap();
        refusal(&answer)
    };
    let accept = |object: &str| json!({ "type": "Accept", "object": object });
    for (path, body, answer) in [
        ("/user/bob/settings", json!({}), "422 invalid #/whoMayWrite"),
        ("/user/bob/settings", json!({ "whoMayWrite": "friends" }), "422 invalid #/whoMayWrite"),
        ("/user/alice/settings", json!({ "whoMayWrite": "nobody" }), "403 not-owner"),
        ("/user/bob/outbox", accept("https://eko.example/user/bob"), "422 invalid #/object"),
        ("/user/bob/outbox", accept("https://b.example"), "422 invalid #/object"),
        ("/user/bob/outbox", accept("@eve@b.example"), "422 invalid #/object"),
        (
            "/user/bob/outbox",
            json!({ "type": "Accept", "actor": alice.actor(), "object": "https://b.example/eve" }),
            "403 not-yours #/actor",
        ),
    ] {
        assert_eq!(post(path, body.clone()).await, answer, "{path} {body}");
    }
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    let known = AccountSettings { who_may_write: WhoMayWrite::Known };
    assert_eq!(refused(waiting.change_settings(known).await), "403 device-pending");
    assert_eq!(refused(waiting.settings().await), "403 device-pending");
    assert_eq!(refused(waiting.accept_actor(&alice.actor()).await), "403 device-pending");
    assert_eq!(bob.settings().await.unwrap(), AccountSettings::default());
}

#[tokio::test]
async fn a_request_whose_answer_is_lost() {
    lose_each_answer(
        async || {
            let (world, alice, bob) = alice_and_bob().await;
            let_write(&bob, WhoMayWrite::Known).await;
            let outgoing = envelope(&alice, &[&bob]);
            (world, alice, bob, outgoing)
        },
        |(world, ..)| &world.calls,
        async |(_, alice, _, outgoing), _| {
            let sent = alice.send(outgoing).await;
            sent.map(drop).map_err(|error| error.to_string())
        },
        async |(world, _, bob, _), run| {
            assert_eq!(shown(world, bob).await, [(true, true)], "{run}");
        },
    )
    .await;
}
