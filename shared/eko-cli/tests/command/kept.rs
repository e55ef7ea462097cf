//! Tests of what `send` and `chat` keep, of how they say it, and of the code with which they end.

use tempfile::TempDir;

use super::people::{ReportedFailure, signed_in};
use super::stoppable::StoppableServer;
use super::talking::{RunningCommand, two, two_on};
use super::test_home::{CommandOutput, TestHome, server};

#[tokio::test]
async fn without_the_server_chat_starts_and_keeps_what_is_typed() {
    let server = StoppableServer::start().await;
    let origin = server.origin.clone();
    let [alice, _bob] = two_on(&origin).await;
    server.stop().await;
    let away = format!("the server {} is out of reach", &origin["http://".len()..]);
    // The second time a message waits already.
    for text in ["one\n", "two\n"] {
        let CommandOutput { code, err, .. } = alice.eko_reading(&["chat", "@bob"], text).await;
        assert_eq!((code, err.contains("a message waits to be sent")), (4, true), "{err}");
        let kept = format!("not sent yet to @bob: {away}; it is kept, and sent by itself at ");
        assert_eq!((err.matches(&kept).count(), err.contains("os error")), (1, false), "{err}");
    }
    let ReportedFailure { code, what, next } = alice.fails(&["send", "@bob", "three", "--wait", "0"]).await;
    assert!(code == 4 && what.starts_with(&format!("not sent yet to @bob: {away}")), "{what}");
    assert!(next.starts_with("eko listen, "), "{next}");
    let mut hers = RunningCommand::start(alice.command(&["listen"]));
    hers.remark(&format!("{origin} is out of reach; trying again at ")).await;
    hers.kill().await;
    // Whoever types nothing wants to see what there is, and hears why it is not shown.
    let ReportedFailure { code, what, .. } = alice.fails(&["chat", "@bob"]).await;
    let unread = "the mailbox was not read, so something may be missing: the server is out of reach: ";
    assert!(code == 4 && what.starts_with(unread), "{what}");
    assert_eq!(alice.eko(&["history", "--json", "-q"]).await.done().lines().count(), 3);
}

#[tokio::test]
async fn what_a_signed_out_device_keeps_is_sent_after_the_next_sign_in() {
    let [alice, bob] = two().await;
    bob.eko(&["logout"]).await.done();
    let ReportedFailure { code, what, next } = bob.fails(&["send", "@alice", "later"]).await;
    assert_eq!((code, &*what), (4, "not sent yet to @alice: this device is signed out"));
    assert!(next.starts_with("eko login @bob@") && next.ends_with(", and then eko listen, which sends it"));
    assert_eq!(alice.hears().await, [""; 0]);
    bob.eko(&["login", "bob"]).await.done();
    assert_eq!(bob.hears().await, [""; 0]);
    assert_eq!(alice.hears().await, ["later"]);
}

#[tokio::test]
async fn a_device_that_waits_for_approval_sends_nothing_and_says_so() {
    let server = server().await;
    let [alice, bob] = two_on(&server).await;
    let second = TestHome::new();
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let code = second.object(&login).await["joiningCode"].as_str().unwrap().to_owned();
    let CommandOutput { code: exit, err, .. } = second.eko_reading(&["chat", "@bob"], "one\n").await;
    assert_eq!((exit, err.contains("not everything that you wrote was sent")), (1, true), "{err}");
    // Once it is approved, the server is not "there again": it never was away.
    let mut hers = RunningCommand::start(second.command(&["listen"]));
    hers.remark("This device waits until ").await;
    alice.eko_reading(&["devices", "approve"], &code).await.done();
    hers.remark("This device is approved, and receives what is sent from now on.").await;
    bob.eko(&["send", "@alice", "hello"]).await.done();
    assert!(hers.line().await.trim_end().ends_with("hello"));
    hers.kill().await;
}

