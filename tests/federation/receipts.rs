//! Receipts (`Delivered`) across servers: one for each envelope, on every device of its author.

use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_protocol::activity::ReportKind;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
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

/// Queues receipts of a user for another server's actor, and tries them.
async fn queue_receipts(world: &World, author: &UserName, to: &Stranger, count: usize) {
    let now_ms = world.now_ms();
    let receipt = |_| Parcel {
        to: to.actor.clone(),
        author: author.clone(),
        first_ms: now_ms,
        not_before_ms: None,
        expires_ms: None,
        outcome_to: None,
        listed_as: None,
        is_deletion: false,
        by_server: false,
        body: ParcelBody::Text(r#"{"type":"Delivered"}"#.to_owned()),
    };
    let parcels = (0..count).map(receipt).collect();
    world.state.store().queue_parcels(parcels, now_ms, String::new).await.unwrap();
    world.federate().await;
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
    let queue = async |to: &Stranger, count: usize| queue_receipts(&a, alice.user(), to, count).await;
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

/// One domain has as many servers as it likes. The receipts that wait for them are bounded together,
/// whoever has caused them.
#[tokio::test]
async fn receipts_that_wait_for_the_servers_of_one_domain_are_bounded() {
    let internet = Internet::new();
    let mut a = World::at(&internet, "a.example", |config| config.limits.server_receipts = 3).await;
    for number in 0..4 {
        let author = UserName::parse(&format!("author_{number}")).unwrap();
        let dead = Stranger::new(&internet, &format!("r{number}.evil.example")).await;
        internet.unplug(dead.address);
        queue_receipts(&a, &author, &dead, 2).await;
    }
    assert_eq!(a.waiting().await.0, 3);
    a.leave_queues();
}

/// One account has so many receipts waiting and no more, however many servers its devices send them
/// to. It still sends envelopes, and receipts that are done make room.
#[tokio::test]
async fn receipts_of_one_account_are_bounded() {
    let internet = Internet::new();
    let a = World::at(&internet, "a.example", |config| {
        config.limits.account_receipts = 3;
        config.limits.account_parcels = 1;
    })
    .await;
    let (mallory, alice) = (a.user("mallory").await, a.user("alice").await);
    let mut servers = Vec::new();
    for number in 0..5 {
        let dead = Stranger::new(&internet, &format!("dead{number}.example")).await;
        internet.unplug(dead.address);
        queue_receipts(&a, mallory.user(), &dead, 1).await;
        servers.push(dead);
    }
    assert_eq!(a.waiting().await.0, 3);
    // Another account is not concerned, and neither are the envelopes of this one.
    queue_receipts(&a, alice.user(), &servers[4], 1).await;
    assert_eq!(a.waiting().await.0, 4);
    let device = DeviceId::parse("00000000-0000-4000-8000-000000000001").unwrap();
    let id = mallory.envelope_id();
    let outgoing = OutgoingEnvelope::new(UserName::parse("eve").unwrap(), id, vec![(device, vec![7])]);
    let outgoing = outgoing.at(&Origin::parse(&servers[0].origin).unwrap());
    let sent = mallory.send(&outgoing).await.unwrap();
    assert!(matches!(sent, SendOutcome::Queued { .. }), "{sent:?}");
    for server in &servers {
        internet.plug(server.address);
    }
    internet.advance(HOUR_MS);
    a.federate().await;
    a.deliver().await;
    internet.advance(HOUR_MS);
    a.federate().await;
    a.deliver().await;
    assert_eq!(a.waiting().await, (0, 0));
    internet.advance(HOUR_MS);
    for server in &servers {
        internet.unplug(server.address);
        queue_receipts(&a, mallory.user(), server, 1).await;
    }
    assert_eq!(a.waiting().await.0, 3);
    let mut a = a;
    a.leave_queues();
}
