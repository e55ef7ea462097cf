//! Tests of `requests`.

use super::devices::further;
use super::people::{ReportedFailure, signed_in, text};
use super::terminal::TestTerminal;
use super::test_home::{TestHome, server};

#[tokio::test]
async fn what_strangers_write_is_shown_apart_and_accepted_or_declined() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let carol = signed_in(&server, "carol").await;
    for stranger in [&bob, &carol] {
        stranger.eko(&["send", "@alice", "do you know me?"]).await.done();
    }
    let told = alice.objects(&["listen", "--once"]).await;
    let types: Vec<_> = told.iter().map(|object| text(object, "type")).collect();
    assert_eq!(types, ["requested", "requested"]);
    assert_eq!(alice.objects(&["history"]).await.len(), 0);
    let shown = alice.eko(&["requests"]).await.done();
    assert!(shown.contains("@bob is no contact of yours and wrote:\n"), "{shown}");
    assert!(shown.trim_end().ends_with("@carol: do you know me?"), "{shown}");
    let accepted = alice.eko(&["requests", "accept", "@bob"]).await.done();
    assert_eq!(accepted, "@bob is a contact now. What they wrote: eko listen, or eko history @bob\n");
    let declined = alice.eko(&["requests", "decline", "@carol"]).await.done();
    assert_eq!(declined, "What @carol wrote is deleted.\n");
    assert_eq!(alice.hears().await, ["do you know me?"]);
    assert_eq!(alice.objects(&["history"]).await.len(), 1);
    let nobody = alice.fails(&["requests", "accept", "@carol"]).await;
    let what = "there is no request of @carol".to_owned();
    assert!(matches!(nobody, ReportedFailure { code: 2, what: said, .. } if said == what));
}

/// Nobody has to know that another command must come first.
#[tokio::test]
async fn requests_and_invitations_are_listed_without_listening_before() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    bob.eko(&["send", "@alice", "do you know me?"]).await.done();
    let shown = alice.eko(&["requests"]).await;
    assert_eq!(shown.err, "");
    assert!(shown.done().contains("@bob: do you know me?"));
    alice.eko(&["requests", "accept", "@bob"]).await.done();
    bob.eko(&["send", "@alice", "now you do"]).await.done();
    bob.object(&["groups", "create", "Friday", "@alice"]).await;
    let listed = alice.eko(&["groups"]).await;
    assert_eq!(listed.err, "There are new messages: eko listen\n");
    assert!(listed.done().contains("@bob invites you: eko groups join \"Friday\""));
    let heard = alice.objects(&["listen", "--once"]).await;
    let heard: Vec<_> =
        heard.iter().filter(|it| it["type"] == "message").map(|it| text(it, "text")).collect();
    assert_eq!(heard, ["do you know me?", "now you do"], "a list takes no message from eko listen");
    // Another invitation is found by the command that accepts it.
    bob.object(&["groups", "create", "Saturday", "@alice"]).await;
    alice.eko(&["groups", "join", "Saturday"]).await.done();
}

#[tokio::test]
async fn a_request_is_accepted_without_listing_it_before() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    bob.eko(&["send", "@alice", "do you know me?"]).await.done();
    alice.eko(&["requests", "accept", "@bob"]).await.done();
    assert_eq!(alice.hears().await, ["do you know me?"]);
}

