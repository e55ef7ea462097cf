//! The front of a local server, for people: `/` says what it is, and `/health` if it works.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::cloud::Cloud;
use crate::html::{escape, page};

/// The page and the state of one server.
#[derive(Clone)]
struct Front {
    cloud: Cloud,
    body: String,
}

/// Returns the router of `/` and `/health` of the server at `url`, whose ID tokens are from `issuer`.
pub(crate) fn of_server(cloud: &Cloud, url: &str, issuer: &str) -> Router {
    let (url, issuer) = (escape(url), escape(issuer));
    router(
        cloud,
        format!(
            "<h1>Eko Messages</h1>
<p>This is a server of Eko Messages: end-to-end encrypted messages over ActivityPub. It runs on this machine only, for
trials and development. Programs use it; there is nothing to click here.</p>
<ul>
<li><a href=\"/.well-known/ecp\">/.well-known/ecp</a> says what it can do, and where to sign in.</li>
<li><a href=\"/health\">/health</a> says if it works.</li>
<li>People sign in at <code>{issuer}</code>.</li>
</ul>
<p>To see what it does: <code>cargo run -- demo --url {url}</code></p>"
        ),
    )
}

/// Returns the router of `/` and `/health` of the engines at `url`.
pub(crate) fn of_engines(cloud: &Cloud, url: &str, origin: &str) -> Router {
    let (url, origin) = (escape(url), escape(origin));
    router(
        cloud,
        format!(
            "<h1>Eko Messages: engines</h1>
<p>This is not a server of Eko Messages, but what AWS has around one: DynamoDB, SQS and SSM for functions that run
under <code>cargo lambda watch</code>, at <code>{origin}</code>.</p>
<ul>
<li>Any AWS client can read the engines: <code>aws --endpoint-url {url} dynamodb list-tables</code></li>
<li><a href=\"/health\">/health</a> says if they work.</li>
</ul>"
        ),
    )
}

fn router(cloud: &Cloud, body: String) -> Router {
    let front = Front { cloud: cloud.clone(), body };
    Router::new().route("/", get(explain)).route("/health", get(health)).with_state(front)
}

async fn explain(State(front): State<Front>) -> Response {
    page(StatusCode::OK, "Eko Messages", &front.body)
}

/// Answers 200 if the table and the queues answer. One DescribeTable and one GetQueueAttributes.
async fn health(State(front): State<Front>) -> Response {
    match front.cloud.check().await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => {
            tracing::error!(%error, "the engines do not answer");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the table or the queues do not answer; the log has the reason\n",
            )
                .into_response()
        }
    }
}
