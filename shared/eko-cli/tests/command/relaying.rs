//! Tests of a server that names the issuer of another server, to get ID tokens that are good there.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use eko_client::device::JoinKind;
use eko_client::{Device, DeviceKeys, Environment, HttpTransport, KeyCounts, SignInChallenge};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::key::NonceRandom;
use eko_testkit::{ChainChanges as _, refused};
use http::Request;
use serde_json::{Value, json};

use super::people::{ReportedFailure, signed_in};
use super::test_home::{TestHome, server};

/// A server without users of its own, which keeps what clients present to it.
struct FalseServer {
    origin: String,
    /// The ID tokens and bodies of registrations.
    caught: Arc<Mutex<Vec<(String, Value)>>>,
}

impl FalseServer {
    /// Starts a server that names the issuer and audience of the server at `victim`.
    async fn naming_the_issuer_of(victim: &str) -> Self {
        use eko_client::Transport as _;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let capabilities = Request::get(format!("{victim}/.well-known/ecp")).body(Bytes::new()).unwrap();
        let capabilities = HttpTransport::new().unwrap().send(capabilities).await.unwrap();
        let mut capabilities: Value = serde_json::from_slice(capabilities.body()).unwrap();
        capabilities["origin"] = json!(origin);
        let caught: Arc<Mutex<Vec<_>>> = Arc::default();
        let keep = Arc::clone(&caught);
        let json = [(header::CONTENT_TYPE, "application/json")];
        let register = post(move |headers: HeaderMap, body: Bytes| async move {
            let token = headers[header::AUTHORIZATION].to_str().unwrap()["Bearer ".len()..].to_owned();
            keep.lock().unwrap().push((token, serde_json::from_slice(&body).unwrap()));
            StatusCode::SERVICE_UNAVAILABLE
        });
        let app = Router::new()
            .route("/.well-known/ecp", get(move || async move { (json, capabilities.to_string()) }))
            .route("/auth/devices", register)
            .route(
                "/user/{name}/devices",
                get(|| async {
                    let problem =
                        json!({ "type": "/problems/not-found", "title": "Not found", "status": 404 });
                    let json = [(header::CONTENT_TYPE, "application/problem+json")];
                    (StatusCode::NOT_FOUND, json, problem.to_string())
                }),
            );
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { origin, caught }
    }

    fn caught(&self) -> Vec<(String, Value)> {
        self.caught.lock().unwrap().clone()
    }
}

/// Returns a device of the false server's, which takes the place of Alice at the server at `victim`.
fn thief(victim: &str) -> Device<HttpTransport> {
    let environment = Environment::system();
    let counts = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, last_resort: false };
    let keys = DeviceKeys::generate(counts, &environment).unwrap();
    let (origin, name) = (Origin::parse(victim).unwrap(), UserName::parse("alice").unwrap());
    Device::new(HttpTransport::new().unwrap(), origin, name, keys, environment)
}

/// The takeover of an account by an ID token that its user has shown to another server. A script says
/// by a flag that it trusts that server.
#[tokio::test]
async fn a_token_for_one_server_is_of_no_use_at_another_and_the_user_is_warned() {
    let victim = server().await;
    let home = signed_in(&victim, "alice").await;
    let other = FalseServer::naming_the_issuer_of(&victim).await;
    let login = ["login", "alice", "--server", &other.origin, "--local-server", &victim];
    let output = home.eko(&[&login[..], &["--shared-issuer"]].concat()).await;
    let warning = format!("Warning: {} uses the same sign-in as {victim}: ", other.origin);
    assert!(output.err.contains(&warning), "{}", output.err);
    assert!(output.err.contains("is bound to"), "{}", output.err);
    assert_eq!(output.code, 4, "{}", output.err);

    let caught = other.caught();
    let (token, body) = &caught[0];
    let random: NonceRandom = serde_json::from_value(body["nonceRandom"].clone()).unwrap();
    let thief = thief(&victim);
    // With the bytes that the user's client has sent, and with those of the thief.
    let identity = thief.described().identity_key;
    let sent = SignInChallenge::new(thief.origin(), &identity, random);
    for challenge in [sent, thief.challenge()] {
        for joining in [JoinKind::Reset, thief.as_further(), JoinKind::First] {
            let answer = thief.register(&challenge.answered(token), joining).await;
            assert_eq!(refused(answer), "401 unauthenticated");
        }
    }
    assert_eq!(
        home.objects(&["--as", &format!("alice@{}", &victim["http://".len()..]), "devices"]).await.len(),
        1
    );

    // After a yes neither server is new any more.
    let again = home.eko(&login).await;
    assert!(!again.err.contains("Warning"), "{}", again.err);
    let again = home.eko(&["login", "alice", "--server", &victim]).await;
    assert_eq!((again.code, again.err.contains("Warning")), (0, false), "{}", again.err);
}

