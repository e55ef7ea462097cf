//! Receipts (`Delivered`) across servers: one for each envelope, on every device of its author.

use eko_protocol::activity::ReportKind;
use eko_testkit::envelope;

use crate::{ServerPair, kinds};

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
    pair.internet.advance(crate::MINUTE_MS);
    pair.b.confirm(&pair.bob).await;
    for _ in 0..5 {
        pair.settle().await;
        pair.internet.advance(crate::MINUTE_MS);
    }
    assert_eq!(pair.a.reports(&pair.alice).await, []);
    pair.internet.plug(a_address);
    pair.internet.advance(crate::HOUR_MS);
    pair.alice.refresh().await.unwrap();
    pair.settle().await;
    assert_eq!(kinds(&pair.a.reports(&pair.alice).await), [ReportKind::Delivered]);
}
