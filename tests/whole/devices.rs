//! The device chain (`docs/protocol.md`, section 3): who comes in, who is out, and what each may do.

use eko_client::device::{Joining, SendOutcome, Status};
use eko_client::{Auth, Body, Device};
use eko_protocol::chain::{NodeKind, Position, UnsignedNode};
use eko_protocol::key_package::PublishKeys;
use eko_testkit::{BARE, Direct, World, envelope, refusal, refused};
use futures_util::future::join_all;
use http::{Method, header};
use serde_json::{Value, json};

/// A node that adds this device at the end of its user's chain, signed by `signer`.
async fn approval(signer: &Device<Direct>, device: &Device<Direct>) -> Value {
    let position = signer.chain(signer.user()).await.unwrap().1.position;
    add(signer, &position, device)
}

fn add(signer: &Device<Direct>, position: &Position, device: &Device<Direct>) -> Value {
    let now_ms = signer.environment().now_ms();
    let node = UnsignedNode::add(signer.origin(), signer.user(), position, &device.described(), now_ms);
    signer.sign_node(node).unwrap()
}

/// What the server says to a node.
async fn append(device: &Device<Direct>, node: &Value) -> String {
    let path = format!("/user/{}/devices", device.user());
    refusal(&device.call(Method::POST, &path, Body::Json(node), Auth::Device).await.unwrap())
}

/// What a device is told that tries everything a device may do.
async fn tries_everything(
    world: &World,
    device: &mut Device<Direct>,
    friend: &Device<Direct>,
) -> Vec<String> {
    let environment = device.environment().clone();
    let keys = device.keys_mut().more(1, 0, &environment).unwrap();
    let rotated = device.keys_mut().rotate(&environment).unwrap();
    let node = approval(device, device).await;
    let digest = json!({ "type": "Check", "digest": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" });
    let packages = device.origin().key_packages(device.user());
    let check = device.call(Method::POST, &packages, Body::Json(&digest), Auth::Device).await.unwrap();
    let before = world.stored().await;
    let told = vec![
        format!("fetch: {}", refused(device.fetch().await)),
        format!("send: {}", refused(device.send(&envelope(device, &[friend])).await)),
        format!("take: {}", refused(device.take(friend.user()).await)),
        format!("take through the outbox: {}", refused(device.take_through_outbox(friend.user()).await)),
        format!("publish: {}", refused(device.publish(&keys).await)),
        format!("rotate: {}", refused(device.publish(&rotated).await)),
        format!("check: {}", refusal(&check)),
        format!("append: {}", append(device, &node).await),
    ];
    assert_eq!(world.stored().await.difference(&before), []);
    told
}

#[tokio::test]
async fn a_device_joins_and_is_revoked() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let second = world.device("bob", "two", BARE);
    let registered = second.register(&world.id_token("bob").await, Joining::Further).await.unwrap();
    assert_eq!(registered.status, Status::Pending);
    assert_eq!(registered.device_set.length, 1);

    // The active device is told, and finds it in the list as well.
    world.deliver().await;
    let page = bob.fetch().await.unwrap();
    insta::assert_json_snapshot!(page.entries[0].activity, {
        ".object.identityKey" => "[key]", ".object.possession" => "[signature]",
    }, @r#"
    {
      "@context": [
        "https://www.w3.org/ns/activitystreams",
        "https://eko.example/ns"
      ],
      "actor": "https://eko.example/actor",
      "eko:entry": "https://eko.example/user/bob/inbox/019c0b3be2c0-5cd5914c7b800682b1e99059f52bd971",
      "eko:received": "2026-01-29T19:30:00Z",
      "object": {
        "actor": "https://eko.example/user/bob",
        "id": "https://eko.example/user/bob/device/d349574d-8be4-49d8-b90d-21e220cfae89",
        "identityKey": "[key]",
        "keyPackage": "https://eko.example/user/bob/keyPackage/d349574d-8be4-49d8-b90d-21e220cfae89",
        "possession": "[signature]",
        "published": "2026-01-29T19:30:00Z",
        "registrationId": 13600,
        "type": [
          "Object",
          "PendingDevice"
        ]
      },
      "to": "https://eko.example/user/bob",
      "type": "Offer"
    }
    "#);
    let [waiting] = <[_; 1]>::try_from(bob.pending_devices().await.unwrap()).unwrap();
    assert_eq!((waiting.device, waiting.name.as_deref()), (second.described(), Some("two")));

    let node = approval(&bob, &second).await;
    let answer = bob.call(Method::POST, "/user/bob/devices", Body::Json(&node), Auth::Device).await.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers[header::LOCATION], "https://eko.example/user/bob/devices/1");
    assert_eq!(bob.pending_devices().await.unwrap(), []);
    assert_eq!(second.fetch().await.unwrap().entries, []);

    bob.revoke(second.id()).await.unwrap();
    let (nodes, state) = bob.chain(bob.user()).await.unwrap();
    let kinds: Vec<_> = nodes.iter().map(|node| (node.seq(), node.device().to_owned())).collect();
    assert_eq!(kinds, [(0, bob.address()), (1, second.address()), (2, second.address())]);
    assert!(matches!(nodes[2].kind(), NodeKind::Revoke));
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [bob.id()]);

    // Of the device nothing is left but that its id was used.
    let stored = world.stored().await;
    let left: Vec<_> = stored.keys(second.id().as_str(), "").into_iter().map(|(_, sk)| sk.as_str()).collect();
    assert_eq!(left, ["DEVICE"]);
    world.empty(&bob).await;
}

