//! Tests of `send`, `listen`, `chat`, `history` and `attachments`, with two users on one machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::people::ReportedFailure;
use super::stoppable::StoppableServer;
use super::test_home::{CommandOutput, TestHome, ended_of, server};

/// Signs Alice and Bob in on one server, which then is part of their handles.
pub(crate) async fn two() -> [TestHome; 2] {
    two_on(&server().await).await
}

pub(crate) async fn two_on(server: &str) -> [TestHome; 2] {
    let (alice, bob) = (TestHome::new(), TestHome::new());
    alice.eko(&["login", "alice", "--server", server]).await.done();
    bob.eko(&["login", "bob", "--server", server]).await.done();
    alice.eko(&["verify", "@bob", "--accept"]).await.done();
    bob.eko(&["verify", "@alice", "--accept"]).await.done();
    [alice, bob]
}

/// A command that runs during the test, whose output is read line by line.
pub(crate) struct RunningCommand {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
    remarks: Option<BufReader<ChildStderr>>,
}

impl RunningCommand {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = child.stdout.take().map(BufReader::new);
        let remarks = child.stderr.take().map(BufReader::new);
        Self { child, lines, remarks }
    }

    /// Returns the next line of standard output.
    pub(crate) async fn line(&mut self) -> String {
        next_line(&mut self.lines).await
    }

    /// Waits for a line of standard error that begins with this.
    pub(crate) async fn remark(&mut self, beginning: &str) {
        loop {
            let line = next_line(&mut self.remarks).await;
            assert!(!line.is_empty(), "no line begins with {beginning}");
            if line.starts_with(beginning) {
                return;
            }
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends the command by force.
    pub(crate) async fn kill(mut self) {
        self.child.kill().unwrap();
        self.end().await;
    }

    /// Closes the command's standard input, waits for its end, and returns its exit code.
    pub(crate) async fn end(mut self) -> i32 {
        drop(self.child.stdin.take());
        tokio::task::spawn_blocking(move || self.child.wait().unwrap().code().unwrap_or(-1)).await.unwrap()
    }
}

/// Reads a line on another thread, since the server runs in this process.
async fn next_line<R: Read + Send + 'static>(from: &mut Option<BufReader<R>>) -> String {
    let mut lines = from.take().unwrap();
    let read = move || {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        (lines, line)
    };
    let (lines, line) = tokio::task::spawn_blocking(read).await.unwrap();
    *from = Some(lines);
    line
}

#[tokio::test]
async fn messages_come_on_a_socket_while_there_is_one() {
    let server = StoppableServer::start().await;
    let [alice, bob] = two_on(&server.origin).await;
    let mut his = RunningCommand::start(bob.command(&["listen", "--verbose", "--every", "3600"]));
    his.remark("live: ").await;
    for text in ["one", "two"] {
        alice.eko(&["send", "@bob", text]).await.done();
        assert!(his.line().await.trim_end().ends_with(text));
    }
    tokio::join!(server.stop(), his.remark("fetching: the server "));
    his.remark("fetching: no live connection: cannot connect: ").await;
    his.kill().await;
}

/// The server ends the socket. The program that runs does not sign in again, and makes no call with the
/// access token that it has.
#[tokio::test]
async fn whoever_signs_out_ends_what_listens_beside_it() {
    let [alice, bob] = two().await;
    let to_alice = &["chat", "@alice"][..];
    for command in [&["listen", "--verbose"][..], to_alice] {
        let mut his = RunningCommand::start(bob.command(command));
        alice.eko(&["send", "@bob", "before"]).await.done();
        assert!(his.line().await.trim_end().ends_with("before"));
        bob.eko(&["logout"]).await.done();
        alice.eko(&["send", "@bob", "after"]).await.done();
        assert_eq!(his.line().await, "", "what comes afterwards waits for the next sign-in");
        his.remark("eko: this device is signed out").await;
        his.remark("Next: eko login @bob@").await;
        assert_eq!(his.end().await, 1);
        let whoami = bob.eko(&["whoami"]).await.done();
        assert!(whoami.contains("signed out"), "{whoami}");
        bob.eko(&["login", "bob"]).await.done();
        assert_eq!(bob.hears().await, ["after"]);
    }
}

#[tokio::test]
async fn what_one_sends_the_other_sees_once() {
    let [alice, bob] = two().await;
    assert_eq!(alice.eko(&["send", "@bob", "Hello,", "Bob"]).await.done(), "sent\n");
    let heard = bob.eko(&["listen", "--once"]).await.done();
    assert!(heard.trim_end().ends_with("@alice: Hello, Bob"), "{heard}");
    assert_eq!(bob.eko(&["listen", "--once"]).await.done(), "");
    bob.eko_reading(&["send", "@alice", "-"], "two\nlines\n").await.done();
    let heard = alice.eko(&["listen", "--once", "--json"]).await.done();
    let objects: Vec<Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = objects.iter().find(|object| object["type"] == "message").unwrap();
    assert_eq!((&message["text"], &message["outgoing"]), (&"two\nlines".into(), &false.into()));
    let receipt = objects.iter().find(|object| object["type"] == "envelope").unwrap();
    assert_eq!(receipt["state"], "delivered");
    let history = alice.eko(&["history", "@bob"]).await.done();
    let ends = |line: &str, end: &str| assert!(line.ends_with(end), "{line}");
    let mut lines = history.lines();
    ends(lines.next().unwrap(), "you to @bob: Hello, Bob");
    assert_eq!(lines.next(), Some("    delivered"));
    ends(lines.next().unwrap(), "@bob: two");
    ends(lines.next().unwrap(), "    lines");
}