/// What was not kept of a stranger is named, and comes once they are accepted.
#[tokio::test]
async fn whoever_accepts_a_stranger_is_told_what_was_not_kept() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let lines: String = (1..=26).map(|n| format!("line {n:02}\n")).collect();
    bob.eko_reading(&["chat", "@alice"], &lines).await.done();
    let shown = alice.eko(&["requests"]).await.done();
    assert!(shown.contains("are kept. 6 messages came after these; once you have accepted"), "{shown}");
    let accepted = alice.eko(&["requests", "accept", "@bob"]).await.done();
    assert!(
        accepted.contains("\n6 messages that @bob wrote after these were not kept. eko listen"),
        "{accepted}"
    );
    let shown = alice.eko(&["history", "@bob"]).await.done();
    assert!(
        shown.lines().last().unwrap().contains(
            "  (waiting for 6 messages that @bob sent before you accepted @bob, and that were not kept on this device;"
        ),
        "{shown}"
    );
    let places = alice.objects(&["history"]).await;
    let places: Vec<_> =
        places.iter().filter(|it| it["type"] == "awaited").map(|it| text(it, "why")).collect();
    assert_eq!(places, ["not-kept"; 6]);
    assert_eq!(alice.hears().await.len(), 20);
    bob.eko(&["listen", "--once"]).await.done();
    let lacking: Vec<_> = lines.lines().skip(20).collect();
    assert_eq!(alice.hears().await, lacking, "in their order");
    let shown = alice.eko(&["history", "@bob"]).await.done();
    assert!(!shown.contains("waiting for"), "{shown}");
}

/// Whoever takes somebody's devices as theirs takes their messages, too.
#[tokio::test]
async fn verifying_a_stranger_says_that_their_request_is_accepted() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    for (name, how) in [("bob", &["--accept"][..]), ("carol", &["--confirm", "--yes"])] {
        let stranger = signed_in(&server, name).await;
        stranger.eko(&["send", "@alice", "do you know me?"]).await.done();
        alice.eko(&["requests"]).await.done();
        let who = format!("@{name}");
        let said = alice.eko(&[&["verify", &who], how].concat()).await.done();
        assert!(
            said.contains(&format!("Their message request is accepted by this, too: eko history {who}")),
            "{said}"
        );
        let said = alice.eko(&[&["verify", &who], how].concat()).await.done();
        assert!(!said.contains("request"), "{said}");
        assert_eq!(alice.hears().await, ["do you know me?"]);
    }
}

/// A decision on one device holds on another one, which holds the messages back until then.
#[tokio::test]
async fn a_decision_holds_on_all_devices() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let second = further(&alice, &server).await;
    let (bob, carol) = (signed_in(&server, "bob").await, signed_in(&server, "carol").await);
    for (stranger, words) in [(&bob, "first"), (&bob, "second"), (&carol, "buy this")] {
        stranger.eko(&["send", "@alice", words]).await.done();
    }
    assert_eq!(second.objects(&["requests"]).await.len(), 2);
    alice.eko(&["requests", "accept", "@bob"]).await.done();
    alice.eko(&["requests", "decline", "@carol"]).await.done();
    assert_eq!(second.hears().await, ["first", "second"]);
    assert_eq!(second.objects(&["requests"]).await.len(), 0);
    bob.eko(&["send", "@alice", "third"]).await.done();
    let told = second.eko(&["listen", "--once"]).await;
    assert!(told.out.contains("third") && !told.err.contains("never written"), "{told:?}");
    let third = further(&alice, &server).await;
    bob.eko(&["send", "@alice", "fourth"]).await.done();
    let told = third.eko(&["listen", "--once"]).await;
    assert!(told.out.contains("fourth") && !told.err.contains("never written"), "{told:?}");
}

/// Whoever answers a stranger has what they asked in front of the answer, without listening.
#[tokio::test]
async fn a_question_stands_before_its_answer() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    for words in ["do you know me?", "I am the one from the choir"] {
        bob.eko(&["send", "@alice", words]).await.done();
    }
    alice.objects(&["requests"]).await;
    alice.eko(&["send", "@bob", "of course"]).await.done();
    let history = alice.objects(&["history"]).await;
    let said: Vec<_> = history.iter().map(|it| text(it, "text")).collect();
    assert_eq!(said, ["do you know me?", "I am the one from the choir", "of course"]);
    assert_eq!(alice.hears().await, said[..2]);
}