#[tokio::test]
async fn a_pending_device_reads_its_own_state_and_nothing_else() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut second = world.pending(&bob, "two").await;
    let third = world.pending(&bob, "three").await;
    let seen = second.pending_devices().await.unwrap();
    assert_eq!(seen.iter().map(|waiting| &waiting.device.id).collect::<Vec<_>>(), [second.id()]);
    assert_eq!(bob.pending_devices().await.unwrap().len(), 2);
    insta::assert_json_snapshot!(tries_everything(&world, &mut second, &alice).await, @r#"
    [
      "fetch: 403 device-pending",
      "send: 403 device-pending",
      "take: 403 device-pending",
      "take through the outbox: 403 device-pending",
      "publish: 403 device-pending",
      "rotate: 403 device-pending",
      "check: 403 device-pending",
      "append: 403 device-pending"
    ]
    "#);
    // It keeps its session, and finds itself approved in the end.
    second.refresh().await.unwrap();
    bob.approve(second.id()).await.unwrap();
    assert_eq!(second.fetch().await.unwrap().entries, []);
    assert_eq!(refused(third.fetch().await), "403 device-pending");
    world.deliver().await;
}

#[tokio::test]
async fn a_revoked_device_is_out_at_once() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut second = world.further(&bob, "two").await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let entry = second.fetch().await.unwrap().entries[0].address.clone();
    bob.revoke(second.id()).await.unwrap();

    insta::assert_json_snapshot!(tries_everything(&world, &mut second, &alice).await, @r#"
    [
      "fetch: 401 device-revoked",
      "send: 401 device-revoked",
      "take: 401 device-revoked",
      "take through the outbox: 401 device-revoked",
      "publish: 401 device-revoked",
      "rotate: 401 device-revoked",
      "check: 401 device-revoked",
      "append: 401 device-revoked"
    ]
    "#);
    assert_eq!(refused(second.pending_devices().await), "401 device-revoked");
    let next =
        format!("{}?after=0190a6c5d4c0-00000000000000000000000000000000", bob.origin().inbox(bob.user()));
    assert_eq!(refused(second.fetch_after(&next).await), "401 device-revoked");
    let token = world.id_token("bob").await;
    assert_eq!(refused(second.sign_in_again(&token).await), "401 device-revoked");
    assert_eq!(refused(second.register(&token, Joining::Further).await), "409 device-id-used");
    assert_eq!(refused(second.refresh().await), "401 unauthenticated");

    // It cannot say for the others that the message came.
    let _ = second.acknowledge(std::slice::from_ref(&entry)).await;
    let _ = second.discard(&entry).await;
    assert_eq!(world.queued().await, (0, 0));
    assert_eq!(world.messages(&bob).await.len(), 1);
    world.confirm(&bob).await;
    world.deliver().await;
    assert_eq!(world.reports(&alice).await.len(), 1);
}

