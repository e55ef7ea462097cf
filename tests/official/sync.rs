//! Syncs: a device encrypts what it sends for its user's other devices too.

use serde_json::json;

use crate::device::{OfficialDevice, SendResult};
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_devices_get_what_was_sent() {
    let here = LocalServer::start().await;
    let [mut phone, mut tablet] = OfficialDevice::two(Library::Current, &here, "alice").await;
    let mut laptop = phone.further(&here).await;
    let mut bob = OfficialDevice::first(Library::Current, &here, "bob").await;
    let sent = phone.send(&bob.actor, "written on the phone").await;
    assert_eq!(sent.activity()["to"], json!([bob.actor]));
    sent.assert_is(&bob.fetch(1).await[0], &phone, &bob);

    syncs(&mut phone, [&mut tablet, &mut laptop], &sent).await;
    // The device sends nothing to itself.
    assert_eq!(phone.command(json!({ "do": "hold" })).await["held"], json!([]));

    for _ in 0..10 {
        syncs(&mut tablet, [&mut phone, &mut laptop], &sent).await;
        syncs(&mut laptop, [&mut tablet, &mut phone], &sent).await;
        syncs(&mut phone, [&mut laptop, &mut tablet], &sent).await;
    }
    here.end().await;
}

/// Has a device send the activity of an envelope to its user's other devices, which read who wrote
/// it to whom.
async fn syncs(by: &mut OfficialDevice, others: [&mut OfficialDevice; 2], sent: &SendResult) {
    let synced = by.sync(sent.activity()).await;
    synced.assert_accepted(2);
    for device in others {
        let received = device.fetch(1).await.remove(0);
        synced.assert_is(&received, by, device);
        assert_eq!(received["activity"]["actor"], device.actor);
        assert_eq!(received["activity"], *sent.activity());
    }
}
