//! Tests of `devices`: a further device is listed, approved by its joining code, revoked and turned
//! away.

use std::io::{BufRead, BufReader};

use eko_client::JoiningCode;
use eko_local::server::{BoundServer, ServerOptions};
use serde_json::Value;

use super::people::{ReportedFailure, signed_in, text};
use super::terminal::TestTerminal;
use super::test_home::{TestHome, server};

/// A device of Alice's that waits for approval.
struct WaitingDevice {
    home: TestHome,
    id: String,
    code: String,
}

async fn waiting(server: &str) -> WaitingDevice {
    let home = TestHome::new();
    let login = ["login", "alice", "--server", server, "--no-wait", "--device-name", "my \u{1b}desk"];
    let me = home.object(&login).await;
    assert_eq!(text(&me, "status"), "pending");
    let [id, code] = ["device", "joiningCode"].map(|member| text(&me, member).to_owned());
    WaitingDevice { home, id, code }
}

/// Signs another device of Alice in, and approves it on the first one.
pub(crate) async fn further(first: &TestHome, server: &str) -> TestHome {
    let WaitingDevice { home, code, .. } = waiting(server).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    home
}

/// The row of `whoami` on a device that was revoked or turned away.
const ENDED: &str = "\n  ended        this device was turned away or revoked by another of your devices";

#[tokio::test]
async fn a_further_device_is_approved_by_its_joining_code() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let approve = ["devices", "approve"];
    assert_eq!(first.fails(&approve).await.what, "no device waits for approval");
    let WaitingDevice { home: second, id, code } = waiting(&server).await;
    let bob = signed_in(&server, "bob").await;

    let listed = first.objects(&["devices"]).await;
    assert_eq!((text(&listed[0], "state"), &listed[0]["this"]), ("active", &true.into()));
    assert_eq!((text(&listed[1], "state"), text(&listed[1], "name")), ("waiting", "my \u{1b}desk"));
    let shown = first.eko(&["devices", "list"]).await.done();
    assert!(shown.contains(&id[..8]) && shown.contains(", this one") && !shown.contains('\u{1b}'), "{shown}");
    assert!(!shown.contains(&code), "the server does not know the code");

    // The pending device can do nothing yet, and says what to do next. It shows the same code at
    // any time, also if its person signs in again.
    let ReportedFailure { code: exit, what, next } = second.fails(&["send", "@bob", "Hello"]).await;
    assert_eq!(exit, 1, "{what}");
    assert!(next.starts_with("eko devices approve, on "), "{next}");
    assert_eq!(second.fails(&approve).await.next, next);
    assert_eq!(text(&second.object(&["whoami"]).await, "joiningCode"), code);
    let again = second.object(&["login", "alice", "--server", &server, "--no-wait"]).await;
    assert_eq!((text(&again, "device"), text(&again, "joiningCode")), (&*id, &*code));

    // A typing error is told from the code of another device.
    let last = char::from_digit((code.chars().last().unwrap().to_digit(10).unwrap() + 1) % 10, 10).unwrap();
    let mistyped = format!("{}{last}", &code[..code.len() - 1]);
    let other = JoiningCode::from_secret([7; 16]).digits();
    for (typed, exit, what) in [
        ("", 2, "no joining code was entered, so nothing was approved"),
        ("\n", 2, "no joining code was entered, so nothing was approved"),
        ("1234", 2, "a joining code has 40 digits, and this has 4"),
        (&*mistyped, 2, "a digit of the joining code is wrong"),
        (&*other, 3, "no device that waits has this joining code"),
    ] {
        let failure = first.eko_reading(&approve, typed).await.failed();
        assert_eq!(failure.code, exit, "{}", failure.what);
        assert!(failure.what.starts_with(what), "{}", failure.what);
    }
    assert_eq!(first.objects(&["devices"]).await, listed);

    let bare = code.replace(' ', "");
    let approved = first.eko_reading(&["devices", "approve", "--json", "-q"], &bare).await.object();
    assert_eq!((text(&approved, "id"), text(&approved, "state")), (&*id, "active"));
    // The device that has approved it knows its name, and tells it its own.
    let shown = first.eko(&["devices"]).await.done();
    let [this, other] = [", calls itself \"eko\", this one\n", ", calls itself \"my \\u{1b}desk\"\n"];
    assert!(shown.contains(this) && shown.contains(other), "{shown}");
    let shown = second.eko(&["devices"]).await.done();
    let [this, other] = [", calls itself \"eko\"\n", ", calls itself \"my \\u{1b}desk\", this one\n"];
    assert!(shown.contains(this) && shown.contains(other), "{shown}");
    assert_eq!(second.eko(&["send", "@bob", "from my desk"]).await.done(), "sent\n");
    assert_eq!(second.object(&["whoami"]).await["joiningCode"], Value::Null);
    assert_eq!(bob.hears().await, ["from my desk"]);
    assert_eq!(first.fails(&approve).await.what, "no device waits for approval");
}

