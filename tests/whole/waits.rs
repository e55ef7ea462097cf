//! The places of waits and the counts of planned fetches in the table: each at exactly its bound,
//! and one more.

use eko_store::inbound::{Admittance, InboundHost, ServerGroup};
use eko_testkit::World;

const GROUPS: [ServerGroup; 3] = [ServerGroup::Strangers, ServerGroup::Known, ServerGroup::Renewals];

/// No more requests wait at any moment than there are places, however many have waited before.
#[tokio::test]
async fn waits_have_places() {
    let world = World::new().await;
    let store = world.state.store();
    let now_ms = world.now_ms();
    let mut most = 0;
    for group in GROUPS {
        let bounds = group.waits();
        most += bounds.together;
        let take = |site: u64, actor: u64, at_ms| async move {
            let host = format!("h{actor}.s{site}.example");
            store.take_place(group, &host, &format!("https://{host}/{actor}"), at_ms).await.unwrap()
        };
        // The servers of one site have its share.
        let mut held = Vec::new();
        for actor in 0..32 {
            held.extend(take(0, actor, now_ms).await);
        }
        assert_eq!(held.len() as u64, bounds.each, "{group:?}");
        // All sites together have the places that there are, also a moment later.
        for site in 1..32 {
            held.extend(take(site, 0, now_ms + 1_999).await);
        }
        assert_eq!(held.len() as u64, bounds.together, "{group:?}");
        for site in 0..32 {
            assert_eq!(take(site, 0, now_ms + 2_999).await, None, "{group:?}");
        }
        // A place that is left is free, and only that one. Leaving it again takes it from nobody.
        let first = held.remove(0);
        store.leave_place(&first).await.unwrap();
        let mut again = Vec::new();
        for actor in 0..32 {
            again.extend(take(0, actor, now_ms + 2_999).await);
        }
        assert_eq!(again.len(), 1, "{group:?}");
        store.leave_place(&first).await.unwrap();
        for actor in 0..32 {
            assert_eq!(take(0, actor, now_ms + 2_999).await, None, "{group:?}");
        }
        // The place of a process that died is free after three seconds.
        assert!(take(0, 0, now_ms + 6_000).await.is_some(), "{group:?}");
    }
    assert_eq!(most, 7, "of ten executions");
}

#[tokio::test]
async fn fetches_are_planned_once_and_bounded() {
    let world = World::new().await;
    let store = world.state.store();
    let now_ms = world.now_ms();
    for group in GROUPS {
        let plan = |site: u64, number: u64, at_ms| async move {
            let host = format!("s{site}.example");
            store.plan_fetch(group, &host, &format!("https://{host}/{number}"), at_ms).await.unwrap()
        };
        let bounds = group.fetches();
        let (sites, each) = (bounds.together / bounds.each, bounds.each);
        for site in 0..sites {
            for number in 0..each {
                assert_eq!(plan(site, number, now_ms).await, Admittance::Granted, "{group:?}");
                assert_eq!(plan(site, number, now_ms).await, Admittance::AlreadyPlanned, "{group:?}");
            }
            let expected = if site + 1 == sites { Admittance::GroupFull } else { Admittance::ServerFull };
            assert_eq!(plan(site, each, now_ms).await, expected, "{group:?}");
        }
        assert_eq!(plan(sites, 0, now_ms).await, Admittance::GroupFull, "{group:?}");
        assert_eq!(plan(0, 0, now_ms + 60_000).await, Admittance::Granted, "{group:?}");
    }
}

#[tokio::test]
async fn a_server_is_slow_for_a_minute_and_known_for_a_week() {
    let world = World::new().await;
    let store = world.state.store();
    let now_ms = world.now_ms();
    let host = || async { store.inbound_context("https://b.example/x", "b.example").await.unwrap().host };
    assert_eq!(host().await, InboundHost::default());
    store.note_slow("b.example", now_ms).await.unwrap();
    let slow = host().await;
    assert!(slow.is_slow(now_ms + 59_999) && !slow.is_slow(now_ms + 60_000));
    assert_eq!((slow.group(now_ms), slow.needs_note(now_ms)), (ServerGroup::Strangers, true));
    store.note_verified("b.example", now_ms).await.unwrap();
    store.note_slow("b.example", now_ms + 1).await.unwrap();
    let known = host().await;
    let week_ms = 7 * 24 * 3_600_000;
    assert_eq!(known.group(now_ms + week_ms - 1), ServerGroup::Known);
    assert_eq!(known.group(now_ms + week_ms), ServerGroup::Strangers);
    let day_ms = 24 * 3_600_000;
    assert!(!known.needs_note(now_ms + day_ms - 1) && known.needs_note(now_ms + day_ms));
    assert!(known.is_slow(now_ms + 60_000));
    // The record of a known server outlives its time-outs.
    let stored = world.stored().await;
    let item = &stored.items[&("I#b.example".to_owned(), "HOST".to_owned())];
    assert!(item.contains(&((now_ms + week_ms) / 1_000).to_string()), "{item}");
}
