//! The functions' policies: each function is allowed what its code does, and no more.
//!
//! Every test sees that enough is allowed, since a [`World`] denies what no policy allows. This one
//! sees that nothing is allowed in vain.

use std::collections::{BTreeMap, BTreeSet};

use eko_client::device::{ExportProgress, JoinKind, OutgoingEnvelope, SendOutcome};
use eko_client::{Auth, Body, Device, KeyCounts};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::block::BlockedParty;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::{DeviceId, GroupStateId};
use eko_protocol::profile::{DisplayName, PartChange, UpdateProfile};
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_store::live::PushState;
use eko_store::parcels::{Parcel, ParcelBody};
use eko_store::pushes::PushOrder;
use eko_testkit::template::{Template, arn_of, referred};
use eko_testkit::{
    Action, AnswerTail, BARE, ChainChanges as _, DirectTransport, FrankedContent, Internet, Policies,
    PushAnswer, PushSite, Stranger, StrangerAnswer, World, envelope, refused,
};
use http::Method;
use serde_json::json;

use crate::deployed::NEEDS;
use crate::lifetimes;

const DAY_MS: i64 = 86_400_000;

/// The scenes are on the heap: together they are too large for the stack of a test.
#[tokio::test]
async fn what_is_allowed_is_done() {
    let alone = World::with(|config| config.limits.take_budget = 100).await;
    Box::pin(on_one_server(&alone)).await;
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    Box::pin(between_servers(&internet, &a, &b)).await;
    let small = World::with(|config| config.limits.mailbox_entries = 4).await;
    Box::pin(a_full_mailbox(&small)).await;
    let mut full = World::at(&internet, "full.example", |config| config.limits.account_parcels = 1).await;
    Box::pin(a_full_list(&internet, &full)).await;
    full.leave_queues();
    let live = World::at(&internet, "live.example", World::give_sockets).await;
    internet.serve("live.example", live.app.clone()).await;
    Box::pin(sockets(&live, &a)).await;
    let crowded = World::with(|config| {
        World::give_sockets(config);
        config.limits.mailbox_entries = 4;
    });
    let crowded = crowded.await;
    Box::pin(a_full_mailbox_on_a_socket(&crowded)).await;
    let woken = World::live().await;
    Box::pin(a_push_and_a_socket(&woken)).await;
    Box::pin(start(&a)).await;

    let mut done = around_functions();
    for world in [&alone, &small, &full, &live, &crowded, &woken, &a, &b] {
        done.extend(world.calls.used());
        lifetimes::check(world).await;
    }
    let allowed = Policies::deployed().allowed();
    let told = |one: &Action| one.to_string();
    let idle: Vec<String> = allowed.difference(&done).map(told).collect();
    assert!(idle.is_empty(), "allowed, and never done: {idle:#?}");
    let lacking: Vec<String> = done.difference(allowed).map(told).collect();
    assert!(lacking.is_empty(), "done around the functions, and not allowed: {lacking:#?}");
}

/// A role reaches the kinds of items that its function uses. The kinds are those of
/// [`eko_store::key`]; `-` is the item that never exists.
#[test]
fn each_role_is_limited_to_its_kinds_of_items() {
    let mut kinds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for action in Policies::deployed().allowed() {
        let is_about_items = action.action.starts_with("dynamodb:");
        assert_eq!(action.items.is_some(), is_about_items, "{action}");
        kinds.entry(&action.function).or_default().extend(action.items.as_deref());
    }
    let lines: Vec<String> = kinds
        .into_iter()
        .map(|(role, kinds)| format!("{role}: {}", Vec::from_iter(kinds).join(" ")))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    auth: - C#* D#* N#* O#* S#* U#*
    deliver: - C#* D#* G#* K#* L#* U#*
    devices: - C#* D#* G#* L#* U#*
    discovery: - N#* U#*
    federate: - F#* H#* L#* R#* U#*
    group-state: - D#* G#* L#*
    inbox: - D#* H#* I#* L#* Q#* R#* U#* W#*
    key-packages: - D#* U#*
    outbox: - D#* F#* H#* L#* Q#* R#* U#*
    push: - D#* U#*
    socket: - D#* K#* L#* U#*
    ");
}