#[tokio::test]
async fn a_device_revokes_itself_and_the_last_one_leaves_a_reset_only() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    bob.revoke(bob.id()).await.unwrap();
    assert_eq!(refused(bob.fetch().await), "401 device-revoked");
    second.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    let SendOutcome::Rejected(report) = alice.send(&envelope(&alice, &[&second])).await.unwrap() else {
        panic!("was not rejected")
    };
    assert_eq!((report.stale_devices, report.missing_key_packages), (vec![second.address()], vec![]));
    assert_eq!(alice.take(bob.user()).await.unwrap().packages, []);
    let third = world.device("bob", "three", BARE);
    let token = world.id_token("bob").await;
    assert_eq!(refused(third.register(&token, Joining::Further).await), "409 no-active-device");
    assert_eq!(world.stored().await.difference(&before), []);
    assert_eq!(third.register(&token, Joining::Reset).await.unwrap().status, Status::Active);
    world.send(&alice, &[&third]).await;
    world.deliver().await;
    assert_eq!(world.messages(&third).await.len(), 1);
}

#[tokio::test]
async fn a_reset_revokes_all_others_and_everyone_sees_it() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    let waiting = world.pending(&bob, "three").await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let seen = alice.chain(bob.user()).await.unwrap().1;

    let fresh = world.device("bob", "four", BARE);
    let registered = fresh.register(&world.id_token("bob").await, Joining::Reset).await.unwrap();
    assert_eq!((registered.status, registered.device_set.length), (Status::Active, 3));
    for device in [&bob, &second, &waiting] {
        assert_eq!(refused(device.fetch().await), "401 device-revoked");
        assert_eq!(refused(device.refresh().await), "401 unauthenticated");
    }
    let (nodes, state) = alice.chain(bob.user()).await.unwrap();
    assert!(matches!(nodes[2].kind(), NodeKind::Reset(_)));
    assert_eq!(nodes[2].prev(), seen.position.head.as_deref());
    assert_eq!(state.active.keys().collect::<Vec<_>>(), [fresh.id()]);
    assert_eq!(fresh.pending_devices().await.unwrap(), []);
    // What the others left is gone, and is not the new device's.
    assert_eq!(fresh.fetch().await.unwrap().entries, []);
    assert_eq!(world.stored().await.keys("D#bob#", "M#").len(), 0);
}

#[tokio::test]
async fn a_reset_needs_a_fresh_sign_in_of_its_own_user() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let fresh = world.device("bob", "two", BARE);
    let token = world.id_token("bob").await;
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let reset = fresh.registration(Some(fresh.reset_node(&position).unwrap()));
    let before = world.stored().await;
    let send = async |body: &Value, token: &str| {
        let answer = fresh.call(Method::POST, "/auth/devices", Body::Json(body), Auth::Token(token)).await;
        refusal(&answer.unwrap())
    };
    // The token is still good for its leeway of a minute, and too old for this.
    world.advance(601_000);
    assert_eq!(send(&reset, &token).await, "401 unauthenticated");
    let token = world.id_token("bob").await;
    // Somebody else's fresh sign-in resets nothing of Bob's.
    assert_eq!(send(&reset, &world.id_token("alice").await).await, "409 account-exists");
    let mut nameless = reset.clone();
    nameless.as_object_mut().unwrap().remove("username");
    assert_eq!(send(&nameless, &world.id_token("alice").await).await, "422 invalid #/possession");
    // A device of the chain cannot stand in for the sign-in, nor sign the reset of another.
    assert_eq!(append(sign_in_again(&world, &bob).await, &reset["node"]).await, "422 invalid #/type");
    let other = UnsignedNode::reset(bob.origin(), bob.user(), &position, &fresh.described(), world.now_ms());
    let body = fresh.registration(Some(bob.sign_node(other).unwrap()));
    assert_eq!(send(&body, &token).await, "422 invalid #/node/proof/verificationMethod");
    // The first node again, and one on another head.
    let body = fresh.registration(Some(fresh.first_node().unwrap()));
    assert_eq!(send(&body, &token).await, "422 invalid #/node/type");
    let elsewhere = Position { length: 1, head: Some("0".repeat(64)) };
    let body = fresh.registration(Some(fresh.reset_node(&elsewhere).unwrap()));
    assert_eq!(send(&body, &token).await, "409 stale-head");
    let sessions = |pk: &str| pk.starts_with("S#") || pk.starts_with("D#bob#");
    let changed = world.stored().await.difference(&before);
    assert!(changed.iter().all(|(pk, _)| sessions(pk)), "{changed:?}");
    assert_eq!(alice.chain(bob.user()).await.unwrap().1.position, position);
}

