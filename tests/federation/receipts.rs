//! Receipts (`Delivered`) across servers: one for each envelope, on every device of its author.

use eko_protocol::activity::ReportKind;
use eko_store::parcels::{Parcel, ParcelBody};
use eko_testkit::{Internet, Stranger, World, envelope};

use crate::{HOUR_MS, MINUTE_MS, ServerPair, kinds};

#[tokio::test]
async fn a_receipt_reaches_every_device_of_the_author_once() {
    let pair = ServerPair::new().await;
    let tablet = pair.a.further(&pair.alice, "tablet").await;
    let second = pair.b.further(&pair.bob, "two").await;
    let outgoing = envelope(&pair.alice, &[&pair.bob, &second]);
    pair.alice.send(&outgoing).await.unwrap();
    pair.settle().await;
    pair.b.confirm(&pair.bob).await;
    pair.settle().await;
    pair.internet.advance(1_000);
    pair.b.confirm(&second).await;
    pair.settle().await;
    for device in [&pair.alice, &tablet] {
        let reports = pair.a.reports(device).await;
        assert_eq!(kinds(&reports), [ReportKind::Delivered]);
        assert_eq!(reports[0].envelope, outgoing.id);
        assert_eq!(reports[0].actor, "https://b.example/user/bob");
    }
    // A device that has acknowledged the message does not get it again, however often it is sent.
    pair.alice.send(&outgoing).await.unwrap();
    pair.settle().await;
    assert_eq!(pair.b.messages(&pair.bob).await, []);
    assert_eq!(pair.b.messages(&second).await, []);
}

#[tokio::test]
async fn a_receipt_waits_for_a_server_that_is_away() {
    let pair = ServerPair::new().await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    let a_address = std::net::SocketAddr::from(([93, 184, 216, 0], 443));
    pair.internet.unplug(a_address);
    // No connection is kept as long as a minute.
    pair.internet.advance(MINUTE_MS);
    pair.b.confirm(&pair.bob).await;
    for _ in 0..5 {
        pair.settle().await;
        pair.internet.advance(MINUTE_MS);
    }
    assert_eq!(pair.a.reports(&pair.alice).await, []);
    pair.internet.plug(a_address);
    pair.internet.advance(HOUR_MS);
    pair.alice.refresh().await.unwrap();
    pair.settle().await;
    assert_eq!(kinds(&pair.a.reports(&pair.alice).await), [ReportKind::Delivered]);
}

/// So many receipts wait for one server, and no more. Those for other servers and the envelopes are
/// not concerned, and a server that is back has room again.
#[tokio::test]
async fn receipts_that_wait_for_one_server_are_bounded() {
    let internet = Internet::new();
    let a = World::at(&internet, "a.example", |config| config.limits.server_receipts = 3).await;
    let alice = a.user("alice").await;
    let dead = Stranger::new(&internet, "dead.example").await;
    let other = Stranger::new(&internet, "other.example").await;
    let receipt = |to: &Stranger, now_ms: i64| Parcel {
        to: to.actor.clone(),
        author: alice.user().clone(),
        first_ms: now_ms,
        not_before_ms: None,
        expires_ms: None,
        outcome_to: None,
        listed_as: None,
        body: ParcelBody::Text(r#"{"type":"Delivered"}"#.to_owned()),
    };
    let queue = async |to: &Stranger, count: usize| {
        let now_ms = internet.now_ms();
        let parcels = (0..count).map(|_| receipt(to, now_ms)).collect();
        a.state.store().queue_parcels(parcels, now_ms, String::new).await.unwrap();
        a.federate().await;
    };
    for round in 0..2 {
        internet.unplug(dead.address);
        queue(&dead, 25).await;
        assert_eq!(a.waiting().await.0, 3, "{round}");
        // They are looked at again and again, and more come. None of them counts twice.
        for _ in 0..4 {
            internet.advance(MINUTE_MS);
            a.federate().await;
            queue(&dead, 2).await;
            assert_eq!(a.waiting().await.0, 3, "{round}");
        }
        internet.unplug(other.address);
        queue(&other, 2).await;
        assert_eq!(a.waiting().await.0, 5, "{round}");
        internet.plug(other.address);
        internet.plug(dead.address);
        internet.advance(HOUR_MS);
        a.federate().await;
        assert_eq!(a.waiting().await, (0, 0), "{round}");
        assert_eq!(dead.posts().len(), 3 * (round + 1));
        assert_eq!(other.posts().len(), 2 * (round + 1));
        internet.advance(MINUTE_MS);
    }
}
