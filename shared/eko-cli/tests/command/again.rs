//! Tests of what history says of messages that wait or have failed, of `resend` and `discard`, and of
//! what it says of times.

use std::fmt::Write as _;

use super::people::{ReportedFailure, signed_in, text};
use super::talking::{two, two_on};
use super::test_home::{CommandOutput, TestHome, server};

/// Returns the command of the last line of the history that begins with this.
async fn command_in_history(home: &TestHome, beginning: &str) -> Vec<String> {
    let history = home.eko(&["history"]).await.done();
    let line = history.lines().last().unwrap().trim().to_owned();
    assert!(line.starts_with(beginning), "{history}");
    line.split_whitespace().skip(1).take(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_message_that_waits_is_discarded_and_sent_again() {
    let [alice, bob] = two().await;
    bob.eko(&["logout"]).await.done();
    assert_eq!(bob.fails(&["send", "@alice", "later"]).await.code, 4);
    let history = bob.eko(&["history"]).await.done();
    assert!(
        history.contains(
            "later\n    waiting: this device is signed out; next attempt after the next eko login\n"
        ),
        "{history}"
    );
    let [resend, id] = command_in_history(&bob, "eko resend ").await.try_into().unwrap();
    assert_eq!((&*resend, id.len()), ("resend", 8));
    let listed = bob.eko(&["history", "--ids"]).await.done();
    assert!(listed.lines().last().unwrap().trim().starts_with(&format!("id {id}-")), "{listed}");
    let listed = bob.object(&["history"]).await;
    let envelope = &listed["envelopes"][0];
    assert!(envelope["due"].is_string() && text(envelope, "remedy").starts_with("eko resend "), "{envelope}");
    let said = bob.eko(&["discard", &id]).await.done();
    assert_eq!(said, "\u{201c}later\u{201d} is not sent any more.\n");
    let ReportedFailure { code, what, .. } = bob.fails(&["discard", &id]).await;
    assert_eq!(
        (code, &*what),
        (2, "\u{201c}later\u{201d} does not wait here, so there is nothing to discard")
    );
    let history = bob.eko(&["history"]).await.done();
    assert!(history.contains("later\n    failed: you have discarded it\n    eko resend "), "{history}");
    bob.eko(&["login", "bob"]).await.done();
    bob.eko(&["listen", "--once"]).await.done();
    assert_eq!(alice.hears().await, [""; 0]);
    // It is the same message: sent twice, it is shown once.
    let said = bob.eko(&["resend", &id]).await.done();
    assert_eq!(said, "\u{201c}later\u{201d}: sent, and not known to be delivered\n");
    assert_eq!(alice.hears().await, ["later"]);
    bob.eko(&["resend", &id]).await.done();
    assert_eq!(alice.hears().await, [""; 0]);
    bob.eko(&["listen", "--once"]).await.done();
    assert!(bob.eko(&["history"]).await.done().ends_with("later\n    delivered\n"));
    for nobodys in ["", "x", "urn:uuid:"] {
        assert_eq!(bob.fails(&["resend", nobodys]).await.code, 2, "{nobodys:?}");
    }
    assert_eq!(alice.fails(&["resend", &id]).await.code, 2, "Bob wrote it");
}

#[tokio::test]
async fn history_says_how_many_devices_have_a_message() {
    let server = server().await;
    let [alice, bob] = two_on(&server).await;
    let tablet = TestHome::new();
    let waiting = tablet.object(&["login", "bob", "--server", &server, "--no-wait"]).await;
    bob.eko_reading(&["devices", "approve", "-q"], text(&waiting, "joiningCode")).await.done();
    tablet.eko(&["verify", "@alice", "--accept"]).await.done();
    alice.eko(&["send", "@bob", "one"]).await.done();
    for (device, state) in [(&bob, "delivered to 1 of 2 devices"), (&tablet, "delivered to 2 of 2 devices")] {
        device.eko(&["listen", "--once"]).await.done();
        alice.eko(&["listen", "--once"]).await.done();
        let history = alice.eko(&["history"]).await.done();
        assert!(history.ends_with(&format!("one\n    {state}\n")), "{history}");
    }
    let envelope = &alice.object(&["history"]).await["envelopes"][0];
    assert_eq!((&envelope["devices"], &envelope["receivedBy"]), (&2.into(), &2.into()), "{envelope}");
}

/// A server takes 60 messages a minute. More than 120 are too many even if a minute ends meanwhile.
#[tokio::test]
async fn a_paste_that_is_too_much_for_a_minute_says_which_lines_wait_and_until_when() {
    let [alice, bob] = two().await;
    let mut lines = String::new();
    for number in 1..=130 {
        writeln!(lines, "line {number}").unwrap();
    }
    let CommandOutput { code, err, .. } = alice.eko_reading(&["chat", "@bob"], &lines).await;
    assert_eq!(code, 4, "{err}");
    let told = err.lines().find(|line| line.contains(", are not sent yet")).unwrap_or(&err);
    assert!(told.contains(" lines, from \u{201c}line "), "{err}");
    assert!(
        told.contains(" to \u{201c}line 130\u{201d}, are not sent yet to @bob: so much was sent"),
        "{err}"
    );
    assert!(told.contains("; they are kept, and sent by themselves at "), "{err}");
    assert_eq!(alice.eko(&["history", "--json", "-q", "-n", "200"]).await.done().lines().count(), 130);
    // A command that ends at once says until when its message waits.
    let ReportedFailure { code, what, .. } = alice.fails(&["send", "@bob", "one more", "--wait", "0"]).await;
    assert!(code == 4 && what.starts_with("not sent yet to @bob: so much was sent"), "{what}");
    let (_, until) = what.split_once("; it is kept, and waits until ").unwrap_or_else(|| panic!("{what}"));
    assert_eq!((until.len(), until.matches(':').count()), ("12:00:00".len(), 2), "{what}");
    drop(bob);
}

#[tokio::test]
async fn times_that_are_far_apart_are_both_shown_and_a_revoked_device_of_ones_own_is_no_alarm() {
    let [alice, bob] = two().await;
    alice.eko(&["send", "@bob", "one"]).await.done();
    bob.hears().await;
    let change = |set: &str| {
        let store = rusqlite::Connection::open(bob.account().join("eko.db")).unwrap();
        assert_eq!(store.execute(&format!("UPDATE messages SET {set}"), []).unwrap(), 1);
    };
    let history = bob.eko(&["history"]).await.done();
    assert!(!history.contains('('), "{history}");
    change("published = received - 7200000");
    let history = bob.eko(&["history"]).await.done();
    assert!(history.contains(" (came 20") && history.ends_with(")  @alice: one\n"), "{history}");
    change("published = received + 365 * 86400000");
    let history = bob.eko(&["history"]).await.done();
    assert!(history.contains(" (their clock said 20"), "{history}");
    change("warning = 'it comes from a device that they have revoked', published = received");
    assert!(bob.eko(&["history"]).await.done().contains("\n    BEWARE: it comes from"));
    change("outgoing = 1");
    assert!(bob.eko(&["history"]).await.done().contains("\n    Note: it comes from"));
}

#[tokio::test]
async fn nobody_is_shown_where_in_a_document_a_fault_is() {
    let [alice, bob] = two().await;
    for nothing in ["\n", " \n\t\n", ""] {
        let failure = alice.eko_reading(&["send", "@bob", "-"], nothing).await.failed();
        assert_eq!((failure.code, &*failure.what), (2, "there is nothing to say on standard input"));
    }
    let long = "\"".repeat(79 << 10);
    let failure = alice.eko_reading(&["send", "@bob", "-"], &long).await.failed();
    assert!(!failure.what.contains('/'), "{}", failure.what);
    let file = alice.path().join("photo.jpg");
    std::fs::write(&file, "a photo").unwrap();
    let failure = alice.fails(&["attachments", "seal", file.to_str().unwrap(), "http://a.example/x"]).await;
    assert!(!failure.what.contains("/url") && failure.what.starts_with("url "), "{}", failure.what);
    assert!(failure.next.starts_with("eko attachments seal FILE HTTPS-URL"), "{}", failure.next);
    std::fs::write(&file, "{\"type\":\"Document\"}").unwrap();
    let failure = alice.fails(&["send", "@bob", "--attached", file.to_str().unwrap()]).await;
    let (_, why) = failure.what.split_once(" writes: ").unwrap();
    assert!(!why.contains('/'), "{why}");
    let failure = alice.fails(&["groups", "create", &"x".repeat(5000), "@bob"]).await;
    assert!(!failure.what.contains('/') && !failure.what.is_empty(), "{}", failure.what);
    assert_eq!(bob.hears().await, [""; 0]);
}

#[tokio::test]
async fn a_request_says_that_no_more_is_kept() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    for number in 1..=21 {
        bob.eko(&["send", "@alice", &format!("line {number}")]).await.done();
        if number == 19 {
            let shown = alice.eko(&["requests"]).await.done();
            assert!(shown.ends_with("line 19\n"), "{shown}");
        }
    }
    let shown = alice.eko(&["requests"]).await.done();
    assert!(shown.contains("line 20\n  No more than 20 messages of a stranger are kept."), "{shown}");
    assert!(!shown.contains("line 21"), "{shown}");
    assert_eq!(alice.object(&["requests"]).await["full"], true);
}
