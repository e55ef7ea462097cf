//! Tests of a device that was revoked, that a reset has replaced, or whose account was deleted: every command
//! says so, and names the same way out.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::people::{signed_in, text};
use super::terminal::TestTerminal;
use super::test_home::{CommandOutput, TestHome, server};

/// The way in which a device ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Revoked,
    Reset,
    Deleted,
}

impl End {
    /// Returns the sentence that every command says.
    fn sentence(self) -> &'static str {
        match self {
            Self::Revoked | Self::Reset => {
                "this device was turned away or revoked by another of your devices, or by a reset of your account"
            }
            Self::Deleted => "your account was deleted",
        }
    }
}

/// The words of a command that only reads what is kept.
const READS: &str = "; what is kept on this device can be read all the same";

/// Alice's second device, which has ended and has not heard of it.
struct EndedDevice {
    end: End,
    server: String,
    home: TestHome,
    /// The id of a message that it has written.
    message: String,
    /// Alice's other device, which goes on, and Bob's.
    others: [TestHome; 2],
}

impl EndedDevice {
    async fn new(end: End) -> Self {
        let server = server().await;
        let (first, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
        let home = TestHome::new();
        let waits = home.object(&["login", "alice", "--server", &server, "--no-wait"]).await;
        first.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();
        let message = home.object(&["send", "@bob", "hello"]).await;
        bob.eko(&["send", "@alice", "hello, too"]).await.done();
        home.eko(&["groups", "create", "Friday", "@bob"]).await.done();
        let other = match end {
            End::Revoked => {
                first.eko(&["devices", "revoke", text(&waits, "device"), "--yes"]).await.done();
                first
            }
            End::Reset => {
                let third = TestHome::new();
                let reset = ["login", "alice", "--server", &server, "--reset", "--yes"];
                third.eko(&reset).await.done();
                third
            }
            End::Deleted => {
                let name = format!("alice@{}", &server["http://".len()..]);
                first.eko(&["account", "delete", "--yes", &name]).await.done();
                first
            }
        };
        let message = text(&message, "id").trim_start_matches("urn:uuid:").to_owned();
        Self { end, server, home, message, others: [other, bob] }
    }

    /// Returns the device as it is, for one command.
    fn copy(&self) -> TestHome {
        let copy = TestHome::new();
        copy_folder(self.home.path(), copy.path());
        copy
    }

    /// Returns every command that needs the device to be one of Alice's, with its exit code on a device that
    /// hears of its end from this very command. `None` is one that asks no server.
    fn commands(&self) -> Vec<(Vec<&str>, Option<i32>)> {
        let id = &*self.message;
        [
            ("listen --once", Some(1)),
            ("chat @bob", Some(1)),
            ("devices", Some(1)),
            ("devices approve", Some(1)),
            ("devices revoke 0 --yes", Some(1)),
            ("devices turn-away 0", Some(1)),
            ("send @bob again", Some(4)),
            ("resend ID", None),
            ("requests", Some(1)),
            ("requests accept @bob", None),
            ("requests decline @carol", None),
            ("block @bob", Some(1)),
            ("unblock @bob", Some(1)),
            ("blocked", Some(1)),
            ("groups", Some(1)),
            ("groups show Friday", None),
            ("groups rename Friday Sunday", Some(4)),
            ("groups create Saturday @bob", Some(4)),
            ("verify @alice", Some(1)),
            ("verify @bob", Some(1)),
            ("verify @bob --accept", Some(1)),
            ("verify @bob --confirm --yes", Some(1)),
            ("keys", Some(1)),
            ("keys renew", Some(1)),
            ("profile --name Alice", Some(1)),
            ("settings", Some(1)),
            ("settings --who-may-write known", Some(1)),
        ]
        .into_iter()
        .map(|(typed, code)| {
            (typed.split(' ').map(|word| if word == "ID" { id } else { word }).collect(), code)
        })
        .collect()
    }

    /// Returns every command that does its work on a device that has ended.
    fn local_commands(&self) -> Vec<Vec<&str>> {
        ["history", "history @bob", "export", "privacy", "privacy --typing off", "whoami", "logout"]
            .into_iter()
            .map(|typed| typed.split(' ').collect())
            .collect()
    }

    /// Checks that a command says of the end, and nothing that leads nowhere.
    fn check(&self, command: &[&str], output: &CommandOutput, code: i32) {
        assert_eq!(output.code, code, "{command:?}: {output:?}");
        assert!(output.err.contains(self.end.sentence()), "{command:?}: {output:?}");
        let reads = ["history", "export"].contains(&command[0]);
        assert_eq!(output.err.contains(READS), reads, "{command:?}: {output:?}");
        let next = match self.end {
            End::Revoked | End::Reset => {
                format!("Next: eko login @alice@{} --anew", &self.server["http://".len()..])
            }
            End::Deleted => "Next: eko history, ".to_owned(),
        };
        let steps = output.err.lines().filter(|line| line.starts_with("Next: "));
        assert!(
            steps.clone().count() == 1 && steps.clone().all(|step| step.starts_with(&next)),
            "{output:?}"
        );
        for nowhere in
            ["eko devices", "eko listen", "eko verify", "BEWARE", "You are ", "may be missing", "signed out"]
        {
            assert!(!output.err.contains(nowhere), "{command:?}: {nowhere}: {output:?}");
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            std::fs::create_dir(to.join(&name)).unwrap();
            std::fs::set_permissions(to.join(&name), PermissionsExt::from_mode(0o700)).unwrap();
            copy_folder(&path, &to.join(&name));
        } else {
            std::fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

async fn every_command_says(end: End) {
    let device = EndedDevice::new(end).await;
    for (command, code) in device.commands() {
        let Some(code) = code else { continue };
        // Nothing that a deleted account has kept is sent.
        let code = if end == End::Deleted { 1 } else { code };
        let hears = device.copy();
        let output = hears.eko(&command).await;
        match command[0] {
            // The greeting comes before the server is asked.
            "chat" => assert!(output.code == 1 && output.err.contains(end.sentence()), "{output:?}"),
            _ => device.check(&command, &output, code),
        }
        // It knows its end now, whichever command has heard of it.
        device.check(&["blocked"], &hears.eko(&["blocked"]).await, 1);
    }
    // The session may have ended before the device asks for anything.
    let late = device.copy();
    let store = rusqlite::Connection::open(late.account().join("eko.db")).unwrap();
    store.execute("UPDATE account SET value = X'30' WHERE name = 'token_expires'", []).unwrap();
    drop(store);
    device.check(&["listen"], &late.eko(&["listen", "--once"]).await, 1);

    device.home.eko(&["listen", "--once"]).await;
    for (command, _) in device.commands() {
        device.check(&command, &device.copy().eko(&command).await, 1);
    }
    for command in device.local_commands() {
        device.check(&command, &device.copy().eko(&command).await, 0);
    }
    let me = device.home.eko(&["whoami"]).await;
    let ended = format!("\n  ended        {}", end.sentence());
    assert!(me.code == 0 && me.out.contains(&ended) && !me.out.contains("http"), "{me:?}");
    let chat = TestTerminal::start(&device.home, &["chat", "@bob"]);
    let rows = chat.shows(|rows| rows.iter().any(|row| row.contains("Next: "))).await;
    assert!(rows[0].starts_with(&format!("eko: {}", &end.sentence()[..20])), "{rows:#?}");
    assert_eq!(chat.end().await, (Some(1), true));
    // Its user has signed out meanwhile, which changes nothing.
    device.home.eko(&["logout"]).await;
    for (command, _) in device.commands() {
        device.check(&command, &device.copy().eko(&command).await, 1);
    }
    for command in device.local_commands() {
        device.check(&command, &device.copy().eko(&command).await, 0);
    }

    // The way out works.
    if end == End::Deleted {
        return;
    }
    let anew = ["login", "alice", "--server", &device.server, "--no-wait", "--anew"];
    let made = device.home.object(&anew).await;
    let [other, bob] = &device.others;
    other.eko_reading(&["devices", "approve"], text(&made, "joiningCode")).await.done();
    bob.eko(&["verify", "@alice", "--accept"]).await.done();
    device.home.eko(&["send", "@bob", "from the new one"]).await.done();
}

#[tokio::test]
async fn every_command_says_that_the_device_was_revoked() {
    every_command_says(End::Revoked).await;
}

#[tokio::test]
async fn every_command_says_that_a_reset_has_replaced_the_device() {
    every_command_says(End::Reset).await;
}

#[tokio::test]
async fn every_command_says_that_the_account_was_deleted() {
    every_command_says(End::Deleted).await;
}
