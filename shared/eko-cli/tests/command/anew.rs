//! Tests of `login --anew`, which makes another device in the place of one that cannot be used any
//! more.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::people::{ReportedFailure, signed_in, text};
use super::signing_in::{id_token, issue};
use super::stoppable::StoppableServer;
use super::talking::{RunningCommand, two_on};
use super::test_home::{TestHome, server};

#[tokio::test]
async fn a_revoked_device_makes_room_for_another() {
    let server = server().await;
    let (first, second) = (signed_in(&server, "alice").await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let waits = second.object(&login).await;
    first.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();

    // Nothing is set aside while the device can still be used.
    let anew = [&login[..], &["--anew"]].concat();
    let ReportedFailure { code, what, .. } = second.fails(&anew).await;
    assert_eq!(code, 1);
    assert!(what.ends_with("still has this device, which is signed in: nothing was set aside"), "{what}");
    first.eko(&["devices", "revoke", text(&waits, "device"), "--yes"]).await.done();
    let ReportedFailure { next, .. } = second.fails(&login).await;
    assert!(next.starts_with(&format!("eko login @{} --anew", name(&server))), "{next}");

    let made = second.object(&anew).await;
    assert_eq!(text(&made, "status"), "pending");
    assert_ne!(text(&made, "device"), text(&waits, "device"));
    let aside = Path::new(text(&made, "setAside"));
    assert_eq!(aside.parent().unwrap(), second.path().join("former"));
    assert!(aside.join("eko.db").is_file());
    let me = second.object(&["whoami"]).await;
    assert_eq!(me["device"], made["device"]);
    first.eko_reading(&["devices", "approve"], text(&made, "joiningCode")).await.done();
    second.eko(&["send", "@alice", "to myself"]).await.done();
    // Without the list of its user's devices it cannot tell theirs from a false one.
    let store = rusqlite::Connection::open(second.account().join("eko.db")).unwrap();
    store.execute("DELETE FROM chains", []).unwrap();
    drop(store);
    let another = second.object(&anew).await;
    assert_eq!(text(&another, "status"), "pending");
    assert_ne!(another["device"], made["device"]);
}

/// A user whose other device was stolen must not believe that it was revoked.
#[tokio::test]
async fn a_reset_is_made_with_a_new_device_or_refused() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let reset = [&login[..], &["--reset", "--yes"]].concat();
    let anew = [&reset[..], &["--anew"]].concat();
    let ReportedFailure { code, what, next } = first.fails(&reset).await;
    assert_eq!(code, 1, "{what}");
    assert!(what.starts_with("nothing was reset"), "{what}");
    assert!(next.contains("--anew --reset"), "{next}");
    assert_eq!(first.objects(&["devices"]).await.len(), 1);

    // The first device is lost while another one waits.
    let second = TestHome::new();
    let waits = second.object(&login).await;
    assert_eq!(second.fails(&reset).await.code, 1);
    let again = second.object(&[&login[..], &["--anew"]].concat()).await;
    assert_eq!(text(&again, "status"), "pending");
    assert_ne!(again["device"], waits["device"]);
    let alone = second.object(&anew).await;
    assert_eq!(text(&alone, "status"), "active");
    assert_eq!(first.fails(&["devices"]).await.code, 1);
    assert_eq!(second.path().join("former").read_dir().unwrap().count(), 2);
}