/// At a terminal the user decides, before any page of the issuer is opened.
#[tokio::test]
async fn a_user_at_a_terminal_is_asked_first() {
    let victim = server().await;
    let home = signed_in(&victim, "alice").await;
    let other = FalseServer::naming_the_issuer_of(&victim).await;
    let login = ["login", "alice", "--server", &other.origin, "--local-server", &victim];
    for _ in 0..2 {
        let asked = home.eko_asking(&login, "no\n").await;
        assert_eq!(asked.code, 1, "{}", asked.err);
        assert!(asked.err.contains("Do you want to sign in at"), "{}", asked.err);
        assert!(!asked.err.contains("development issuer"), "{}", asked.err);
    }
    assert_eq!(other.caught(), []);
    assert_eq!(home.path().join("accounts").read_dir().unwrap().count(), 1);
    let asked = home.eko_asking(&login, "yes\n").await;
    assert_eq!(asked.code, 4, "{}", asked.err);
    assert_eq!(other.caught().len(), 1);
}

/// Neither a nonce nor a token leaves the machine before somebody has answered.
#[tokio::test]
async fn a_script_answers_by_a_flag_or_nothing_happens() {
    let victim = server().await;
    let home = signed_in(&victim, "alice").await;
    let other = FalseServer::naming_the_issuer_of(&victim).await;
    let login = ["login", "alice", "--server", &other.origin, "--local-server", &victim];
    let nonce = [&login[..], &["--print-nonce"]].concat();
    for command in [&login[..], &nonce] {
        for _ in 0..2 {
            let output = home.eko(command).await;
            assert!(output.err.contains("Warning: "), "{}", output.err);
            assert!(output.err.contains("--shared-issuer"), "{}", output.err);
            assert_eq!((output.code, &*output.out), (2, ""));
        }
        let refused = home.eko_asking(command, "no\n").await;
        assert_eq!((refused.code, &*refused.out), (1, ""));
    }
    assert_eq!(other.caught(), []);
    assert_eq!(home.path().join("accounts").read_dir().unwrap().count(), 1);
    let asked = home.eko_asking(&nonce, "yes\n").await;
    assert!(asked.err.contains("Do you want to sign in at"), "{}", asked.err);
    assert_eq!(asked.done().trim().len(), 64);
    assert_eq!(home.eko(&nonce).await.code, 0, "the yes is kept");
}

/// Somebody who tries the false server first hears of it at the true one.
#[tokio::test]
async fn the_order_of_the_servers_does_not_matter() {
    let victim = server().await;
    let other = FalseServer::naming_the_issuer_of(&victim).await;
    let home = TestHome::new();
    let login = ["login", "alice", "--server", &other.origin, "--local-server", &victim];
    let ReportedFailure { code, .. } = home.fails(&login).await;
    assert_eq!(code, 4);
    let output = home.eko(&["login", "alice", "--server", &victim, "--shared-issuer"]).await;
    let warning = format!("Warning: {victim} uses the same sign-in as {}: ", other.origin);
    assert!(output.err.contains(&warning), "{}", output.err);
    assert_eq!(output.code, 0);
    let (token, _) = &other.caught()[0];
    let thief = thief(&victim);
    let answer = thief.register(&thief.challenge().answered(token), JoinKind::Reset).await;
    assert_eq!(refused(answer), "401 unauthenticated");
}
