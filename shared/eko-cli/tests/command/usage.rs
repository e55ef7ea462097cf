//! Tests of the commands and failures that need no server: help, completions, and wrong usage.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::people::{ReportedFailure, text};
use super::talking::two;
use super::test_home::{CommandOutput, TestHome, ended_of};

#[tokio::test]
async fn help_is_a_result_and_no_command_a_failure() {
    let home = TestHome::new();
    let CommandOutput { code, out, err } = home.eko(&["--help"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("eko help exit-codes") && out.contains("eko login alice"));
    let CommandOutput { code, out, err } = home.eko(&[]).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("Commands:"));
    for command in [
        "login",
        "logout",
        "whoami",
        "devices",
        "send",
        "listen",
        "chat",
        "history",
        "requests",
        "attachments",
        "groups",
        "verify",
        "keys",
        "export",
        "completions",
        "resend",
        "discard",
        "privacy",
        "man",
        "exit-codes",
    ] {
        assert!(home.eko(&[command, "--help"]).await.done().contains("Usage: eko"));
    }
}

/// A line of a paragraph ends where the next word does not fit any more.
#[tokio::test]
async fn every_help_wraps_at_the_width_of_the_terminal() {
    let home = TestHome::new();
    let commands =
        ["", "login", "logout", "whoami", "devices", "send", "listen", "chat", "history", "requests"];
    let more = ["attachments", "groups", "verify", "keys", "export", "completions", "groups join", "resend"];
    let rest = ["discard", "privacy", "man", "exit-codes", "attachments seal", "devices approve"];
    for command in commands.into_iter().chain(more).chain(rest) {
        for width in [60, 72, 80, 100, 200] {
            let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
            let output = home.command(&arguments).env("COLUMNS", width.to_string()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for (line, next) in lines.iter().zip(&lines[1..]) {
                let is_prose = |line: &str| line.starts_with(|c: char| !c.is_whitespace());
                // Longer lines are hard to read.
                let width = width.min(100);
                assert!(line.chars().count() <= width, "{command} at {width}: {line}");
                if is_prose(line) && is_prose(next) && !line.ends_with(':') {
                    let word = next.split_whitespace().next().unwrap();
                    let fits = line.chars().count() + 1 + word.chars().count() <= width;
                    assert!(!fits, "{command} at {width}: {line:?} is too short before {word:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn exit_codes_are_explained_to_people_and_to_scripts() {
    let home = TestHome::new();
    let help = home.eko(&["help", "exit-codes"]).await.done();
    assert_eq!(help.matches("exit-codes").count(), 1, "{help}");
    for code in 0..=6 {
        assert!(help.contains(&format!("\n  {code}  ")), "{help}");
    }
    let codes = home.object(&["exit-codes"]).await;
    let due =
        json!({ "failed": 1, "usage": 2, "not-trusted": 3, "try-later": 4, "partly": 5, "not-kept": 6 });
    assert_eq!(codes["codes"], due);
}

/// An option from the environment was not typed, so the usage of an error does not list it.
#[tokio::test]
async fn the_environment_chooses_and_is_not_taken_for_what_was_typed() {
    let home = TestHome::new();
    let mut command = home.command(&["send"]);
    command.env("EKO_AS", "alice").env("EKO_LOCAL_SERVER", "http://localhost:9");
    let CommandOutput { code, err, .. } = ended_of(command, String::new()).await;
    assert_eq!(code, 2);
    assert!(err.contains("Usage: eko send ") && !err.contains("--home"), "{err}");
    let mut command = home.command(&["whoami"]);
    command.env("EKO_AS", "alice@a.example");
    let CommandOutput { code, err, .. } = ended_of(command, String::new()).await;
    assert_eq!((code, err.contains("there is no account alice@a.example here")), (2, true), "{err}");
    for (name, value) in [("EKO_AS", "@"), ("EKO_LOCAL_SERVER", "nothing")] {
        let mut command = home.command(&["whoami"]);
        command.env(name, value);
        let CommandOutput { code, err, .. } = ended_of(command, String::new()).await;
        assert!(code == 2 && err.contains(&format!("the variable {name} makes no sense")), "{err}");
        assert!(err.ends_with(&format!("Next: unset {name}\n")), "{err}");
    }
}

#[tokio::test]
async fn every_command_has_a_manual_page() {
    let home = TestHome::new();
    let folder = home.path().join("man").join("man1");
    let said = home.eko(&["man", folder.to_str().unwrap()]).await.done();
    let path = home.path().join("man").canonicalize().unwrap();
    let due =
        format!("The manual pages are in {0}/man1. To read them: MANPATH={0}: man eko\n", path.display());
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), due.split_whitespace().collect::<Vec<_>>());
    for page in ["eko.1", "eko-send.1", "eko-devices-approve.1", "eko-exit-codes.1"] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".TH ") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
}

#[tokio::test]
async fn completions_for_every_shell() {
    let home = TestHome::new();
    for (shell, sign) in [
        ("bash", "complete -F _eko"),
        ("zsh", "#compdef eko"),
        ("fish", "complete -c eko"),
        ("elvish", "edit:"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = home.eko(&["completions", shell]).await.done();
        assert!(script.contains(sign) && script.contains("print-url"), "{shell}");
    }
}

#[tokio::test]
async fn failures_say_what_and_what_next() {
    let home = TestHome::new();
    let due = "eko: nobody has signed in here\nNext: eko login NAME\n".to_owned();
    assert_eq!(home.eko(&["whoami"]).await, CommandOutput { code: 1, out: String::new(), err: due });
    let CommandOutput { code, out, err } = home.eko(&["whoami", "--json"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    let object: Value = serde_json::from_str(&err).unwrap();
    assert_eq!(
        object,
        json!({ "error": "nobody has signed in here", "kind": "failed", "next": "eko login NAME" })
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_said_to_people_and_to_scripts() {
    let home = TestHome::new();
    for arguments in [&["frobnicate"][..], &["login"], &["login", "al ice"], &["--as", "@", "whoami"]] {
        let CommandOutput { code, out, err } = home.eko(arguments).await;
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.starts_with("error: "), "{err}");
        let CommandOutput { code, err, .. } = home.eko(&[arguments, &["--json"]].concat()).await;
        let object: Value = serde_json::from_str(&err).unwrap();
        assert_eq!((code, &object["kind"]), (2, &json!("usage")), "{err}");
    }
    let CommandOutput { code, err, .. } = home.eko(&["login", "alice", "--server", "ftp://x"]).await;
    assert_eq!((code, err.as_str()), (2, "eko: ftp://x is no server's URL\nNext: --server https://HOST\n"));
}

#[tokio::test]
async fn a_server_that_is_away_may_be_back_later() {
    let home = TestHome::new();
    let CommandOutput { code, err, .. } = home.eko(&["login", "alice@localhost:9"]).await;
    assert_eq!(code, 4);
    assert!(err.starts_with("eko: no server answers at http://localhost:9: "), "{err}");
    assert!(!home.path().join("accounts").exists());
}

#[tokio::test]
async fn a_home_that_others_read_is_refused() {
    let home = TestHome::new();
    let accounts = home.path().join("accounts");
    std::fs::create_dir(&accounts).unwrap();
    std::fs::set_permissions(&accounts, PermissionsExt::from_mode(0o755)).unwrap();
    let CommandOutput { code, err, .. } = home.eko(&["whoami"]).await;
    let accounts = accounts.display();
    assert_eq!((code, err), (1, format!("eko: others can read {accounts}\nNext: chmod 700 '{accounts}'\n")));
}

/// A person who names a wrong file is told what to do about it.
#[tokio::test]
async fn every_failure_about_a_file_says_what_next() {
    let [alice, _bob] = two().await;
    let (none, folder) = (alice.path().join("none"), alice.path().join("folder"));
    std::fs::create_dir(&folder).unwrap();
    let (binary, empty) = (alice.path().join("binary"), alice.path().join("empty"));
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    std::fs::write(&empty, "").unwrap();
    let [none, folder, binary, empty] = [none, folder, binary, empty].map(|path| path.display().to_string());
    let within = format!("{none}/file");
    let token = ["login", "alice", "--id-token"];
    for command in [
        &["send", "@bob", "--attach", &none][..],
        &["send", "@bob", "--attach", &folder],
        &["send", "@bob", "--attached", &none],
        &["send", "@bob", "--attached", &folder],
        &["verify", "@bob", "--scanned", &none],
        &["verify", "@bob", "--scanned", &folder],
        &["verify", "@bob", "--scanned", &binary],
        &["verify", "@bob", "--scanned", &empty],
        &["attachments", "seal", &none, "https://a.example/x"],
        &["attachments", "seal", &folder, "https://a.example/x"],
        &["export", &within],
        &["export", "--server", &within],
        &["export", "--server", &folder],
        &["export", &folder],
        &["man", &format!("{empty}/man1")],
        &[&token[..], &[&none]].concat(),
        &[&token[..], &[&folder]].concat(),
        &[&token[..], &[&binary]].concat(),
        &[&token[..], &[&empty]].concat(),
    ] {
        let ReportedFailure { code, what, next } = alice.fails(command).await;
        assert!(code == 2 && !next.is_empty(), "{command:?}: {code}, {what}; {next}");
    }
    let named = alice.fails(&["send", "@bob", "--attach", &none]).await;
    assert_eq!(named.next, format!("check the name of the file: there is none called {none}"));
}

#[tokio::test]
async fn the_exit_codes_are_as_wide_as_the_terminal() {
    let home = TestHome::new();
    for arguments in [&["exit-codes"][..], &["help", "exit-codes"]] {
        for width in [50, 72] {
            let output = home.command(arguments).env("COLUMNS", width.to_string()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(
                text.lines().all(|line| line.chars().count() <= width),
                "{arguments:?} at {width}: {text}"
            );
        }
    }
}

/// The files beside the store tell who uses it, and are nobody else's business.
#[tokio::test]
async fn every_file_of_an_account_is_its_owners_alone() {
    let [alice, bob] = two().await;
    alice.eko(&["send", "@bob", "one"]).await.done();
    bob.hears().await;
    alice.hears().await;
    alice.eko(&["devices", "revoke", text(&alice.object(&["whoami"]).await, "device"), "--yes"]).await.done();
    alice.eko(&["login", "alice", "--anew", "--reset", "--yes"]).await.done();
    let (mut folders, mut names) = (vec![alice.path().to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let right = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(right, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    for name in ["eko.db", "eko.db-sender-2", "listening", "carried", "issuers.json"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
}

/// A command line that makes sense and names nothing that is there ends with one code, whatever it names.
#[tokio::test]
async fn what_names_nothing_that_is_there_ends_with_one_code() {
    let [alice, _bob] = two().await;
    for typed in [
        "--as carol whoami",
        "devices approve",
        "devices revoke 0 --yes",
        "devices turn-away 0",
        "requests accept @zed",
        "requests decline @zed",
        "block @zed",
        "unblock @zed",
        "resend 0",
        "discard 0",
        "report 0 --yes",
        "attachments save 0",
        "history @zed",
        "groups show Friday",
        "groups join Friday",
        "groups decline Friday",
        "groups leave Friday",
        "groups create Friday @zed",
        "send --group Friday hello",
        "verify @zed",
    ] {
        let arguments: Vec<&str> = typed.split(' ').collect();
        let failure = alice.fails(&arguments).await;
        assert_eq!(failure.code, 2, "{typed}: {}", failure.what);
        assert!(!failure.next.is_empty(), "{typed}: {}", failure.what);
    }
    let explained = alice.eko(&["help", "exit-codes"]).await.done();
    assert!(explained.contains("or there is nothing of what it names"), "{explained}");
}
