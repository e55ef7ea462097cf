//! The capacity that calls to AWS consume: as the engine says, and as AWS's formulas say from the
//! sizes of items. Both must agree.
//!
//! The sizes follow the DynamoDB Developer Guide, "DynamoDB item sizes and formats"; the units
//! follow "DynamoDB read and write operations". SQS counts every 64 KB of a request's payload as a
//! request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_engines::Engines;
use eko_testkit::RecordedCall;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The bytes of a write unit.
const WRITE_BYTES: usize = 1024;
/// The bytes of a read unit.
const READ_BYTES: usize = 4096;
/// The bytes of payload that SQS counts as one request.
const REQUEST_BYTES: usize = 64 * 1024;

/// The capacity that calls consumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Consumption {
    /// DynamoDB read request units.
    pub read_units: f64,
    /// DynamoDB write request units.
    pub write_units: f64,
    /// SQS requests.
    pub sqs_requests: f64,
    /// Calls of any service.
    pub calls: usize,
}

impl std::ops::AddAssign for Consumption {
    fn add_assign(&mut self, other: Self) {
        self.read_units += other.read_units;
        self.write_units += other.write_units;
        self.sqs_requests += other.sqs_requests;
        self.calls += other.calls;
    }
}

/// Returns the capacity that these calls consumed.
///
/// # Errors
/// The engine's figure of a call differs from the formula's.
pub async fn consumed(engines: &Engines, exchanges: &[RecordedCall]) -> anyhow::Result<Consumption> {
    let mut sum = Consumption::default();
    for exchange in exchanges {
        let mut one = Consumption { calls: 1, ..Consumption::default() };
        match exchange.operation.as_str() {
            "SendMessage" | "SendMessageBatch" | "ReceiveMessage" => {
                one.sqs_requests = sqs_requests(exchange)
            }
            "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" | "GetQueueAttributes" => {
                one.sqs_requests = 1.0
            }
            // Messages of the WebSocket API, which consume no capacity.
            "PostToConnection" | "DeleteConnection" => {}
            operation => {
                let formula = formula(engines, exchange).await;
                // A write whose condition did not hold is answered with an error without a figure,
                // and is charged all the same.
                let failed = exchange.response["__type"]
                    .as_str()
                    .is_some_and(|kind| kind.ends_with("ConditionalCheckFailedException"));
                let said = if failed { formula.unwrap_or(1.0) } else { said(&exchange.response) };
                anyhow::ensure!(
                    formula.is_none_or(|formula| (formula - said).abs() < 0.01),
                    "{operation}: the engine says {said} units, the sizes say {formula:?}: {}",
                    exchange.request
                );
                match operation {
                    "GetItem" | "BatchGetItem" | "Query" => one.read_units = said,
                    _ => one.write_units = said,
                }
            }
        }
        sum += one;
    }
    Ok(sum)
}

/// Returns the units in an answer of the engine: of one table, or of several in a batch.
fn said(response: &Value) -> f64 {
    let units = |consumed: &Value| consumed["CapacityUnits"].as_f64().unwrap_or_default();
    match &response["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(units).sum(),
        one => units(one),
    }
}

/// Returns the requests that SQS counts for a call, by its payload.
fn sqs_requests(exchange: &RecordedCall) -> f64 {
    let bodies = |messages: &Value, member: &str| -> usize {
        let body = |message: &Value| message[member].as_str().map_or(0, str::len);
        messages.as_array().map_or(0, |messages| messages.iter().map(body).sum())
    };
    let bytes =
        bodies(&exchange.request["Entries"], "MessageBody") + bodies(&exchange.response["Messages"], "Body");
    rounded(bytes, REQUEST_BYTES)
}

/// Returns how many units these bytes are, at least one.
fn rounded(bytes: usize, unit: usize) -> f64 {
    bytes.div_ceil(unit).max(1) as f64
}

