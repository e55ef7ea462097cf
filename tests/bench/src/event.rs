//! The events that API Gateway and SQS hand to functions, and the functions' answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Map, Value, json};

/// Returns a request as an event of an HTTP API (payload format 2.0). The body is in base64 unless
/// API Gateway takes it for text, as it does `application/json` and not
/// `application/activity+json`.
pub fn http(request: &Request<Bytes>) -> Value {
    let mut headers = Map::new();
    headers.insert("host".to_owned(), json!("eko.example"));
    for (name, value) in request.headers() {
        headers.insert(name.to_string(), json!(value.to_str().unwrap_or_default()));
    }
    let path = request.uri().path();
    let text = matches!(headers.get("content-type").and_then(Value::as_str), Some("application/json"));
    let body = match text {
        true => String::from_utf8_lossy(request.body()).into_owned(),
        false => STANDARD.encode(request.body()),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": format!("{} {path}", request.method()),
        "rawPath": path,
        "rawQueryString": request.uri().query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "domainName": "eko.example",
            "domainPrefix": "eko",
            "http": {
                "method": request.method().as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "eko-bench",
            },
            "requestId": "request",
            "routeKey": format!("{} {path}", request.method()),
            "stage": "$default",
            "time": "29/Jan/2026:19:30:00 +0000",
            "timeEpoch": 1_769_715_000_000_i64,
        },
        "isBase64Encoded": !text,
    });
    if !request.body().is_empty() {
        event["body"] = json!(body);
    }
    event
}

/// Returns the status and the JSON body of a function's answer; the body is `null` if it is no
/// JSON.
pub fn answer(answer: &Value) -> (StatusCode, Value) {
    let status =
        answer["statusCode"].as_u64().and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
    let body = answer["body"].as_str().unwrap_or_default();
    let bytes = match answer["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body).unwrap_or_default(),
        _ => body.as_bytes().to_vec(),
    };
    (status.unwrap_or_default(), serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Returns a text message on a connection of a WebSocket API.
pub fn message(connection: &str, body: &str) -> Value {
    json!({
        "requestContext": {
            "routeKey": "$default",
            "eventType": "MESSAGE",
            "messageDirection": "IN",
            "messageId": "message",
            "stage": "live",
            "connectedAt": 1_769_715_000_000_i64,
            "requestTimeEpoch": 1_769_715_000_000_i64,
            "identity": { "sourceIp": "203.0.113.7" },
            "requestId": "request",
            "extendedRequestId": "request",
            "domainName": "live.eko.example",
            "connectionId": connection,
            "apiId": "live",
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// Returns a batch of a queue with these bodies, whose message ids are `0`, `1` and so on.
pub fn sqs(queue: &str, bodies: &[String]) -> Value {
    let record = |(index, body): (usize, &String)| {
        json!({
            "messageId": index.to_string(),
            "receiptHandle": format!("handle-{index}"),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1769715000000",
                "SenderId": "000000000000",
                "ApproximateFirstReceiveTimestamp": "1769715000001",
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}
