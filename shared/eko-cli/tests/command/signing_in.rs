//! Tests of `login`, `whoami` and `logout`.

use std::io::{BufRead, BufReader};

use eko_cli::oidc::RelyingParty;
use eko_client::capabilities::Capabilities;
use eko_client::transport::Bytes;
use eko_client::{Environment, HttpTransport, Transport};
use http::{Request, header};
use serde_json::Value;

use super::people::ReportedFailure;
use super::test_home::{CommandOutput, TestHome, server};

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap()
}

/// Returns an ID token of the server's issuer for the person `name`, with the nonce of the device of
/// this home that signs in as `user`.
pub(crate) async fn id_token(home: &TestHome, server: &str, user: &str, name: &str) -> String {
    let nonce = home.eko(&["login", user, "--server", server, "--print-nonce"]).await.done();
    issue(server, name, nonce.trim()).await
}

/// Returns an ID token of the server's issuer for this name, with this nonce.
pub(crate) async fn issue(server: &str, name: &str, nonce: &str) -> String {
    let (http, environment) = (HttpTransport::new().unwrap(), Environment::system());
    let Capabilities { issuer, audience, .. } = Capabilities::fetch(&http, server).await.unwrap();
    let party = RelyingParty::discover(&http, &environment, &issuer, &audience).await.unwrap();
    party.by_name(name, nonce).await.unwrap()
}

