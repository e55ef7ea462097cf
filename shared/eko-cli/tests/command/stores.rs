//! Tests of stores that are damaged, missing, of another version, or on a full disk: what is said, and what
//! works all the same.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::Value;

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
    let me = ended_of(on_full_disk(&bob, &["whoami"]), String::new()).await.done();
    assert!(me.starts_with("@bob@") && me.contains("  device  "), "{me}");
    let failure = ended_of(on_full_disk(&bob, &["send", "@alice", "two"]), String::new()).await.failed();
    let store = bob.account().join("eko.db").display().to_string();
    assert!(failure.what.starts_with(&store), "{}", failure.what);
    assert_eq!(failure.next, "make room on the disk; eko history works meanwhile");
    bob.eko(&["send", "@alice", "three"]).await.done();
    assert_eq!(alice.hears().await, ["three"]);
}

/// Two people of whom Bob has heard thirty long messages, and his store.
struct ReadStore {
    alice: TestHome,
    bob: TestHome,
    store: PathBuf,
}

impl ReadStore {
    async fn new() -> Self {
        let [alice, bob] = two().await;
        let lines: String = (0..30).map(|number| format!("{number} {}\n", "x".repeat(2_000))).collect();
        alice.eko_reading(&["chat", "@bob"], &lines).await.done();
        assert_eq!(bob.hears().await.len(), 30);
        let store = bob.account().join("eko.db");
        let scene = Self { alice, bob, store };
        scene.changed("PRAGMA user_version");
        scene
    }

    /// Has SQLite run statements on the store, and returns the number that they select, if any. All of it is
    /// in one file then.
    fn changed(&self, sql: &str) -> i64 {
        let connection = Connection::open(&self.store).unwrap();
        let number = connection.query_row(sql, [], |row| row.get(0)).unwrap_or_default();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        number
    }

    /// Overwrites a page, counted from 1.
    fn overwrite(&self, page: i64, byte: u8) {
        let mut file = OpenOptions::new().write(true).open(&self.store).unwrap();
        file.seek(SeekFrom::Start(u64::try_from(page - 1).unwrap() * PAGE_BYTES as u64)).unwrap();
        file.write_all(&[byte; PAGE_BYTES]).unwrap();
    }

    /// Returns the page, counted from 1, that holds a message. Its number has two digits, so that it does not
    /// stand at the end of another one's.
    fn page_of_message(&self, number: usize) -> i64 {
        let needle = [format!("{number} ").as_bytes(), &[b'x'; 100]].concat();
        let bytes = std::fs::read(&self.store).unwrap();
        let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
        i64::try_from(at / PAGE_BYTES + 1).unwrap()
    }

    fn overwrite_root(&self, name: &str) {
        let sql = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{name}'");
        self.overwrite(self.changed(&sql), 0);
    }

    /// Bob's commands name the remedy, and it works. Returns what it has recovered.
    async fn recovers(&self) -> Value {
        let ReportedFailure { what, next, .. } = self.bob.fails(&["history"]).await;
        assert_eq!(what, format!("{} is damaged", self.store.display()));
        assert!(next.starts_with("eko recover, "), "{next}");
        let recovered = self.bob.object(&["recover"]).await;
        assert!(Path::new(text(&recovered, "setAside")).join("eko.db").is_file());
        let messages = recovered["messages"].as_u64().unwrap();
        assert_eq!(self.bob.objects(&["history"]).await.len() as u64, messages);
        assert_eq!(
            self.bob.objects(&["export"]).await.iter().filter(|it| it["type"] == "message").count() as u64,
            messages
        );
        match recovered["device"] == true {
            true => self.has_nothing_to_recover().await,
            false => has_lost_its_keys(&self.bob, messages).await,
        }
        recovered
    }

    async fn has_nothing_to_recover(&self) {
        let said = self.bob.eko(&["recover"]).await.done();
        let begins = said.starts_with("There is nothing to recover: the store of @bob@");
        assert!(begins && said.ends_with(" is sound, and nothing was changed.\n"), "{said}");
    }

    /// Bob's device goes on.
    async fn goes_on(&self) {
        self.alice.eko(&["send", "@bob", "after"]).await.done();
        assert_eq!(self.bob.hears().await, ["after"]);
        self.bob.eko(&["send", "@alice", "and back"]).await.done();
        assert_eq!(self.alice.hears().await, ["and back"]);
    }

