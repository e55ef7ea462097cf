//! The functions as the binaries that are deployed, behind Lambda's runtime API: `cargo lambda
//! watch` against `eko-local engines`, with the environment of `infra/local/watch.env`. They talk
//! over HTTP on loopback.
//!
//! The test needs cargo-lambda (CONTRIBUTING.md).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod deployment;
#[path = "../peers/local_server.rs"]
#[expect(dead_code, reason = "the peers use more of it")]
mod local_server;
mod process;

use deployment::Deployment;
use eko_client::HttpTransport;
use eko_client::capabilities::Capabilities;
use eko_client::device::{EntryContent, OutgoingEnvelope, SendOutcome};
use eko_client::transport::Socket as _;
use eko_protocol::activity::ReportKind;
use local_server::{LocalServer, entry, user};

/// One deployment plays everything, since starting it takes most of the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_functions_as_lambdas() {
    let deployment = Deployment::start().await;
    eko_local::demo::run(&deployment.origin.to_string()).await.unwrap();
    from_another_server(&deployment).await;
    on_a_socket(&deployment).await;
    deployment.assert_nothing_queued().await;
    deployment.end();
}

/// A device connects where its server says, which is at the engines. They invoke the function
/// `socket`; `deliver` posts to it.
async fn on_a_socket(deployment: &Deployment) {
    let erin = user(&deployment.origin, &deployment.issuer(), "erin").await;
    let frank = user(&deployment.origin, &deployment.issuer(), "frank").await;
    let http = HttpTransport::new().unwrap();
    let capabilities = Capabilities::fetch(&http, deployment.origin.as_str()).await.unwrap();
    let mut socket = frank.open_socket(&capabilities.live.unwrap()).await.unwrap();
    socket.send(r#"{"type":"Fetch"}"#.to_owned()).await.unwrap();
    let mut hear = async || -> serde_json::Value {
        serde_json::from_str(&socket.next().await.unwrap().unwrap()).unwrap()
    };
    assert_eq!(hear().await["type"], "QueueEmpty");
    let messages = vec![(frank.id().clone(), b"sealed for Frank".to_vec())];
    let outgoing = OutgoingEnvelope::new(frank.user().clone(), erin.envelope_id(), messages);
    erin.send(&outgoing).await.unwrap();
    assert_eq!(hear().await["object"]["id"], outgoing.id.to_string());
}

/// Another server sends a signed envelope, and its receipt goes back by the queue `federation`.
async fn from_another_server(deployment: &Deployment) {
    let there = LocalServer::start().await;
    let carol = there.user("carol").await;
    let dave = user(&deployment.origin, &deployment.issuer(), "dave").await;

    let id = carol.envelope_id();
    let sealed = b"sealed for Dave".to_vec();
    let outgoing =
        OutgoingEnvelope::new(dave.user().clone(), id.clone(), vec![(dave.id().clone(), sealed.clone())]);
    let sent = carol.send(&outgoing.at(&deployment.origin)).await.unwrap();
    // 201 says that the function `inbox` accepted the envelope while Carol's server waited.
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    let received = entry(&dave).await;
    let EntryContent::Message(message) = &received.content else {
        panic!("no message: {}", received.activity)
    };
    assert_eq!((&message.letter.header.id, &message.ciphertext), (&id, &sealed));

    dave.acknowledge(&[received.address]).await.unwrap();
    let receipt = entry(&carol).await;
    let EntryContent::Report(report) = &receipt.content else { panic!("no report: {}", receipt.activity) };
    assert_eq!((report.kind, &report.actor, &report.envelope), (ReportKind::Delivered, &dave.actor(), &id));
    there.end().await;
}
