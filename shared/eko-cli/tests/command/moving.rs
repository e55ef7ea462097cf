//! Tests of `eko account move`: what it asks, what it takes along, and what everybody is told.

use super::deadly_line::{DeadlyLine, RefusedRequest};
use super::people::{signed_in, text};
use super::signing_in::issue;
use super::test_home::{CommandOutput, TestHome, server};

/// Returns a handle at a server, without the sign in front.
fn at(server: &str, name: &str) -> String {
    format!("{name}@{}", server.trim_start_matches("http://"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_takes_contacts_and_messages_along() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    assert_eq!(bob.hears().await, ["before"]);
    bob.eko(&["send", "@alice", "an answer"]).await.done();
    assert_eq!(alice.hears().await, ["an answer"]);
    let (old, new) = (at(&server, "alice"), at(&server, "alina"));

    // It explains, and asks for the name.
    let asked = alice.eko(&["account", "move", "alina", "--server", &server]).await;
    assert_eq!(asked.code, 2, "{asked:?}");
    let next = format!("Next: eko --as {old} account move {new} --yes {new}");
    assert!(asked.err.contains(&next), "{}", asked.err);
    let wrong = alice.eko(&["account", "move", "alina", "--server", &server, "--yes", "bob"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("nothing was changed"), "{}", wrong.err);
    let same = alice.eko(&["account", "move", "alice", "--server", &server, "--yes", &old]).await;
    assert_eq!(same.code, 2, "{same:?}");
    // Nobody moves to an account that somebody has.
    let taken =
        alice.eko(&["account", "move", "bob", "--server", &server, "--yes", &at(&server, "bob")]).await;
    assert_eq!(taken.code, 2, "{taken:?}");
    assert!(taken.err.contains("a move needs a new one"), "{}", taken.err);
    alice.eko(&["send", "@bob", "still here"]).await.done();
    assert_eq!(bob.hears().await, ["still here"]);

    let moving = ["--as", "alice", "account", "move", "alina", "--server", &server, "--yes", &new];
    let done = alice.eko(&moving).await.done();
    assert!(
        done.contains(&format!("You have moved from @{old} to @{new}. Contacts who were told: 1 of 1.")),
        "{done}"
    );
    // It may be repeated, and asks nothing then.
    let again = alice.object(&["--as", "alice", "account", "move", "alina", "--server", &server]).await;
    assert_eq!((again["told"].clone(), text(&again, "movedTo")), (1.into(), &*format!("@{new}")));
    assert_eq!(again["lostBlocks"].as_array().unwrap().len(), 0);

    let heard = bob.eko(&["listen", "--once"]).await;
    let told = format!("{}{}", heard.out, heard.err);
    assert!(told.contains("@alice has moved to @alina"), "{told}");
    bob.eko(&["send", "@alice", "to the new one"]).await.done();
    let shown = alice.eko(&["--as", "alina", "listen", "--once"]).await.done();
    assert!(shown.contains("to the new one"), "{shown}");
    alice.eko(&["--as", "alina", "send", "@bob", "from the new one"]).await.done();
    assert_eq!(bob.hears().await, ["from the new one"]);
    for who in ["@alice", "@alina"] {
        let history = bob.eko(&["history", who]).await.done();
        for words in ["before", "an answer", "to the new one", "from the new one"] {
            assert!(history.contains(words), "{who}: {history}");
        }
    }
    let history = alice.eko(&["--as", "alina", "history"]).await.done();
    assert!(history.contains("before") && history.contains("from the new one"), "{history}");

    // The old account says what it is.
    let failed = alice.eko(&["--as", "alice", "send", "@bob", "from the old one"]).await;
    assert_ne!(failed.code, 0, "{failed:?}");
    assert!(format!("{}{}", failed.out, failed.err).contains("you have moved"), "{failed:?}");
    let other = TestHome::new();
    let refused = other.eko(&["login", "alice", "--server", &server, "--no-wait"]).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.err.contains("moved"), "{refused:?}");
    // It can still be deleted, and the contact stays.
    alice.eko(&["--as", "alice", "account", "delete", "--yes", &old]).await.done();
    bob.eko(&["send", "@alice", "later"]).await.done();
    let shown = alice.eko(&["--as", "alina", "listen", "--once"]).await.done();
    assert!(shown.contains("later"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_the_account_that_was_left_is_reported_by_it() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "hello"]).await.done();
    bob.eko(&["send", "@alice", "a threat"]).await.done();
    alice.hears().await;
    let (old, new) = (at(&server, "alice"), at(&server, "alina"));
    alice.eko(&["account", "move", "alina", "--server", &server, "--yes", &new]).await.done();
    let history = alice.objects(&["--as", "alina", "history"]).await;
    let message = history.iter().find(|message| message["text"] == "a threat").unwrap();
    assert_eq!(message["reportable"], false);
    let id = text(message, "id").trim_start_matches("urn:uuid:");
    let refused = alice.eko(&["--as", "alina", "report", id, "--yes", "--block"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    for said in [
        format!("was sent to @{old}, the account that you have left, and only that one can report it"),
        format!("Next: eko --as {old} report {id}, and for this account eko block @bob"),
    ] {
        assert!(refused.err.contains(&said), "{}", refused.err);
    }
    let done = alice.eko(&["--as", &old, "report", id, "--yes"]).await.done();
    assert!(done.contains("was handed to the operator of"), "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_account_is_invited_to_the_groups_of_an_admin() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.object(&["groups", "create", "Friday", "@bob"]).await;
    bob.hears().await;
    bob.eko(&["groups", "join", "Friday"]).await.done();
    alice.hears().await;
    let new = at(&server, "alina");
    let moved = alice.eko(&["account", "move", "alina", "--server", &server, "--yes", &new]).await;
    assert!(moved.err.contains("The new account is invited to \"Friday\"."), "{moved:?}");
    moved.done();
    bob.hears().await;
    alice.eko(&["--as", "alina", "listen", "--once"]).await.done();
    let invited = alice.eko(&["--as", "alina", "groups"]).await.done();
    assert!(invited.contains("@alice, the account that you have left, invites you"), "{invited}");
    alice.eko(&["--as", "alina", "groups", "join", "Friday"]).await.done();
    bob.hears().await;
    bob.eko(&["send", "--group", "Friday", "hello all"]).await;
    let shown = alice.eko(&["--as", "alina", "listen", "--once"]).await.done();
    assert!(shown.contains("hello all"), "{shown}");
}

/// Alice writes and reads between the nonce and the token, which may be minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_before_the_token_of_a_script_goes_along() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    bob.hears().await;
    let new = at(&server, "alina");
    let moving = ["--as", "alice", "account", "move", "alina", "--server", &server];
    let nonce = alice.eko(&[&moving[..], &["--print-nonce"]].concat()).await.done();
    bob.eko(&["send", "@alice", "in between"]).await.done();
    let heard = alice.eko(&["--as", "alice", "listen", "--once"]).await.done();
    assert!(heard.contains("in between"), "{heard}");
    alice.eko(&["--as", "alice", "send", "@bob", "an answer"]).await.done();
    let token = issue(&server, "alina", nonce.trim()).await;
    let with_token = [&moving[..], &["--yes", &new, "--id-token", "-"]].concat();
    let done = alice.eko_reading(&with_token, &token).await.done();
    assert!(done.contains("Contacts who were told: 1 of 1."), "{done}");
    let history = alice.eko(&["--as", "alina", "history"]).await.done();
    let places = ["before", "in between", "an answer"].map(|words| history.find(words).unwrap());
    assert!(places.is_sorted(), "{history}");
}

/// The old account has moved at once, though its server knows nothing of it, and to one account alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_without_the_server_counts_and_has_no_rival() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    bob.hears().await;
    let names = ["alina", "aline"].map(|name| at(&server, name));
    let to = |name: &'static str, at: usize| {
        vec!["--as", "alice", "account", "move", name, "--server", &*server, "--yes", &*names[at]]
    };
    let gone = [to("alina", 0), vec!["--server-gone"]].concat();
    let done = alice.eko(&gone).await.done();
    assert!(done.contains("Contacts who were told: 1 of 1."), "{done}");
    let rival = [to("aline", 1), vec!["--server-gone"]].concat();
    for other in [rival, to("aline", 1)] {
        let refused = alice.eko(&other).await;
        assert_ne!(refused.code, 0, "{refused:?}");
        assert!(
            refused.err.contains(&format!("you have moved from this account to @{}", names[0])),
            "{refused:?}"
        );
    }
    assert_eq!(alice.path().join("accounts").read_dir().unwrap().count(), 2, "no third account was made");
    let failed = alice.eko(&["--as", "alice", "send", "@bob", "from the old one"]).await;
    assert!(format!("{}{}", failed.out, failed.err).contains("you have moved"), "{failed:?}");
    bob.hears().await;
    bob.eko(&["send", "@alice", "to the new one"]).await.done();
    let shown = alice.eko(&["--as", "alina", "listen", "--once"]).await.done();
    assert!(shown.contains("to the new one"), "{shown}");
    // Without the option the server gets the node, too.
    alice.eko(&to("alina", 0)).await.done();
    let refused = TestHome::new().eko(&["login", "alice", "--server", &server, "--no-wait"]).await;
    assert!(refused.err.contains("moved"), "{refused:?}");
}

/// The command is killed at each of its requests, and run again each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_again_and_again_is_completed() {
    let line = DeadlyLine::start().await;
    let server = &line.origin;
    let (alice, bob) = (line.signed_in("alice").await, line.signed_in("bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    assert_eq!(bob.hears().await, ["before"]);
    let _eve = line.signed_in("eve").await;
    alice.eko(&["block", &at(server, "eve")]).await.done();
    let new = at(server, "alina");
    let moving = ["--as", "alice", "account", "move", "alina", "--server", server, "--yes", &new];
    let moving = [&moving[..], &["--local-server", &line.server]].concat();
    let deaths = line.kills(&alice, &moving).await;
    let (tells, moves) = ("POST /user/alina/outbox", "POST /user/alice/devices");
    for step in ["POST /auth/devices", moves, &format!("{tells} Block"), &format!("{tells} Create")] {
        assert!(deaths.iter().any(|(name, _)| name.starts_with(step)), "{step}: {deaths:#?}");
    }
    let done = alice.eko(&moving).await.done();
    assert!(done.contains("Contacts who were told: 1 of 1."), "{done}");
    let heard = bob.eko(&["listen", "--once"]).await;
    let told = format!("{}{}", heard.out, heard.err);
    assert_eq!(told.matches("has moved to @alina").count(), 1, "{told}");
    bob.eko(&["send", "@alice", "to the new one"]).await.done();
    let shown = alice.eko(&["--as", "alina", "listen", "--once"]).await.done();
    assert!(shown.contains("to the new one"), "{shown}");
    let history = alice.eko(&["--as", "alina", "history"]).await.done();
    assert_eq!(history.matches("before").count(), 1, "{history}");
    let blocked = alice.object(&["--as", "alina", "blocked"]).await;
    assert_eq!(
        (text(&blocked, "object"), &blocked["server"]),
        (&*format!("{server}/user/eve"), &true.into())
    );
}

/// The server refuses the move, and then does not say what has become of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_account_of_a_move_that_is_not_done_waits() {
    let line = DeadlyLine::start().await;
    let server = &line.origin;
    let (alice, bob) = (line.signed_in("alice").await, line.signed_in("bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    bob.hears().await;
    alice.eko(&["profile", "--name", "Alice A."]).await.done();
    let [old, given_up, new] = ["alice", "aline", "alina"].map(|name| at(server, name));
    let refuse = |status| {
        line.refuse(Some(RefusedRequest { method: "POST", path: "/user/alice/devices", status }));
    };
    let to = async |new: &str| {
        alice.eko(&["account", "move", new, "--yes", new, "--local-server", &line.server]).await
    };
    refuse(400);
    let refused = to(&given_up).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    // It is no account that is used by default, or that sends.
    assert!(alice.eko(&["whoami"]).await.done().starts_with(&format!("@{old}")), "the old one");
    let waits = alice.eko(&["--as", "aline", "listen", "--once"]).await;
    assert_eq!(waits.code, 1, "{waits:?}");
    assert!(waits.err.contains("was made for your move from"), "{waits:?}");
    let next = format!(
        "Next: eko --as {old} account move {given_up}, which goes on with it; or eko --as {given_up} account delete"
    );
    assert!(waits.err.contains(&next), "{waits:?}");
    let delete = ["--as", "aline", "account", "delete", "--yes", &given_up, "--local-server", &line.server];
    alice.eko(&delete).await.done();
    let deleted = to(&given_up).await;
    assert_eq!(deleted.code, 2, "{deleted:?}");
    assert!(deleted.err.contains("was deleted, and nobody moves to a name"), "{deleted:?}");

    refuse(503);
    let unanswered = to(&new).await;
    assert_eq!(unanswered.code, 4, "{unanswered:?}");
    assert!(
        unanswered.err.contains(&format!("Next: eko --as {old} account move {new} later")),
        "{unanswered:?}"
    );
    assert!(alice.eko(&["whoami"]).await.done().starts_with(&format!("@{old}")), "the old one");
    let kept = alice.eko(&["--as", "alina", "account", "delete", "--yes", &new]).await;
    assert!(kept.code == 1 && kept.err.contains("you may have moved to"), "{kept:?}");
    // To do without the server is another decision.
    let gone = alice.eko(&["account", "move", &new, "--server-gone"]).await;
    assert_eq!(gone.code, 2, "{gone:?}");
    assert!(gone.err.contains(&format!("account move {new} --server-gone --yes {new}")), "{gone:?}");
    line.refuse(None);
    let done = alice.eko(&["account", "move", &new]).await.done();
    assert!(done.contains("Contacts who were told: 1 of 1."), "{done}");
    assert!(!alice.object(&["--as", "alina", "whoami"]).await["awaitsMove"].as_bool().unwrap());
    assert_eq!(text(&alice.object(&["--as", "alina", "profile"]).await, "name"), "Alice A.");
}

/// Another device of Alice's hears of the move from its server, before it asks for a sign-in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_was_left_says_so_everywhere() {
    let server = server().await;
    let (alice, tablet) = (signed_in(&server, "alice").await, TestHome::new());
    let waits = tablet.object(&["login", "alice", "--server", &server, "--no-wait"]).await;
    alice.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();
    let [old, new, third] = ["alice", "alina", "aline"].map(|name| at(&server, name));
    alice.eko(&["account", "move", &new, "--yes", &new]).await.done();
    let (left, next) =
        (format!("you have moved from this account to @{new}"), format!("Next: eko --as {new} …"));
    let says = |what: &str, said: &CommandOutput| {
        assert!(said.err.contains(&left) && said.err.contains(&next), "{what}: {said:?}");
    };
    for home in [&tablet, &alice] {
        let refused = home.eko(&["--as", "alice", "account", "move", &third, "--yes", &third]).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        says("move", &refused);
    }
    assert!(tablet.account().ends_with(&old), "no other account was made");
    for command in
        [&["whoami"][..], &["devices"], &["login", "alice", "--server", &server], &["listen", "--once"]]
    {
        let said = alice.eko(&[&["--as", "alice"], command].concat()).await;
        assert_eq!(said.code, 0, "{said:?}");
        says(command[0], &said);
    }
    for command in [
        &["block", "spam.example"][..],
        &["send", "@bob", "hello"],
        &["settings", "--who-may-write", "known"],
    ] {
        let said = alice.eko(&[&["--as", "alice"], command].concat()).await;
        assert_eq!(said.code, 1, "{said:?}");
        says(command[0], &said);
    }
    let back = alice.eko(&["--as", "alina", "account", "move", &old, "--yes", &old]).await;
    assert_eq!(back.code, 2, "{back:?}");
    let why = format!(
        "@{old} was left by a move to @{new}, and nobody moves to a name that somebody has, or has had"
    );
    assert!(back.err.contains(&why), "{back:?}");
}

/// The second account has not looked since the first one has invited it. All admins would be accounts that were
/// left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_moves_in_a_row_keep_the_groups_of_an_admin() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.object(&["groups", "create", "Friday", "@bob"]).await;
    bob.hears().await;
    bob.eko(&["groups", "join", "Friday"]).await.done();
    alice.hears().await;
    for (old, new) in [("alice", "alina"), ("alina", "aline")] {
        let name = at(&server, new);
        let moved =
            alice.eko(&["--as", old, "account", "move", new, "--server", &server, "--yes", &name]).await;
        assert_eq!(moved.err.contains("You have joined \"Friday\""), new == "aline", "{moved:?}");
        assert!(moved.err.contains("The new account is invited to \"Friday\"."), "{moved:?}");
        moved.done();
    }
    bob.hears().await;
    let refused = alice.eko(&["--as", "alice", "send", "@bob", "from the first one"]).await;
    assert!(refused.err.contains(&format!("to @{}", at(&server, "aline"))), "{refused:?}");
    // An account that was left is no choice, so that no command has to name one.
    alice.eko(&["listen", "--once"]).await.done();
    alice.eko(&["groups", "join", "Friday"]).await.done();
    bob.hears().await;
    bob.eko(&["send", "--group", "Friday", "hello all"]).await;
    let shown = alice.eko(&["listen", "--once"]).await.done();
    assert!(shown.contains("hello all"), "{shown}");
}

/// No reset has ended the membership, and the old account need not be removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_a_move_has_left_behind_is_told_as_such() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.object(&["groups", "create", "Friday", "@bob"]).await;
    bob.hears().await;
    bob.eko(&["groups", "join", "Friday"]).await.done();
    alice.hears().await;
    let new = at(&server, "bert");
    bob.eko(&["account", "move", "bert", "--server", &server, "--yes", &new]).await.done();
    let listed = bob.eko(&["groups", "list", "--all"]).await.done();
    let left =
        format!("@{}, which you have left, is in it: ask an admin to add this account", at(&server, "bob"));
    assert!(listed.contains(&left), "{listed}");
    let failed = bob.eko(&["send", "--group", "Friday", "hello"]).await;
    assert_ne!(failed.code, 0);
    assert!(failed.err.contains("is in the group Friday, and this one is not"), "{failed:?}");
    assert!(!failed.err.contains("reset"), "{failed:?}");
    // The remedy works.
    alice.hears().await;
    alice.eko(&["groups", "add", "Friday", "@bert"]).await.done();
    bob.eko(&["listen", "--once"]).await.done();
    bob.eko(&["groups", "join", "Friday"]).await.done();
    alice.hears().await;
    alice.eko(&["send", "--group", "Friday", "welcome"]).await;
    let shown = bob.eko(&["listen", "--once"]).await.done();
    assert!(shown.contains("welcome"), "{shown}");
}

/// The losses are told before the question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_move_leaves_behind_is_told_before_it() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    bob.object(&["groups", "create", "Joined", "@alice"]).await;
    bob.object(&["groups", "create", "Open", "@alice"]).await;
    alice.hears().await;
    alice.eko(&["groups", "join", "Joined"]).await.done();
    alice.object(&["groups", "create", "Own", "@bob"]).await;
    let asked = alice.eko(&["account", "move", "alina", "--server", &server]).await;
    assert_eq!(asked.code, 2, "{asked:?}");
    for words in [
        "The new account is not in the group \"Joined\" until an admin adds it: eko groups add \"Joined\" WHO",
        "The invitation of @bob to the group \"Open\" is for this account alone. To be in it, join before: eko groups \
         join \"Open\"",
    ] {
        assert!(asked.err.contains(words), "{}", asked.err);
    }
    assert!(!asked.err.contains("\"Own\""), "{}", asked.err);
    // Without its server the old account adds nobody.
    let gone = alice.eko(&["account", "move", "alina", "--server", &server, "--server-gone"]).await;
    assert_eq!(gone.code, 2, "{gone:?}");
    for words in [
        "The new account is not in the group \"Joined\" until an admin adds it",
        "The group \"Own\" is lost: its only admin is the old account",
    ] {
        assert!(gone.err.contains(words), "{}", gone.err);
    }
    let deleted = alice.eko(&["account", "delete", "--yes", "nobody"]).await;
    assert_eq!(deleted.code, 2, "{deleted:?}");
    assert!(deleted.err.contains("You are the only admin of the group \"Own\""), "{}", deleted.err);
    assert!(!deleted.err.contains("\"Joined\""), "{}", deleted.err);
}