/// Plays a subscription, a push that fails and one that is sent, a fetch and an acknowledgement
/// after a push, checks, and a subscription that is gone.
async fn pushes(world: &World, alice: &Device<DirectTransport>, bobs: [&Device<DirectTransport>; 2]) {
    let [bob, _] = bobs;
    let site = PushSite::online(&world.internet, "push.example").await;
    let subscribe = async || {
        let body = site.browser("1").subscription();
        let answer = bob.call(Method::POST, "/user/bob/push", Body::Json(&body), Auth::Device).await;
        assert_eq!(answer.unwrap().status, 204);
    };
    let wake = async || {
        world.send(alice, &bobs).await;
        world.deliver().await;
        world.push().await;
    };
    subscribe().await;
    site.answer([PushAnswer::Status(500)]);
    wake().await;
    world.advance(30_000);
    world.push().await;
    let page = bob.fetch().await.unwrap();
    wake().await;
    bob.acknowledge(&[page.entries[0].address.clone()]).await.unwrap();
    // The check finds an entry that is old.
    world.advance(60_000);
    world.push().await;
    // A socket has taken an entry shortly before its check.
    let unsubscribe = async || {
        let answer = bob.call(Method::DELETE, "/user/bob/push", Body::Empty, Auth::Device).await;
        assert_eq!(answer.unwrap().status, 204);
    };
    unsubscribe().await;
    world.confirm(bob).await;
    wake().await;
    subscribe().await;
    let (store, check_ms) = (world.state.store(), world.now_ms() + 10_000);
    let check = PushOrder::Check { user: bob.user().clone(), device: bob.id().clone(), check_ms };
    let seen = store.push_target(check.address()).await.unwrap().unwrap().state;
    store.change_push(check.address(), &seen, &PushState::Watched { check_ms }).await.unwrap();
    store.queue_pushes(&[check], world.now_ms()).await.unwrap();
    world.advance(10_000);
    world.push().await;
    world.confirm(bob).await;
    world.advance(60_000);
    world.push().await;
    site.answer([PushAnswer::Status(410)]);
    wake().await;
    subscribe().await;
    unsubscribe().await;
}

