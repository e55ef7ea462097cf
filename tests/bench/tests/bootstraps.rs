//! The functions' real executables under the Runtime API: the events of API Gateway and SQS, and
//! the answers to them.
//!
//! The variable `EKO_BOOTSTRAPS` names their folder, `target/debug` after `cargo build
//! --workspace`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use eko_bench::aws::AwsEndpoint;
use eko_bench::bootstrap::{Bootstrap, Instrument, executable};
use eko_bench::event;
use eko_bench::functions::{FUNCTIONS, MeasuredFunction};
use eko_bench::scene::BenchScene;
use http::Request;
use serde_json::{Value, json};

fn bootstrap(function: &str) -> PathBuf {
    let folder = std::env::var_os("EKO_BOOTSTRAPS").expect("EKO_BOOTSTRAPS says where the executables are");
    // The folder is relative to the workspace. The test runs in another folder.
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    executable(&root.join(folder), function)
}

fn function(name: &str) -> &'static MeasuredFunction {
    FUNCTIONS.iter().find(|function| function.name == name).unwrap()
}

/// A scene, its engines over TLS, and the environment of a function in it.
struct BootstrapStage {
    scene: BenchScene,
    environment: BTreeMap<String, String>,
    endpoint: AwsEndpoint,
    /// The folder with the authority's certificate.
    _folder: tempfile::TempDir,
}

impl BootstrapStage {
    async fn of(name: &str) -> Self {
        let scene = BenchScene::new().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let endpoint = AwsEndpoint::https(scene.engines(), folder.path()).unwrap();
        let environment = scene.environment(function(name).needs, &endpoint);
        Self { scene, environment, endpoint, _folder: folder }
    }