/// Returns the units by the sizes of the items as they are now, or `None` if these sizes are not
/// those at the time of the call.
async fn formula(engines: &Engines, exchange: &RecordedCall) -> Option<f64> {
    let RecordedCall { operation, request, response } = exchange;
    let table = &request["TableName"];
    let reads = |consistent: &Value| if consistent == &Value::Bool(true) { 1.0 } else { 0.5 };
    Some(match operation.as_str() {
        "PutItem" => rounded(item_bytes(&request["Item"]), WRITE_BYTES),
        "UpdateItem" => rounded(stored(engines, table, &request["Key"]).await, WRITE_BYTES),
        "DeleteItem" => rounded(item_bytes(response.get("Attributes")?), WRITE_BYTES),
        "BatchWriteItem" => {
            let writes = request["RequestItems"]
                .as_object()?
                .values()
                .flat_map(|v| v.as_array().into_iter().flatten());
            let put = |write: &Value| {
                write["PutRequest"].get("Item").map(|item| rounded(item_bytes(item), WRITE_BYTES))
            };
            writes.map(put).sum::<Option<f64>>()?
        }
        "GetItem" => {
            rounded(stored(engines, table, &request["Key"]).await, READ_BYTES)
                * reads(&request["ConsistentRead"])
        }
        "BatchGetItem" => {
            let mut units = 0.0;
            for (name, keys) in request["RequestItems"].as_object()? {
                for key in keys["Keys"].as_array()? {
                    let bytes = stored(engines, &json!(name), key).await;
                    units += rounded(bytes, READ_BYTES) * reads(&keys["ConsistentRead"]);
                }
            }
            units
        }
        "Query" => {
            let mut bytes = 0;
            for item in response["Items"].as_array()? {
                bytes += stored(engines, table, &json!({ "pk": item["pk"], "sk": item["sk"] })).await;
            }
            rounded(bytes, READ_BYTES) * reads(&request["ConsistentRead"])
        }
        // A transaction consumes twice the units, of old and new items that are not all known here.
        _ => return None,
    })
}

/// Returns the size of the item that is stored now, or 0 without one.
async fn stored(engines: &Engines, table: &Value, key: &Value) -> usize {
    let body = json!({ "TableName": table, "Key": key, "ConsistentRead": true }).to_string();
    let answer = engines.call("DynamoDB_20120810.GetItem", body.as_bytes()).await;
    let answer: Value = serde_json::from_slice(answer.body.as_ref()).unwrap_or_default();
    item_bytes(&answer["Item"])
}

/// Returns the size of an item: its names and values.
fn item_bytes(item: &Value) -> usize {
    item.as_object()
        .map_or(0, |members| members.iter().map(|(name, value)| name.len() + value_bytes(value)).sum())
}

/// Returns the size of an attribute's value.
fn value_bytes(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|typed: &Map<String, Value>| typed.iter().next())
    else {
        return 0;
    };
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    // Two digits are a byte; the exponent is one more, and so is a sign.
    let number = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let digits =
            text.trim_start_matches('-').trim_matches('0').bytes().filter(u8::is_ascii_digit).count();
        digits.div_ceil(2) + 1 + usize::from(text.starts_with('-'))
    };
    let binary =
        |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).map_or(0, |bytes| bytes.len());
    let all =
        |each: &dyn Fn(&Value) -> usize| value.as_array().map_or(0, |values| values.iter().map(each).sum());
    match kind.as_str() {
        "S" => text(value),
        "N" => number(value),
        "B" => binary(value),
        "SS" => all(&text),
        "NS" => all(&number),
        "BS" => all(&binary),
        // A list or map is three bytes, and one more for each member.
        "L" => 3 + all(&|value| 1 + value_bytes(value)),
        "M" => {
            3 + value.as_object().map_or(0, |members| {
                members.iter().map(|(name, value)| 1 + name.len() + value_bytes(value)).sum()
            })
        }
        _ => 1,
    }
}