/// Another device has approved it meanwhile, so it is not offered here any more.
#[tokio::test]
async fn a_device_that_was_approved_elsewhere_is_not_offered() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: second, code, .. } = waiting(&server).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    let WaitingDevice { home: third, code, .. } = waiting(&server).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    let heard = second.eko(&["listen", "--once"]).await;
    assert!(!heard.err.contains("asks to be yours") && heard.code == 0, "{heard:?}");
    assert_eq!(second.fails(&["devices", "approve"]).await.what, "no device waits for approval");
    assert_eq!(third.objects(&["devices"]).await.len(), 3);
}

/// The approval comes while a person sits at a chat of the new device.
#[tokio::test]
async fn an_open_chat_says_that_its_device_was_approved() {
    let server = server().await;
    let (first, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let WaitingDevice { home: second, code, .. } = waiting(&server).await;
    let mut chat = TestTerminal::start(&second, &["chat", "@bob"]);
    chat.shows(|rows| rows.iter().any(|row| row.contains("waits until another of your devices"))).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    chat.shows(|rows| rows.iter().any(|row| row.starts_with("This device is approved"))).await;
    chat.press("hello\r");
    chat.shows(|rows| rows.iter().any(|row| row == "> hello")).await;
    chat.press("\x04");
    assert_eq!(chat.end().await, (Some(0), true));
    assert_eq!(bob.hears().await, ["hello"]);
}

/// The rest of a paste that is not read goes to the shell, which runs it and keeps it in its
/// history.
#[tokio::test]
async fn the_code_is_read_as_it_is_shown_and_over_several_lines() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    for wrapped in [false, true] {
        let shown = TestHome::new().eko(&login).await.done();
        let is_code = |line: &&str| JoiningCode::parse(line).is_ok();
        let [code] = shown.lines().filter(is_code).collect::<Vec<_>>().try_into().unwrap();
        let code = code.trim();
        let pasted = if wrapped { code.replacen(' ', "\n", 8) } else { code.to_owned() };
        first.eko_asking(&["devices", "approve"], &format!("{pasted}\n")).await.done();
    }
}

#[tokio::test]
async fn a_sign_in_waits_for_the_approval() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: second, code, .. } = waiting(&server).await;
    let login = ["login", "alice", "--server", &server, "--json", "-q"];
    let mut waiting = second.command(&login).spawn().unwrap();
    let mut out = BufReader::new(waiting.stdout.take().unwrap());
    // The code is shown before the wait, so the approval comes during it.
    let (shown, out) = tokio::task::spawn_blocking(move || (line(&mut out), out)).await.unwrap();
    assert_eq!((text(&shown, "status"), text(&shown, "joiningCode")), ("pending", &*code));
    first.eko_reading(&["devices", "approve"], &code).await.done();
    let ended = tokio::task::spawn_blocking(move || {
        let mut out = out;
        (line(&mut out), waiting.wait().unwrap())
    });
    let (shown, status) = ended.await.unwrap();
    assert_eq!((text(&shown, "status"), status.success()), ("active", true));
}

