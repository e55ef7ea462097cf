//! The listener on the loopback address to which the browser returns with the issuer's answer (RFC
//! 8252, section 7.3).
//!
//! Each issuer has a redirect path of its own (RFC 9700, section 4.4.2.2). A false issuer can send
//! the browser on to a true one, to get the code that the true one gives. It fails in both ways: the
//! true issuer knows its own path only, and this listener serves the path of the false one only.

use std::future::IntoFuture;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::OidcError;

/// The length of the hash in a redirect path, in hexadecimal digits.
const PATH_HASH_DIGITS: usize = 32;
/// The time that the last page has on its way to the browser before the listener ends.
const PARTING: Duration = Duration::from_secs(2);

/// Returns the path to which the browser returns from an issuer. The issuer's operator registers it.
///
/// ```text
/// /callback/<first 32 hexadecimal digits of the SHA-256 of the issuer's URL>
/// ```
fn redirect_path(issuer: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(issuer));
    hash.truncate(PATH_HASH_DIGITS);
    format!("/callback/{hash}")
}

/// The properties of the answer to this sign-in.
pub(super) struct ExpectedAnswer {
    /// The state that the browser was sent to the issuer with.
    pub(super) state: String,
    /// The issuer whose answer it is.
    pub(super) issuer: String,
    /// True if the answer must name the issuer (RFC 9207).
    pub(super) names_itself: bool,
}

/// The parameters of the issuer's answer (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).
#[derive(Deserialize)]
struct AuthorizationAnswer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

/// A sign-in that waits for its answer. The sender is gone once there was an answer.
struct PendingSignIn {
    expected: ExpectedAnswer,
    sender: Mutex<Option<oneshot::Sender<Result<String, OidcError>>>>,
}

/// A listener on a port of the loopback address, for the answer of one issuer.
pub(super) struct Loopback {
    listener: TcpListener,
    path: String,
}

impl Loopback {
    /// Listens on a port, or on a free one, for the answer of this issuer.
    pub(super) async fn bind(port: Option<u16>, issuer: &str) -> std::io::Result<Self> {
        // The system chooses a free port for the number 0.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await?;
        Ok(Self { listener, path: redirect_path(issuer) })
    }

    /// Returns the URL to which the browser must return.
    pub(super) fn redirect_uri(&self) -> std::io::Result<String> {
        Ok(format!("http://{}{}", self.listener.local_addr()?, self.path))
    }

    /// Waits for the browser, and returns the code that it brings.
    pub(super) async fn code(self, expected: ExpectedAnswer, wait: Duration) -> Result<String, OidcError> {
        let (sender, code) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let pending = Arc::new(PendingSignIn { expected, sender: Mutex::new(Some(sender)) });
        let app = Router::new().route(&self.path, get(callback)).with_state(pending);
        let over = async {
            // The listener ends when `end` is dropped, which this receives as an error.
            let _ = ended.await;
        };
        let mut serving =
            tokio::spawn(axum::serve(self.listener, app).with_graceful_shutdown(over).into_future());
        let code = timeout(wait, code).await;
        drop(end);
        if timeout(PARTING, &mut serving).await.is_err() {
            serving.abort();
        }
        // Without an answer, the time is over or the listener has failed.
        code.ok().and_then(Result::ok).unwrap_or(Err(OidcError::TimedOut(wait)))
    }
}

/// Answers a request to the loopback address, and passes the code on if the request is the answer
/// to this sign-in.
async fn callback(
    State(pending): State<Arc<PendingSignIn>>,
    Query(answer): Query<AuthorizationAnswer>,
) -> Response {
    // Any program on this machine can send a request. One without the right state has no effect.
    if answer.state.as_deref() != Some(&pending.expected.state) {
        return page(
            StatusCode::BAD_REQUEST,
            "Not a sign-in",
            "This is no answer to a sign-in that is under way.",
        );
    }
    let sender = pending.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(sender) = sender else {
        return page(StatusCode::CONFLICT, "Already answered", "This sign-in has had its answer.");
    };
    let code = code_of(answer, &pending.expected);
    let response = match &code {
        Ok(_) => {
            page(StatusCode::OK, "Back to the terminal", "The issuer knows you. You can close this window.")
        }
        Err(_) => page(StatusCode::OK, "No sign-in", "The terminal says why. You can close this window."),
    };
    // If the time is over, nobody waits for the code any more.
    let _ = sender.send(code);
    response
}

/// Returns the code of an answer, if the answer comes from the right issuer and is no refusal.
fn code_of(answer: AuthorizationAnswer, expected: &ExpectedAnswer) -> Result<String, OidcError> {
    match answer.iss {
        Some(iss) if iss != expected.issuer => return Err(OidcError::Untrusted("it is of another issuer")),
        None if expected.names_itself => {
            return Err(OidcError::Untrusted("it does not say of which issuer it is"));
        }
        _ => {}
    }
    if let Some(error) = answer.error {
        return Err(OidcError::Refused { error, description: answer.error_description });
    }
    answer.code.ok_or(OidcError::Untrusted("it holds no code"))
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let headers = [
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    let page = format!(
        "<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content=\"width=device-width\">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
  body {{ max-width: 24rem; margin: 12vh auto; padding: 0 1rem }}
</style>
<h1>{title}</h1>
<p>{text}</p>
</html>
"
    );
    (status, headers, Html(page)).into_response()
}
