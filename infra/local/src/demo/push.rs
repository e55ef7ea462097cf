//! A push service of the demo's own, as a UnifiedPush server is one: it takes what the server sends
//! to an absent device, and opens it as the device would.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ece::EcKeyComponents;
use eko_client::{Auth, Body};
use eko_web_push::encryption;
use futures_util::TryFutureExt as _;
use http::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::stage::{DemoStage, Party};

/// The longest time that a push may take. It comes through two queues.
const PATIENCE: Duration = Duration::from_secs(20);

/// The subscription of one device at the demo's push service.
pub(super) struct DemoSubscription {
    keys: EcKeyComponents,
    auth: [u8; 16],
    taken: mpsc::UnboundedReceiver<Vec<u8>>,
}

/// Lets a device subscribe, and leave. Returns `None` if the server sends no pushes, or none to a push
/// service on this machine.
///
/// # Errors
/// No port is free, or the server answers anything else.
pub(super) async fn subscribe(stage: &DemoStage, party: &Party) -> anyhow::Result<Option<DemoSubscription>> {
    stage.transcript.step(&format!("{} subscribes at a push service, and is away", party.label));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}/push/1", listener.local_addr()?);
    let (sender, taken) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Vec<u8>>>, body: axum::body::Bytes| {
        let _ = sender.send(body.to_vec());
        StatusCode::CREATED
    };
    let service = Router::new().route("/push/1", post(take)).with_state(sender);
    tokio::spawn(axum::serve(listener, service).into_future().map_err(drop));

    encryption::install();
    let (keys, auth) = ece::generate_keypair_and_auth_secret()?;
    let keys = keys.raw_components()?;
    let [point, secret] = [keys.public_key(), &auth].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let body = json!({ "endpoint": endpoint, "keys": { "p256dh": point, "auth": secret } });
    let path = format!("/user/{}/push", party.device.user());
    let answer = party.device.call(Method::POST, &path, Body::Json(&body), Auth::Device).await?;
    if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY) {
        stage.transcript.means("This server sends no pushes to a push service on this machine.");
        return Ok(None);
    }
    ensure!(answer.status == StatusCode::NO_CONTENT, "expected 204, got {}", answer.status);
    stage.transcript.means("The server keeps the address of the push service, and the keys of the device.");
    Ok(Some(DemoSubscription { keys, auth, taken }))
}

/// Waits for the push that wakes a device, and ends its subscription.
///
/// # Errors
/// No push comes within [`PATIENCE`], it says something, or the server refuses the end of the
/// subscription.
pub(super) async fn is_woken(
    stage: &DemoStage,
    party: &Party,
    mut subscription: DemoSubscription,
) -> anyhow::Result<()> {
    stage.transcript.step(&format!("{} is woken by a push", party.label));
    let taken = tokio::time::timeout(PATIENCE, subscription.taken.recv());
    let taken = taken.await.with_context(|| format!("expected a push, got none in {PATIENCE:?}"))?;
    let sealed = taken.context("the push service has ended")?;
    let content = ece::decrypt(&subscription.keys, &subscription.auth, &sealed)?;
    let content = String::from_utf8_lossy(&content).into_owned();
    if content != r#"{"type":"Wake"}"# {
        bail!("expected a push that says nothing, got {content}");
    }
    // The demo's push service ends with the demo.
    let path = format!("/user/{}/push", party.device.user());
    let answer = party.device.call(Method::DELETE, &path, Body::Empty, Auth::Device).await?;
    ensure!(answer.status == StatusCode::NO_CONTENT, "expected 204, got {}", answer.status);
    stage.transcript.means(&format!("Encrypted for the device, and all it says is {content}."));
    Ok(())
}
