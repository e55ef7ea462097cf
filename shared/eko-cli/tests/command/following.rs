//! Tests of several processes for one account: one of them reads the mailbox, and all show what comes.

use std::time::Duration;

use eko_cli::LibSignal;
use eko_client::messenger::{MessageDraft, Person};
use eko_client::store::EnvelopeState;
use eko_client::transport::{Bytes, Transport, TransportError};
use eko_client::{DeviceStore, Environment, Messenger};
use eko_protocol::address::UserName;
use http::{Request, Response};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::people::{ReportedFailure, signed_in};
use super::stoppable::StoppableServer;
use super::talking::{RunningCommand, two, two_on};
use super::terminal::TestTerminal;
use super::test_home::{CommandOutput, server};

/// Returns how many rows end with this.
fn count(rows: &[String], end: &str) -> usize {
    rows.iter().filter(|row| row.ends_with(end)).count()
}

/// Waits until a row ends with this.
async fn shows_row(terminal: &TestTerminal, end: &'static str) -> Vec<String> {
    terminal.shows(move |rows| count(rows, end) > 0).await
}

/// Ends a command at a terminal as a person does.
async fn quit(mut terminal: TestTerminal) {
    terminal.press("\x04");
    kill_process(terminal.id(), Signal::TERM).unwrap();
    assert_eq!(terminal.end().await, (Some(0), true));
}

#[tokio::test]
async fn chat_and_listen_show_each_message_once_and_one_takes_over_from_the_other() {
    let [alice, bob] = two().await;
    for commands in [[&["chat", "@alice"][..], &["listen"]], [&["listen"], &["chat", "@alice"]]] {
        let [first, second] = commands.map(|command| TestTerminal::start(&bob, command));
        for terminal in [&first, &second] {
            terminal.shows(|rows| rows.iter().any(|row| row.contains("Ctrl-"))).await;
        }
        alice.eko(&["send", "@bob", "one"]).await.done();
        for terminal in [&first, &second] {
            shows_row(terminal, "@alice: one").await;
        }
        quit(first).await;
        alice.eko(&["send", "@bob", "two"]).await.done();
        let rows = shows_row(&second, "@alice: two").await;
        assert_eq!((count(&rows, "@alice: one"), count(&rows, "@alice: two")), (1, 1), "{rows:#?}");
        quit(second).await;
    }
    assert_eq!(bob.eko(&["listen", "--once"]).await.done(), "", "nothing is left");
}

