//! Receipts (`Delivered`) in both directions, signed and verified by other libraries.

use eko_client::device::EntryContent;
use eko_protocol::activity::ReportKind;
use eko_protocol::vocabulary::context;
use serde_json::json;

use crate::create;
use crate::local_server::{LocalServer, entry, envelope_id, eventually, send};
use crate::peer::Peer;
use crate::received::SIGNERS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_each_way() {
    for (arguments, scheme) in [(&[][..], "rfc9421"), (&["--only", "cavage"], "cavage")] {
        let (here, peer) = (LocalServer::start().await, Peer::start("peer.py", arguments).await);
        let (alice, bob) = (here.user("alice").await, here.user("bob").await);
        let inbox = here.origin.shared_inbox();

        // The peer writes to Bob. His device acknowledges, and the peer gets a signed receipt.
        let id = envelope_id(&peer.actor());
        let activity = create((&peer.actor(), &peer.device()), &bob.actor(), &[bob.address()], &id);
        assert_eq!(peer.deliver("bovine", &inbox, &activity).await.0, 202);
        bob.acknowledge(&[entry(&bob).await.address]).await.unwrap();
        let receipt = eventually("a receipt at the peer", async || {
            peer.log().await.into_iter().find(|entry| entry["verified"] == true)
        });
        let receipt = receipt.await;
        assert_eq!((&receipt["owner"], &receipt["scheme"]), (&bob.actor().into(), &scheme.into()));
        let name = receipt["activity"]["id"].as_str().unwrap();
        assert!(name.starts_with(&format!("{}/activity/", here.origin)), "{name}");
        let expected = json!({
            "@context": context(),
            "type": ["Activity", "Delivered"],
            "id": name,
            "actor": bob.actor(),
            "to": peer.actor(),
            "object": id,
        });
        assert_eq!(receipt["activity"], expected);

        // Alice writes to the peer, which sends a receipt by each library. Her device is told once.
        let id = envelope_id(&alice.actor());
        let activity = create((&alice.actor(), &alice.address()), &peer.actor(), &[peer.device()], &id);
        assert_eq!(send(&alice, &activity).await.0, 201);
        let delivered = |object: &str| {
            json!({
                "@context": context(),
                "type": "Delivered",
                "actor": peer.actor(),
                "to": alice.actor(),
                "object": object,
            })
        };
        // A receipt for an envelope that was never sent has no effect.
        assert_eq!(peer.deliver("bovine", &inbox, &delivered(&envelope_id(&alice.actor()))).await.0, 202);
        for by in SIGNERS {
            assert_eq!(peer.deliver(by, &inbox, &delivered(&id)).await.0, 202, "{by}");
        }
        let report = entry(&alice).await;
        let EntryContent::Report(read) = &report.content else { panic!("no report: {}", report.activity) };
        assert_eq!((read.kind, &read.actor), (ReportKind::Delivered, &peer.actor()));
        assert_eq!(read.envelope.as_str(), id);
        assert_eq!(alice.fetch().await.unwrap().entries.len(), 1);
        here.end().await;
    }
}