/// Reads one JSON object.
fn line(out: &mut impl BufRead) -> Value {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn the_person_is_asked_at_a_terminal() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: _second, id, code } = waiting(&server).await;
    let refused = first.eko_asking(&["devices", "approve"], "12345\n\n").await;
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("Enter the joining code that the new device shows"), "{}", refused.err);
    assert_eq!(text(&first.objects(&["devices"]).await[1], "state"), "waiting");
    first.eko_asking(&["devices", "approve"], &format!("{code}\n")).await.done();
    assert_eq!(first.objects(&["devices"]).await.iter().filter(|it| it["state"] == "active").count(), 2);
    let asked = first.eko_asking(&["devices", "revoke", &id], "yes\n").await;
    assert!(asked.err.contains("neither reads nor sends any more, for good"), "{}", asked.err);
    asked.done();
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
}

#[tokio::test]
async fn a_revoked_device_says_so_and_what_it_may_do() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: second, id, code } = waiting(&server).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    let ReportedFailure { code, next, .. } = first.fails(&["devices", "revoke", &id]).await;
    assert_eq!((code, next), (2, format!("eko devices revoke {id} --yes")));
    for nobodys in ["x", ""] {
        let ReportedFailure { code, what, .. } = first.fails(&["devices", "revoke", nobodys, "--yes"]).await;
        assert_eq!(
            (code, what),
            (2, format!("no device of yours whose id begins with {nobodys:?} is active"))
        );
    }
    assert_eq!(text(&first.object(&["devices", "revoke", &id, "--yes"]).await, "state"), "revoked");
    for command in [&["listen", "--once"][..], &["send", "@alice", "Hello"], &["devices"], &["keys"]] {
        let ReportedFailure { code, what, next } = second.fails(command).await;
        assert_eq!(code, 1, "{command:?}: {what}");
        assert!(
            what.starts_with("this device was turned away or revoked by another of your devices"),
            "{command:?}: {what}"
        );
        assert!(next.starts_with("eko login @alice@localhost:") && next.contains(" --anew"), "{next}");
        // The first refusal is enough for that.
        assert!(second.eko(&["whoami"]).await.done().contains(ENDED));
    }
}

#[tokio::test]
async fn a_device_revokes_itself_and_one_that_waits_is_turned_away() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: second, id, .. } = waiting(&server).await;
    let ReportedFailure { code, what, next } = first.fails(&["devices", "revoke", &id, "--yes"]).await;
    assert_eq!((code, what), (2, format!("{id} only waits for approval")));
    assert_eq!(next, format!("eko devices turn-away {id}"));
    first.eko(&["devices", "turn-away", &id]).await.done();
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
    assert_eq!(second.fails(&["devices"]).await.code, 1);
    let WaitingDevice { home: third, id, code } = waiting(&server).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    let said = third.eko(&["devices", "revoke", &id, "--yes"]).await.done();
    assert!(said.starts_with("This device is revoked"), "{said}");
    assert!(third.eko(&["whoami"]).await.done().contains(ENDED));
    assert_eq!(third.fails(&["listen", "--once"]).await.code, 1);
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
}

/// The code of a device that was turned away leads nowhere, and its user would wait for ever.
#[tokio::test]
async fn a_device_that_was_turned_away_says_so_and_shows_no_code() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: second, id, .. } = waiting(&server).await;
    let shown = second.eko(&["login", "alice", "--server", &server, "--no-wait"]).await.done();
    assert!(shown.contains("If you have lost all the others: eko login @alice@"), "{shown}");
    assert!(second.fails(&["send", "@alice", "x"]).await.next.ends_with(" --anew --reset"));
    let listed = first.eko(&["devices"]).await.done();
    assert!(listed.contains("waits for approval since 20"), "{listed}");
    assert!(listed.contains(&format!("if it is not: eko devices turn-away {}", &id[..8])), "{listed}");
    first.eko(&["devices", "turn-away", &id]).await.done();
    assert_eq!(second.object(&["whoami"]).await["revoked"], true, "it asks the server");
    let ReportedFailure { what, .. } = second.fails(&["devices"]).await;
    assert!(what.starts_with("this device was turned away or revoked by another of your devices"), "{what}");
    let me = second.object(&["whoami"]).await;
    assert_eq!((&me["joiningCode"], &me["revoked"]), (&Value::Null, &true.into()));
    assert!(second.eko(&["whoami"]).await.done().contains(ENDED));
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let ReportedFailure { next, .. } = second.fails(&login).await;
    assert!(next.starts_with("eko login @alice@localhost:") && next.contains(" --anew"), "{next}");
    assert_eq!(text(&second.object(&[&login[..], &["--anew"]].concat()).await, "status"), "pending");
}

