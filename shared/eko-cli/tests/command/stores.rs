//! Tests of stores that are damaged, missing, of another version, or on a full disk: what is said, and what
//! works all the same.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::{Command, Stdio};

use super::people::{ReportedFailure, text};
use super::talking::two;
use super::test_home::{CommandOutput, TestHome, ended_of};

/// Returns a command that runs as on a full disk: no file can grow.
fn on_full_disk(home: &TestHome, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 0; trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_eko")]);
    command.args(arguments).env("EKO_HOME", home.path()).env_remove("EKO_AS").env_remove("EKO_SERVER");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn history_is_shown_on_a_full_disk() {
    let [alice, bob] = two().await;
    alice.eko(&["send", "@bob", "one"]).await.done();
    assert_eq!(bob.hears().await, ["one"]);
    let history = ended_of(on_full_disk(&bob, &["history"]), String::new()).await.done();
    assert!(history.ends_with("@alice: one\n"), "{history}");
    let failure = ended_of(on_full_disk(&bob, &["send", "@alice", "two"]), String::new()).await.failed();
    let store = bob.account().join("eko.db").display().to_string();
    assert!(failure.what.starts_with(&store), "{}", failure.what);
    assert_eq!(failure.next, "make room on the disk; eko history works meanwhile");
    bob.eko(&["send", "@alice", "three"]).await.done();
    assert_eq!(alice.hears().await, ["three"]);
}

/// A page of the messages and the page of the schema are overwritten in turn.
#[tokio::test]
async fn what_can_be_read_of_a_damaged_store_is_recovered() {
    let [alice, bob] = two().await;
    for number in 0..30 {
        alice.eko(&["send", "@bob", &format!("{number} {}", "x".repeat(2_000))]).await.done();
    }
    assert_eq!(bob.hears().await.len(), 30);
    let refused = bob.fails(&["recover"]).await;
    assert!(refused.what.ends_with("is sound: nothing was changed"), "{}", refused.what);
    let store = bob.account().join("eko.db");
    damage_a_message(&store);
    let ReportedFailure { what, next, .. } = bob.fails(&["history"]).await;
    assert_eq!(what, format!("{} is damaged", store.display()));
    assert!(next.starts_with("eko recover, "), "{next}");
    let recovered = bob.object(&["recover"]).await;
    let messages = recovered["messages"].as_u64().unwrap();
    assert!((1..30).contains(&messages), "{recovered}");
    assert_eq!((&recovered["device"], &recovered["partial"]), (&true.into(), &true.into()), "{recovered}");
    assert!(std::path::Path::new(text(&recovered, "setAside")).join("eko.db").is_file());
    assert_eq!(bob.objects(&["history"]).await.len() as u64, messages);
    // The device goes on.
    alice.eko(&["send", "@bob", "after"]).await.done();
    assert_eq!(bob.hears().await, ["after"]);
    bob.eko(&["send", "@alice", "and back"]).await.done();
    assert_eq!(alice.hears().await, ["and back"]);
    // Nothing is left of a file that is no store, and its account can sign in anew.
    std::fs::write(&store, "no store at all").unwrap();
    let CommandOutput { code, err, .. } = bob.eko(&["whoami"]).await;
    assert_eq!((code, err.contains("eko recover") && !err.contains("SELECT")), (1, true), "{err}");
    let said = bob.eko(&["recover"]).await.done();
    assert!(
        said.starts_with("Recovered: 0 messages, 0 people, 0 groups. The rest could not be read."),
        "{said}"
    );
    assert!(said.contains("so it becomes a new one: eko login @bob@"), "{said}");
}

/// Overwrites a page that holds a message in the middle of the file.
fn damage_a_message(store: &std::path::Path) {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let size: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(connection);
    let bytes = std::fs::read(store).unwrap();
    let needle = [b"15 ".as_slice(), &[b'x'; 100]].concat();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap() as u64;
    let mut file = std::fs::OpenOptions::new().write(true).open(store).unwrap();
    file.seek(SeekFrom::Start(at / size * size)).unwrap();
    file.write_all(&vec![0xff; usize::try_from(size).unwrap()]).unwrap();
}

#[tokio::test]
async fn a_store_of_another_version_and_one_that_is_missing_say_what_to_do() {
    let [_alice, bob] = two().await;
    let store = bob.account().join("eko.db");
    let version = |number: i64| {
        let connection = rusqlite::Connection::open(&store).unwrap();
        let before: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "user_version", number).unwrap();
        before
    };
    let present = version(99);
    for command in [&["history"][..], &["send", "@alice", "hello"], &["recover"]] {
        let ReportedFailure { code, what, next } = bob.fails(command).await;
        assert_eq!((code, what), (1, format!("{} has version 99: a newer eko wrote it", store.display())));
        assert_eq!(next, "install the eko that wrote it, or a newer one");
    }
    version(1);
    let ReportedFailure { next, .. } = bob.fails(&["history"]).await;
    assert!(next.starts_with("eko export with the eko that wrote it, and then eko login @bob@"), "{next}");
    version(present);
    let connection = rusqlite::Connection::open(&store).unwrap();
    connection.execute_batch("DROP TABLE messages").unwrap();
    drop(connection);
    let ReportedFailure { what, .. } = bob.fails(&["history"]).await;
    assert_eq!(what, format!("{} is damaged", store.display()), "no statement is quoted");
    std::fs::remove_file(&store).unwrap();
    let ReportedFailure { code, what, next } = bob.fails(&["history"]).await;
    assert_eq!(code, 1);
    assert!(what.starts_with("the store of @bob@") && what.contains(" is missing: /"), "{what}");
    assert!(next.starts_with("put the file back; or eko login @bob@"), "{next}");
    let made = bob.object(&["login", "bob", "--no-wait"]).await;
    assert_eq!(text(&made, "status"), "pending");
    assert_eq!(bob.path().join("former").read_dir().unwrap().count(), 1);
}
