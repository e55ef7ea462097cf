//! Tests of the endpoint by the clients of the AWS SDK, over sockets.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use eko_engines::connections::WAITING_MESSAGES;
use eko_service::aws::AwsAccount;
use eko_store::live::ConnectionId;
use eko_store::resources::{self, DELIVERIES};
use eko_store::sockets::PostOutcome;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

/// Clients of one endpoint.
struct TestClients {
    url: String,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
}

/// Makes clients of fresh engines. The engines end with the test's runtime.
async fn clients() -> TestClients {
    let engines = Engines::in_memory().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(engines, listener));
    let credentials = Credentials::new("local", "local", None, None, "local");
    let http = aws_smithy_http_client::Builder::new().build_http();
    macro_rules! client {
        ($sdk:ident) => {
            $sdk::Client::from_conf(
                $sdk::Config::builder()
                    .behavior_version($sdk::config::BehaviorVersion::latest())
                    .region($sdk::config::Region::from_static("us-east-1"))
                    .credentials_provider(credentials.clone())
                    .endpoint_url(&url)
                    .http_client(http.clone())
                    .build(),
            )
        };
    }
    let (dynamodb, sqs) = (client!(aws_sdk_dynamodb), client!(aws_sdk_sqs));
    TestClients { url, dynamodb, sqs }
}

#[tokio::test]
async fn an_item_is_put_and_found() {
    let clients = clients().await;
    resources::create_table(&clients.dynamodb, "eko", resources::TimeToLive::On).await.unwrap();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = clients.dynamodb.put_item().table_name("eko").item("pk", text("a")).item("sk", text("b"));
    put.clone().send().await.unwrap();
    let got = clients.dynamodb.get_item().table_name("eko").key("pk", text("a")).key("sk", text("b"));
    assert_eq!(got.send().await.unwrap().item.unwrap().len(), 2);
    let error = put.condition_expression("attribute_not_exists(pk)").send().await.unwrap_err();
    assert!(error.into_service_error().is_conditional_check_failed_exception());
}

#[tokio::test]
async fn a_message_goes_through_a_queue_whose_url_leads_back_here() {
    let clients = clients().await;
    let urls = resources::create_queue(&clients.sqs, DELIVERIES.name, &DELIVERIES).await.unwrap();
    assert_eq!(urls.queue, format!("{}/000000000000/deliveries", clients.url));
    clients.sqs.send_message().queue_url(&urls.queue).message_body("m").send().await.unwrap();
    let receive = clients.sqs.receive_message().queue_url(&urls.queue);
    let got = receive.send().await.unwrap().messages.unwrap();
    assert_eq!(got[0].body(), Some("m"));
    let error = clients.sqs.get_queue_url().queue_name("none").send().await.unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
    let listed = clients.sqs.list_queues().send().await.unwrap();
    assert_eq!(listed.queue_urls.unwrap(), [urls.queue, urls.dlq]);
}

#[tokio::test]
async fn parameters_are_those_that_were_put_in() {
    let engines = Engines::in_memory().unwrap();
    engines.put_parameter("/eko/a", "old");
    engines.put_parameter("/eko/a", "secret");
    let ask = async |operation: &str, body: Value| {
        let request = Request::post("/").header("x-amz-target", format!("AmazonSSM.{operation}"));
        let request = request.body(axum::body::Body::from(body.to_string())).unwrap();
        let response = router(engines.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), BODY_LIMIT).await.unwrap();
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let names = json!(["/eko/a", "/eko/b"]);
    let (status, got) = ask("GetParameters", json!({ "Names": names, "WithDecryption": true })).await;
    assert_eq!((status, &got["InvalidParameters"]), (200, &json!(["/eko/b"])));
    let [parameter] = &got["Parameters"].as_array().unwrap()[..] else { panic!("{got}") };
    assert_eq!((&parameter["Name"], &parameter["Value"]), (&json!("/eko/a"), &json!("secret")));
    assert_eq!((&parameter["Type"], &parameter["Version"]), (&json!("SecureString"), &json!(2)));
    let (_, sealed) = ask("GetParameters", json!({ "Names": names })).await;
    assert_ne!(sealed["Parameters"][0]["Value"], "secret");
    let (status, twice) = ask("GetParameters", json!({ "Names": ["/eko/a", "/eko/a"] })).await;
    assert_eq!((status, &twice["__type"]), (400, &json!("ValidationException")));
    let (status, unknown) = ask("DeleteParameter", json!({ "Name": "/eko/a" })).await;
    assert_eq!(
        (status, &unknown["__type"]),
        (400, &json!("com.amazon.coral.service#UnknownOperationException"))
    );
}

/// Functions in other processes post to connections by the transport that they have in Lambda.
#[tokio::test]
async fn frames_go_to_the_connections_of_the_engines() {
    let engines = Engines::in_memory().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(engines.clone(), listener));
    let sockets = AwsAccount::from_env(|_| None).unwrap().sockets(&url);
    let mut connection = engines.connections().open();
    // Ids have characters that a path encodes.
    while !connection.id.contains('/') {
        connection = engines.connections().open();
    }
    let id = ConnectionId::parse(&connection.id).unwrap();
    assert_eq!(sockets.post(&id, "{}").await, PostOutcome::Gone);
    connection.establish();
    assert_eq!(sockets.post(&id, "{}").await, PostOutcome::Sent);
    assert_eq!(connection.receive().await.unwrap(), b"{}");
    for _ in 0..WAITING_MESSAGES {
        assert_eq!(sockets.post(&id, "{}").await, PostOutcome::Sent);
    }
    assert_eq!(sockets.post(&id, "{}").await, PostOutcome::Busy);
    sockets.close(&id).await;
    assert_eq!(sockets.post(&id, "{}").await, PostOutcome::Gone);
    let nowhere = AwsAccount::from_env(|_| None).unwrap().sockets("http://127.0.0.1:1");
    assert_eq!(nowhere.post(&id, "{}").await, PostOutcome::Failed);
}
