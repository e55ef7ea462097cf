//! Kills the server (SIGKILL) under a load of sends. After a restart, every send that was answered
//! 2xx is in the recipients' mailboxes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eko_client::device::{EntryContent, JoinKind, OutgoingEnvelope, SendOutcome};
use eko_client::transport::HttpTransport;
use eko_client::{Body, Device, DeviceKeys, Environment, Exchange, IdToken, JoiningCode, KeyCounts};
use eko_local::server::{AUDIENCE, ISSUER_PATH};
use eko_protocol::address::{Origin, UserName};
use http::Method;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The number of sends that are answered before the server is killed.
const ANSWERED: usize = 150;

/// The number of tasks that send at once.
const SENDERS: usize = 8;

/// Starts the server, and reads its origin from the first line of its output.
async fn start(data: &Path, port: u16) -> (Child, Origin) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_eko-local"))
        .args(["--port", &port.to_string(), "--sender-budget", "1000000", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().expect("a first line");
    let origin = line.rsplit(' ').next().unwrap().to_owned();
    // The rest of its output is read and dropped, so that the server never waits for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, Origin::parse(&origin).unwrap())
}

/// Makes a device of a user, and fetches an ID token for it.
async fn device(origin: &Origin, user: &str) -> (Device<HttpTransport>, IdToken) {
    let environment = Environment::system();
    let counts = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, last_resort: false };
    let keys = DeviceKeys::generate(counts, &environment).unwrap();
    let name = UserName::parse(user).unwrap();
    let device = Device::new(HttpTransport::new().unwrap(), origin.clone(), name, keys, environment);
    let challenge = device.challenge();
    let nonce = challenge.nonce();
    let form = format!("grant_type=password&username={user}&client_id={AUDIENCE}&nonce={nonce}");
    let body = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
    let url = format!("{origin}{ISSUER_PATH}/token");
    let answer =
        Exchange::send(&HttpTransport::new().unwrap(), Method::POST, &url, body, None).await.unwrap();
    let token = challenge.answered(answer.json().unwrap()["id_token"].as_str().unwrap());
    (device, token)
}

/// Returns the ids of all envelopes in a mailbox. Each must be there once.
async fn envelopes(device: &Device<HttpTransport>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut page = device.fetch().await.unwrap();
    loop {
        for entry in &page.entries {
            if let EntryContent::Message(message) = &entry.content {
                assert!(
                    found.insert(message.letter.header.id.as_str().to_owned()),
                    "an envelope is there twice"
                );
            }
        }
        match &page.next {
            Some(next) => page = device.fetch_after(next).await.unwrap(),
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, origin) = start(folder.path(), 0).await;
    let port: u16 = origin.authority().rsplit(':').next().unwrap().parse().unwrap();

    let (alice, token) = device(&origin, "alice").await;
    alice.register(&token, JoinKind::First).await.unwrap();
    let (first, token) = device(&origin, "bob").await;
    first.register(&token, JoinKind::First).await.unwrap();
    let (second, token) = device(&origin, "bob").await;
    let code = JoiningCode::from_secret([1; 16]);
    second.register(&token, JoinKind::Further(code.clone())).await.unwrap();
    let [waiting] = first.pending_devices().await.unwrap().try_into().unwrap();
    let (nodes, _) = first.chain(first.user()).await.unwrap();
    first.append(&first.approval(&nodes, &waiting, &code).unwrap()).await.unwrap();

    let alice = Arc::new(alice);
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let devices = [first.id().clone(), second.id().clone()];
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (alice, answered, count) = (Arc::clone(&alice), Arc::clone(&answered), Arc::clone(&count));
            let devices = devices.clone();
            let bob = first.user().clone();
            tokio::spawn(async move {
                loop {
                    let id = alice.envelope_id();
                    let messages = devices.iter().map(|device| (device.clone(), vec![7; 300])).collect();
                    let sent = alice.send(&OutgoingEnvelope::new(bob.clone(), id.clone(), messages)).await;
                    // The first send that the killed server does not answer ends this sender.
                    let Ok(SendOutcome::Accepted { .. }) = sent else { return };
                    answered.lock().unwrap().insert(id.as_str().to_owned());
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    while count.load(Ordering::SeqCst) < ANSWERED {
        assert!(!senders.iter().all(|sender| sender.is_finished()), "the senders ended before the kill");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // This is SIGKILL: no handler runs, and nothing is flushed.
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    for sender in senders {
        sender.await.unwrap();
    }

    let (child, again) = start(folder.path(), port).await;
    assert_eq!(again, origin);
    let answered = answered.lock().unwrap().clone();
    assert!(answered.len() >= ANSWERED);
    // Messages that the killed server had received become visible after the visibility timeout.
    for device in [&first, &second] {
        let mut left = usize::MAX;
        for _ in 0..600 {
            left = answered.difference(&envelopes(device).await).count();
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(left, 0, "of {} answered sends {left} never reached {}", answered.len(), device.address());
    }
    drop(child);
}
