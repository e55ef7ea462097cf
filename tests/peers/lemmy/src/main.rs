//! A server of one actor on loopback, made of `activitypub_federation`, the library of Lemmy.
//! ../README.md says what it answers. The port is the first line of the output.

mod account;
mod activity;
mod recorder;

use std::sync::{Arc, Mutex};

use account::Account;
use activity::AnyActivity;
use activitypub_federation::activity_sending::SendActivityTask;
use activitypub_federation::axum::inbox::{ActivityData, receive_activity};
use activitypub_federation::axum::json::FederationJson;
use activitypub_federation::config::{Data, FederationConfig, FederationMiddleware};
use activitypub_federation::error::Error;
use activitypub_federation::fetch::webfinger::{Webfinger, build_webfinger_response, extract_webfinger_name};
use activitypub_federation::protocol::context::WithContext;
use activitypub_federation::traits::Object as _;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use recorder::Recorder;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// The state of the server.
#[derive(Clone)]
pub struct App {
    /// The one actor of this server.
    actor: Account,
    /// The actors of other servers that were fetched.
    fetched: Arc<Mutex<Vec<Account>>>,
    /// The activity that the library handed over last.
    heard: Arc<Mutex<Option<Value>>>,
    /// The verdicts of the library on the requests to the inbox.
    log: Arc<Mutex<Vec<Value>>>,
    /// The answer to the next activities that the library accepts; 200 if there is none.
    answer: Arc<Mutex<Option<Answer>>>,
    recorder: Recorder,
}

/// An answer of the application.
#[derive(Clone, Deserialize)]
struct Answer {
    status: u16,
    body: Value,
}

/// An order to deliver an activity.
#[derive(Deserialize)]
struct Order {
    inbox: Url,
    activity: WithContext<AnyActivity>,
}

#[derive(Deserialize)]
struct WebfingerQuery {
    resource: String,
}

async fn show(data: Data<App>) -> Result<FederationJson<WithContext<account::Person>>, String> {
    let person = data.actor.clone().into_json(&data).await.map_err(|error| error.to_string())?;
    let context = json!(["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"]);
    Ok(FederationJson(WithContext::new(person, context)))
}

async fn webfinger(
    Query(query): Query<WebfingerQuery>,
    data: Data<App>,
) -> Result<Json<Webfinger>, StatusCode> {
    extract_webfinger_name(&query.resource, &data).map_err(|_| StatusCode::NOT_FOUND)?;
    Ok(Json(build_webfinger_response(query.resource, data.actor.id.inner().clone())))
}

/// Has the library judge a request to the inbox. Like Lemmy, it answers 400 to what is refused.
async fn inbox(data: Data<App>, headers: HeaderMap, request: ActivityData) -> Response {
    let scheme = if headers.contains_key("signature-input") { "rfc9421" } else { "cavage" };
    let verdict = receive_activity::<WithContext<AnyActivity>, Account, App>(request, &data).await;
    let heard = data.heard.lock().unwrap().take();
    let (status, refusal) = match verdict {
        Ok(()) => (200, None),
        Err(error) => (400, Some(error.to_string())),
    };
    let entry = json!({ "scheme": scheme, "status": status, "refusal": refusal, "heard": heard });
    data.log.lock().unwrap().push(entry);
    if let Some(refusal) = refusal {
        return (StatusCode::BAD_REQUEST, refusal).into_response();
    }
    let Some(Answer { status, body }) = data.answer.lock().unwrap().clone() else {
        return StatusCode::OK.into_response();
    };
    (StatusCode::from_u16(status).unwrap(), FederationJson(body)).into_response()
}

/// Has the library sign and deliver an activity, and returns the answer, which the library keeps to
/// itself.
async fn send(data: Data<App>, Json(order): Json<Order>) -> Result<Json<Value>, String> {
    let sent = async {
        for task in SendActivityTask::prepare(&order.activity, &data.actor, vec![order.inbox], &data).await? {
            task.sign_and_send(&data).await?;
        }
        Ok::<(), Error>(())
    };
    let outcome = sent.await;
    let (status, body) = data.recorder.take().ok_or_else(|| format!("nothing was sent: {outcome:?}"))?;
    Ok(Json(json!({ "status": status, "body": body, "failed": outcome.is_err() })))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // The library refuses hosts that are no domain.
    let domain = format!("localhost:{port}");
    let recorder = Recorder::default();
    let app = App {
        actor: Account::local(&domain),
        fetched: Arc::default(),
        heard: Arc::default(),
        log: Arc::default(),
        answer: Arc::default(),
        recorder: recorder.clone(),
    };
    let config = FederationConfig::builder()
        .domain(domain)
        .signed_fetch_actor(&app.actor)
        .app_data(app)
        .client(recorder.client())
        // Allows http and loopback.
        .debug(true)
        .build()
        .await
        .unwrap();
    let routes = Router::new()
        .route("/user/actor", get(show))
        .route("/user/actor/inbox", post(inbox))
        .route("/.well-known/webfinger", get(webfinger))
        .route("/log", get(async |data: Data<App>| Json(data.log.lock().unwrap().clone())))
        .route(
            "/answer",
            post(async |data: Data<App>, Json(answer): Json<Option<Answer>>| {
                *data.answer.lock().unwrap() = answer;
                Json(Value::Null)
            }),
        )
        .route("/send", post(send))
        .layer(FederationMiddleware::new(config));
    println!("{port}");
    axum::serve(listener, routes).await.unwrap();
}