async fn sign_in_again<'a>(world: &World, device: &'a Device<Direct>) -> &'a Device<Direct> {
    device.sign_in_again(&world.id_token(device.user().as_str()).await).await.unwrap();
    device
}

#[tokio::test]
async fn of_two_appends_at_once_one_wins() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let waiting = [world.pending(&bob, "two").await, world.pending(&bob, "three").await];
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let nodes = waiting.each_ref().map(|device| add(&bob, &position, device));
    let path = "/user/bob/devices";
    let send = |node| bob.call(Method::POST, path, Body::Json(node), Auth::Device);
    let answers: Vec<_> = join_all(nodes.iter().map(send)).await.into_iter().map(Result::unwrap).collect();
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    let lost = answers.iter().find(|answer| answer.status == 409).unwrap();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(refusal(lost), "409 stale-head");
    // The loser is told the head, and comes in by a node on top of it.
    let state = bob.chain(bob.user()).await.unwrap().1;
    assert_eq!(lost.problem().unwrap().device_set, state.device_set().reference());
    assert_eq!(state.active.len(), 2);
    let loser = waiting.iter().find(|device| !state.active.contains_key(device.id())).unwrap();
    bob.approve(loser.id()).await.unwrap();
    assert_eq!(bob.chain(bob.user()).await.unwrap().1.active.len(), 3);
    world.deliver().await;
}

#[tokio::test]
async fn a_device_id_is_used_once() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let second = world.further(&bob, "two").await;
    let token = world.id_token("bob").await;
    let before = world.stored().await;
    // In use, by the device itself and by another that chose the same id.
    for joining in [Joining::Further, Joining::Reset] {
        assert_eq!(refused(second.register(&token, joining).await), "409 device-id-used");
    }
    assert_eq!(world.stored().await.difference(&before), []);
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    for joining in [Joining::Further, Joining::Reset] {
        assert_eq!(refused(second.register(&token, joining).await), "409 device-id-used");
    }
    assert_eq!(append(&bob, &approval(&bob, &second).await).await, "422 invalid #/device");
    assert_eq!(world.stored().await.difference(&before), []);
}

#[tokio::test]
async fn a_device_id_is_its_users_own() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    // Carol's device has the very id, and the very keys, of Bob's.
    let same = eko_client::Environment { clock: world.clock(), random: eko_testkit::seeded("bob/one") };
    let keys = eko_client::DeviceKeys::generate(eko_testkit::COUNTS, &same).unwrap();
    let name = eko_protocol::address::UserName::parse("carol").unwrap();
    let carol = Device::new(world.transport(), bob.origin().clone(), name, keys, same).unwrap();
    assert_eq!(carol.id(), bob.id());
    carol.register(&world.id_token("carol").await, Joining::First).await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    assert_eq!((world.messages(&bob).await.len(), world.messages(&carol).await.len()), (1, 0));
}

