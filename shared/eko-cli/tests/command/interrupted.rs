//! Tests of chats that somebody ends while lines are under way: each line's state is told as it is.

use eko_local::server::{BoundServer, ServerOptions};
use rustix::process::{Signal, kill_process};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::people::signed_in;
use super::terminal::TestTerminal;
use super::test_home::TestHome;

/// Something speaks against the recipient's devices, and their server accepts connections and answers nothing.
#[tokio::test]
async fn a_line_to_somebody_in_alarm_is_said_to_be_held_back() {
    let bound = BoundServer::bind(&ServerOptions::default()).await.unwrap();
    let origin = bound.origin.to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(bound.run(async { stopped.await.unwrap() }));
    let (alice, _bob) = (signed_in(&origin, "alice").await, signed_in(&origin, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    let anew = TestHome::new();
    anew.eko(&["login", "bob", "--server", &origin, "--reset", "--yes"]).await.done();
    assert_eq!(alice.eko(&["verify", "@bob"]).await.code, 3);
    let mut chat = TestTerminal::start(&alice, &["chat", "@bob"]);
    chat.shows_last("> ").await;
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    let hung =
        TcpListener::bind(origin.trim_start_matches("http://").replace("localhost", "127.0.0.1")).await;
    let held = tokio::spawn(async move {
        let (hung, mut all) = (hung.unwrap(), Vec::new());
        while let Ok((connection, _)) = hung.accept().await {
            all.push(connection);
        }
    });
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
    held.abort();
}