/// So it is on the other device, which has not looked before.
#[tokio::test]
async fn a_question_stands_before_its_answer_on_another_device() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let second = further(&alice, &server).await;
    let bob = signed_in(&server, "bob").await;
    bob.eko(&["send", "@alice", "do you know me?"]).await.done();
    alice.objects(&["requests"]).await;
    alice.eko_reading(&["chat", "@bob"], "of course\n").await.done();
    let due = ["do you know me?", "of course"];
    let heard = second.objects(&["listen", "--once"]).await;
    let heard = heard.iter().filter(|it| it["type"] == "message").map(|it| text(it, "text"));
    assert_eq!(heard.collect::<Vec<_>>(), due);
    for home in [&alice, &second] {
        let history = home.objects(&["history"]).await;
        assert_eq!(history.iter().map(|it| text(it, "text")).collect::<Vec<_>>(), due);
    }
}

/// Returns the state of the first message of somebody, and whether it was read, as its author knows them.
async fn fate(author: &TestHome) -> (String, bool) {
    author.eko(&["listen", "--once"]).await.done();
    let history = author.objects(&["history"]).await;
    let envelope = &history[0]["envelopes"][0];
    (text(envelope, "state").to_owned(), envelope["read"].as_bool().unwrap())
}

/// Whoever only looks accepts nothing, and the stranger does not learn that it arrived.
#[tokio::test]
async fn a_chat_accepts_nothing_before_a_line_is_sent() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    bob.eko(&["send", "@alice", "do you know me?"]).await.done();
    alice.objects(&["requests"]).await;
    let shown = alice.eko(&["chat", "@bob"]).await;
    assert!(shown.out.starts_with("@bob is no contact of yours and wrote:\n"), "{shown:?}");
    assert!(shown.out.contains("@bob: do you know me?\n"), "{shown:?}");
    assert!(shown.out.contains("The first line that you send accepts it."), "{shown:?}");
    assert!(!shown.err.contains("eko requests") && shown.code == 0, "{shown:?}");
    let objects = alice.objects(&["chat", "@bob"]).await;
    assert_eq!(objects.iter().map(|object| text(object, "type")).collect::<Vec<_>>(), ["request"]);
    alice.eko(&["listen", "--once"]).await.done();
    assert_eq!((alice.objects(&["requests"]).await.len(), alice.objects(&["history"]).await.len()), (1, 0));
    assert_eq!(fate(&bob).await, ("accepted".to_owned(), false));

    // Nor does what is typed and not sent.
    let mut chat = TestTerminal::start(&alice, &["chat", "@bob"]);
    chat.shows(|rows| rows.iter().any(|row| row.contains("@bob: do you know me?"))).await;
    chat.press("of course");
    chat.shows_last("> of course").await;
    assert_eq!(fate(&bob).await, ("accepted".to_owned(), false));
    chat.press("\r");
    let rows = chat
        .shows(|rows| {
            rows.iter().any(|row| row.ends_with("> of course")) && rows.last().is_some_and(|row| row == "> ")
        })
        .await;
    assert_eq!(rows.iter().filter(|row| row.contains("do you know me?")).count(), 1, "{rows:#?}");
    while fate(&bob).await != ("delivered".to_owned(), true) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    chat.press("\x04");
    assert_eq!(chat.end().await, (Some(0), true));
    assert_eq!(alice.objects(&["requests"]).await.len(), 0);
}

/// A chat begins with what its other side has asked.
#[tokio::test]
async fn a_chat_shows_the_question_before_the_answer() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    bob.eko(&["send", "@alice", "do you know me?"]).await.done();
    alice.objects(&["requests"]).await;
    let mut chat = TestTerminal::start(&alice, &["chat", "@bob"]);
    chat.shows(|rows| rows.iter().any(|row| row.contains("do you know me?"))).await;
    chat.press("of course\r");
    let in_order = |rows: &[String]| {
        let at = |text: &str| rows.iter().position(|row| row.contains(text));
        at("do you know me?").zip(at("> of course")).is_some_and(|(question, answer)| question < answer)
    };
    chat.shows(in_order).await;
    chat.press("\x04");
    assert_eq!(chat.end().await, (Some(0), true));
}