    /// Bob's device is a new one, which has what was recovered.
    async fn begins_anew(&self, messages: usize) {
        let CommandOutput { code, err, .. } = self.bob.eko(&["send", "@alice", "no"]).await;
        assert!(code == 1 && err.contains("eko login @bob@"), "{err}");
        let CommandOutput { err, .. } = self.bob.eko(&["login", "bob", "--reset", "--yes"]).await;
        assert!(!err.contains("othing was taken over") && !err.contains("was not taken over"), "{err}");
        assert_eq!(self.bob.objects(&["history"]).await.len(), messages);
        self.bob.eko(&["send", "@alice", "anew"]).await.done();
    }
}

/// Another recovery says what every other command says, and what the first one has kept.
async fn has_lost_its_keys(bob: &TestHome, messages: u64) {
    let said = bob.eko(&["recover"]).await.done();
    let lost = said.starts_with("There is nothing more to recover: the keys of the device of @bob@");
    assert!(lost && said.contains(" which has not signed in. Recovered before: "), "{said}");
    assert!(
        said.contains(&format!(" {messages} messages, ")) && said.contains(". Next: eko login @bob@"),
        "{said}"
    );
    let object = bob.object(&["recover"]).await;
    assert_eq!((&object["device"], &object["recovered"]["messages"]), (&false.into(), &messages.into()));
}

const PAGE_BYTES: usize = 4096;

/// Two pages of the messages are overwritten: what is before, between and after them is read.
#[tokio::test]
async fn what_can_be_read_of_a_damaged_store_is_recovered() {
    let scene = ReadStore::new().await;
    scene.has_nothing_to_recover().await;
    for number in [11, 19] {
        scene.overwrite(scene.page_of_message(number), 0xff);
    }
    let recovered = scene.recovers().await;
    let messages = recovered["messages"].as_u64().unwrap();
    assert!((24..30).contains(&messages), "{recovered}");
    assert_eq!((&recovered["device"], &recovered["partial"]), (&true.into(), &true.into()), "{recovered}");
    scene.goes_on().await;
    // Nothing is left of a file that is no store, and its account can sign in anew.
    std::fs::write(&scene.store, "no store at all").unwrap();
    let CommandOutput { code, err, .. } = scene.bob.eko(&["whoami"]).await;
    assert_eq!((code, err.contains("eko recover") && !err.contains("SELECT")), (1, true), "{err}");
    let said = scene.bob.eko(&["recover"]).await.done();
    assert!(
        said.starts_with("Recovered: 0 messages, 0 people, 0 groups. The rest could not be read."),
        "{said}"
    );
    assert!(said.contains("nor a message could be read: eko login @bob@"), "{said}");
    for command in ["whoami", "history"] {
        let ReportedFailure { code, what, next } = scene.bob.fails(&[command]).await;
        assert!(code == 1 && what.starts_with("the keys of the device of @bob@"), "{command}: {what}");
        assert!(
            what.ends_with(" with its store, so this is a new one, which has not signed in"),
            "{command}: {what}"
        );
        assert!(next.starts_with("eko login @bob@"), "{command}: {next}");
    }
}

/// The root of a tree, the file's first page, and an index are lost in turn. Nothing but them is.
#[tokio::test]
async fn the_rows_of_a_tree_outlive_its_root() {
    let scene = ReadStore::new().await;
    scene.overwrite_root("messages");
    let recovered = scene.recovers().await;
    assert_eq!((&recovered["messages"], &recovered["device"]), (&30.into(), &true.into()), "{recovered}");
    scene.changed("PRAGMA user_version");
    scene.overwrite_root("messages_in_order");
    let recovered = scene.recovers().await;
    assert_eq!((&recovered["messages"], &recovered["partial"]), (&30.into(), &false.into()), "{recovered}");
    scene.changed("PRAGMA user_version");
    scene.overwrite(1, 0);
    let recovered = scene.recovers().await;
    assert_eq!((&recovered["messages"], &recovered["people"]), (&30.into(), &1.into()), "{recovered}");
    assert_eq!((&recovered["device"], &recovered["ownDevices"]), (&true.into(), &true.into()), "{recovered}");
    scene.goes_on().await;
}

