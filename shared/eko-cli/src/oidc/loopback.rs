//! Where the browser comes back to: a listener on loopback that waits for one answer (RFC 8252, section 7.3).

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
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::OidcError;

const PATH: &str = "/callback";
/// The page is on its way to the browser; longer than this it is not waited for.
const PARTING: Duration = Duration::from_secs(2);

/// What the answer must carry.
pub(super) struct Due {
    /// The state that the browser was sent with.
    pub(super) state: String,
    /// Whose answer it is.
    pub(super) issuer: String,
    /// Whether the answer must say so (RFC 9207).
    pub(super) names_itself: bool,
}

/// RFC 6749, sections 4.1.2 and 4.1.2.1.
#[derive(Deserialize)]
struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

type Outcome = Result<String, OidcError>;

/// Waits for the answer, and for nothing else that may knock.
struct Waiting {
    due: Due,
    outcome: Mutex<Option<oneshot::Sender<Outcome>>>,
}

/// A port that is listened on.
pub(super) struct Loopback {
    listener: TcpListener,
}

impl Loopback {
    pub(super) async fn bind(port: u16) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await? })
    }

    pub(super) fn redirect_uri(&self) -> std::io::Result<String> {
        Ok(format!("http://{}{PATH}", self.listener.local_addr()?))
    }

    /// The code that the browser brings.
    pub(super) async fn code(self, due: Due, wait: Duration) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let waiting = Arc::new(Waiting { due, outcome: Mutex::new(Some(sender)) });
        let app = Router::new().route(PATH, get(take)).with_state(waiting);
        let over = async {
            // A sender that is gone says the same.
            let _ = ended.await;
        };
        let mut serving =
            tokio::spawn(axum::serve(self.listener, app).with_graceful_shutdown(over).into_future());
        let outcome = timeout(wait, outcome).await;
        drop(end);
        if timeout(PARTING, &mut serving).await.is_err() {
            serving.abort();
        }
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(OidcError::TimedOut(wait)),
        }
    }
}

async fn take(State(waiting): State<Arc<Waiting>>, Query(answer): Query<Answer>) -> Response {
    // Anybody on this machine can knock here; whoever does not know the state changes nothing.
    if answer.state.as_deref() != Some(&waiting.due.state) {
        return page(
            StatusCode::BAD_REQUEST,
            "Not a sign-in",
            "This is no answer to a sign-in that is under way.",
        );
    }
    let sender = waiting.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(sender) = sender else {
        return page(StatusCode::CONFLICT, "Already answered", "This sign-in has had its answer.");
    };
    let outcome = judge(answer, &waiting.due);
    let response = match &outcome {
        Ok(_) => {
            page(StatusCode::OK, "Back to the terminal", "The issuer knows you. You can close this window.")
        }
        Err(_) => page(StatusCode::OK, "No sign-in", "The terminal says why. You can close this window."),
    };
    // Nobody waits any more when the time is over.
    let _ = sender.send(outcome);
    response
}

fn judge(answer: Answer, due: &Due) -> Outcome {
    match answer.iss {
        Some(iss) if iss != due.issuer => return Err(OidcError::Untrusted("it is of another issuer")),
        None if due.names_itself => {
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