/// The process that does not read the mailbox shows its conversation, and what becomes of its messages.
#[tokio::test]
async fn a_chat_beside_listen_sends_and_says_what_became_of_it() {
    let server = server().await;
    let [alice, bob] = two_on(&server).await;
    let carol = signed_in(&server, "carol").await;
    bob.eko(&["verify", "@carol", "--accept"]).await.done();
    let mut listen = RunningCommand::start(bob.command(&["listen", "--json"]));
    carol.eko(&["send", "@bob", "hello"]).await.done();
    assert!(listen.line().await.contains(r#""text":"hello""#));
    let mut chat = TestTerminal::start(&bob, &["chat", "@alice"]);
    chat.shows_last("> ").await;
    carol.eko(&["send", "@bob", "are you there?"]).await.done();
    assert!(listen.line().await.contains(r#""text":"are you there?""#));
    let mut hers = RunningCommand::start(alice.command(&["listen", "--json"]));
    chat.press("one\r");
    while !hers.line().await.contains(r#""text":"one""#) {}
    shows_row(&chat, "  @alice has \u{201c}one\u{201d}").await;
    alice.eko(&["send", "@bob", "two"]).await.done();
    let rows = shows_row(&chat, "@alice: two").await;
    assert!(!rows.iter().any(|row| row.contains("@carol")), "{rows:#?}");
    quit(chat).await;
    for listener in [hers, listen] {
        listener.kill().await;
    }
}

#[tokio::test]
async fn a_chat_leaves_what_others_write_to_listen_and_says_so() {
    let server = server().await;
    let [alice, bob] = two_on(&server).await;
    let carol = signed_in(&server, "carol").await;
    let chat = TestTerminal::start(&bob, &["chat", "@alice"]);
    chat.shows_last("> ").await;
    for text in ["do you know me?", "are you there?"] {
        carol.eko(&["send", "@bob", text]).await.done();
    }
    chat.shows(|rows| rows.iter().any(|row| row.contains("@carol wrote to you, and you have never"))).await;
    bob.eko(&["requests", "accept", "@carol"]).await.done();
    carol.eko(&["send", "@bob", "now you do"]).await.done();
    shows_row(&chat, "  @carol wrote to you: eko listen").await;
    alice.eko(&["send", "@bob", "hello"]).await.done();
    let rows = shows_row(&chat, "@alice: hello").await;
    assert!(!rows.iter().any(|row| row.contains("@carol: ")), "{rows:#?}");
    quit(chat).await;
    let left = bob.hears().await;
    assert_eq!(left, ["do you know me?", "are you there?", "now you do"]);
}

/// What `listen` shows is no news, and what comes after that is.
#[tokio::test]
async fn a_chat_says_what_others_write_again_once_it_was_shown() {
    let server = server().await;
    let [_alice, bob] = two_on(&server).await;
    let carol = signed_in(&server, "carol").await;
    bob.eko(&["verify", "@carol", "--accept"]).await.done();
    let chat = TestTerminal::start(&bob, &["chat", "@alice"]);
    chat.shows_last("> ").await;
    let mut listen = RunningCommand::start(bob.command(&["listen", "--json"]));
    carol.eko(&["send", "@bob", "one"]).await.done();
    while !listen.line().await.contains(r#""text":"one""#) {}
    // The chat waits for two seconds before it says something.
    sleep(Duration::from_millis(2_500)).await;
    listen.kill().await;
    let hint = "  @carol wrote to you: eko listen";
    for round in 1..=2 {
        carol.eko(&["send", "@bob", "and now?"]).await.done();
        let rows = chat.shows(move |rows| count(rows, hint) >= round).await;
        assert_eq!(count(&rows, hint), round, "{rows:#?}");
        carol.eko(&["send", "@bob", "this one was told of"]).await.done();
        while !bob.eko(&["history"]).await.done().ends_with("this one was told of\n") {}
        sleep(Duration::from_millis(500)).await;
        let mut shown = Vec::new();
        while shown.len() < 2 {
            shown.extend(bob.hears().await);
        }
        assert_eq!(shown, ["and now?", "this one was told of"]);
    }
    quit(chat).await;
}

/// The process that reads the mailbox hears what becomes of a chat's message, and dies before the chat
/// has looked.
#[tokio::test]
async fn a_chat_that_takes_over_says_what_became_of_its_messages() {
    let [alice, bob] = two().await;
    let mut listen = RunningCommand::start(bob.command(&["listen", "--json"]));
    alice.eko(&["send", "@bob", "hello"]).await.done();
    while !listen.line().await.contains(r#""text":"hello""#) {}
    let mut chat = TestTerminal::start(&bob, &["chat", "@alice"]);
    chat.shows_last("> ").await;
    chat.press("one\r");
    let is_sent = |message: &Value| message["text"] == "one" && message.to_string().contains("accepted");
    while !bob.objects(&["history"]).await.iter().any(is_sent) {}
    sleep(Duration::from_millis(500)).await;
    kill_process(chat.id(), Signal::STOP).unwrap();
    assert_eq!(alice.hears().await, ["one"]);
    while !listen.line().await.contains(r#""state":"delivered""#) {}
    listen.kill().await;
    kill_process(chat.id(), Signal::CONT).unwrap();
    shows_row(&chat, "  @alice has \u{201c}one\u{201d}").await;
    quit(chat).await;
}

/// The process that reads the mailbox was stopped by Ctrl-Z a moment ago.
#[tokio::test]
async fn a_mailbox_that_a_suspended_process_has_does_not_look_empty() {
    let [alice, bob] = two().await;
    let listen = TestTerminal::start(&bob, &["listen"]);
    alice.eko(&["send", "@bob", "one"]).await.done();
    shows_row(&listen, "@alice: one").await;
    bob.eko(&["listen", "--once"]).await.done();
    kill_process(listen.id(), Signal::STOP).unwrap();
    alice.eko(&["send", "@bob", "two"]).await.done();
    let process = listen.id().as_raw_nonzero().get();
    let named = format!("nobody reads your mailbox: another eko, the process {process}, has it");
    let failure = bob.fails(&["listen", "--once"]).await;
    assert!(failure.code == 4 && failure.what.starts_with(&named), "{}", failure.what);
    assert!(failure.what.ends_with(" seconds; it seems to be suspended"), "{}", failure.what);
    for command in ["requests", "groups"] {
        let listed = bob.eko(&[command]).await;
        let says = format!("something may be missing: {named}");
        assert!(listed.code == 0 && listed.err.contains(&says), "{command}: {listed:?}");
        let wakes =
            format!("\nNext: kill -CONT {process}, which wakes it, or kill -9 {process}, which ends it\n");
        assert!(listed.err.contains(&wakes), "{command}: {listed:?}");
    }
    // It is waited for.
    let once = tokio::join!(bob.eko(&["listen", "--once"]), async {
        sleep(Duration::from_millis(500)).await;
        kill_process(listen.id(), Signal::CONT).unwrap();
    });
    assert_eq!(once.0.code, 0, "{:?}", once.0);
    shows_row(&listen, "@alice: two").await;
    quit(listen).await;
}

/// The process that reads the mailbox was stopped by Ctrl-Z more than three minutes ago.
#[tokio::test]
async fn a_suspended_reader_is_named() {
    let [alice, bob] = two().await;
    let listen = TestTerminal::start(&bob, &["listen"]);
    alice.eko(&["send", "@bob", "one"]).await.done();
    shows_row(&listen, "@alice: one").await;
    let chat = TestTerminal::start(&bob, &["chat", "@alice"]);
    chat.shows_last("> ").await;
    kill_process(listen.id(), Signal::STOP).unwrap();
    let lock = bob.account().join("listening");
    let process = listen.id().as_raw_nonzero().get();
    let signs = std::fs::read_to_string(&lock).unwrap();
    let (named, at_ms) = signs.trim().split_once(' ').unwrap();
    assert_eq!(named, process.to_string());
    let at_ms: i64 = at_ms.trim().parse().unwrap();
    std::fs::write(&lock, format!("{process:>10} {:>20}\n", at_ms - 200_000)).unwrap();
    let failure = bob.fails(&["listen", "--once"]).await;
    let wakes = format!("kill -CONT {process}, which wakes it, or kill -9 {process}, which ends it");
    assert_eq!((failure.code, failure.next), (4, wakes));
    let requests = bob.eko(&["requests"]).await;
    assert!(requests.err.contains("something may be missing: nobody reads your mailbox"), "{requests:?}");
    chat.shows(|rows| rows.iter().any(|row| row.contains("nobody reads your mailbox"))).await;
    alice.eko(&["send", "@bob", "two"]).await.done();
    kill_process(listen.id(), Signal::CONT).unwrap();
    shows_row(&chat, "@alice: two").await;
    while bob.eko(&["listen", "--once"]).await.code != 0 {}
    quit(chat).await;
    quit(listen).await;
}

/// A network that is down for one process.
struct NoNetwork;

impl Transport for NoNetwork {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        Err(TransportError::Connect("the network is down".to_owned()))
    }
}

/// A process that does not reach the server puts a message off for a second. The one that reads the mailbox
/// looks at everything else once a minute.
#[tokio::test]
async fn a_message_that_another_process_put_off_is_sent_when_it_is_due() {
    let [alice, bob] = two().await;
    let listen = TestTerminal::start(&bob, &["listen"]);
    alice.eko(&["send", "@bob", "hello"]).await.done();
    shows_row(&listen, "@alice: hello").await;
    let mut hers = RunningCommand::start(alice.command(&["listen", "--json"]));
    let store = DeviceStore::open(&bob.account().join("eko.db")).unwrap();
    let other = Messenger::open(NoNetwork, LibSignal, store, Environment::system()).unwrap().unwrap();
    let to = Person { user: UserName::parse("alice").unwrap(), origin: other.me().origin };
    let draft = MessageDraft { text: "one".to_owned(), attachments: Vec::new() };
    let unsent = other.send(&to, draft).await.unwrap();
    assert_eq!(unsent.state(&other.me()), EnvelopeState::ToSend);
    let comes = async { while !hers.line().await.contains(r#""text":"one""#) {} };
    timeout(Duration::from_secs(40), comes).await.unwrap();
    hers.kill().await;
    quit(listen).await;
}

/// The server accepts connections, and answers nothing.
#[tokio::test]
async fn a_line_that_a_hung_server_keeps_is_said_to_wait_and_typing_goes_on() {
    let server = StoppableServer::start().await;
    let [alice, _bob] = two_on(&server.origin).await;
    let mut chat = TestTerminal::start(&alice, &["chat", "@bob"]);
    chat.shows_last("> ").await;
    let held = server.hang_up_nobody().await;
    chat.press("first\rsecond\rand more");
    shows_row(&chat, "  \u{201c}first\u{201d}, \u{201c}second\u{201d} wait: there is no answer yet").await;
    let rows = chat.shows_last("> and more").await;
    assert_eq!(count(&rows, "> first"), 1, "{rows:#?}");
    kill_process(chat.id(), Signal::INT).unwrap();
    shows_row(&chat, "eko: 2 messages wait to be sent").await;
    assert_eq!(chat.end().await, (Some(4), true));
    drop(held);
    assert_eq!(alice.objects(&["history"]).await.len(), 2);
}

/// `eko send` is killed while the server hangs. The message is tried again at once, and nothing overtakes it.
#[tokio::test]
async fn a_message_whose_process_was_killed_is_not_claimed_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let server = StoppableServer::start_at(0, Some(folder.path())).await;
    let [alice, bob] = two_on(&server.origin).await;
    alice.eko(&["send", "@bob", "before"]).await.done();
    assert_eq!(bob.hears().await, ["before"]);
    let hung = server.hang().await;
    let sending = RunningCommand::start(alice.command(&["send", "@bob", "in the middle"]));
    let (asked, _) = hung.accept().await.unwrap();
    let store = rusqlite::Connection::open(alice.account().join("eko.db")).unwrap();
    let claimed = || {
        store
            .query_row("SELECT count(*) FROM envelopes WHERE state = 1 AND claimed > 0", [], |row| row.get(0))
    };
    while claimed().unwrap_or(0) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    sending.kill().await;
    assert_eq!(claimed(), Ok(1), "it had no time to free it");
    let port = hung.local_addr().unwrap().port();
    drop((asked, hung));
    let _again = StoppableServer::start_at(port, Some(folder.path())).await;
    alice.eko(&["send", "@bob", "after it"]).await.done();
    assert_eq!(bob.hears().await, ["in the middle", "after it"]);
    let history = bob.eko(&["history"]).await.done();
    assert!(!history.contains("missing"), "{history}");
}

/// `eko send` waits for an answer of the server.
#[tokio::test]
async fn what_another_process_is_sending_is_said_to_be_sent_by_it() {
    let server = StoppableServer::start().await;
    let [alice, _bob] = two_on(&server.origin).await;
    alice.eko(&["send", "@bob", "before"]).await.done();
    let hung = server.hang().await;
    let sending = RunningCommand::start(alice.command(&["send", "@bob", "in the middle"]));
    let (_asked, _) = hung.accept().await.unwrap();
    let id = loop {
        let listed = alice.objects(&["history"]).await;
        if let Some(id) = listed.get(1).and_then(|message| message["id"].as_str()) {
            break id.to_owned();
        }
    };
    let next = "eko history, which says what became of it";
    let ReportedFailure { code, what, next: told } = alice.fails(&["resend", &id]).await;
    assert_eq!((code, &*told), (4, next));
    assert_eq!(what, "not sent yet to @bob: another process is sending it");
    let ReportedFailure { code, what, next: told } =
        alice.fails(&["send", "@bob", "and later", "--wait", "0"]).await;
    assert_eq!((code, &*told), (4, next));
    assert_eq!(what, "not sent yet to @bob: another process is sending what was written before it");
    sending.kill().await;
}

#[tokio::test]
async fn a_chat_of_a_signed_out_device_keeps_what_is_typed() {
    let [alice, bob] = two().await;
    bob.eko(&["logout"]).await.done();
    let CommandOutput { code, err, .. } = bob.eko_reading(&["chat", "@alice"], "one\ntwo\n").await;
    assert_eq!(
        (code, err.contains("eko: 2 messages wait to be sent\nNext: eko login @bob@")),
        (4, true),
        "{err}"
    );
    assert!(
        err.contains("This device is signed out. What you type is kept, and sent after eko login @bob@"),
        "{err}"
    );
    bob.eko(&["login", "bob"]).await.done();
    bob.eko(&["listen", "--once"]).await.done();
    assert_eq!(alice.hears().await, ["one", "two"]);
}