#[tokio::test]
async fn history_says_what_became_of_ones_own_messages() {
    let [alice, bob] = two().await;
    alice.eko(&["send", "@bob", "one"]).await.done();
    let history = alice.eko(&["history"]).await.done();
    assert!(history.ends_with("one\n    sent, and not known to be delivered\n"), "{history}");
    alice.eko(&["groups", "create", "Friday", "@bob"]).await.done();
    bob.eko(&["listen", "--once"]).await.done();
    alice.eko(&["listen", "--once"]).await.done();
    let history = alice.eko(&["history", "--json"]).await.object();
    let envelopes = history["envelopes"].as_array().unwrap();
    assert_eq!((envelopes.len(), &envelopes[0]["state"]), (1, &"delivered".into()));
    // What others wrote has no such state.
    assert_eq!(bob.eko(&["history", "--json"]).await.object().get("envelopes"), None);
    // A message that never came is named where it is missing.
    let store = rusqlite::Connection::open(bob.account().join("eko.db")).unwrap();
    let sql = "INSERT INTO gaps (conversation, device, actor, first, last, position) \
               SELECT conversation, device, actor, 1, 2, position FROM messages";
    assert_eq!(store.execute(sql, []).unwrap(), 1);
    let history = bob.eko(&["history"]).await.done();
    assert!(
        history.starts_with("(2 messages of @alice are missing here; if they do not come, ask @alice to "),
        "{history}"
    );
}

#[tokio::test]
async fn a_conversation_in_two_terminals() {
    let [alice, bob] = two().await;
    let mut hers = RunningCommand::start(alice.command(&["chat", "@bob"]));
    let mut his = RunningCommand::start(bob.command(&["chat", "@alice"]));
    for round in 0..3 {
        hers.type_line(&format!("{round} from Alice"));
        assert!(his.line().await.trim_end().ends_with(&format!("@alice: {round} from Alice")));
        his.type_line(&format!("{round} from Bob"));
        assert!(hers.line().await.trim_end().ends_with(&format!("@bob: {round} from Bob")));
    }
    alice.eko(&["send", "@bob", "from a third terminal"]).await.done();
    assert!(his.line().await.trim_end().ends_with("@alice: from a third terminal"));
    assert_eq!((hers.end().await, his.end().await), (0, 0));
}

