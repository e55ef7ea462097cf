//! Envelopes that other libraries sign, as our inboxes answer them.

use serde_json::{Value, json};

use crate::create;
use crate::local_server::{LocalServer, envelope_id, message};
use crate::peer::Peer;

/// The libraries that sign: two by draft-cavage, then one by RFC 9421.
pub(crate) const SIGNERS: [&str; 3] = ["bovine", "apsig", "http-message-signatures"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_of_a_peer() {
    let (here, peer) = (LocalServer::start().await, Peer::start("peer.py", &[]).await);
    let bob = here.user("bob").await;
    let second = here.further(&bob).await;
    let inboxes = [here.origin.inbox(bob.user()), here.origin.shared_inbox()];
    let to =
        |devices: &[String], id: &str| create((&peer.actor(), &peer.device()), &bob.actor(), devices, id);
    let both = [bob.address(), second.address()];
    for by in SIGNERS {
        for inbox in &inboxes {
            // An envelope for every device is accepted, and each device fetches its message.
            let id = envelope_id(&peer.actor());
            let (status, answer) = peer.deliver(by, inbox, &to(&both, &id)).await;
            assert_eq!((status, &answer), (202, &Value::Null), "{by} {inbox}");
            for device in [&bob, &second] {
                let sealed = format!("sealed for {}", device.address()).into_bytes();
                assert_eq!(message(device).await, (id.clone(), sealed), "{by} {inbox}");
            }
        }
        let [inbox, _] = &inboxes;

        // An envelope that leaves out a device is accepted in part, and completed under the same
        // id.
        let id = envelope_id(&peer.actor());
        let (status, report) = peer.deliver(by, inbox, &to(&[bob.address()], &id)).await;
        assert_eq!(status, 207, "{by} {report:#}");
        assert_eq!(report["type"], json!(["Activity", "PartialDelivery"]), "{by}");
        assert_eq!(report["to"], peer.actor(), "{by}");
        assert_eq!(report["object"], id, "{by}");
        let package = here.origin.key_package(second.user(), second.id());
        assert_eq!(report["missingKeyPackages"], json!([package]), "{by}");
        let (status, answer) = peer.deliver(by, inbox, &to(&[second.address()], &id)).await;
        assert_eq!(status, 202, "{by} {answer:#}");
        assert_eq!(message(&bob).await.0, id);
        assert_eq!(message(&second).await.0, id);

        // An envelope that names an unknown device is rejected as a whole.
        let id = envelope_id(&peer.actor());
        let stale = format!("{}/device/00000000-0000-4000-8000-000000000000", bob.actor());
        let (status, report) = peer.deliver(by, inbox, &to(&[bob.address(), stale.clone()], &id)).await;
        assert_eq!(status, 409, "{by} {report:#}");
        assert_eq!(report["type"], "Reject", "{by}");
        assert_eq!(report["eko:deviceSetOutOfDate"], true, "{by}");
        assert_eq!(report["staleDevices"], json!([stale]), "{by}");
        assert_eq!(report["missingKeyPackages"], json!([package]), "{by}");

        // A signature by another key than the actor's is refused.
        let forged = json!({ "inbox": inbox, "activity": to(&both, &id), "by": by, "key": "another" });
        let (status, problem) = peer.send(&forged).await;
        assert_eq!(status, 401, "{by} {problem:#}");
        assert_eq!(problem["type"], here.origin.problem("bad-signature"), "{by}");
    }
    for device in [&bob, &second] {
        assert_eq!(device.fetch().await.unwrap().entries, []);
    }
    here.end().await;
}
