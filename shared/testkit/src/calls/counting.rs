//! The HTTP client that counts, holds, denies and records calls, and injects faults.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;

use super::{CallFault, Calls, RecordedCall};

/// The least time that a call takes, so that calls that are made at the same time are seen to
/// overlap.
const OVERLAP: Duration = Duration::from_millis(3);

/// The HTTP client around another one.
#[derive(Debug)]
pub(super) struct CountingClient {
    pub(super) calls: Calls,
    /// The function whose role is enforced. `None` for the test itself.
    pub(super) function: Option<&'static str>,
    pub(super) inner: SharedHttpClient,
}

impl HttpClient for CountingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(CountingConnector {
            calls: self.calls.clone(),
            function: self.function,
            inner,
        })
    }
}

/// The connector around another one.
#[derive(Debug)]
struct CountingConnector {
    calls: Calls,
    function: Option<&'static str>,
    inner: SharedHttpConnector,
}

impl HttpConnector for CountingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = target_of(&request);
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let (calls, function, inner) = (self.calls.clone(), self.function, self.inner.clone());
        HttpConnectorFuture::new(async move {
            let is_recording = calls.lock().recorded.is_some();
            let (request, request_json) =
                if is_recording { metered(&target, request) } else { (request, Value::Null) };
            let allowed = function.is_none_or(|function| calls.allows(function, &target, &request));
            let fault = calls.begin(&operation);
            if operation == "PostToConnection" && calls.hangs(request.uri()) {
                std::future::pending::<()>().await;
            }
            if let Some(gate) = calls.held(&operation) {
                gate.reached.notify_one();
                gate.released.notified().await;
            }
            tokio::time::sleep(OVERLAP).await;
            let answer = match fault {
                _ if !allowed => Ok(access_denied()),
                None => inner.call(request).await,
                Some(CallFault::Down) => Ok(down()),
                Some(CallFault::AnswerLost) => inner.call(request).await.map(|_| down()),
                Some(CallFault::ProcessDies) => {
                    let performed = inner.call(request).await.map(whole);
                    if let Ok(performed) = performed {
                        let _ = performed.await;
                    }
                    calls.end();
                    calls.death.notify_one();
                    std::future::pending().await
                }
                Some(CallFault::EntriesRefused) => Ok(entries_refused(&request)),
                Some(CallFault::Conflict) => Ok(conflict()),
            };
            let answer = match answer {
                Ok(answer) => whole(answer).await,
                error => error,
            };
            let answer = if calls.lock().hides_refused { answer.map(without_item) } else { answer };
            calls.end();
            if let (true, Ok(answer)) = (is_recording, &answer) {
                let exchange =
                    RecordedCall { operation, request: request_json, response: body(answer.body()) };
                calls.lock().recorded.get_or_insert_default().push(exchange);
            }
            answer
        })
    }
}

/// Returns the service and the operation of a request, as the header `X-Amz-Target` has them.
fn target_of(request: &HttpRequest) -> String {
    let is_connection = request.uri().contains("/@connections/");
    match (request.headers().get("x-amz-target"), request.method()) {
        (None, "POST") if is_connection => "ApiGatewayManagement.PostToConnection".to_owned(),
        (None, "DELETE") if is_connection => "ApiGatewayManagement.DeleteConnection".to_owned(),
        (target, _) => target.unwrap_or_default().to_owned(),
    }
}

/// Reads the whole body of an answer, which may still be arriving over a socket.
pub(crate) async fn whole(answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = ByteStream::new(answer.into_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// Parses a body in memory as JSON. Returns `null` if it is none.
pub(crate) fn body(body: &SdkBody) -> Value {
    serde_json::from_slice(body.bytes().unwrap_or_default()).unwrap_or_default()
}

/// Returns a request with another body, and the length of that.
pub(crate) fn with_body(mut request: HttpRequest, body: &Value) -> HttpRequest {
    let body = body.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    request
}

/// Leaves the stored item out of a refusal by a failed condition.
fn without_item(answer: HttpResponse) -> HttpResponse {
    let mut refusal = body(answer.body());
    let kind = refusal["__type"].as_str().and_then(|kind| kind.rsplit('#').next());
    let refusals = match kind {
        Some("ConditionalCheckFailedException") => vec![&mut refusal],
        Some("TransactionCanceledException") => {
            refusal["CancellationReasons"].as_array_mut().into_iter().flatten().collect()
        }
        _ => return answer,
    };
    for members in refusals.into_iter().filter_map(Value::as_object_mut) {
        members.remove("Item");
    }
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut answer = HttpResponse::new(status, SdkBody::from(refusal.to_string()));
    *answer.headers_mut() = headers;
    answer.headers_mut().remove("content-length");
    answer.headers_mut().remove("x-amz-crc32");
    answer
}

/// Makes a request to DynamoDB ask for the consumed capacity. Returns it with its JSON.
fn metered(target: &str, request: HttpRequest) -> (HttpRequest, Value) {
    let mut request_json = body(request.body());
    if !target.starts_with("DynamoDB_") || !request_json.is_object() {
        return (request, request_json);
    }
    request_json["ReturnConsumedCapacity"] = "TOTAL".into();
    (with_body(request, &request_json), request_json)
}

/// Makes the answer to a call that the role does not allow.
fn access_denied() -> HttpResponse {
    let body = r#"{"__type":"AccessDeniedException","Message":"no policy of the role allows it"}"#;
    answer(400, body.to_owned())
}

/// Makes the answer of a service that is out of order.
fn down() -> HttpResponse {
    answer(500, r#"{"__type":"InternalServerError","message":"injected"}"#.to_owned())
}

/// Makes the answer to a write of an item that a transaction is writing.
fn conflict() -> HttpResponse {
    let body =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"injected"}"#;
    answer(400, body.to_owned())
}

/// Makes the answer that refuses all entries of a batch.
fn entries_refused(request: &HttpRequest) -> HttpResponse {
    let entries = body(request.body())["Entries"].as_array().cloned().unwrap_or_default();
    let failed = entries.iter().map(|entry| {
        serde_json::json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false, "Message": "injected" })
    });
    let failed: Vec<serde_json::Value> = failed.collect();
    answer(200, serde_json::json!({ "Successful": [], "Failed": failed }).to_string())
}

/// Makes an answer of AWS JSON.
fn answer(status: u16, body: String) -> HttpResponse {
    let status = status.try_into().expect("a status code");
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