#[tokio::test]
async fn a_user_has_sixteen_devices_and_eight_that_wait() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let token = world.id_token("bob").await;
    let mut labels = (2..).map(|number| format!("device {number}"));
    let mut waiting = Vec::new();
    let mut approved = 1;
    while approved < 16 {
        let device = world.device("bob", &labels.next().unwrap(), BARE);
        device.register(&token, Joining::Further).await.unwrap();
        bob.approve(device.id()).await.unwrap();
        approved += 1;
    }
    for _ in 0..8 {
        let device = world.device("bob", &labels.next().unwrap(), BARE);
        device.register(&token, Joining::Further).await.unwrap();
        waiting.push(device);
    }
    let before = world.stored().await;
    let ninth = world.device("bob", &labels.next().unwrap(), BARE);
    assert_eq!(refused(ninth.register(&token, Joining::Further).await), "429 too-many");
    assert_eq!(refused(bob.approve(waiting[0].id()).await), "422 invalid #/device");
    assert_eq!(world.stored().await.difference(&before), []);
    bob.revoke(bob.chain(bob.user()).await.unwrap().1.active.keys().find(|id| *id != bob.id()).unwrap())
        .await
        .unwrap();
    bob.approve(waiting[0].id()).await.unwrap();
    ninth.register(&token, Joining::Further).await.unwrap();
    world.deliver().await;
}

