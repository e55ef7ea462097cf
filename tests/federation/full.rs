//! A full mailbox on another server: the author is told, also after the envelope has waited.

use eko_client::device::SendOutcome;
use eko_protocol::activity::ReportKind;
use eko_testkit::{Internet, World, envelope};

#[tokio::test]
async fn the_author_is_told_of_a_full_device_of_another_server() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let small = |config: &mut eko_service::config::Config| {
        config.limits.mailbox_entries = 16;
        config.limits.mailbox_bytes = 16_000;
    };
    let b = World::at(&internet, "b.example", small).await;
    let b_address = internet.serve("b.example", b.app.clone()).await;
    let (alice, bob) = (a.user("alice").await, b.user("bob").await);
    let second = b.further(&bob, "two").await;
    for _ in 0..4 {
        let sent = alice.send(&envelope(&alice, &[&bob, &second])).await.unwrap();
        assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
        b.deliver().await;
        b.empty(&bob).await;
    }
    let sent = alice.send(&envelope(&alice, &[&bob, &second])).await.unwrap();
    let SendOutcome::Partial(report) = sent else { panic!("{sent:?}") };
    assert_eq!((report.full_devices, report.missing_key_packages), (vec![second.address()], vec![]));
    b.deliver().await;

    internet.unplug(b_address);
    let queued = alice.send(&envelope(&alice, &[&bob, &second])).await.unwrap();
    assert!(matches!(queued, SendOutcome::Queued { .. }), "{queued:?}");
    internet.plug(b_address);
    internet.advance(60_000);
    a.federate().await;
    a.deliver().await;
    b.deliver().await;
    let [report] = <[_; 1]>::try_from(a.reports(&alice).await).unwrap();
    assert_eq!((report.kind, report.full_devices), (ReportKind::PartialDelivery, vec![second.address()]));
}