/// SQLite finds no fault in a store in which a text is no text, and a table is missing.
#[tokio::test]
async fn what_sqlite_does_not_notice_is_recovered_too() {
    let scene = ReadStore::new().await;
    scene.changed("UPDATE messages SET text = CAST(x'68ff69' AS TEXT) WHERE position = 3 RETURNING 1");
    let recovered = scene.recovers().await;
    assert_eq!((&recovered["messages"], &recovered["device"]), (&30.into(), &true.into()), "{recovered}");
    assert_eq!(text(&scene.bob.objects(&["history"]).await[2], "text"), "h\u{fffd}i");
    let connection = Connection::open(&scene.store).unwrap();
    connection.execute_batch("DROP TABLE chains").unwrap();
    drop(connection);
    let recovered = scene.bob.object(&["recover"]).await;
    assert_eq!((&recovered["messages"], &recovered["people"]), (&30.into(), &0.into()), "{recovered}");
    assert_eq!(
        (&recovered["device"], &recovered["ownDevices"]),
        (&true.into(), &false.into()),
        "{recovered}"
    );
    let said = scene.bob.eko(&["listen", "--once"]).await;
    let lost = "the list of their devices was lost, or a part of it, with a part of the store, so that their server can show others now";
    assert!(said.err.contains(lost), "{}", said.err);
    scene.goes_on().await;
}

/// A text of a notice is none that its reader knows, so that each look would fail.
#[tokio::test]
async fn a_notice_that_no_command_can_read_is_left_out() {
    let scene = ReadStore::new().await;
    let notices = [
        (3, "no group", ""),
        (4, "", "no reason"),
        (5, "no group", ""),
        (6, "{}", ""),
        (7, "no ids", ""),
        (9, "no group", ""),
    ];
    for (kind, about, head) in notices {
        scene.changed(&format!(
            "INSERT INTO notices (actor, kind, about, number, head) \
             SELECT actor, {kind}, '{about}', 0, '{head}' FROM messages LIMIT 1 RETURNING 1"
        ));
        let recovered = scene.bob.object(&["recover"]).await;
        assert_eq!(
            (&recovered["messages"], &recovered["device"]),
            (&30.into(), &true.into()),
            "{kind}: {recovered}"
        );
        assert_eq!(scene.changed("SELECT count(*) FROM notices"), 0, "{kind}");
        let _ = std::fs::remove_dir_all(scene.bob.path().join("former"));
    }
    scene.goes_on().await;
}

/// What is left of the file does not end with a page.
#[tokio::test]
async fn a_store_that_was_cut_has_what_is_left_of_it() {
    let scene = ReadStore::new().await;
    let file = OpenOptions::new().write(true).open(&scene.store).unwrap();
    // Pages are not in the order of the messages: SQLite uses again what has become free.
    let mut pages: Vec<i64> = (10..30).map(|number| scene.page_of_message(number)).collect();
    pages.sort_unstable();
    let length = usize::try_from(pages[15]).unwrap() * PAGE_BYTES - 2_000;
    file.set_len(length as u64).unwrap();
    let recovered = scene.recovers().await;
    let messages = recovered["messages"].as_u64().unwrap();
    assert!((10..30).contains(&messages), "{recovered}");
    assert_eq!((&recovered["device"], &recovered["partial"]), (&true.into(), &true.into()), "{recovered}");
}