/// Plays what needs one server: sign-in, devices, keys, messages and receipts.
async fn on_one_server(world: &World) {
    let keys = KeyCounts { pre_keys: 20, kyber_pre_keys: 0, last_resort: true };
    let (mut bob, alice) = (world.user_with("bob", keys).await, world.user("alice").await);
    let second = world.further(&bob, "two").await;
    let third = world.pending(&bob, "three").await;
    bob.pending_devices().await.unwrap();
    bob.turn_away(third.id()).await.unwrap();
    bob.refresh().await.unwrap();
    second.sign_in_again(&world.id_token(&second).await).await.unwrap();

    // A spent block of keys is deleted by a later publication. A repeated publication is compared
    // with the stored keys.
    for _ in 0..20 {
        alice.take(bob.user()).await.unwrap();
    }
    alice.take_through_outbox(bob.user()).await.unwrap();
    alice.chain_through_home(bob.origin(), bob.user()).await.unwrap();
    let environment = bob.environment().clone();
    for _ in 0..3 {
        let more = bob.keys_mut().more(20, 0, &environment).unwrap();
        bob.publish(&more).await.unwrap();
        bob.publish(&more).await.unwrap();
        world.advance(60_000);
    }
    let blocked = BlockedParty::parse("https://spam.example").unwrap();
    for is_undone in [false, true] {
        bob.change_block(&blocked, is_undone).await.unwrap();
    }
    bob.blocks().await.unwrap();
    bob.accept_actor("https://b.example/user/eve").await.unwrap();
    bob.forget_actor("https://b.example/user/eve").await.unwrap();
    for who_may_write in [WhoMayWrite::Known, WhoMayWrite::Everyone] {
        bob.change_settings(AccountSettings { who_may_write }).await.unwrap();
    }
    bob.settings().await.unwrap();
    let name = PartChange::Set(DisplayName::parse("Bob").unwrap());
    bob.change_profile(&UpdateProfile { name, ..UpdateProfile::default() }).await.unwrap();
    let mut export = ExportProgress::default();
    while !export.is_over() {
        bob.export_next(&mut export).await.unwrap();
    }
    bob.check_keys().await.unwrap();
    alice.key_packages(bob.user()).await.unwrap();

    let partial = alice.send(&envelope(&alice, &[&bob])).await.unwrap();
    assert!(matches!(partial, SendOutcome::Partial(_)), "{partial:?}");
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let page = bob.fetch().await.unwrap();
    let entry = page.entries[0].address.rsplit('/').next().unwrap();
    bob.fetch_after(&format!("{}?after={entry}", bob.origin().inbox(bob.user()))).await.unwrap();
    bob.discard(&page.entries[0].address).await.unwrap();
    world.confirm(&bob).await;
    world.confirm(&second).await;
    world.deliver().await;

    for path in [
        "/.well-known/webfinger?resource=acct:bob@eko.example",
        "/.well-known/nodeinfo",
        "/.well-known/ecp",
        "/nodeinfo/2.1",
        "/actor",
        "/user/bob",
        "/user/bob/devices",
        &format!("/user/bob/keyPackage/{}", bob.id()),
    ] {
        let answer = alice.call(Method::GET, path, Body::Empty, Auth::Nobody).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    group_states(&alice).await;
    pushes(world, &alice, [&bob, &second]).await;
    bob.revoke(second.id()).await.unwrap();
    second.sign_in_again(&world.id_token(&second).await).await.unwrap_err();
    let anew = world.device("bob", "anew", BARE);
    anew.register(&world.id_token(&anew).await, JoinKind::Reset).await.unwrap();
    // An envelope that is sent again when its record has expired.
    let late = world.send(&alice, &[&anew]).await;
    world.deliver().await;
    world.advance(31 * DAY_MS);
    alice.refresh().await.unwrap();
    alice.send(&late).await.unwrap();
    alice.logout().await.unwrap();
    // A token of the earlier form names no device.
    let former = json!({ "refreshToken": "former" });
    alice.call(Method::POST, "/auth/logout", Body::Json(&former), Auth::Nobody).await.unwrap();
    world.deliver().await;
    world.erase().await;
}

/// Plays group states that are stored, replaced, read and deleted.
async fn group_states(alice: &Device<DirectTransport>) {
    let id = GroupStateId::from_mac([7; 16]);
    for epoch in [1, 2, 1] {
        alice.keep_group_state(&id, &SealedGroupState { epoch, content: vec![7] }).await.unwrap();
    }
    alice.group_state(&id).await.unwrap();
    alice.group_states().await.unwrap();
    for epoch in [1, 2] {
        alice.drop_group_state(&id, epoch).await.unwrap();
    }
}

/// Plays a mailbox that becomes full, and is read.
async fn a_full_mailbox(world: &World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    let full = alice.send(&envelope(&alice, &[&bob])).await.unwrap();
    assert!(matches!(full, SendOutcome::Rejected(_)), "{full:?}");
    world.advance(300_000);
    world.confirm(&bob).await;
    world.deliver().await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
}

/// Plays what needs two servers: keys, messages and receipts in both directions; and a third server
/// that is out of reach for a while, comes back, takes keys and says that its user is gone.
async fn between_servers(internet: &Internet, a: &World, b: &World) {
    let (alice, bob) = (a.user("alice").await, b.user("bob").await);
    alice.take_from(bob.origin(), bob.user()).await.unwrap();
    let mut create = alice.create_activity(&envelope(&alice, &[&bob]));
    create["to"] = json!("@bob@b.example");
    let sent = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&create), Auth::Device).await;
    assert_eq!(sent.unwrap().status, 201);
    settle(a, b).await;
    b.confirm(&bob).await;
    settle(a, b).await;
    assert_eq!(a.reports(&alice).await.len(), 1);
    let franked = FrankedContent::new(&alice.actor(), &bob.actor(), "a threat");
    alice.send(&franked.envelope(&alice, &[&bob])).await.unwrap();
    settle(a, b).await;
    bob.report_message(&franked.flag(&b.messages(&bob).await[0])).await.unwrap();
    settle(a, b).await;

    let mut eve = Stranger::new(internet, "eve.example").await;
    eve.actor = "https://eve.example/user/eve".to_owned();
    eve.document("/user/eve", StrangerAnswer::activity(200, &eve.actor_document()));
    let like = json!({ "type": "Like", "actor": eve.actor, "object": "https://a.example/note/1" });
    assert_eq!(eve.deliver(a, "/inbox", &like).await.0, 202);
    internet.unplug(eve.address);
    for (devices, bytes) in [(1, 100), (13, 96 * 1024)] {
        let device = |n| DeviceId::parse(&format!("00000000-0000-4000-8000-{n:012}")).unwrap();
        let messages = (0..devices).map(|n| (device(n), vec![7; bytes])).collect();
        let id = alice.envelope_id();
        let outgoing = OutgoingEnvelope::new(UserName::parse("eve").unwrap(), id, messages);
        let outgoing = outgoing.at(&Origin::parse(&eve.origin).unwrap());
        let queued = alice.send(&outgoing).await.unwrap();
        assert!(matches!(queued, SendOutcome::Queued { .. }), "{queued:?}");
    }
    internet.advance(10_000);
    settle(a, b).await;
    internet.plug(eve.address);
    // A sign of life wakes what waits.
    assert_eq!(eve.deliver(a, "/inbox", &like).await.0, 202);
    settle(a, b).await;
    assert_eq!(eve.posts().len(), 2);
    internet.advance(60_000);
    let take =
        json!({ "type": "Take", "actor": eve.actor, "object": b.state.origin().key_packages(bob.user()) });
    assert_eq!(eve.deliver(b, "/inbox", &take).await.0, 200);
    let gone = json!({ "type": "Delete", "actor": eve.actor, "object": eve.actor });
    assert_eq!(eve.deliver(b, "/inbox", &gone).await.0, 202);
    // Its document takes too long for a request now, and is fetched from the queue.
    eve.document("/user/eve", StrangerAnswer::status(200).then(AnswerTail::Silent));
    assert_eq!(eve.deliver(b, "/inbox", &take).await.0, 429);
    eve.document("/user/eve", StrangerAnswer::activity(200, &eve.actor_document()));
    settle(a, b).await;
    assert_eq!(eve.deliver(b, "/inbox", &take).await.0, 200);
    // Receipts of several users that wait for a busy server, and one for a server that is away.
    let busy = Stranger::new(internet, "busy.example").await;
    busy.answer(StrangerAnswer::status(503));
    let now_ms = a.now_ms();
    let receipt = |number: u8| {
        let to = format!("{}/user/{number}", busy.origin);
        let actor = json!({ "id": to, "inbox": format!("{to}/inbox") });
        let mut document = busy.actor_document();
        document.as_object_mut().unwrap().extend(actor.as_object().unwrap().clone());
        busy.document(&format!("/user/{number}"), StrangerAnswer::activity(200, &document));
        Parcel {
            to,
            author: UserName::parse(&format!("user_{number}")).unwrap(),
            first_ms: now_ms,
            not_before_ms: None,
            expires_ms: None,
            outcome_to: None,
            listed_as: None,
            is_deletion: false,
            by_server: false,
            body: ParcelBody::Text(json!({ "type": "Delivered", "object": number }).to_string()),
        }
    };
    let away = Parcel { to: "https://away.example/user/eve".to_owned(), ..receipt(3) };
    let receipts = (0..3).map(receipt).chain([away]).collect();
    a.state.store().queue_parcels(receipts, now_ms, String::new).await.unwrap();
    for _ in 0..3 {
        a.federate().await;
        internet.advance(120_000);
    }
    // An envelope that is sent again when its record has expired.
    internet.advance(31 * DAY_MS);
    alice.refresh().await.unwrap();
    let sent = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&create), Auth::Device).await;
    assert_eq!(sent.unwrap().status, 201);
    settle(a, b).await;
}

