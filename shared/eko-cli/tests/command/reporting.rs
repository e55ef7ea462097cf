//! Tests of `report`.

use serde_json::json;

use super::people::{signed_in, text};
use super::test_home::server;

#[tokio::test]
async fn a_message_is_reported_after_a_question_and_its_author_blocked() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "hello"]).await.done();
    bob.eko(&["send", "@alice", "a threat"]).await.done();
    alice.objects(&["listen", "--once"]).await;
    let history = alice.objects(&["history"]).await;
    let message = history.iter().find(|message| message["text"] == "a threat").unwrap();
    assert_eq!(message["reportable"], json!(true));
    let id = text(message, "id");
    let asked = alice.fails(&["report", id, "--reason", "a threat"]).await;
    assert_eq!(asked.code, 2);
    assert!(asked.what.contains("asks before it goes on"), "{}", asked.what);
    let reported = alice.object(&["report", id, "--reason", "they threaten me", "--block", "--yes"]).await;
    assert_eq!((&reported["type"], &reported["blocked"]), (&json!("reported"), &json!(true)));
    assert_eq!(alice.objects(&["blocked"]).await.len(), 1);
    // The first report of a day stays, and the second one does not pretend to be kept.
    let again = alice.eko(&["report", id, "--reason", "in other words", "--yes"]).await.done();
    assert!(again.starts_with("You have reported \u{201c}a threat\u{201d} today already."), "{again}");
    let long = "x".repeat(5_000);
    for (reason, what) in [
        ("\u{1b}[2J", "--reason has a control character"),
        (&long, "--reason has 5000 bytes, and may have 1024"),
    ] {
        let refused = alice.fails(&["report", id, "--reason", reason, "--yes"]).await;
        assert_eq!((refused.code, &*refused.what), (2, what));
    }
    // The own message, and none.
    let own = history.iter().find(|message| message["text"] == "hello").unwrap();
    for id in [text(own, "id"), "no"] {
        let refused = alice.fails(&["report", id, "--yes"]).await;
        assert_eq!(refused.code, 2, "{}", refused.what);
        assert!(refused.what.starts_with("nobody has sent you a message"), "{}", refused.what);
    }
}