    async fn start(&self, name: &str) -> Bootstrap {
        Bootstrap::start(&bootstrap(name), &self.environment, Instrument::None).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_starts_and_answers_again_and_again() {
    for function in &FUNCTIONS {
        let mut stage = BootstrapStage::of(function.name).await;
        let mut running = stage.start(function.name).await;
        for n in 0..3 {
            let event = stage.scene.event(function.name, n).unwrap();
            let (answer, _) = running.invoke(event).await.unwrap();
            stage.scene.check(function.name, &answer).unwrap();
        }
        running.end().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_ends_init_with_a_word() {
    for (name, variable) in [
        ("deliver", "TABLE"),
        ("devices", "ORIGIN"),
        ("devices", "TOKEN_KEYS_PARAMETER"),
        ("outbox", "DELIVERIES_URL"),
        ("outbox", "FEDERATION_URL"),
        ("auth", "OIDC_ISSUER"),
    ] {
        let mut stage = BootstrapStage::of(name).await;
        stage.environment.remove(variable);
        let started = Bootstrap::start(&bootstrap(name), &stage.environment, Instrument::None).await;
        assert!(started.unwrap_err().to_string().contains("ended in init"), "{name} without {variable}");
    }
    // The parameter store has no parameter of that name.
    let mut stage = BootstrapStage::of("devices").await;
    stage.environment.insert("TOKEN_KEYS_PARAMETER".to_owned(), "/elsewhere".to_owned());
    let started = Bootstrap::start(&bootstrap("devices"), &stage.environment, Instrument::None).await;
    assert!(started.is_err());
}

/// The functions trust Amazon's roots only. Without the bundle they read nothing, and those that
/// need a secret do not start.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_amazon_does_not_vouch_for_is_not_believed() {
    let mut stage = BootstrapStage::of("discovery").await;
    stage.environment.remove("AWS_CA_BUNDLE");
    let started = Bootstrap::start(&bootstrap("discovery"), &stage.environment, Instrument::None).await;
    assert!(started.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_come_through_as_they_were_sent() {
    let stage = BootstrapStage::of("discovery").await;
    let mut running = stage.start("discovery").await;
    let get = |path: &str| event::http(&Request::get(path).body(Bytes::new()).unwrap());

    // A query is decoded once.
    let (answer, _) =
        running.invoke(get("/.well-known/webfinger?resource=acct%3Abob%40eko.example")).await.unwrap();
    let (status, body) = event::answer(&answer);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(body["subject"], "acct:bob@eko.example");
    assert_eq!(answer["headers"]["content-type"], "application/jrd+json");

    // A path that is not routed, and a method that the path does not have, are answered with
    // problems and a request id.
    let (answer, _) = running.invoke(get("/nowhere")).await.unwrap();
    let (status, body) = event::answer(&answer);
    assert_eq!(status, 404);
    assert_eq!(body["type"], "https://eko.example/problems/not-found");
    assert_eq!(answer["headers"]["content-type"], "application/problem+json");
    assert!(answer["headers"]["x-request-id"].is_string());
    let post = event::http(&Request::post("/user/bob").body(Bytes::new()).unwrap());
    let (answer, _) = running.invoke(post).await.unwrap();
    assert_eq!(event::answer(&answer).0, 405);
    assert_eq!(answer["headers"]["allow"], "GET,HEAD");
    running.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_come_as_text_and_as_base64_and_may_be_anything() {
    let mut stage = BootstrapStage::of("outbox").await;
    let mut running = stage.start("outbox").await;
    let good = stage.scene.event("outbox", 0).unwrap();
    assert_eq!(good["isBase64Encoded"], true);
    let (answer, _) = running.invoke(good.clone()).await.unwrap();
    stage.scene.check("outbox", &answer).unwrap();

    // The same body as text is the same envelope again, with the same outcome.
    let mut text = good.clone();
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, good["body"].as_str().unwrap());
    text["body"] = json!(String::from_utf8(bytes.unwrap()).unwrap());
    text["isBase64Encoded"] = json!(false);
    let (answer, _) = running.invoke(text).await.unwrap();
    stage.scene.check("outbox", &answer).unwrap();

    let refused = async |running: &mut Bootstrap, change: &dyn Fn(&mut Value)| {
        let mut event = good.clone();
        change(&mut event);
        let (answer, _) = running.invoke(event).await.unwrap();
        let (status, body) = event::answer(&answer);
        (status.as_u16(), body["title"].is_string())
    };
    // No body, half a body, no JSON, another media type, no good token.
    assert_eq!(refused(&mut running, &|event| event["body"] = Value::Null).await, (400, true));
    assert_eq!(refused(&mut running, &|event| event["body"] = json!("eyJ0eXBlIjo=")).await, (400, true));
    assert_eq!(refused(&mut running, &|event| event["body"] = json!("AAAA")).await, (400, true));
    assert_eq!(
        refused(&mut running, &|event| event["headers"]["content-type"] = json!("text/plain")).await,
        (415, true)
    );
    assert_eq!(
        refused(&mut running, &|event| event["headers"]["authorization"] = json!("Bearer x")).await,
        (401, true)
    );
    // The function still works after the bad requests.
    let again = stage.scene.event("outbox", 1).unwrap();
    let (answer, _) = running.invoke(again).await.unwrap();
    stage.scene.check("outbox", &answer).unwrap();
    running.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_only_what_failed_comes_back() {
    let stage = BootstrapStage::of("deliver").await;
    let mut running = stage.start("deliver").await;
    let body = |event: Value| event["Records"][0]["body"].as_str().unwrap().to_owned();
    let good = [0, 1].map(|n| body(stage.scene.event("deliver", n).unwrap()));
    let [first, last] = good;
    let batch = event::sqs("deliveries", &[first, "poison".to_owned(), last]);
    let (answer, _) = running.invoke(batch).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] }));
    running.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_aws_a_request_is_503_and_a_batch_comes_back() {
    for (name, expected) in [("devices", None), ("deliver", Some("0"))] {
        let stage = BootstrapStage::of(name).await;
        let mut running = stage.start(name).await;
        let event = stage.scene.event(name, 0).unwrap();
        drop(stage.endpoint);
        let (answer, _) = running.invoke(event).await.unwrap();
        match expected {
            Some(id) => assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": id }] })),
            None => {
                assert_eq!(event::answer(&answer).0, 503, "{answer}");
                assert!(answer["headers"]["retry-after"].is_string());
            }
        }
        running.end().await.unwrap();
    }
}