#[tokio::test]
async fn a_reset_replaces_a_device_that_is_active() {
    let server = server().await;
    let (first, second) = (signed_in(&server, "alice").await, TestHome::new());
    let bob = signed_in(&server, "bob").await;
    first.eko(&["groups", "create", "Friday", "@bob"]).await.done();
    first.eko(&["send", "--group", "Friday", "all"]).await.done();
    first.eko(&["send", "@bob", "one"]).await.done();
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    assert_eq!(text(&second.object(&login).await, "status"), "pending");
    let before = first.object(&["whoami"]).await["device"].clone();
    let made = first.object(&[&login[..], &["--anew", "--reset", "--yes"]].concat()).await;
    assert_eq!(text(&made, "status"), "active");
    assert_ne!(made["device"], before);
    assert_eq!(second.fails(&["devices"]).await.code, 1);
    assert_eq!(first.path().join("former").read_dir().unwrap().count(), 1);
    // No device knows any more what became of the messages of the former one.
    let shown = first.eko(&["history"]).await.done();
    let unknown = "one\n    sent by a former device of yours; what became of it is not known any more\n";
    assert!(shown.ends_with(unknown), "{shown}");
    // A group is named as before, and a failure says what has ended it and what to do.
    assert!(first.eko(&["history"]).await.done().contains("you in Friday: all\n"), "{shown}");
    assert_eq!(first.objects(&["history", "--group", "Friday"]).await.len(), 1);
    let ended = "a reset of your account has ended your membership of the group Friday";
    for command in [&["send", "--group", "Friday", "still?"][..], &["groups", "leave", "Friday"]] {
        let ReportedFailure { code, what, next } = first.fails(command).await;
        assert!(code == 1 && what.starts_with(ended), "{command:?}: {what}");
        assert!(next.starts_with("ask an admin of it to remove you and to add you again; "), "{next}");
    }
    assert_eq!(first.eko(&["groups"]).await.done(), "");
    let listed = first.eko(&["groups", "list", "--all"]).await.done();
    assert!(listed.starts_with("Friday  "), "{listed}");
    assert!(listed.ends_with("  a reset of your account has ended your membership\n"), "{listed}");
    // Nor can Bob tell whether she wrote that before the reset: he has first seen her devices after it.
    bob.eko(&["requests", "accept", "@alice"]).await;
    bob.hears().await;
    let shown = bob.eko(&["history"]).await.done();
    assert!(
        shown.ends_with("one\n    BEWARE: it comes from a device that a reset of theirs has replaced\n"),
        "{shown}"
    );
    // Another group of the name is told from it.
    first.eko(&["groups", "create", "Friday", "@bob"]).await;
    let shown = first.eko(&["history"]).await.done();
    assert!(shown.contains("you in Friday (") && shown.contains("): all\n"), "{shown}");
}