/// A store is cut at many places of two pages. SQLite reads what is missing as zeros. Whatever is recovered
/// can be read, and then the store is sound.
#[tokio::test]
async fn what_is_recovered_of_a_store_that_was_cut_anywhere_can_be_read() {
    let scene = ReadStore::new().await;
    scene.alice.hears().await;
    for number in 0..8 {
        scene.bob.eko(&["send", "@alice", &format!("{number} {}", "y".repeat(100))]).await.done();
    }
    scene.changed("PRAGMA user_version");
    let whole = std::fs::read(&scene.store).unwrap();
    let account = scene.bob.account();
    let connection = Connection::open(&scene.store).unwrap();
    let id: String = connection.query_row("SELECT max(id) FROM envelopes", [], |row| row.get(0)).unwrap();
    drop(connection);
    let places = whole.windows(id.len()).enumerate().filter(|(_, window)| *window == id.as_bytes());
    let page_of_envelope = places.map(|(at, _)| at / PAGE_BYTES).max().unwrap();
    let page_of_message = usize::try_from(scene.page_of_message(20)).unwrap() - 1;
    for (page, cut) in
        [page_of_envelope, page_of_message].iter().flat_map(|page| (0..30).map(move |cut| (page, cut)))
    {
        let _ = std::fs::remove_dir_all(scene.bob.path().join("former"));
        for side in ["eko.db-wal", "eko.db-shm"] {
            let _ = std::fs::remove_file(account.join(side));
        }
        let length = page * PAGE_BYTES + 1 + cut * (PAGE_BYTES - 2) / 29;
        std::fs::write(&scene.store, &whole[..length]).unwrap();
        let recovered = scene.bob.object(&["recover"]).await;
        assert_eq!(
            (&recovered["type"], &recovered["partial"]),
            (&"recovered".into(), &true.into()),
            "{length}"
        );
        if recovered["messages"] == 0 {
            continue;
        }
        let shown = scene.bob.objects(&["history"]).await;
        assert_eq!(Value::from(shown.len()), recovered["messages"], "{length}");
        let is_whole = |message: &&Value| {
            let text = text(message, "text");
            let (_, filling) = text.split_once(' ').unwrap();
            [2_000, 100].contains(&filling.len()) && filling.chars().all(|c| c == 'x' || c == 'y')
        };
        assert!(shown.iter().all(|message| is_whole(&message)), "{length}: {shown:?}");
        scene.bob.objects(&["export"]).await;
        if recovered["device"] == true {
            scene.has_nothing_to_recover().await;
        }
    }
    // A sector in the middle of a page is zero, as far as SQLite can tell.
    std::fs::write(&scene.store, &whole).unwrap();
    scene.changed("UPDATE envelopes SET state = 0 WHERE id IN (SELECT max(id) FROM envelopes) RETURNING 1");
    let recovered = scene.bob.object(&["recover"]).await;
    assert_eq!((&recovered["messages"], &recovered["partial"]), (&38.into(), &true.into()), "{recovered}");
    assert_eq!(scene.bob.objects(&["history"]).await.len(), 38);
    scene.has_nothing_to_recover().await;
}

/// The keys are lost: what was recovered can be read at once, and the next device of the user has it.
#[tokio::test]
async fn what_is_recovered_without_keys_is_shown_and_taken_over() {
    let scene = ReadStore::new().await;
    scene.overwrite_root("account");
    let recovered = scene.recovers().await;
    assert_eq!((&recovered["messages"], &recovered["device"]), (&30.into(), &false.into()), "{recovered}");
    scene.begins_anew(30).await;
}

/// A damaged store is taken over as far as it can be read, without `eko recover`.
#[tokio::test]
async fn another_device_takes_over_what_can_be_read_of_a_damaged_store() {
    let scene = ReadStore::new().await;
    scene.overwrite_root("account");
    let CommandOutput { err, .. } = scene.bob.eko(&["login", "bob", "--anew", "--reset", "--yes"]).await;
    assert!(err.contains("Taken over from the former device: 30 messages, 1 person"), "{err}");
    assert_eq!(scene.bob.objects(&["history"]).await.len(), 30);
}

/// A sign-in that was never finished leaves a store, and no empty file.
#[tokio::test]
async fn a_store_that_was_emptied_is_told_from_a_sign_in_that_was_never_finished() {
    let [_alice, bob] = two().await;
    let store = bob.account().join("eko.db");
    std::fs::write(&store, "").unwrap();
    for command in [&["history"][..], &["send", "@alice", "hello"], &["login", "bob"]] {
        let ReportedFailure { code, what, next } = bob.fails(command).await;
        assert_eq!((code, what), (1, format!("{} is empty: what it held is lost", store.display())));
        assert!(
            next.starts_with(
                "put a copy of it back, if you have one; or eko recover, and then eko login @bob@"
            ),
            "{next}"
        );
    }
    let said = bob.eko(&["recover"]).await.done();
    assert!(said.starts_with("Recovered: 0 messages") && !said.contains("eko history"), "{said}");
    assert!(said.contains("nor a message could be read: eko login @bob@"), "{said}");
    let ReportedFailure { what, .. } = bob.fails(&["history"]).await;
    let lost = what.starts_with("the keys of the device of @bob@") && what.ends_with(" has not signed in");
    assert!(lost, "{what}");
    has_lost_its_keys(&bob, 0).await;
    assert_eq!(text(&bob.object(&["login", "bob", "--no-wait"]).await, "status"), "pending");
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