/// Somebody whom this device knows needs no server to be found, whichever server is down.
#[tokio::test]
async fn what_is_written_to_somebody_known_is_kept_while_their_server_is_down() {
    let (folder, here) = (TempDir::new().unwrap(), server().await);
    let theirs = StoppableServer::start_at(0, Some(folder.path())).await;
    let there = theirs.origin.clone();
    let (alice, bob) = (TestHome::new(), TestHome::new());
    let eko = async |home: &TestHome, arguments: &[&str]| {
        let servers = ["--local-server", &here, "--local-server", &there];
        home.eko(&[arguments, &servers].concat()).await
    };
    let name = |origin: &str| origin["http://".len()..].to_owned();
    let (his, hers) = (format!("@bob@{}", name(&there)), format!("@alice@{}", name(&here)));
    eko(&alice, &["login", "alice", "--server", &here]).await.done();
    eko(&bob, &["login", "bob", "--server", &there]).await.done();
    eko(&alice, &["verify", &his, "--accept"]).await.done();
    eko(&bob, &["verify", &hers, "--accept"]).await.done();
    eko(&alice, &["send", &his, "one"]).await.done();
    eko(&bob, &["listen", "--once"]).await.done();
    let port = theirs.stop().await;
    let said = eko(&alice, &["send", &his, "two"]).await.done();
    let away =
        format!("sent; the server {} is out of reach, and your server will try for 48 hours\n", name(&there));
    assert_eq!(said, away);
    // Only that server can say who somebody is whom this device has never met.
    let stranger = format!("@carol@{}", name(&there));
    let away = format!("the server is out of reach: {}, ", name(&there));
    let typed = eko(&alice, &["send", &stranger, "three"]).await.failed();
    let said =
        typed.what.starts_with(&away) && typed.what.ends_with("; nothing was sent, and nothing is kept");
    assert_eq!((typed.code, said, &*typed.next), (6, true, "try again later"), "{}", typed.what);
    let CommandOutput { code, err, .. } = eko(&alice, &["chat", &stranger]).await;
    assert_eq!((code, err.contains(&away)), (6, true), "{err}");
    let _again = StoppableServer::start_at(port, Some(folder.path())).await;
    for _ in 0..300 {
        eko(&bob, &["listen", "--once"]).await.done();
        if bob.eko(&["history"]).await.done().contains("two") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never came");
}

/// Somebody of the own server has a known address, so that a first message to them is kept.
#[tokio::test]
async fn a_first_message_to_somebody_of_the_own_server_is_kept_while_it_is_down() {
    let folder = TempDir::new().unwrap();
    let server = StoppableServer::start_at(0, Some(folder.path())).await;
    let [alice, bob] = two_on(&server.origin).await;
    let carol = signed_in(&server.origin, "carol").await;
    let port = server.stop().await;
    let ReportedFailure { code, what, next } = alice.fails(&["send", "@carol", "one", "--wait", "0"]).await;
    assert_eq!(
        (code, what.starts_with("not sent yet to @carol: the server localhost:")),
        (4, true),
        "{what}"
    );
    assert!(next.starts_with("eko listen, "), "{next}");
    assert_eq!(alice.eko_reading(&["chat", "@carol"], "two\n").await.code, 4);
    assert_eq!(alice.fails(&["send", "@nobody", "three", "--wait", "0"]).await.code, 4);
    // Nobody was there at the time of the next attempt.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let shown = alice.eko(&["history", "@carol"]).await.done();
    assert!(shown.contains("; next attempt with the next eko listen or eko send\n"), "{shown}");
    let _again = StoppableServer::start_at(port, Some(folder.path())).await;
    alice.eko(&["send", "@bob", "four"]).await.done();
    for _ in 0..100 {
        alice.eko(&["listen", "--once"]).await.done();
        let heard = carol.hears().await;
        if !heard.is_empty() {
            assert_eq!(heard, ["one", "two"]);
            let failed = alice.eko(&["history", "@nobody"]).await.done();
            assert!(failed.contains("failed: there is no @nobody@localhost:"), "{failed}");
            // Its way out is no way back.
            let way = "check the name; eko send @NAME TEXT sends it to the right one";
            assert!(failed.contains(way), "{failed}");
            let id = failed.rsplit("eko resend ").next().unwrap().split(' ').next().unwrap();
            let ReportedFailure { code, next, .. } = alice.fails(&["resend", id]).await;
            assert_eq!((code, &*next), (1, way));
            assert_eq!(bob.hears().await, ["four"]);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never came");
}

/// The next attempt is far away when the server is there again.
#[tokio::test]
async fn what_waits_for_the_own_server_goes_when_it_answers_and_what_else_waits_is_counted() {
    let folder = TempDir::new().unwrap();
    let server = StoppableServer::start_at(0, Some(folder.path())).await;
    let [alice, bob] = two_on(&server.origin).await;
    let port = server.stop().await;
    for text in ["one", "two"] {
        assert_eq!(alice.fails(&["send", "@bob", text, "--wait", "0"]).await.code, 4);
    }
    let store = rusqlite::Connection::open(alice.account().join("eko.db")).unwrap();
    store.execute("UPDATE envelopes SET due = due + 600000 WHERE state = 1", []).unwrap();
    let mark: Vec<u8> = store
        .query_row("DELETE FROM account WHERE name = 'unreached' RETURNING value", [], |row| row.get(0))
        .unwrap();
    let _again = StoppableServer::start_at(port, Some(folder.path())).await;
    // They wait for something else.
    let CommandOutput { code, err, .. } = alice.eko(&["listen", "--once"]).await;
    assert_eq!((code, err.contains("  2 messages wait until ")), (0, true), "{err}");
    assert_eq!(bob.hears().await, [""; 0]);
    store.execute("INSERT INTO account (name, value) VALUES ('unreached', ?1)", [mark]).unwrap();
    let CommandOutput { code, err, .. } = alice.eko(&["listen", "--once"]).await;
    assert_eq!((code, err.contains("wait until")), (0, false), "{err}");
    assert_eq!(bob.hears().await, ["one", "two"]);
}

/// The server accepts connections, and answers nothing.
#[tokio::test]
async fn a_hung_server_keeps_no_command_longer_than_it_waits() {
    let server = StoppableServer::start().await;
    let [alice, _bob] = two_on(&server.origin).await;
    let held = server.hang_up_nobody().await;
    let ReportedFailure { code, what, next } = alice.fails(&["send", "@bob", "one", "--wait", "2"]).await;
    let due = "not sent yet to @bob: there was no answer within 2 seconds; it is kept";
    assert_eq!((code, &*what, next.starts_with("eko listen, ")), (4, due, true), "{next}");
    // Whoever types nothing is not kept waiting either.
    let ReportedFailure { code, what, next } = alice.fails(&["chat", "@bob"]).await;
    let unread =
        "the mailbox was not read, so something may be missing: it was not read to its end within 10 seconds";
    assert_eq!((code, &*what, &*next), (4, unread, "try again later"));
    drop(held);
    assert_eq!(alice.objects(&["history"]).await.len(), 1);
}