/// A reset on another machine has ended the groups. That is known once the new device is approved.
#[tokio::test]
async fn groups_that_a_reset_has_ended_are_not_said_to_be_taken_over() {
    let server = server().await;
    let (alice, other) = (signed_in(&server, "alice").await, TestHome::new());
    let _bob = signed_in(&server, "bob").await;
    alice.eko(&["groups", "create", "Friday", "@bob"]).await.done();
    other.eko(&["login", "alice", "--server", &server, "--reset", "--yes"]).await.done();
    let login = alice.command(&["login", "alice", "--server", &server, "--anew", "--json"]);
    let mut login = RunningCommand::start(login);
    login
        .remark(r#"{"said":"Taken over from the former device: 0 messages, 1 person. Its group goes on "#)
        .await;
    let waits: Value = serde_json::from_str(&login.line().await).unwrap();
    other.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();
    login.remark(r#"{"said":"A reset of your account has ended the groups of the former device: "#).await;
    assert_eq!(login.end().await, 0);
    assert!(alice.eko(&["groups", "list", "--all"]).await.done().starts_with("Friday  "));
}

/// Nobody but the device that is replaced can read what waits for it.
#[tokio::test]
async fn what_waits_for_a_device_that_is_replaced_is_read_first() {
    let server = server().await;
    let [alice, bob] = two_on(&server).await;
    alice.eko(&["send", "@bob", "one"]).await.done();
    let login = ["login", "bob", "--server", &server, "--anew", "--reset"];
    // More comes while he signs in, as he does with a browser.
    let reset = [&login[..], &["--yes", "--id-token", "-"]].concat();
    assert_eq!(bob.eko_reading(&reset, "none").await.code, 1);
    alice.eko(&["send", "@bob", "two"]).await.done();
    let token = id_token(&bob, &server, "bob", "bob").await;
    alice.eko(&["send", "@bob", "three"]).await.done();
    let reset = ["login", "bob", "--server", &server, "--reset", "--yes", "--id-token", "-"];
    let said = bob.eko_reading(&reset, &token).await;
    assert!(said.code == 0 && !said.err.contains(LOSS), "{}", said.err);
    let texts = bob.objects(&["history"]).await.into_iter().map(|it| it["text"].clone());
    assert_eq!(texts.collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(bob.hears().await, ["one", "two", "three"]);

    // A device that is signed out cannot read.
    bob.eko(&["logout"]).await.done();
    let asked = bob.eko_asking(&login, "no\n").await;
    assert!(asked.code == 1 && asked.err.contains(LOSS), "{}", asked.err);
    assert!(bob.path().join("former").read_dir().unwrap().count() == 1);
}

/// The beginning of what is said if the mailbox of a device that is replaced cannot be read.
const LOSS: &str = "hat still waits in the mailbox of the device that is here can be lost, and its senders see it as \
                    not delivered: the mailbox was not read to the end, because of this: ";

/// Returns the folders of former devices that have not got the mark of those of which nothing is
/// left to take.
fn unmarked(home: &TestHome) -> usize {
    let former = home.path().join("former").read_dir().unwrap().map(|folder| folder.unwrap().path());
    former.filter(|folder| !folder.join("carried").exists()).count()
}

/// Begins a reset of Bob's with a browser, and returns the process once that waits for it.
async fn reset_in_a_browser(bob: &TestHome, server: &str) -> std::process::Child {
    let login = ["login", "bob", "--server", server, "--anew", "--reset", "--yes", "--print-url"];
    let mut child = bob.command(&login).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waits = move || said.find(|line| line.starts_with("http")).is_some().then_some(said);
    // Nothing is said into a pipe that is closed.
    std::mem::forget(tokio::task::spawn_blocking(waits).await.unwrap().unwrap());
    child
}

/// Bob's device is set aside for a reset, and he forgets to ask for the reset when he signs in.
#[tokio::test]
async fn a_device_that_is_in_use_is_not_given_up_by_a_sign_in_that_resets_nothing() {
    let server = server().await;
    let [alice, bob] = two_on(&server).await;
    bob.eko(&["groups", "create", "Friday", "@alice"]).await.done();
    alice.eko(&["send", "@bob", "one"]).await.done();
    let login = ["login", "bob", "--server", &server, "--no-wait"];
    let reset = [&login[..], &["--anew", "--reset", "--yes"]].concat();
    let said = bob.eko_reading(&[&reset[..], &["--id-token", "-"]].concat(), "none").await;
    let handle = format!("@bob@{}", &server["http://".len()..]);
    let next = format!(
        "eko login {handle} --reset --print-nonce, and with a token for it eko login {handle} --reset --id-token FILE"
    );
    assert_eq!(said.failed().next, next);
    let nonce = ["login", "bob", "--server", &server, "--reset", "--print-nonce"];
    let token = issue(&server, "bob", bob.eko(&nonce).await.done().trim()).await;
    let said = bob.eko_reading(&[&login[..], &["--id-token", "-", "--json"]].concat(), &token).await;
    assert_eq!(text(&said.object(), "status"), "pending");
    // No reset has ended the group.
    let listed = bob.eko(&["groups", "list", "--all"]).await.done();
    assert!(listed.starts_with("Friday  ") && !listed.contains("reset"), "{listed}");
    assert_eq!(unmarked(&bob), 1);
    alice.eko(&["send", "@bob", "two"]).await.done();
    bob.eko(&login).await.done();
    assert_eq!(unmarked(&bob), 1);

    let said = bob.eko(&reset).await;
    assert!(said.code == 0 && !said.err.contains(LOSS), "{}", said.err);
    assert_eq!((bob.path().join("former").read_dir().unwrap().count(), unmarked(&bob)), (2, 0));
    assert_eq!(bob.hears().await, ["one", "two"]);
    let listed = bob.eko(&["groups", "list", "--all"]).await.done();
    assert_eq!(
        (listed.lines().count(), listed.matches("a reset of your account").count()),
        (1, 1),
        "{listed}"
    );
}

/// Bob presses Ctrl-C while his browser is open, or his machine fails then or a moment later.
#[tokio::test]
async fn a_reset_that_ends_before_it_is_done_loses_nothing() {
    for (ending, is_brought_back) in [(Signal::INT, true), (Signal::KILL, false), (Signal::KILL, true)] {
        let server = server().await;
        let [alice, bob] = two_on(&server).await;
        let device = bob.object(&["whoami"]).await["device"].clone();
        alice.eko(&["send", "@bob", "one"]).await.done();
        let mut child = reset_in_a_browser(&bob, &server).await;
        kill_process(Pid::from_child(&child), ending).unwrap();
        let code = tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap();
        if ending == Signal::INT {
            assert_eq!(code, Some(1));
            assert_eq!(bob.object(&["whoami"]).await["device"], device);
            assert_eq!(bob.path().join("former").read_dir().unwrap().count(), 0);
            assert_eq!(bob.hears().await, ["one"]);
            continue;
        }
        if is_brought_back {
            // The process has died after the new device was removed, and before the former one was
            // back.
            std::fs::remove_dir_all(bob.account()).unwrap();
        }
        let login = ["login", "bob", "--server", &server, "--no-wait"];
        assert_eq!(text(&bob.object(&login).await, "status"), "pending");
        assert_eq!(unmarked(&bob), 1);
        alice.eko(&["send", "@bob", "two"]).await.done();
        bob.eko(&[&login[..], &["--anew", "--reset", "--yes"]].concat()).await.done();
        assert_eq!(bob.hears().await, ["one", "two"]);
        assert_eq!(unmarked(&bob), 0);
    }
}

/// Another version of eko wrote the store of the device that is replaced.
#[tokio::test]
async fn a_reset_tells_that_a_store_which_does_not_open_cannot_be_read() {
    let server = server().await;
    let bob = signed_in(&server, "bob").await;
    let store = rusqlite::Connection::open(bob.account().join("eko.db")).unwrap();
    store.execute_batch("PRAGMA user_version = 999999").unwrap();
    drop(store);
    let login = ["login", "bob", "--server", &server, "--anew", "--reset"];
    let asked = bob.eko_asking(&login, "no\n").await;
    assert!(asked.code == 1 && asked.err.contains(LOSS), "{}", asked.err);
    let said = bob.eko(&[&login[..], &["--yes"]].concat()).await;
    assert!(said.code == 0 && said.err.contains(LOSS), "{}", said.err);
    assert!(said.err.contains("eko.db has version 999999: a newer eko wrote it"), "{}", said.err);
}

/// The files of Bob's former device are not there for a while, as on a disk that is not mounted.
#[tokio::test]
async fn what_cannot_be_taken_over_for_a_moment_is_taken_over_later() {
    for is_reset in [true, false] {
        let server = server().await;
        let [alice, bob] = two_on(&server).await;
        alice.eko(&["send", "@bob", "one"]).await.done();
        assert_eq!(bob.hears().await, ["one"]);
        let login = ["login", "bob", "--server", &server, "--no-wait"];
        let reset = [&login[..], &["--reset", "--yes"]].concat();
        let aside = [&reset[..], &["--anew", "--id-token", "-"]].concat();
        assert_eq!(bob.eko_reading(&aside, "none").await.code, 1);
        let former = bob.path().join("former").read_dir().unwrap().next().unwrap().unwrap().path();
        let (store, away) = (former.join("eko.db"), former.join("away.db"));
        std::fs::rename(&store, &away).unwrap();
        std::fs::create_dir(&store).unwrap();
        if is_reset {
            // It would be lost.
            let said = bob.eko(&reset).await;
            assert!(said.err.contains(LOSS) || said.code != 0, "{}", said.err);
            let what = said.failed().what;
            assert!(
                what.starts_with("what has come last for the former device was not taken over: "),
                "{what}"
            );
        } else {
            let said = bob.eko(&login).await;
            assert!(said.code == 0 && said.err.contains("Nothing was taken over"), "{}", said.err);
        }
        std::fs::remove_dir(&store).unwrap();
        std::fs::rename(&away, &store).unwrap();
        alice.eko(&["send", "@bob", "two"]).await.done();
        if !is_reset {
            let said = bob.eko(&login).await;
            let late = "Taken over from the former device since: 1 message.";
            assert!(said.code == 0 && said.err.contains(late), "{}", said.err);
            assert_eq!(unmarked(&bob), 1);
            bob.eko(&[&reset[..], &["--anew"]].concat()).await.done();
        } else {
            bob.eko(&reset).await.done();
        }
        let texts = bob.objects(&["history"]).await.into_iter().map(|it| it["text"].clone());
        assert_eq!(texts.collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(unmarked(&bob), 0);
    }
}

/// A server takes one reset in ten minutes.
#[tokio::test]
async fn a_replacement_that_is_refused_says_that_nothing_was_changed() {
    let server = server().await;
    let home = signed_in(&server, "alice").await;
    let login = ["login", "alice", "--server", &server, "--anew", "--reset", "--yes"];
    let said = home.eko(&login).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("is replaced, because") && said.err.contains("Taken over"), "{}", said.err);

    // The time of a sign-in is in seconds, and one of the same second is refused as the same sign-in.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = home.object(&["whoami"]).await["device"].clone();
    let former = || home.path().join("former").read_dir().unwrap().count();
    let count = former();
    let said = home.eko(&login).await;
    assert!(!said.err.contains("replaced") && !said.err.contains("Taken over"), "{}", said.err);
    let ReportedFailure { code, what, .. } = said.failed();
    assert!(code == 4 && what.starts_with("nothing was changed: "), "{code} {what}");
    assert_eq!((&home.object(&["whoami"]).await["device"], former()), (&before, count));
    home.eko(&["send", "@alice", "to myself"]).await.done();
}

/// The name is sent when the device is registered, and never again.
#[tokio::test]
async fn a_name_of_a_device_is_too_long_or_too_late() {
    let server = server().await;
    let home = signed_in(&server, "alice").await;
    let device = home.object(&["whoami"]).await["device"].clone();
    let login = ["login", "alice", "--server", &server, "--device-name"];
    let said = home.eko(&[&login[..], &["new name"]].concat()).await;
    let kept = "This device keeps its name \"eko\": --device-name names a device when it is made.";
    assert!(said.code == 0 && said.err.contains(kept), "{}", said.err);
    let said = home.eko(&[&login[..], &["eko"]].concat()).await;
    assert!(said.code == 0 && !said.err.contains("keeps its name"), "{}", said.err);
    let long = "n".repeat(257);
    let said = home.eko(&[&login[..], &[&long, "--anew", "--reset", "--yes"]].concat()).await;
    assert!(said.code == 2 && said.err.contains("--device-name"), "{}", said.err);
    assert!(said.err.contains("it is longer than 256 characters"), "{}", said.err);
    assert_eq!(home.object(&["whoami"]).await["device"], device);
    assert!(!home.path().join("former").exists());
    let said = home.eko(&[&login[..], &[&long[1..], "--anew", "--reset", "--yes"]].concat()).await;
    assert_eq!(said.code, 0, "{}", said.err);
}

/// A reset cannot be undone, and it ends devices that may be in use.
#[tokio::test]
async fn a_reset_asks_and_says_what_it_has_done() {
    let server = server().await;
    let (first, second) = (signed_in(&server, "alice").await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--no-wait", "--reset"];
    let ReportedFailure { code, next, .. } = second.fails(&login).await;
    assert_eq!((code, next), (2, format!("eko login @{} --reset --yes", name(&server))));
    let asked = second.eko_asking(&login, "no\n").await;
    assert_eq!(asked.code, 1);
    assert!(asked.err.contains("A reset revokes every device of @alice"), "{}", asked.err);
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
    assert_eq!(second.eko(&["login", "alice", "--yes"]).await.code, 2);

    let said = second.eko_asking(&login, "yes\n").await.done();
    assert!(
        said.ends_with(
            "\nAll your other devices are revoked. Your contacts are warned, and send nothing until they have \
             accepted this device. For each of your groups, ask an admin to remove you and to add you again; if \
             you were the only admin, begin a new group.\n"
        ),
        "{said}"
    );
    assert_eq!(first.fails(&["devices"]).await.code, 1);
}

/// With the chain hidden, a reset would silently begin another chain.
#[tokio::test]
async fn a_reset_of_a_name_that_is_free_leaves_nothing_behind() {
    let (server, home) = (server().await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--reset", "--yes"];
    let ReportedFailure { code, what, .. } = home.fails(&login).await;
    assert_eq!(code, 1);
    assert!(what.starts_with("nothing was reset: the server shows no devices"), "{what}");
    assert_eq!(home.path().join("accounts").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_without_its_data_gets_another_device() {
    let (before, after) = (server().await, server().await);
    let home = signed_in(&before, "alice").await;
    // The account is moved to the other server's name, as if that were the first server without its
    // data.
    let (old, new) = (name(&before), name(&after));
    let accounts = home.path().join("accounts");
    std::fs::rename(accounts.join(&old), accounts.join(&new)).unwrap();
    let database = accounts.join(&new).join("eko.db");
    let moved = rusqlite::Connection::open(database).unwrap();
    moved.execute("UPDATE account SET value = ?1 WHERE name = 'origin'", [after.as_bytes()]).unwrap();
    drop(moved);
    let login = ["login", "alice", "--server", &after];
    let ReportedFailure { code, what, next } = home.fails(&login).await;
    assert_eq!(code, 1);
    assert!(what.starts_with("the server does not know this device any more"), "{what}");
    assert!(next.starts_with(&format!("eko login @{} --anew", name(&after))), "{next}");
    let said = home.eko(&[&login[..], &["--anew"]].concat()).await.done();
    assert!(said.contains("\nThe files of the former device are in "), "{said}");
    assert_eq!(home.path().join("former").read_dir().unwrap().count(), 1);
    assert_eq!(home.objects(&["devices"]).await.len(), 1);
}

fn name(server: &str) -> String {
    format!("alice@{}", &server["http://".len()..])
}

#[tokio::test]
async fn what_was_set_aside_comes_back_where_the_server_refuses_another() {
    let (before, after) = (server().await, server().await);
    let home = signed_in(&before, "alice").await;
    let (old, new) = (name(&before), name(&after));
    let accounts = home.path().join("accounts");
    std::fs::rename(accounts.join(&old), accounts.join(&new)).unwrap();
    let moved = rusqlite::Connection::open(accounts.join(&new).join("eko.db")).unwrap();
    moved.execute("UPDATE account SET value = ?1 WHERE name = 'origin'", [after.as_bytes()]).unwrap();
    drop(moved);
    let device = home.object(&["whoami"]).await["device"].clone();
    // Somebody else has taken the name there in the meantime.
    let eves = TestHome::new();
    let eve = id_token(&eves, &after, "alice", "eve").await;
    eves.eko_reading(&["login", "alice", "--server", &after, "--id-token", "-"], &eve).await.done();
    let ReportedFailure { code, what, .. } =
        home.fails(&["login", "alice", "--server", &after, "--anew"]).await;
    assert_eq!(code, 1, "{what}");
    assert_eq!(home.object(&["whoami"]).await["device"], device);
    assert_eq!(home.path().join("former").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn another_device_takes_over_what_the_former_one_had() {
    let server = server().await;
    let (first, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let second = TestHome::new();
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let waits = second.object(&login).await;
    first.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();
    second.eko(&["send", "@bob", "one"]).await.done();
    assert_eq!(bob.hears().await, ["one"]);
    bob.eko(&["send", "@alice", "two"]).await.done();
    assert_eq!(second.hears().await, ["two"]);
    second.eko(&["groups", "create", "Friday", "@bob"]).await.done();
    second.eko(&["privacy", "--typing", "off"]).await.done();
    // A message waits, and another one is typed when the device is revoked.
    second.eko(&["logout"]).await.done();
    assert_eq!(second.fails(&["send", "@bob", "three"]).await.code, 4);
    second.eko(&login).await.done();
    first.eko(&["devices", "revoke", text(&waits, "device"), "--yes"]).await.done();
    let ReportedFailure { code, what, .. } = second.fails(&["send", "@bob", "four"]).await;
    assert!(code == 4 && what.starts_with("not sent yet to @bob: ") && what.contains("revoked"), "{what}");

    let said = second.eko(&[&login[..], &["--anew", "--json"]].concat()).await;
    let carried = "Taken over from the former device: 4 messages, 1 person. 2 of the messages were not sent: they are \
                   sent by eko listen, or the next eko send. Its group goes on once this device is one of yours, \
                   unless a reset has ended it.";
    assert!(said.err.contains(carried), "{}", said.err);
    let made = said.object();
    let texts = async || {
        let history = second.objects(&["history", "@bob"]).await;
        history.iter().map(|message| text(message, "text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts().await, ["one", "two", "three", "four"]);
    let shown = second.eko(&["history", "@bob"]).await.done();
    let waits = "waiting until another of your devices has approved this one; eko listen sends it then";
    assert_eq!(shown.matches(waits).count(), 2, "{shown}");
    let unknown = "sent by a former device of yours; what became of it is not known any more";
    assert_eq!(shown.matches(unknown).count(), 1, "{shown}");
    // Her other device has the copy, and has revoked the device that knew more.
    first.eko(&["listen", "--once"]).await;
    let copy = first.eko(&["history", "@bob"]).await.done();
    let note = "Note: it comes from a device that you have revoked";
    assert!(copy.contains(&format!("one\n    {note}\n    {unknown}\n")), "{copy}");
    let states = second.objects(&["history", "@bob"]).await;
    assert_eq!(states[3]["envelopes"][0]["state"], "to-send", "{states:?}");
    first.eko_reading(&["devices", "approve"], text(&made, "joiningCode")).await.done();
    second.eko(&["listen", "--once"]).await.done();
    assert_eq!(bob.hears().await, ["three", "four"]);
    assert_eq!(texts().await, ["one", "two", "three", "four"]);
    assert!(second.eko(&["groups"]).await.done().contains("Friday"));
    assert_eq!(second.eko(&["privacy", "--json"]).await.object()["typing"], false);
    // What was taken over once is not taken over again.
    let (accounts, away) = (second.account(), tempfile::tempdir().unwrap());
    std::fs::rename(&accounts, away.path().join("lost")).unwrap();
    let third = second.eko(&login).await;
    assert!(!third.err.contains("Taken over"), "{}", third.err);
    std::fs::remove_dir_all(&accounts).unwrap();
    std::fs::rename(away.path().join("lost"), &accounts).unwrap();
    // Whom the former device knew is known, and another chain of theirs is not taken for the first one.
    let known = rusqlite::Connection::open(second.account().join("eko.db")).unwrap();
    known.execute("UPDATE chains SET looked = 0 WHERE actor LIKE '%/user/bob'", []).unwrap();
    second.eko(&["send", "@bob", "five"]).await.done();
    assert_eq!(bob.hears().await, ["five"]);
}

/// The process dies after the sign-in, and before it marks the former folder. The files of the device that
/// took it over are lost, so that a third one takes it over once more.
#[tokio::test]
async fn what_is_taken_over_twice_is_shown_once() {
    let server = server().await;
    let (first, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let second = TestHome::new();
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let waits = second.object(&login).await;
    first.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();
    second.eko(&["send", "@bob", "one"]).await.done();
    assert_eq!(bob.hears().await, ["one"]);
    second.eko(&["logout"]).await.done();
    assert_eq!(second.fails(&["send", "@bob", "two"]).await.code, 4);
    second.eko(&login).await.done();
    first.eko(&["devices", "revoke", text(&waits, "device"), "--yes"]).await.done();
    let anew = [&login[..], &["--anew", "--json"]].concat();
    for texts in [&["two", "three"][..], &["four"]] {
        let said = second.eko(&anew).await;
        assert!(said.err.contains("One of the messages was not sent: "), "{}", said.err);
        let [former] =
            second.path().join("former").read_dir().unwrap().collect::<Vec<_>>().try_into().unwrap();
        std::fs::remove_file(former.unwrap().path().join("carried")).unwrap();
        first.eko_reading(&["devices", "approve"], text(&said.object(), "joiningCode")).await.done();
        second.eko(&["send", "@bob", texts.last().unwrap()]).await.done();
        assert_eq!(bob.hears().await, texts);
        std::fs::remove_dir_all(second.account()).unwrap();
    }
    let history = bob.eko(&["history"]).await.done();
    assert!(!history.contains("missing"), "{history}");
}

/// The server of the README's second minute runs without `--data`, and begins again.
#[tokio::test]
async fn two_people_go_on_after_their_server_has_lost_everything() {
    let server = StoppableServer::start().await;
    let origin = server.origin.clone();
    let [alice, bob] = two_on(&origin).await;
    alice.eko(&["send", "@bob", "before"]).await.done();
    assert_eq!(bob.hears().await, ["before"]);
    let _again = StoppableServer::start_at(server.stop().await, None).await;

    let forgotten = "the server does not know this device any more";
    let ReportedFailure { code, what, next } = alice.fails(&["send", "@bob", "kept"]).await;
    assert!(what.contains(forgotten), "{what}");
    assert!(code == 4 && next.ends_with(" --anew, which makes a new device; that sends it"), "{next}");
    // Alice's device has met the refusal already.
    for home in [&alice, &bob] {
        let said = home.eko(&["whoami"]).await;
        assert!(said.err.starts_with(&format!("eko: {forgotten}")), "{}", said.err);
        assert!(said.err.contains("\nNext: eko login @") && said.err.contains(" --anew, "), "{}", said.err);
        assert!(said.done().contains(&format!("\n  not known    {forgotten}")));
        for command in [&["devices"][..], &["listen", "--once"]] {
            let ReportedFailure { code, what, next } = home.fails(command).await;
            assert!(code == 1 && what.starts_with(forgotten), "{what}");
            assert!(next.contains(" --anew, which makes a new device"), "{next}");
        }
        let said = home.eko(&["groups"]).await;
        assert!(said.err.contains(forgotten) && said.err.contains(" --anew, "), "{}", said.err);
    }
    for (home, user) in [(&alice, "alice"), (&bob, "bob")] {
        let ReportedFailure { what, next, .. } = home.fails(&["login", user, "--server", &origin]).await;
        assert!(what.starts_with("the server does not know this device any more"), "{what}");
        assert!(
            what.ends_with("A server on this machine forgets everything if it runs without --data"),
            "{what}"
        );
        assert!(next.contains("--anew, which makes a new device and takes over messages, people and groups"));
        home.eko(&["login", user, "--server", &origin, "--anew"]).await.done();
    }
    // What the former device has not sent waits, and can be sent or given up.
    let shown = alice.eko(&["history", "@bob"]).await.done();
    let (_, kept) = shown.rsplit_once("kept\n").unwrap();
    assert!(kept.trim_start().starts_with("waiting; next attempt "), "{shown}");
    // Bob's devices are others than Alice knew, and nothing but his server says that they are his. What she
    // wrote before is held back, and her history says what to do.
    alice.eko(&["listen", "--once"]).await;
    let history = alice.eko(&["history", "@bob"]).await.done();
    let told = history.split("kept\n    held back: ").nth(1).unwrap_or_else(|| panic!("{history}"));
    assert!(
        told.contains("\n    eko verify @bob: once you have decided, it is sent; eko discard "),
        "{history}"
    );
    let ReportedFailure { code, next, .. } = alice.fails(&["send", "@bob", "during"]).await;
    assert!(code == 3 && next.starts_with("eko verify @bob"), "{next}");
    let ReportedFailure { code, next, .. } = alice.fails(&["verify", "@bob", "--no-qr"]).await;
    assert!(code == 3 && next.ends_with("eko verify @bob --forget"), "{next}");
    let said = alice.eko(&["verify", "@bob", "--forget", "--yes"]).await;
    assert!(said.err.contains("What was held back is sent to @bob."), "{}", said.err);
    bob.eko(&["verify", "@alice", "--forget", "--yes"]).await.done();
    alice.eko(&["send", "@bob", "after"]).await.done();
    bob.hears().await;
    let history = bob.eko(&["history", "@alice"]).await.done();
    let texts = ["before", "kept", "during", "after"];
    let told: Vec<_> = texts.iter().map(|text| history.matches(text).count()).collect();
    assert_eq!(told, [1, 1, 1, 1], "{history}");
    let places = texts.map(|text| history.find(text));
    assert!(!history.contains("missing") && places.is_sorted(), "{history}");
}