#[tokio::test]
async fn by_name_at_a_development_issuer() {
    let (server, home) = (server().await, TestHome::new());
    let CommandOutput { code, out, err } = home.eko(&["login", "alice", "--server", &server]).await;
    assert_eq!(code, 0, "{err}");
    let handle = format!("@alice@{}", server.strip_prefix("http://").unwrap());
    assert!(out.starts_with(&format!("You are {handle}. ")), "{out}");
    assert!(err.contains("development issuer"), "{err}");
    let me = home.eko(&["whoami", "--json"]).await.object();
    assert_eq!(text(&me, "handle"), handle);
    assert_eq!(text(&me, "actor"), format!("{server}/user/alice"));
    assert_eq!(me["joiningCode"], Value::Null);
    assert_eq!(me["signedIn"], true);
    assert_eq!(text(&me, "folder"), home.account().to_str().unwrap());
    // All files of the account, including those that SQLite adds at times, are readable by the
    // owner alone.
    for entry in home.account().read_dir().unwrap() {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn the_same_device_signs_out_and_in_again() {
    let (server, home) = (server().await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--json", "-q"];
    let first = home.eko(&login).await.object();
    assert_eq!(text(&first, "status"), "active");
    home.eko(&["logout"]).await.done();
    assert_eq!(home.eko(&["whoami", "--json"]).await.object()["signedIn"], false);
    assert!(home.eko(&["whoami"]).await.done().contains("signed out   eko login @alice@localhost:"));
    // A second sign-out has no effect.
    home.eko(&["logout"]).await.done();
    assert_eq!(home.eko(&login).await.object(), first);
    assert_eq!(home.eko(&["whoami", "--json"]).await.object()["signedIn"], true);
}

#[tokio::test]
async fn a_further_device_waits_and_a_reset_does_not() {
    let (server, first, second) = (server().await, TestHome::new(), TestHome::new());
    let login = ["login", "alice", "--server", &server, "--json", "--no-wait"];
    first.eko(&login).await.done();
    let waits = second.eko(&login).await.object();
    assert_eq!(text(&waits, "status"), "pending");
    let third = TestHome::new();
    let reset = third.eko(&[&login[..], &["--reset", "--yes"]].concat()).await.object();
    assert_eq!(text(&reset, "status"), "active");
    assert_ne!(text(&reset, "device"), text(&waits, "device"));
}

#[tokio::test]
async fn several_accounts_are_told_apart() {
    let (server, home) = (server().await, TestHome::new());
    for name in ["alice", "bob"] {
        home.eko(&["login", name, "--server", &server]).await.done();
    }
    let CommandOutput { code, err, .. } = home.eko(&["whoami"]).await;
    assert_eq!(code, 2);
    assert!(err.starts_with("eko: there are 2 accounts here: @alice@localhost:"), "{err}");
    assert!(home.eko(&["--as", "bob", "whoami"]).await.done().starts_with("@bob@"));
    let mut by_environment = home.command(&["whoami"]);
    let output = by_environment.env("EKO_AS", "alice").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("@alice@"));
}

#[tokio::test]
async fn with_a_token_from_elsewhere() {
    let (server, home) = (server().await, TestHome::new());
    let token = id_token(&home, &server, "alice", "alice").await;
    let login = ["login", "alice", "--server", &server, "--id-token", "-", "--json"];
    let me = home.eko_reading(&login, &format!("{token}\n")).await.object();
    assert_eq!(text(&me, "status"), "active");
    let home = TestHome::new();
    let file = home.path().join("token");
    std::fs::write(&file, id_token(&home, &server, "bob", "bob").await).unwrap();
    let login = ["login", "bob", "--server", &server, "--id-token", file.to_str().unwrap()];
    assert!(home.eko(&login).await.done().starts_with("You are @bob@"));
    let CommandOutput { code, err, .. } =
        home.eko(&["login", "eve", "--server", &server, "--id-token", "/nowhere"]).await;
    assert_eq!(code, 2);
    assert!(err.starts_with("eko: cannot read the ID token from /nowhere: "), "{err}");
}

/// The nonce stays the same until a sign-in has succeeded, so that the token may come late.
#[tokio::test]
async fn a_nonce_is_shown_until_it_is_used() {
    let (server, home) = (server().await, TestHome::new());
    let ask = ["login", "alice", "--server", &server, "--print-nonce"];
    let nonce = home.eko(&ask).await.done();
    assert_eq!(home.eko(&ask).await.done(), nonce);
    let asked = home.eko(&[&ask[..], &["--json"]].concat()).await.object();
    assert_eq!(text(&asked, "nonce"), nonce.trim());
    assert!(text(&asked, "issuer").starts_with(&server), "{asked}");
    // A token of another sign-in is refused here, and the server is not asked.
    let login = ["login", "alice", "--server", &server, "--id-token", "-"];
    let other = issue(&server, "alice", &"0".repeat(64)).await;
    let ReportedFailure { code, what, next } = home.eko_reading(&login, &other).await.failed();
    assert_eq!(
        (code, &*what),
        (2, "the ID token is not the answer to this sign-in: its nonce is another one")
    );
    let host = &server["http://".len()..];
    assert_eq!(next, format!("a token for the nonce of eko login @alice@{host} --print-nonce"));
    let token = issue(&server, "alice", nonce.trim()).await;
    home.eko_reading(&login, &token).await.done();
    assert_ne!(home.eko(&ask).await.done(), nonce);
    // The token is of no use any more for this device either.
    assert_eq!(home.eko_reading(&login, &token).await.code, 2);
}

#[tokio::test]
async fn a_sign_in_that_was_not_finished_is_no_account() {
    let (server, home) = (server().await, TestHome::new());
    let host = &server["http://".len()..];
    let nonce = ["login", "alice", "--server", &server, "--print-nonce"];
    home.eko(&nonce).await.done();
    let unfinished =
        format!("eko: the sign-in of @alice@{host} was never finished\nNext: eko login alice@{host}\n");
    for command in [&["whoami"][..], &["history"], &["--as", "alice", "whoami"]] {
        let CommandOutput { code, err, .. } = home.eko(command).await;
        assert_eq!((code, &err), (1, &unfinished));
    }
    home.eko(&["login", "bob", "--server", &server]).await.done();
    assert!(home.eko(&["whoami"]).await.done().starts_with("@bob@"));
    assert_eq!(home.eko(&["--as", "alice", "whoami"]).await.err, unfinished);
    // The sign-in is finished with the same nonce.
    let token = issue(&server, "alice", home.eko(&nonce).await.done().trim()).await;
    let login = ["login", "alice", "--server", &server, "--id-token", "-"];
    home.eko_reading(&login, &token).await.done();
    assert_eq!(home.eko(&["whoami"]).await.code, 2, "now there are two");
}

#[tokio::test]
async fn the_first_device_is_told_to_be_the_first_once() {
    let (server, home) = (server().await, TestHome::new());
    let login = ["login", "alice", "--server", &server];
    assert!(home.eko(&login).await.done().contains("This is your first device"));
    let again = home.eko(&login).await.done();
    assert_eq!(again, format!("You are @alice@{}.\n", &server["http://".len()..]));
}

/// A name without a server is the account of that name on this machine.
#[tokio::test]
async fn a_name_without_a_server_is_the_account_that_is_here() {
    let (server, home) = (server().await, TestHome::new());
    home.eko(&["login", "alice", "--server", &server]).await.done();
    home.eko(&["logout"]).await.done();
    assert!(home.eko(&["login", "alice"]).await.done().starts_with("You are @alice@"));
    assert_eq!(home.eko(&["whoami", "--json"]).await.object()["signedIn"], true);
}

#[tokio::test]
async fn a_refused_registration_leaves_nothing_behind() {
    let (server, home) = (server().await, TestHome::new());
    home.eko(&["login", "alice", "--server", &server]).await.done();
    let eve = TestHome::new();
    let token = id_token(&eve, &server, "alice", "eve").await;
    let login = ["login", "alice", "--server", &server, "--id-token", "-"];
    let CommandOutput { code, err, .. } = eve.eko_reading(&login, &token).await;
    assert_eq!(code, 1, "{err}");
    let CommandOutput { code, .. } =
        eve.eko_reading(&["login", "mallory", "--server", &server, "--id-token", "-"], "no token").await;
    assert_eq!(code, 2);
    // Only what `--print-nonce` has made is left.
    assert_eq!(eve.path().join("accounts").read_dir().unwrap().count(), 1);
    // An existing account stays as it is after a failed sign-in.
    let CommandOutput { code, .. } = home.eko_reading(&login, "no token").await;
    assert_eq!(code, 2);
    assert_eq!(home.eko(&["whoami", "--json"]).await.object()["signedIn"], true);
}

#[tokio::test]
async fn in_a_browser() {
    let (server, home) = (server().await, TestHome::new());
    let mut command = home.command(&["login", "alice", "--server", &server, "--print-url"]);
    let mut child = command.spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    let url =
        tokio::task::spawn_blocking(move || said.map(Result::unwrap).find(|line| line.starts_with("http")));
    let url = url.await.unwrap().unwrap();
    let http = HttpTransport::new().unwrap();
    let form = Request::post(&url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = http.send(form.body(Bytes::from("name=alice")).unwrap()).await.unwrap();
    let back = answer.headers()[header::LOCATION].to_str().unwrap();
    http.send(Request::get(back).body(Bytes::new()).unwrap()).await.unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("You are @alice@"));
}

#[tokio::test]
async fn a_server_under_another_name_is_no_server_of_that_name() {
    let (server, home) = (server().await, TestHome::new());
    let elsewhere = server.replace("localhost", "127.0.0.1");
    let CommandOutput { code, err, .. } = home.eko(&["login", "alice", "--server", &elsewhere]).await;
    assert_eq!(
        (code, err),
        (
            1,
            format!(
                "eko: the server at {elsewhere} calls itself {server}\nNext: eko login alice --server {server}\n"
            )
        )
    );
    let CommandOutput { code, err, .. } =
        home.eko(&["login", "alice@chat.example", "--server", &server]).await;
    assert_eq!(code, 2);
    assert!(err.starts_with(&format!("eko: alice@chat.example is not at {server}\n")), "{err}");
    assert!(!home.path().join("accounts").exists());
}
