//! Tests of invoking a function, against an `Invoke` API of their own.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

const ARN: &str = "arn:aws:sqs:eu-central-1:123456789012:deliveries";

/// The events that the function got.
type SentEvents = mpsc::UnboundedReceiver<Value>;

/// Starts an `Invoke` API that answers every invocation with this status and body.
async fn function(status: u16, answer: &'static str) -> (QueueFunction, SentEvents) {
    let (tell, sent) = mpsc::unbounded_channel();
    let invoke = move |State(tell): State<mpsc::UnboundedSender<Value>>, body: String| async move {
        tell.send(serde_json::from_str(&body).unwrap()).unwrap();
        (http::StatusCode::from_u16(status).unwrap(), answer)
    };
    let app = Router::new().route("/2015-03-31/functions/deliver/invocations", post(invoke)).with_state(tell);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (QueueFunction::new(&base, "deliver", ARN.to_owned()).unwrap(), sent)
}

/// Returns a batch of two messages.
fn batch() -> Vec<Message> {
    let message = |id| Message::builder().message_id(id).body("m");
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let first = message("1").receipt_handle("r").md5_of_body("5").message_attributes("a", attribute);
    let count = aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
    vec![first.attributes(count, "1").build(), message("2").build()]
}

#[tokio::test]
async fn the_event_is_lambdas() {
    let (function, mut sent) = function(200, r#"{"batchItemFailures":[]}"#).await;
    assert!(function.handle(batch()).await.is_empty());
    let event = sent.recv().await.unwrap();
    let expected = json!({
        "messageId": "1", "receiptHandle": "r", "body": "m", "attributes": { "ApproximateReceiveCount": "1" },
        "messageAttributes": { "a": { "stringValue": "v", "binaryValue": null, "stringListValues": [],
                                      "binaryListValues": [], "dataType": "String" } },
        "md5OfBody": "5", "eventSource": "aws:sqs", "eventSourceARN": ARN, "awsRegion": "eu-central-1",
    });
    assert_eq!(event["Records"][0], expected);
    assert_eq!(event["Records"].as_array().unwrap().len(), 2);
    // The functions' own parser reads the event.
    let event = eko_service::queue_message::batch(serde_json::from_value(event).unwrap());
    assert_eq!(
        (event[0].id.as_str(), event[0].body.as_str(), event[0].receipt_handle.as_str()),
        ("1", "m", "r")
    );
}

#[tokio::test]
async fn what_the_function_names_has_failed() {
    let (function, _sent) = function(200, r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#).await;
    assert_eq!(function.handle(batch()).await, ["2"]);
}

#[tokio::test]
async fn when_the_function_fails_the_whole_batch_has() {
    let error = r#"{"errorType":"E","errorMessage":"m"}"#;
    for (status, answer) in [(500, error), (200, error), (200, ""), (404, r#"{"batchItemFailures":[]}"#)] {
        let (function, _sent) = function(status, answer).await;
        assert_eq!(function.handle(batch()).await, ["1", "2"], "{status} {answer}");
    }
    let nobody = QueueFunction::new("http://127.0.0.1:1", "deliver", ARN.to_owned()).unwrap();
    assert_eq!(nobody.handle(batch()).await, ["1", "2"]);
}
