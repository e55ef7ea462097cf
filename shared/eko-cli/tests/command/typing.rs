//! Tests of `chat` and `listen` at a terminal: a person types while messages come, and sees who is
//! writing.

use std::process::Stdio;

use rustix::process::{Signal, kill_process};

use super::talking::{RunningCommand, two};
use super::terminal::TestTerminal;

/// True if a row ends with this.
fn has(rows: &[String], end: &str) -> bool {
    rows.iter().any(|row| row.ends_with(end))
}

#[tokio::test]
async fn what_is_being_typed_is_told_and_not_torn() {
    let [alice, bob] = two().await;
    let mut his = TestTerminal::start(&bob, &["chat", "@alice"]);
    his.shows_last("> ").await;
    let mut hers = RunningCommand::start(alice.command(&["listen", "--json"]));
    his.press("Hel");
    let typing = hers.line().await;
    assert!(typing.contains(r#""type":"typing""#), "{typing}");
    alice.eko(&["send", "@bob", "one"]).await.done();
    let rows =
        his.shows(|rows| has(rows, "@alice: one") && rows.last().is_some_and(|row| row == "> Hel")).await;
    his.press("lo\x1b[D\x1b[D\x7fL");
    let rows_after = his.shows_last("> HeLlo").await;
    assert_eq!(rows.len(), rows_after.len(), "one row is drawn again and again");
    his.press("\r");
    loop {
        let line = hers.line().await;
        if line.contains(r#""type":"message""#) {
            assert!(line.contains(r#""text":"HeLlo""#), "{line}");
            break;
        }
        assert!(line.contains(r#""type":"#), "{line}");
    }
    let rows = his.shows(|rows| has(rows, "> HeLlo") && rows.last().is_some_and(|row| row == "> ")).await;
    assert_eq!(rows.iter().filter(|row| row.starts_with("> ")).count(), 2, "{rows:#?}");
    // Nobody is told any more.
    his.press("\x04");
    assert_eq!(his.end().await, (Some(0), true));
    bob.eko(&["privacy", "--typing", "off"]).await.done();
    let mut his = TestTerminal::start(&bob, &["chat", "@alice"]);
    his.shows_last("> ").await;
    his.press("two\r");
    loop {
        let line = hers.line().await;
        assert!(!line.contains(r#""type":"typing""#), "{line}");
        if line.contains(r#""text":"two""#) {
            break;
        }
    }
    kill_process(his.id(), Signal::INT).unwrap();
    assert_eq!(his.end().await, (Some(0), true));
    hers.kill().await;
}

/// A notice of typing is shown until the message comes, in `chat` and in `listen`.
#[tokio::test]
async fn who_is_writing_is_shown_and_forgotten() {
    let [alice, bob] = two().await;
    for command in [&["chat", "@alice"][..], &["listen"]] {
        let prompt = if command.len() == 2 { "> " } else { "" };
        let his = TestTerminal::start(&bob, command);
        his.shows(move |rows| rows.len() > 1 && rows.last().is_some_and(|row| row == prompt)).await;
        let mut hers = TestTerminal::start(&alice, &["chat", "@bob"]);
        hers.shows_last("> ").await;
        hers.press("x");
        his.shows_last(&format!("@alice is writing to you {prompt}")).await;
        hers.press("\r");
        let rows = his
            .shows(move |rows| has(rows, "@alice: x") && rows.last().is_some_and(|row| row == prompt))
            .await;
        assert!(!rows.iter().any(|row| row.contains("is writing")), "{rows:#?}");
        for mut chat in [his, hers] {
            chat.press("\x04");
            kill_process(chat.id(), Signal::TERM).unwrap();
            assert_eq!(chat.end().await, (Some(0), true));
        }
    }
}

/// Whoever deletes what they have typed is not shown as writing any more.
#[tokio::test]
async fn a_line_that_is_deleted_is_written_no_more() {
    let [alice, bob] = two().await;
    let [mut hers, his] =
        [(&alice, "@bob"), (&bob, "@alice")].map(|(home, who)| TestTerminal::start(home, &["chat", who]));
    for terminal in [&hers, &his] {
        terminal.shows_last("> ").await;
    }
    for _ in 0..2 {
        hers.press("x");
        his.shows_last("@alice is writing to you > ").await;
        hers.press("\x7f");
        his.shows_last("> ").await;
    }
    for chat in [his, hers] {
        kill_process(chat.id(), Signal::TERM).unwrap();
        assert_eq!(chat.end().await, (Some(0), true));
    }
}

#[tokio::test]
async fn former_lines_come_back_and_names_are_completed() {
    let [alice, bob] = two().await;
    alice.eko(&["send", "@bob", "one"]).await.done();
    let mut hers = TestTerminal::start(&alice, &["chat", "@bob"]);
    hers.shows_last("> ").await;
    hers.press("\x1b[A");
    hers.shows_last("> one").await;
    hers.press(", two\r");
    hers.shows(|rows| has(rows, "> one, two") && rows.last().is_some_and(|row| row == "> ")).await;
    hers.press("hm\x1b[A\x1b[A");
    hers.shows_last("> one").await;
    hers.press("\x1b[B\x1b[B");
    hers.shows_last("> hm").await;
    hers.press(" @b\t");
    hers.shows_last("> hm @bob").await;
    hers.press("\x15\x04");
    assert_eq!(hers.end().await, (Some(0), true));
    let heard: Vec<_> = bob.hears().await;
    assert_eq!(heard, ["one", "one, two"]);
}

#[tokio::test]
async fn a_narrow_terminal_breaks_lines_at_words() {
    let [alice, bob] = two().await;
    let his = TestTerminal::start(&bob, &["chat", "@alice"]);
    his.resize(40);
    his.shows_last("> ").await;
    alice.eko(&["send", "@bob", "Whoever reads this on a narrow terminal reads whole words"]).await.done();
    let rows = his.shows(|rows| rows.iter().any(|row| row.ends_with("words"))).await;
    let at = rows.iter().position(|row| row.ends_with("@alice: Whoever reads")).unwrap();
    let due = ["    this on a narrow terminal reads", "    whole words"];
    assert_eq!(&rows[at + 1..at + 3], due, "{rows:#?}");
    kill_process(his.id(), Signal::TERM).unwrap();
    assert_eq!(his.end().await, (Some(0), true));
}

#[tokio::test]
async fn without_a_terminal_nothing_is_drawn() {
    let [alice, bob] = two().await;
    let mut command = bob.command(&["chat", "@alice"]);
    command.stderr(Stdio::null());
    let mut his = RunningCommand::start(command);
    his.type_line("one");
    alice.eko(&["send", "@bob", "two"]).await.done();
    let line = his.line().await;
    assert!(line.ends_with("@alice: two\n") && !line.contains('\x1b'), "{line:?}");
    assert_eq!(his.end().await, 0);
    assert_eq!(alice.hears().await, ["one"]);
}
