//! Tests of chats that somebody ends while lines are under way: each line's state is told as it is.

use rustix::process::{Signal, kill_process};

use super::people::signed_in;
use super::stoppable::StoppableServer;
use super::terminal::TestTerminal;
use super::test_home::TestHome;

/// Something speaks against the recipient's devices, and their server accepts connections and answers nothing.
#[tokio::test]
async fn a_line_to_somebody_in_alarm_is_said_to_be_held_back() {
    let server = StoppableServer::start().await;
    let origin = server.origin.clone();
    let (alice, _bob) = (signed_in(&origin, "alice").await, signed_in(&origin, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    let anew = TestHome::new();
    anew.eko(&["login", "bob", "--server", &origin, "--reset", "--yes"]).await.done();
    assert_eq!(alice.eko(&["verify", "@bob"]).await.code, 3);
    let mut chat = TestTerminal::start(&alice, &["chat", "@bob"]);
    chat.shows_last("> ").await;
    let mut hung = server.hang_up_nobody().await;
    hung.connected().await;
    // The chain is old by now, so that it is read again before anything is sent.
    let store = rusqlite::Connection::open(alice.account().join("eko.db")).unwrap();
    assert_eq!(store.execute("UPDATE chains SET looked = 0 WHERE actor LIKE '%/user/bob'", []).unwrap(), 1);
    chat.press("secret\r");
    chat.shows(|rows| rows.iter().any(|row| row.contains("there is no answer yet"))).await;
    kill_process(chat.id(), Signal::INT).unwrap();
    let rows = chat.shows(|rows| rows.iter().any(|row| row.starts_with("Next: "))).await;
    let said = rows.join(" ");
    assert!(said.contains("eko: a message is held back from @bob; eko sends it by itself once"), "{rows:#?}");
    assert!(said.contains("Next: eko verify @bob") && !said.contains("eko chat again"), "{rows:#?}");
    assert_eq!(chat.end().await, (Some(3), true));
}

/// The first line to a stranger asks their server before it is kept, which answers nothing.
#[tokio::test]
async fn a_line_that_there_was_no_time_to_keep_is_said_to_be_lost() {
    let server = StoppableServer::start().await;
    let (alice, dave) = (signed_in(&server.origin, "alice").await, signed_in(&server.origin, "dave").await);
    dave.eko(&["send", "@alice", "do you know me?"]).await.done();
    let mut chat = TestTerminal::start(&alice, &["chat", "@dave"]);
    chat.shows(|rows| rows.iter().any(|row| row.contains("This is a message request."))).await;
    let mut hung = server.hang_up_nobody().await;
    hung.connected().await;
    chat.press("who are you?\r");
    chat.shows(|rows| rows.iter().any(|row| row.contains("waits: there is no answer yet"))).await;
    kill_process(chat.id(), Signal::INT).unwrap();
    let rows = chat.shows(|rows| rows.iter().any(|row| row.starts_with("Next: eko chat again"))).await;
    let said = rows.join(" ");
    let lost = "eko: not sent and not kept, since there was no time for it: \u{201c}who are you?\u{201d}";
    assert!(said.contains(lost), "{rows:#?}");
    assert_eq!(chat.end().await, (Some(6), true));
}
