//! Tests of `eko account delete`, and of what everybody is told of a deleted account.

use eko_local::server::{BoundServer, ServerOptions};

use super::people::{signed_in, text};
use super::signing_in::issue;
use super::test_home::{TestHome, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_asks_for_the_name_and_tells_everybody() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let second = TestHome::new();
    let waits = second.object(&["login", "alice", "--server", &server, "--no-wait"]).await;
    alice.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();
    alice.eko(&["send", "@bob", "hello"]).await.done();
    bob.eko(&["listen", "--once"]).await.done();
    let name = format!("alice@{}", server.trim_start_matches("http://"));

    // Without the name nothing is deleted.
    let asked = alice.eko(&["account", "delete"]).await;
    assert_eq!(asked.code, 2);
    assert!(asked.err.contains(&format!("Next: eko account delete --yes {name}")), "{}", asked.err);
    let wrong = alice.eko(&["account", "delete", "--yes", "bob@chat.example"]).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains(&format!("that is not {name}: nothing was deleted")), "{}", wrong.err);
    let again = format!("Next: eko account delete, and type {name}; or eko account delete --yes {name}\n");
    assert!(wrong.err.contains(&again), "{}", wrong.err);
    alice.eko(&["send", "@bob", "still here"]).await.done();

    let done = alice.eko(&["account", "delete", "--yes", &name]).await.done();
    assert!(done.starts_with(&format!("The account @{name} is deleted.")), "{done}");
    // It is repeated after a lost answer.
    let again = alice.object(&["account", "delete", "--yes", &name]).await;
    assert_eq!(again["deleted"], true);

    // Her messages stay readable here, and every command says what has happened.
    let history = alice.eko(&["history"]).await;
    assert!(history.out.contains("hello"), "{history:?}");
    for home in [&alice, &second] {
        for command in [&["listen", "--once"][..], &["devices"], &["settings"], &["send", "@bob", "more"]] {
            let failed = home.eko(command).await;
            assert!(failed.err.contains("your account was deleted"), "{command:?}: {failed:?}");
            assert_ne!(failed.code, 0, "{command:?}");
        }
        let shown = home.eko(&["whoami"]).await.done();
        assert!(shown.contains("your account was deleted"), "{shown}");
    }

    // Bob is told, whether he has written before or not.
    let sent = bob.eko(&["send", "@alice", "are you there?", "--wait", "0"]).await;
    assert_eq!(sent.code, 1, "{sent:?}");
    assert!(format!("{}{}", sent.out, sent.err).contains("was deleted"), "{sent:?}");
    let carol = signed_in(&server, "carol").await;
    let sent = carol.eko(&["send", "@alice", "hello", "--wait", "0"]).await;
    assert!(format!("{}{}", sent.out, sent.err).contains("was deleted"), "{sent:?}");

    // Nobody gets the name.
    let eve = TestHome::new();
    let taken = eve.eko(&["login", "alice", "--server", &server]).await;
    assert_eq!(taken.code, 1, "{taken:?}");
    assert!(taken.err.contains("was deleted") || taken.err.contains("taken"), "{taken:?}");
    let next = "Next: eko login with another name; nobody gets this one any more\n";
    assert!(taken.err.ends_with(next), "{taken:?}");
}

/// A message that could not be sent to a deleted account never can be, and there is nobody to compare with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_sent_to_a_remedy_that_cannot_help_with_a_deleted_account() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let carol = signed_in(&server, "carol").await;
    bob.object(&["groups", "create", "Friday", "@alice", "@carol"]).await;
    bob.eko(&["send", "@alice", "hello"]).await.done();
    let name = format!("alice@{}", server.trim_start_matches("http://"));
    alice.eko(&["account", "delete", "--yes", &name]).await.done();

    let next = "eko history, for what you have of them; nobody else gets the name";
    let failed = bob.fails(&["send", "@alice", "are you there?"]).await;
    assert_eq!((failed.code, &*failed.next), (1, next), "{}", failed.what);
    assert!(failed.what.contains("their account was deleted"), "{}", failed.what);
    let history = bob.eko(&["history", "@alice"]).await.done();
    let due = "are you there?\n    failed: their account was deleted\n    nothing can be sent to a deleted account\n";
    assert!(history.ends_with(due) && !history.contains("eko resend"), "{history}");
    let history = bob.objects(&["history", "@alice"]).await;
    let envelope = &history.last().unwrap()["envelopes"][0];
    assert_eq!((text(envelope, "state"), envelope["remedy"].is_null()), ("failed", true), "{envelope}");
    let again = bob.fails(&["resend", text(history.last().unwrap(), "id")]).await;
    assert_eq!((again.code, &*again.next), (1, next), "{}", again.what);
    for how in [&["verify", "@alice"][..], &["verify", "@alice", "--accept"]] {
        let failed = bob.eko(how).await;
        assert!(
            failed.out.is_empty() && failed.err.contains("was deleted"),
            "no number is offered: {failed:?}"
        );
        assert_eq!(failed.code, 1);
    }
    let failed = bob.eko_reading(&["chat", "@alice"], "hello?\n").await;
    assert!(failed.err.contains("their account was deleted") && failed.code == 1, "{failed:?}");
    assert!(!failed.err.contains("send it again"), "{failed:?}");

    // The others of a group get what is written, until she is removed and nothing fails any more.
    let failed = bob.fails(&["send", "--group", "Friday", "hello all"]).await;
    let next = "eko groups remove \"Friday\" @alice, as an admin of the group can";
    assert_eq!((failed.code, &*failed.next), (5, next), "{}", failed.what);
    let history = bob.eko(&["history", "--group", "Friday"]).await.done();
    assert!(history.ends_with(&format!("\n    {next}\n")), "{history}");
    bob.eko(&["groups", "remove", "Friday", "@alice"]).await;
    bob.eko(&["send", "--group", "Friday", "without her"]).await.done();
    carol.hears().await;
    carol.eko(&["groups", "join", "Friday"]).await.done();
    assert_eq!(carol.hears().await, ["hello all", "without her"]);
}