/// The mailbox comes on a socket, some time after that was opened.
#[tokio::test]
async fn a_chat_whose_input_is_empty_shows_what_there_is() {
    let [alice, bob] = two().await;
    for text in ["one", "two"] {
        alice.eko(&["send", "@bob", text]).await.done();
    }
    let texts: Vec<_> =
        bob.objects(&["chat", "@alice"]).await.into_iter().map(|it| it["text"].clone()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(bob.eko(&["chat", "@alice"]).await.done(), "");
    alice.eko(&["send", "@bob", "three"]).await.done();
    let mut command = bob.command(&["chat", "@alice"]);
    command.stdin(Stdio::null());
    assert!(ended_of(command, String::new()).await.done().ends_with("@alice: three\n"));
}

/// Messages that wait in the mailbox were written before whatever is typed now.
#[tokio::test]
async fn what_is_typed_into_a_chat_stands_after_what_waited() {
    let [alice, bob] = two().await;
    bob.eko(&["send", "@alice", "one?"]).await.done();
    alice.eko_reading(&["chat", "@bob"], "yes\nand two?\n").await.done();
    alice.eko(&["send", "@bob", "three?"]).await.done();
    let history = alice.eko(&["history", "@bob"]).await.done();
    let places = ["one?", "yes", "and two?", "three?"].map(|text| history.find(text).unwrap());
    assert!(places.is_sorted(), "{history}");
    assert_eq!(alice.hears().await, [""; 0], "it was shown in the chat");
    assert_eq!(bob.hears().await, ["yes", "and two?", "three?"]);
}

#[tokio::test]
async fn chat_tells_that_it_was_read_unless_that_is_switched_off() {
    let [alice, bob] = two().await;
    let mut hers = RunningCommand::start(alice.command(&["chat", "@bob"]));
    let mut his = RunningCommand::start(bob.command(&["chat", "@alice"]));
    hers.type_line("one");
    assert!(his.line().await.trim_end().ends_with("one"));
    hers.remark("  @bob has read ").await;
    assert_eq!((hers.end().await, his.end().await), (0, 0));
    assert!(alice.eko(&["history", "@bob"]).await.done().ends_with("read\n"));
    assert_eq!(bob.eko(&["privacy", "--json"]).await.object()["reading"], true);
    assert_eq!(bob.eko(&["privacy", "--reading", "off", "--json"]).await.object()["reading"], false);
    let off = bob.eko(&["privacy"]).await.done();
    assert!(off.starts_with("Nobody is told that you have read their messages.\nYour contacts "), "{off}");
}

#[tokio::test]
async fn files_go_along_and_are_saved_under_harmless_names() {
    let [alice, bob] = two().await;
    let picture = alice.path().join("a picture.png");
    std::fs::write(&picture, [7; 3000]).unwrap();
    alice.eko(&["send", "@bob", "look", "--attach", picture.to_str().unwrap()]).await.done();
    let heard = bob.eko(&["--json", "listen", "--once"]).await.object();
    let file = &heard["attachments"][0];
    assert_eq!((&file["name"], &file["mediaType"]), (&"a picture.png".into(), &"image/png".into()));
    let (id, folder) = (heard["id"].as_str().unwrap(), bob.path().join("saved"));
    std::fs::create_dir(&folder).unwrap();
    for name in ["a picture.png", "a picture-2.png"] {
        bob.eko(&["attachments", "save", id, "--to", folder.to_str().unwrap()]).await.done();
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), [7; 3000]);
    }
    // A file that is too large is refused with a hint. After the hint it can be sent.
    let film = alice.path().join("film.mp4");
    std::fs::write(&film, [8; 60_000]).unwrap();
    let film = film.to_str().unwrap();
    let CommandOutput { code, err, .. } = alice.eko(&["send", "@bob", "--attach", film]).await;
    assert_eq!((code, err.contains("Next: eko attachments seal ")), (2, true), "{err}");
    let limit = "it has 58.6 KiB, and a file within a message has 47.9 KiB at most";
    assert!(err.contains(limit) && err.contains("send ") && err.contains(".json with --attached"), "{err}");
    alice.eko(&["attachments", "seal", film, "https://files.example/film"]).await.done();
    let described = format!("{film}.json");
    alice.eko(&["send", "@bob", "--attached", &described]).await.done();
    let heard = bob.eko(&["--json", "listen", "--once"]).await.object();
    let (id, sealed) = (heard["id"].as_str().unwrap(), format!("{film}.sealed"));
    let save = ["attachments", "save", id, "--to", folder.to_str().unwrap(), "--sealed", &sealed];
    bob.eko(&save).await.done();
    assert_eq!(std::fs::read(folder.join("film.mp4")).unwrap(), vec![8; 60_000]);
    // A file with other bytes is not decrypted.
    std::fs::write(&sealed, [9; 60_060]).unwrap();
    assert_eq!(bob.eko(&save).await.code, 3);
}

#[tokio::test]
async fn errors_say_what_to_do_next() {
    let [alice, _bob] = two().await;
    let said = async |arguments: &[&str]| {
        let CommandOutput { code, err, .. } = alice.eko(arguments).await;
        (code, err)
    };
    let (code, err) = said(&["send", "@nobody", "hello"]).await;
    assert_eq!((code, err.starts_with("eko: there is no @nobody@localhost:")), (2, true), "{err}");
    let (code, err) = said(&["send", "Friday night", "hello"]).await;
    assert_eq!((code, err.contains("--group")), (2, true), "{err}");
    let (code, err) = said(&["send", "--group", "Friday", "hello"]).await;
    assert_eq!((code, err.contains("Next: eko groups")), (2, true), "{err}");
    let (code, _) = said(&["send", "@bob"]).await;
    assert_eq!(code, 2);
    let (code, err) = said(&["send", "@bob@localhost:9", "hello"]).await;
    assert_eq!((code, err.contains("Next: --local-server URL")), (2, true), "{err}");
    let (code, err) =
        said(&["send", "@bob@localhost:9", "hello", "--local-server", "http://localhost:9"]).await;
    assert_eq!((code, err.contains("out of reach: localhost:9, ")), (6, true), "{err}");
    let (code, err) = said(&["attachments", "save", "nothing"]).await;
    assert_eq!((code, err.contains("Next: eko history")), (2, true), "{err}");
    let CommandOutput { code, err, .. } = TestHome::new().eko(&["listen"]).await;
    assert_eq!((code, err.contains("Next: eko login")), (1, true), "{err}");
}

#[tokio::test]
async fn nobody_and_nothing_are_wrong_usage() {
    let [alice, bob] = two().await;
    for nothing in ["", " "] {
        let ReportedFailure { code, what, .. } = alice.fails(&["send", "@bob", nothing]).await;
        assert_eq!((code, &*what), (2, "there is nothing to say"));
    }
    assert_eq!(bob.hears().await, [""; 0]);
    let ReportedFailure { code, what, next } = alice.fails(&["history", "@zed"]).await;
    assert_eq!((code, &*what, &*next), (2, "there is nobody here called @zed", "eko history"));
    alice.eko(&["verify", "@bob"]).await.done();
    assert_eq!(alice.eko(&["history", "@bob"]).await.done(), "", "somebody who is known");
}