/// Plays an account whose list of waiting envelopes is full, on an engine that does not show the
/// list that refuses another one.
async fn a_full_list(internet: &Internet, world: &World) {
    let alice = world.user("alice").await;
    let away = Stranger::new(internet, "full-list.example").await;
    internet.unplug(away.address);
    world.calls.hide_refused_items();
    let outgoing = |n: usize| {
        let device = DeviceId::parse(&format!("00000000-0000-4000-8000-{n:012}")).unwrap();
        let (user, id) = (UserName::parse("eve").unwrap(), alice.envelope_id());
        let outgoing = OutgoingEnvelope::new(user, id, vec![(device, vec![7])]);
        outgoing.at(&Origin::parse(&away.origin).unwrap())
    };
    assert!(matches!(alice.send(&outgoing(1)).await.unwrap(), SendOutcome::Queued { .. }));
    assert_eq!(refused(alice.send(&outgoing(2)).await), "429 too-many");
}

/// Plays the sockets of Bob's devices, who gets envelopes from here and from another server.
async fn sockets(world: &World, there: &World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let (second, away) = (world.further(&bob, "two").await, there.user("carol").await);
    world.deliver().await;
    world.connect(&second).await.unwrap().close().await;
    let mut gone = world.connect(&second).await.unwrap();
    let mut socket = world.connect(&bob).await.unwrap();
    world.send(&alice, &[&bob, &second]).await;
    let sent = away.send(&envelope(&away, &[&bob, &second])).await.unwrap();
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    settle(there, world).await;
    socket.frames();
    let backlog = socket.fetch().await;
    let entries: Vec<&str> = backlog.iter().filter_map(|frame| frame["eko:entry"].as_str()).collect();
    socket.say(&json!({ "type": "Delivered", "object": entries })).await;
    bob.refresh().await.unwrap();
    let token = bob.tokens().unwrap().access;
    socket.say(&json!({ "type": "Authenticate", "token": token })).await;
    bob.revoke(second.id()).await.unwrap();
    settle(there, world).await;
    assert_eq!(gone.frames().last().unwrap()["reason"], "device-revoked");
    world.advance(900_000);
    assert_eq!(socket.fetch().await[0]["reason"], "token-expired");
    world.erase().await;
    settle(there, world).await;
    deletion(world, &bob).await;
    settle(there, world).await;
}