#[tokio::test]
async fn a_node_that_is_wrong_changes_nothing() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let revoked = world.further(&bob, "two").await;
    bob.revoke(revoked.id()).await.unwrap();
    let waiting = world.pending(&bob, "three").await;
    let theirs = world.pending(&alice, "two").await;
    world.deliver().await;
    let stranger = world.device("bob", "four", BARE);
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let good = add(&bob, &position, &waiting);
    let add_at = |position: Position| add(&bob, &position, &waiting);
    let revoke = |device: &Device<Direct>| {
        let now_ms = world.now_ms();
        let node = UnsignedNode::revoke(bob.origin(), bob.user(), &position, device.id(), now_ms);
        bob.sign_node(node).unwrap()
    };
    let changed = |pointer: &str, to: Value| {
        let mut node = good.clone();
        *node.pointer_mut(pointer).unwrap() = to;
        node
    };
    let without = |name: &str| {
        let mut node = good.clone();
        node.as_object_mut().unwrap().remove(name);
        node
    };
    let with = |name: &str, value: Value| {
        let mut node = good.clone();
        node.as_object_mut().unwrap().insert(name.to_owned(), value);
        node
    };
    let mut described = waiting.described();
    described.identity_key = bob.described().identity_key;
    let of = |described| UnsignedNode::add(bob.origin(), bob.user(), &position, described, world.now_ms());
    let mut possessed = waiting.described();
    possessed.possession = bob.described().possession;
    let first = serde_json::to_value(bob.chain(bob.user()).await.unwrap().0[0].to_value()).unwrap();
    let behind = Position { length: 2, head: Some(first["proof"].to_string()) };
    let ahead = Position { length: position.length + 1, ..position.clone() };
    let forked = Position { head: Some("0".repeat(64)), ..position.clone() };
    let cases: Vec<(&str, Value, &str)> = vec![
        ("seq that was", add_at(Position { head: position.head.clone(), ..behind }), "409 stale-head"),
        ("seq to come", add_at(ahead), "409 stale-head"),
        ("another prev", add_at(forked), "409 stale-head"),
        ("the first node again", first.clone(), "409 stale-head"),
        ("prev that is no hash", changed("/prev", json!("abc")), "422 invalid #/prev"),
        ("no prev", without("prev"), "422 invalid #/prev"),
        (
            "a bad proof",
            changed("/published", json!("2026-01-29T19:30:01Z")),
            "422 invalid #/proof/proofValue",
        ),
        (
            "a proof of other bytes",
            changed("/proof/proofValue", first["proof"]["proofValue"].clone()),
            "422 invalid #/proof/proofValue",
        ),
        ("a proof that is none", changed("/proof/proofValue", json!("z1")), "422 invalid #/proof/proofValue"),
        (
            "another cryptosuite",
            changed("/proof/cryptosuite", json!("none")),
            "422 invalid #/proof/cryptosuite",
        ),
        ("no proof", without("proof"), "422 invalid #/proof"),
        (
            "signed by a revoked device",
            add(&revoked, &position, &waiting),
            "422 invalid #/proof/verificationMethod",
        ),
        ("signed by itself", add(&waiting, &position, &waiting), "422 invalid #/proof/verificationMethod"),
        (
            "signed by another user",
            changed("/proof/verificationMethod", json!(alice.address())),
            "422 invalid #/proof/verificationMethod",
        ),
        ("copied from another user", approval(&alice, &theirs).await, "422 invalid #/device"),
        ("about another user's device", changed("/device", json!(theirs.address())), "422 invalid #/device"),
        ("another actor", changed("/actor", json!(alice.actor())), "422 invalid #/actor"),
        ("another id", changed("/id", json!("https://eko.example/user/bob/devices/0")), "422 invalid #/id"),
        (
            "another context",
            changed("/@context/1", json!("https://evil.example/ns")),
            "422 invalid #/@context",
        ),
        (
            "another key package",
            changed("/keyPackage", json!(bob.origin().key_package(bob.user(), bob.id()))),
            "422 invalid #/keyPackage",
        ),
        ("another identity key", bob.sign_node(of(&described)).unwrap(), "422 invalid #/possession"),
        ("another's possession", bob.sign_node(of(&possessed)).unwrap(), "422 invalid #/possession"),
        ("a device that does not wait", add(&bob, &position, &stranger), "422 invalid #/device"),
        ("a device that is active", add(&bob, &position, &bob), "422 invalid #/device"),
        ("a device that was revoked", add(&bob, &position, &revoked), "422 invalid #/device"),
        ("revokes what waits", revoke(&waiting), "422 invalid #/device"),
        ("revokes what was revoked", revoke(&revoked), "422 invalid #/device"),
        ("a member more", with("extra", json!(1)), "422 invalid #/extra"),
        ("a member that is null", with("possession", Value::Null), "422 invalid #/possession"),
        ("a member less", without("registrationId"), "422 invalid #"),
        ("another type", changed("/type/1", json!("Note")), "422 invalid #/type/1"),
        ("a type that is no array", with("type", json!("AddDevice")), "422 invalid #/type"),
        ("no object", json!([]), "422 invalid #"),
    ];
    let before = world.stored().await;
    for (name, node, expected) in &cases {
        assert_eq!(append(&bob, node).await, *expected, "{name}");
    }
    // Of another user's chain nobody else appends anything.
    let answer =
        alice.call(Method::POST, "/user/bob/devices", Body::Json(&good), Auth::Device).await.unwrap();
    assert_eq!(refusal(&answer), "403 not-owner");
    assert_eq!(world.stored().await.difference(&before), []);
    assert!(append(&bob, &good).await.starts_with("201 "));
}

#[tokio::test]
async fn what_waits_published_its_own_keys_and_no_others() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let waiting = world.pending(&bob, "two").await;
    let package = format!("/user/bob/keyPackage/{}", waiting.id());
    let get = async || alice.call(Method::GET, &package, Body::Empty, Auth::Nobody).await.unwrap();
    assert_eq!(refusal(&get().await), "404 not-found");
    assert_eq!(alice.key_packages(bob.user()).await.unwrap().packages.len(), 1);
    assert_eq!(
        refused(alice.take_devices(bob.user(), &[bob.id().clone(), waiting.id().clone()]).await),
        "422 invalid #/object/1"
    );
    bob.approve(waiting.id()).await.unwrap();
    assert_eq!(get().await.status, 200);
    waiting
        .publish(&PublishKeys {
            signed_pre_key: waiting.keys().first().signed_pre_key.clone(),
            ..PublishKeys::default()
        })
        .await
        .unwrap();
    world.deliver().await;
}
