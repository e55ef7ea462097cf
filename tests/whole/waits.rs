//! The counts of waits and planned fetches in the table: each at exactly its bound, and one more.

use eko_store::inbound::{Admittance, InboundHost, ServerGroup};
use eko_testkit::World;

const GROUPS: [ServerGroup; 2] = [ServerGroup::Strangers, ServerGroup::Known];

#[tokio::test]
async fn waits_are_bounded_by_site_and_group() {
    let world = World::new().await;
    let store = world.state.store();
    let now_ms = world.now_ms();
    for (group, each, together) in [(ServerGroup::Strangers, 2, 4), (ServerGroup::Known, 3, 6)] {
        let take = |host: String, at_ms| async move { store.take_wait(group, &host, at_ms).await.unwrap() };
        for site in 0..together / each {
            for number in 0..each {
                let host = format!("h{number}.s{site}.example");
                assert_eq!(take(host, now_ms).await, Admittance::Granted, "{group:?}");
            }
            // The other sites have a share of their own, until the group has had its share.
            let expected =
                if (site + 1) * each == together { Admittance::GroupFull } else { Admittance::ServerFull };
            assert_eq!(take(format!("more.s{site}.example"), now_ms).await, expected, "{group:?}");
        }
        assert_eq!(take("other.example".to_owned(), now_ms).await, Admittance::GroupFull);
        // A wait that is given back is free again, and only that one.
        store.give_wait_back(group, "h0.s0.example", now_ms).await.unwrap();
        assert_eq!(take("other.example".to_owned(), now_ms).await, Admittance::Granted);
        assert_eq!(take("other.example".to_owned(), now_ms).await, Admittance::GroupFull);
        let window_ms = group.waits().window_ms;
        assert_eq!(take("other.example".to_owned(), now_ms + window_ms).await, Admittance::Granted);
    }
    // A window without an item needs nothing back.
    store.give_wait_back(ServerGroup::Known, "b.example", 0).await.unwrap();
}

#[tokio::test]
async fn fetches_are_planned_once_and_bounded() {
    let world = World::new().await;
    let store = world.state.store();
    let now_ms = world.now_ms();
    for group in GROUPS {
        let plan = |site: usize, number: usize, at_ms| async move {
            let host = format!("s{site}.example");
            store.plan_fetch(group, &host, &format!("https://{host}/{number}"), at_ms).await.unwrap()
        };
        for site in 0..6 {
            for number in 0..10 {
                assert_eq!(plan(site, number, now_ms).await, Admittance::Granted, "{group:?}");
                assert_eq!(plan(site, number, now_ms).await, Admittance::AlreadyPlanned, "{group:?}");
            }
            let expected = if site == 5 { Admittance::GroupFull } else { Admittance::ServerFull };
            assert_eq!(plan(site, 10, now_ms).await, expected, "{group:?}");
        }
        assert_eq!(plan(6, 0, now_ms).await, Admittance::GroupFull, "{group:?}");
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