/// Plays the deletion of an account that has a socket, a group state and contact with another server.
async fn deletion(world: &World, bob: &Device<DirectTransport>) {
    world.advance(3_600_000);
    bob.sign_in_again(&world.id_token(bob).await).await.unwrap();
    let id = GroupStateId::from_mac([7; 16]);
    bob.keep_group_state(&id, &SealedGroupState { epoch: 1, content: vec![7] }).await.unwrap();
    let socket = world.connect(bob).await.unwrap();
    bob.delete_account(&world.id_token(bob).await).await.unwrap();
    world.deliver().await;
    assert!(socket.is_closed());
    world.erase().await;
}

/// Plays a mailbox that becomes full, and is read on a socket.
async fn a_full_mailbox_on_a_socket(world: &World) {
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    world.advance(300_000);
    world.connect(&bob).await.unwrap().fetch().await;
    world.deliver().await;
}

/// Plays an entry that a socket took, a push a minute later, and its acknowledgement on the socket.
async fn a_push_and_a_socket(world: &World) {
    let site = PushSite::online(&world.internet, "push.example").await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let body = site.browser("1").subscription();
    bob.call(Method::POST, "/user/bob/push", Body::Json(&body), Auth::Device).await.unwrap();
    let mut socket = world.connect(&bob).await.unwrap();
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    world.advance(60_000);
    world.push().await;
    assert_eq!(site.taken().len(), 1);
    let entry = socket.frames()[0]["eko:entry"].clone();
    socket.say(&json!({ "type": "Delivered", "object": entry })).await;
    world.deliver().await;
}

/// Pumps every queue of both servers until nothing moves.
async fn settle(a: &World, b: &World) {
    loop {
        let mut moved = 0;
        for world in [a, b] {
            moved += world.deliver().await + world.federate().await;
        }
        if moved == 0 {
            return;
        }
    }
}

/// Plays the init of each function, as [`eko_service::shell`] has it, apart from reading the
/// secrets.
async fn start(world: &World) {
    let names = world.cloud.names();
    for (function, needs) in NEEDS {
        let clients = world.clients(function);
        let queue = Some(names.deliveries_url.as_str()).filter(|_| needs.deliveries);
        eko_store::open_connections(&clients.dynamodb, &names.table, &clients.sqs, queue).await;
    }
}

/// Returns the actions that are done in a function's name by Lambda itself, or by the function
/// before it has a state.
fn around_functions() -> BTreeSet<Action> {
    let template = Template::read();
    let mut done = BTreeSet::new();
    let mut does = |function: &str, actions: &[&str], resource: &str| {
        for action in actions {
            let (function, action) = (function.to_owned(), (*action).to_owned());
            done.insert(Action { function, action, resource: resource.to_owned(), items: None });
        }
    };
    // Lambda writes the function's log.
    for (function, _, properties) in template.functions() {
        let log = referred(&properties["LoggingConfig"]["LogGroup"]);
        does(function, &["logs:CreateLogStream", "logs:PutLogEvents"], log);
    }
    // Lambda's event source mapping receives from the queue, and deletes what was handled.
    for (_, mapping) in template.resources("AWS::Lambda::EventSourceMapping") {
        let function = template.binary(referred(&mapping["FunctionName"]));
        let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
        does(function, &actions, arn_of(&mapping["EventSourceArn"]));
    }
    // The secrets are read in init, before there is a configuration. The test `bootstraps` runs
    // that code.
    for (function, needs) in NEEDS {
        for (needed, parameter) in [
            (needs.token_keys, "TokenKeysParameter"),
            (needs.signing_key, "SigningKeyParameter"),
            (needs.vapid_key, "VapidKeyParameter"),
        ] {
            if needed {
                does(function, &["ssm:GetParameters"], parameter);
            }
        }
    }
    done
}