/// Nobody has to be told in the place of somebody who is gone, and nobody is sent to an admin who is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_says_whose_account_was_deleted_and_can_be_left() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let carol = signed_in(&server, "carol").await;
    alice.object(&["groups", "create", "Monday", "@bob", "@carol"]).await;
    bob.object(&["groups", "create", "Friday", "@alice", "@carol"]).await;
    for member in [&alice, &bob, &carol] {
        member.hears().await;
        for group in ["Monday", "Friday"] {
            member.eko(&["groups", "join", group]).await;
        }
    }
    for member in [&alice, &bob, &carol] {
        member.hears().await;
    }
    let name = format!("alice@{}", server.trim_start_matches("http://"));
    alice.eko(&["account", "delete", "--yes", &name]).await.done();

    // A change of a group names how to take her out of it.
    let failed = bob.fails(&["groups", "rename", "Friday", "Sunday"]).await;
    let next = "eko groups remove \"Sunday\" @alice, as an admin of the group can";
    assert_eq!((failed.code, &*failed.next), (5, next), "{}", failed.what);
    carol.hears().await;
    let left = carol.eko(&["groups", "leave", "Sunday"]).await.done();
    assert_eq!(left, "You are not in Sunday any more. Told: @bob.\n");

    // She was the only admin of the other group.
    let none = "eko groups create NAME @WHOM, for a new group: no admin of this one is left, so that nobody can change it";
    let failed = bob.fails(&["send", "--group", "Monday", "who is here?"]).await;
    assert_eq!((failed.code, &*failed.next), (5, none), "{}", failed.what);
    let history = bob.eko(&["history", "--group", "Monday"]).await.done();
    assert!(history.ends_with(&format!("\n    {none}\n")), "{history}");
    for command in [&["groups"][..], &["groups", "show", "Monday"]] {
        let shown = bob.eko(command).await.done();
        assert!(shown.contains("@alice (admin, account deleted)"), "{shown}");
        assert!(shown.contains("no admin of it is left, so that nobody can change it: "), "{shown}");
    }
    let shown = bob.object(&["groups", "show", "Monday"]).await;
    assert!(shown["deleted"][0].as_str().unwrap().ends_with("/user/alice"), "{shown}");
    bob.eko(&["groups", "leave", "Monday"]).await.done();
}

/// At a terminal the name is typed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_the_name_is_typed() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let name = format!("alice@{}", server.trim_start_matches("http://"));
    for (typed, said) in [("yes", "nothing was deleted"), (name.as_str(), "is deleted")] {
        let typed = alice.eko_asking(&["account", "delete"], &format!("{typed}\n")).await;
        assert!(format!("{}{}", typed.out, typed.err).contains(said), "{typed:?}");
    }
}

/// A script gets its ID token by means of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_brings_an_id_token_for_the_nonce() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let nonce = alice.eko(&["account", "delete", "--print-nonce"]).await.done();
    let again = alice.eko(&["account", "delete", "--print-nonce"]).await.done();
    assert_eq!(nonce, again);
    let name = format!("alice@{}", server.trim_start_matches("http://"));
    let arguments = ["account", "delete", "--yes", &name, "--id-token", "-"];
    let print_nonce = "a token for the nonce of eko account delete --print-nonce";
    let others = issue(&server, "alice", &"0".repeat(64)).await;
    for (token, what) in [
        ("", "there is no ID token in -: it is empty"),
        ("rubbish", "this is no ID token"),
        ("a.b.c", "this is no ID token"),
        (&*others, "the ID token is not the answer to this sign-in: its nonce is another one"),
    ] {
        let refused = alice.eko_reading(&arguments, token).await.failed();
        assert_eq!((refused.code, &*refused.what, &*refused.next), (2, what, print_nonce));
    }
    let bobs = issue(&server, "bob", nonce.trim()).await;
    let refused = alice.eko_reading(&arguments, &bobs).await.failed();
    assert_eq!(
        (refused.code, &*refused.what, &*refused.next),
        (1, "you have signed in as somebody else than the owner of the account", "sign in as its owner")
    );
    alice.eko(&["whoami"]).await.done();
    let hers = issue(&server, "alice", nonce.trim()).await;
    alice.eko_reading(&arguments, &hers).await.done();
}

/// The server refuses to delete a new account for an hour, and says until when.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_is_not_deleted_and_the_time_is_named() {
    let server = BoundServer::bind(&ServerOptions::default()).await.unwrap();
    let origin = server.origin.to_string();
    tokio::spawn(server.run(std::future::pending()));
    let alice = signed_in(&origin, "alice").await;
    let name = format!("alice@{}", origin.trim_start_matches("http://"));
    let refused = alice.fails(&["account", "delete", "--yes", &name]).await;
    assert_eq!(refused.code, 4);
    let rule =
        "an account is deleted an hour after it was created at the earliest; the server asks to wait for ";
    assert!(refused.what.contains(rule) && refused.what.ends_with(" minutes"), "{}", refused.what);
    let next = "eko account delete again at 20";
    assert!(
        refused.next.starts_with(next)
            && refused.next.contains(", in ")
            && refused.next.ends_with(" minutes"),
        "{}",
        refused.next
    );
    let help = alice.eko(&["account", "delete", "--help"]).await.done();
    assert!(help.contains("Within an hour after the account was created"), "{help}");
}
