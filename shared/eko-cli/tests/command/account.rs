//! Tests of `eko account delete`, and of what everybody is told of a deleted account.

use super::people::{signed_in, text};
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
    let refused = alice.eko_reading(&arguments, "a.b.c").await;
    assert_ne!(refused.code, 0);
    alice.eko(&["whoami"]).await.done();
}