#[tokio::test]
async fn one_device_too_many_says_how_room_is_made() {
    let server = server().await;
    let _first = signed_in(&server, "alice").await;
    for _ in 0..8 {
        waiting(&server).await;
    }
    let ReportedFailure { code, what, next } =
        TestHome::new().fails(&["login", "alice", "--server", &server, "--no-wait"]).await;
    assert_eq!(code, 4);
    assert!(what.contains("approve or turn away one; the server asks to wait for "), "{what}");
    assert!(next.starts_with("eko devices turn-away ID, on another device"), "{next}");
}

/// The device was approved, and later revoked, while nobody used it. Without a server, what was known last is shown.
#[tokio::test]
async fn whoami_asks_the_server_and_does_without_an_answer() {
    let server = BoundServer::bind(&ServerOptions::default()).await.unwrap();
    let origin = server.origin.to_string();
    let running = tokio::spawn(server.run(std::future::pending()));
    let first = signed_in(&origin, "alice").await;
    let WaitingDevice { home: second, id, code } = waiting(&origin).await;
    assert_eq!(text(&second.object(&["whoami"]).await, "joiningCode"), code);
    first.eko_reading(&["devices", "approve"], &code).await.done();
    let shown = second.eko(&["whoami"]).await.done();
    assert!(!shown.contains("waits") && !shown.contains(&code), "{shown}");
    assert_eq!(second.objects(&["devices"]).await.len(), 2);
    let known = second.object(&["whoami"]).await;
    assert_eq!((&known["revoked"], &known["problem"]), (&false.into(), &Value::Null));
    first.eko(&["devices", "revoke", &id, "--yes"]).await.done();
    assert_eq!(second.object(&["whoami"]).await["revoked"], true);
    running.abort();
    running.await.unwrap_err();
    let away = first.object(&["whoami"]).await;
    assert_eq!((&away["revoked"], away["asOf"].is_string()), (&false.into(), true));
    let shown = first.eko(&["whoami"]).await.done();
    let [as_of, failed] = ["\n  as of        20", "; asking the server has failed: "];
    assert!(shown.contains(as_of) && shown.contains(failed), "{shown}");
}

/// The device learns of its end by its own command, and says that it is the one.
#[tokio::test]
async fn a_device_that_was_revoked_elsewhere_says_that_it_is_the_one_and_what_becomes_of_its_messages() {
    let server = server().await;
    let (first, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let WaitingDevice { home: second, id, code } = waiting(&server).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    second.eko(&["send", "@bob", "one"]).await.done();
    first.eko(&["devices", "revoke", &id, "--yes"]).await.done();
    second.eko(&["whoami"]).await.done();
    let heard = second.fails(&["listen", "--once"]).await;
    assert!(
        heard.code == 1 && heard.what.starts_with("this device was turned away or revoked"),
        "{}",
        heard.what
    );
    // One that was not told yet keeps what is typed.
    let WaitingDevice { home: third, id, code } = waiting(&server).await;
    first.eko_reading(&["devices", "approve"], &code).await.done();
    third.eko(&["send", "@bob", "two"]).await.done();
    first.eko(&["devices", "revoke", &id, "--yes"]).await.done();
    let ReportedFailure { code, what, next } = third.fails(&["send", "@bob", "three"]).await;
    assert_eq!((code, what.starts_with("not sent yet to @bob: this device was ")), (4, true), "{what}");
    assert!(next.starts_with("eko login @alice@") && next.contains(" --anew, which makes"), "{next}");
    let shown = third.eko(&["history", "@bob"]).await.done();
    assert!(
        shown.contains("; this device does not send it any more\n    eko login @alice@localhost"),
        "{shown}"
    );
    let ReportedFailure { code, what, .. } = third.fails(&["send", "@bob", "four"]).await;
    assert_eq!((code, what.ends_with("; nothing was sent, and nothing is kept")), (1, true), "{what}");
    assert_eq!(bob.hears().await, ["one", "two"]);
}
