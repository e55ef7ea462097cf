//! Tests of `export`: all messages are in the file, and no key.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eko_protocol::address::Origin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::people::{ReportedFailure, lines, signed_in, text};
use super::test_home::{TestHome, serve, server};

#[tokio::test]
async fn everything_that_was_said_and_no_keys() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let file = alice.path().join("note.txt");
    std::fs::write(&file, "in the file").unwrap();
    alice.eko(&["send", "@bob", "Hello \u{202e}Bob", "--attach", file.to_str().unwrap()]).await.done();
    alice.eko(&["groups", "create", "Friday", "@bob"]).await.done();
    bob.hears().await;
    bob.eko(&["groups", "join", "Friday"]).await.done();
    bob.eko(&["send", "--group", "Friday", "Good evening"]).await.done();

    let to = bob.path().join("all.jsonl");
    let to = to.to_str().unwrap();
    let said = bob.object(&["export", to]).await;
    assert_eq!((&said["messages"], &said["groups"], &said["people"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(std::fs::metadata(to).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(to).unwrap();
    let objects = lines(&written);
    let types: Vec<&str> = objects.iter().map(|object| text(object, "type")).collect();
    assert_eq!(types, ["export", "person", "group", "message", "message"]);
    assert_eq!(text(&objects[1], "trust"), "first-use");
    assert_eq!(text(&objects[3], "text"), "Hello \u{202e}Bob");
    assert_eq!(text(&objects[4], "text"), "Good evening");
    let attached = &objects[3]["attachments"][0];
    assert_eq!((text(attached, "name"), attached.get("base64")), ("note.txt", None));
    // Control characters are escaped, so that they neither command a terminal nor get lost.
    assert!(written.contains("\\u202e") && !written.contains('\u{202e}'));
    for key in ["groupMasterKey", "privateKey", "\"key\"", "refresh", "identity"] {
        assert!(!written.contains(key), "{key}");
    }

    // An existing file is not overwritten.
    let ReportedFailure { code, what, .. } = bob.fails(&["export", to]).await;
    assert_eq!((code, what), (2, format!("{to} is there already")));
    assert_eq!(std::fs::read_to_string(to).unwrap(), written);

    let shown = bob.eko(&["export", "--files"]).await.done();
    let with_files = lines(&shown);
    assert_eq!(with_files.len(), 5);
    assert_eq!(text(&with_files[3]["attachments"][0], "base64"), "aW4gdGhlIGZpbGU=");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_stores_is_one_private_file_or_none() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "Hello Bob"]).await.done();
    bob.eko(&["block", "spam.example"]).await.done();
    let folder = bob.path().join("exports");
    std::fs::create_dir(&folder).unwrap();
    // An export that was killed has left this.
    std::fs::write(folder.join(".new-6f1c1f5e-3b0a-4c1e-9d3b-1f2e3d4c5b6a"), "{").unwrap();
    let to = folder.join("server.json");
    let to = to.to_str().unwrap();
    let said = bob.object(&["export", "--server", to]).await;
    let written = std::fs::read_to_string(to).unwrap();
    let document: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(std::fs::metadata(to).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        (&document["totalItems"], &document["id"]),
        (&said["items"], &format!("{server}/user/bob/export").into())
    );
    let items = document["orderedItems"].as_array().unwrap();
    assert_eq!(said["items"], items.len());
    let party = |item: &&serde_json::Value| item["type"][1] == "BlockRecord";
    assert_eq!(items.iter().find(party).unwrap()["party"], "https://spam.example");
    assert!(items.iter().any(|item| item["type"][1] == "MailboxEntry"));
    // Nothing is beside it, and what is there is not overwritten.
    let names = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(names(), 1);
    let ReportedFailure { code, what, .. } = bob.fails(&["export", "--server", to]).await;
    assert_eq!((code, what), (2, format!("{to} is there already")));
    let shown = bob.eko(&["export", "--server"]).await.done();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!(usize::try_from(shown["totalItems"].as_u64().unwrap()).unwrap() >= items.len());
    assert_eq!(bob.eko(&["export", "--server", "--files"]).await.code, 2);

    // A device that has ended leaves no file.
    let name = format!("bob@{}", server.trim_start_matches("http://"));
    bob.eko(&["account", "delete", "--yes", &name]).await.done();
    let none = folder.join("none.json");
    let ReportedFailure { code, .. } = bob.fails(&["export", "--server", none.to_str().unwrap()]).await;
    assert_eq!((code, names()), (1, 1));
}

/// Relays a connection, and cuts it in place of a request for a later page of an export, while there are cuts left.
async fn relay(mut from: TcpStream, to: String, cuts: Arc<AtomicUsize>) {
    let mut to = TcpStream::connect(to).await.unwrap();
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            Ok(length @ 1..) = from.read(&mut asked) => {
                let request = String::from_utf8_lossy(&asked[..length]);
                let one_less = |left: usize| left.checked_sub(1);
                if request.contains("/export?cursor=")
                    && cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
                {
                    return;
                }
                to.write_all(&asked[..length]).await.unwrap();
            }
            Ok(length @ 1..) = to.read(&mut answered) => from.write_all(&answered[..length]).await.unwrap(),
            else => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_between_pages_is_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let server = serve(Some(Origin::parse(&origin).unwrap())).await;
    let to = server.url.trim_start_matches("http://").to_owned();
    let left = Arc::new(AtomicUsize::new(0));
    let cuts = Arc::clone(&left);
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            tokio::spawn(relay(from, to.clone(), Arc::clone(&cuts)));
        }
    });
    let bob = TestHome::new();
    // The issuer is asked without the relay.
    bob.eko(&["login", "bob", "--server", &origin, "--local-server", &server.url]).await.done();
    let whole: serde_json::Value =
        serde_json::from_str(&bob.eko(&["export", "--server"]).await.done()).unwrap();
    left.store(1, Ordering::Relaxed);
    let cut = bob.eko(&["export", "--server"]).await;
    assert_eq!(left.load(Ordering::Relaxed), 0, "there is more than one page");
    let cut: serde_json::Value = serde_json::from_str(&cut.done()).unwrap();
    assert_eq!(cut["totalItems"], whole["totalItems"]);
}
