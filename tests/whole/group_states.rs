//! Group states at the server: which one stays, for whom, and what each request costs.

use std::sync::Arc;

use eko_client::device::GroupStateAnswer::{Done, Stale};
use eko_client::{Auth, Body, Device};
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::limits::{MAX_GROUP_STATE_BYTES, MAX_GROUP_STATES, MAX_PAGE_GROUP_STATES};
use eko_testkit::{ChainChanges as _, DirectTransport, World, lose_each_answer, parallel, refusal, refused};
use http::Method;
use serde_json::json;

/// Returns the id of the `n`th group.
fn group(n: u64) -> GroupStateId {
    GroupStateId::parse(&format!("00000000-0000-8000-8000-{n:012x}")).unwrap()
}

fn state(epoch: u64, content: &[u8]) -> SealedGroupState {
    SealedGroupState { epoch, content: content.to_vec() }
}

/// Starts a server with the two devices of Alice.
async fn alices_two() -> (World, Device<DirectTransport>, Device<DirectTransport>) {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let second = world.further(&alice, "two").await;
    (world, alice, second)
}

#[tokio::test]
async fn the_highest_epoch_stays() {
    let (_world, alice, second) = alices_two().await;
    assert_eq!(alice.group_state(&group(1)).await.unwrap(), None);
    assert_eq!(alice.keep_group_state(&group(1), &state(3, b"three")).await.unwrap(), Done);
    // The other device has seen nothing yet.
    for epoch in [1, 3] {
        let kept = second.keep_group_state(&group(1), &state(epoch, b"other")).await.unwrap();
        assert_eq!(kept, Stale(3), "{epoch}");
    }
    assert_eq!(second.group_state(&group(1)).await.unwrap(), Some(state(3, b"three")));
    assert_eq!(second.keep_group_state(&group(1), &state(9, b"nine")).await.unwrap(), Done);
    assert_eq!(alice.group_state(&group(1)).await.unwrap(), Some(state(9, b"nine")));
    // A deletion names what it has seen, too.
    assert_eq!(alice.drop_group_state(&group(1), 8).await.unwrap(), Stale(9));
    assert_eq!(alice.drop_group_state(&group(1), 9).await.unwrap(), Done);
    assert_eq!(alice.drop_group_state(&group(1), 9).await.unwrap(), Done);
    assert_eq!(second.group_state(&group(1)).await.unwrap(), None);
    // Nothing remembers the epoch.
    assert_eq!(second.keep_group_state(&group(1), &state(1, b"anew")).await.unwrap(), Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_racing_writes_leave_the_highest_epoch() {
    for is_new in [true, false] {
        let (world, alice, second) = alices_two().await;
        let devices = [Arc::new(alice), Arc::new(second)];
        if !is_new {
            devices[0].keep_group_state(&group(1), &state(1, b"first")).await.unwrap();
        }
        // Neither in order nor in the opposite one.
        let writes = (0..64).map(|n| (n * 37) % 64 + 2).map(|epoch| {
            let device = Arc::clone(&devices[usize::from(epoch % 2 == 0)]);
            async move {
                let state = state(epoch, &epoch.to_be_bytes());
                (epoch, device.keep_group_state(&group(1), &state).await.unwrap())
            }
        });
        for (epoch, answer) in parallel(writes).await {
            match answer {
                Done => {}
                Stale(stored) => assert!(stored > epoch, "{epoch} {stored}"),
            }
        }
        let stored = devices[0].group_state(&group(1)).await.unwrap();
        assert_eq!(stored, Some(state(65, &65_u64.to_be_bytes())));
        // It is counted once.
        assert_eq!(count_of(&world).await, 1);
    }
}

/// Returns the number of Alice's group states, as it is stored.
async fn count_of(world: &World) -> u64 {
    let stored = world.stored().await;
    let item = &stored.items[&("L#alice".to_owned(), "GROUPS".to_owned())];
    item.split("N(\\\"").nth(1).unwrap().split('\\').next().unwrap().parse().unwrap()
}

/// The answer to a device whose write was refused says what to read, on an engine that does not
/// show what refused it, too.
#[tokio::test]
async fn a_refusal_without_the_stored_state() {
    let (world, alice, second) = alices_two().await;
    world.calls.hide_refused_items();
    assert_eq!(alice.keep_group_state(&group(1), &state(3, b"three")).await.unwrap(), Done);
    assert_eq!(second.keep_group_state(&group(1), &state(3, b"other")).await.unwrap(), Stale(3));
    assert_eq!(second.keep_group_state(&group(1), &state(4, b"four")).await.unwrap(), Done);
    assert_eq!(alice.drop_group_state(&group(1), 3).await.unwrap(), Stale(4));
}

#[tokio::test]
async fn a_thousand_groups_and_no_more() {
    let (world, alice, second) = alices_two().await;
    for n in 0..MAX_GROUP_STATES {
        assert_eq!(alice.keep_group_state(&group(n), &state(1, &n.to_be_bytes())).await.unwrap(), Done);
    }
    let one_more = group(MAX_GROUP_STATES);
    assert_eq!(refused(alice.keep_group_state(&one_more, &state(1, b"x")).await), "422 invalid #");
    assert_eq!(alice.group_state(&one_more).await.unwrap(), None);
    // The others may change still, and one that is deleted makes room.
    assert_eq!(alice.keep_group_state(&group(7), &state(2, b"x")).await.unwrap(), Done);
    assert_eq!(alice.drop_group_state(&group(7), 2).await.unwrap(), Done);
    assert_eq!(alice.keep_group_state(&one_more, &state(1, b"x")).await.unwrap(), Done);
    assert_eq!(refused(alice.keep_group_state(&group(7), &state(3, b"x")).await), "422 invalid #");
    // Another device reads all of them, page by page, each of them once.
    world.calls.reset();
    let mut page = second.group_states().await.unwrap();
    let mut calls = world.calls.made();
    calls.sort();
    assert_eq!(calls, ["GetItem", "Query"]);
    assert_eq!(world.calls.rounds(), 1);
    let mut found = Vec::new();
    loop {
        assert!(page.states.len() <= MAX_PAGE_GROUP_STATES);
        found.extend(page.states);
        let Some(next) = page.next else { break };
        page = second.group_states_after(&next).await.unwrap();
    }
    let due = (0..=MAX_GROUP_STATES).filter(|n| *n != 7).map(|n| match n {
        MAX_GROUP_STATES => (group(n), state(1, b"x")),
        n => (group(n), state(1, &n.to_be_bytes())),
    });
    assert_eq!(found, Vec::from_iter(due));
}

/// A page has about a megabyte, so that the answer fits into Lambda's.
#[tokio::test]
async fn pages_of_large_states() {
    let (_world, alice, _) = alices_two().await;
    for n in 0..9 {
        let large = state(1, &vec![7; MAX_GROUP_STATE_BYTES]);
        assert_eq!(alice.keep_group_state(&group(n), &large).await.unwrap(), Done);
    }
    let mut page = alice.group_states().await.unwrap();
    let mut found = 0;
    loop {
        assert!((1..=5).contains(&page.states.len()) || page.next.is_none(), "{}", page.states.len());
        found += page.states.len();
        let Some(next) = page.next else { break };
        page = alice.group_states_after(&next).await.unwrap();
    }
    assert_eq!(found, 9);
}

#[tokio::test]
async fn only_active_devices_of_the_user() {
    let (world, alice, second) = alices_two().await;
    let bob = world.user("bob").await;
    alice.keep_group_state(&group(1), &state(1, b"x")).await.unwrap();
    let path = format!("/user/alice/groupState/{}", group(1));
    let body = state(2, b"y").to_document(None);
    let requests = [
        (Method::GET, "/user/alice/groupState".to_owned(), Body::Empty),
        (Method::GET, path.clone(), Body::Empty),
        (Method::PUT, path.clone(), Body::Json(&body)),
        (Method::DELETE, format!("{path}?epoch=1"), Body::Empty),
    ];
    let pending = world.pending(&alice, "three").await;
    alice.revoke(second.id()).await.unwrap();
    for (method, path, body) in &requests {
        let ask = async |device: &Device<DirectTransport>, auth| {
            refusal(&device.call(method.clone(), path, body.clone(), auth).await.unwrap())
        };
        assert_eq!(ask(&bob, Auth::Device).await, "403 not-owner", "{method} {path}");
        assert_eq!(ask(&alice, Auth::Nobody).await, "401 unauthenticated", "{method} {path}");
        assert_eq!(ask(&pending, Auth::Device).await, "403 device-pending", "{method} {path}");
        assert_eq!(ask(&second, Auth::Device).await, "401 device-revoked", "{method} {path}");
    }
    assert_eq!(alice.group_state(&group(1)).await.unwrap(), Some(state(1, b"x")));
    // Another user's group of the same id is another group.
    assert_eq!(bob.group_state(&group(1)).await.unwrap(), None);
    assert_eq!(bob.keep_group_state(&group(1), &state(1, b"bob")).await.unwrap(), Done);
    assert_eq!(bob.group_states().await.unwrap().states, [(group(1), state(1, b"bob"))]);
    world.deliver().await;
}

#[tokio::test]
async fn a_refused_request_changes_nothing() {
    let (world, alice, _) = alices_two().await;
    alice.keep_group_state(&group(1), &state(1, b"x")).await.unwrap();
    let before = world.stored().await;
    let list = "/user/alice/groupState";
    let one = format!("{list}/{}", group(1));
    let ask = async |method: Method, path: &str, body: Body<'_>| {
        refusal(&alice.call(method, path, body, Auth::Device).await.unwrap())
    };
    for query in ["after=", "after=x", "after=%FF", &format!("after={0}&after={0}", group(1))] {
        let answer = ask(Method::GET, &format!("{list}?{query}"), Body::Empty).await;
        assert_eq!(answer, "400 bad-request", "{query}");
    }
    for query in ["", "?epoch=", "?epoch=x", "?epoch=-1", "?epoch=1.5", "?epoch=1&epoch=2"] {
        let answer = ask(Method::DELETE, &format!("{one}{query}"), Body::Empty).await;
        assert_eq!(answer, "400 bad-request", "{query}");
    }
    let good = state(9, b"y").to_document(None);
    for id in
        ["x", "%FF", "urn:uuid:00000000-0000-8000-8000-000000000001", "0000000000008000800000000000000A"]
    {
        let path = format!("{list}/{id}");
        for (method, body) in [(Method::GET, Body::Empty), (Method::PUT, Body::Json(&good))] {
            assert_eq!(ask(method, &path, body).await, "404 not-found", "{path}");
        }
        assert_eq!(ask(Method::DELETE, &format!("{path}?epoch=9"), Body::Empty).await, "404 not-found");
    }
    for (member, value, answer) in [
        ("type", json!("Note"), "422 invalid #/type"),
        ("epoch", json!(0), "422 invalid #/epoch"),
        ("epoch", json!("2"), "422 invalid #/epoch"),
        ("epoch", json!(1_u64 << 53), "422 invalid #/epoch"),
        ("content", json!(""), "422 invalid #/content"),
        ("content", json!("!"), "422 invalid #/content"),
        ("content", json!(["AQID", "AQID"]), "422 invalid #/content"),
    ] {
        let mut body = good.clone();
        body[member] = value;
        assert_eq!(ask(Method::PUT, &one, Body::Json(&body)).await, answer, "{body:.100}");
    }
    assert_eq!(ask(Method::POST, &one, Body::Json(&good)).await, "405 method-not-allowed");
    assert_eq!(ask(Method::PUT, list, Body::Json(&good)).await, "405 method-not-allowed");
    assert_eq!(before.difference(&world.stored().await), []);
}

/// A write counts as an envelope of the account, with its bytes.
#[tokio::test]
async fn the_accounts_budget_bounds_writes() {
    let world = World::with(|config| {
        config.limits.account_budget = 3;
        config.limits.account_bytes_budget = 1_000;
    })
    .await;
    let alice = world.user("alice").await;
    let keep = async |epoch, bytes| alice.keep_group_state(&group(1), &state(epoch, &vec![7; bytes])).await;
    assert_eq!(keep(1, 600).await.unwrap(), Done);
    assert_eq!(refused(keep(2, 600).await), "429 too-many");
    assert_eq!(keep(2, 400).await.unwrap(), Done);
    assert_eq!(alice.drop_group_state(&group(1), 2).await.unwrap(), Done);
    assert_eq!(refused(alice.drop_group_state(&group(1), 2).await), "429 too-many");
    // Reading is free, and the next minute is another one.
    assert_eq!(alice.group_states().await.unwrap().states, []);
    world.advance(super::MINUTE_MS);
    assert_eq!(keep(1, 1_000).await.unwrap(), Done);
}

#[tokio::test]
async fn the_calls_of_each_request() {
    let (world, alice, _) = alices_two().await;
    let calls = |rounds: usize| {
        let (mut made, took) = (world.calls.made(), world.calls.rounds());
        made.sort();
        world.calls.reset();
        assert_eq!(took, rounds, "{made:?}");
        made
    };
    calls(world.calls.rounds());
    alice.keep_group_state(&group(1), &state(1, b"x")).await.unwrap();
    // The first state of a group is counted, which needs a transaction. The write before it does
    // not find the state that it would replace.
    assert_eq!(calls(3), ["GetItem", "TransactWriteItems", "UpdateItem", "UpdateItem"]);
    alice.keep_group_state(&group(1), &state(2, b"x")).await.unwrap();
    // A change: the device's record and the account's budget in one round, then the write. No
    // second write counts anything.
    assert_eq!(calls(2), ["GetItem", "UpdateItem", "UpdateItem"]);
    alice.keep_group_state(&group(1), &state(1, b"x")).await.unwrap();
    // The refusal brings the epoch of the stored state.
    assert_eq!(calls(2), ["GetItem", "UpdateItem", "UpdateItem"]);
    alice.group_state(&group(1)).await.unwrap();
    assert_eq!(calls(1), ["BatchGetItem"]);
    alice.group_states().await.unwrap();
    assert_eq!(calls(1), ["GetItem", "Query"]);
    alice.drop_group_state(&group(1), 2).await.unwrap();
    assert_eq!(calls(2), ["GetItem", "TransactWriteItems", "UpdateItem"]);
}

/// The device repeats what it got no answer to, and it counts once.
#[tokio::test]
async fn a_lost_answer() {
    lose_each_answer(
        alices_two,
        |(world, ..)| &world.calls,
        async |(_, alice, _), _| {
            let told = |answer: Result<_, eko_client::ClientError>| answer.map_err(|error| error.to_string());
            let first = told(alice.keep_group_state(&group(1), &state(1, b"one")).await)?;
            assert!(matches!(first, Done | Stale(2)), "{first:?}");
            assert_eq!(told(alice.keep_group_state(&group(2), &state(1, b"two")).await)?, Done);
            assert_eq!(told(alice.keep_group_state(&group(1), &state(2, b"more")).await)?, Done);
            assert_eq!(told(alice.drop_group_state(&group(2), 1).await)?, Done);
            Ok(())
        },
        async |(world, _, second), run| {
            let states = second.group_states().await.expect(run).states;
            assert_eq!(states, [(group(1), state(2, b"more"))], "{run}");
            assert_eq!(count_of(world).await, 1, "{run}");
        },
    )
    .await;
}
