//! Live exchanges with servers that were not written here: one side is a running local server, the
//! other side makes and verifies signatures with other people's libraries. They talk over HTTP on
//! loopback.
//!
//! The test needs a Python with `requirements.txt` (CONTRIBUTING.md).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod exchange;
mod linked_data;
#[expect(dead_code, reason = "the tests with official devices use more of it")]
mod local_server;
mod pasture;
mod peer;
mod receipts;
mod received;
mod sent;
mod stacks;

use eko_protocol::vocabulary::context;
use serde_json::{Value, json};

/// Returns the content that is sent to a device, in base64.
fn content(device: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("sealed for {device}"))
}

/// Returns a `Create` of the envelope `id`, from a device of an actor to devices of one user.
fn create((actor, from): (&str, &str), to: &str, devices: &[String], id: &str) -> Value {
    let message = |to: &String| json!({ "to": to, "from": from, "content": content(to) });
    json!({
        "@context": context(),
        "type": "Create",
        "actor": actor,
        "to": to,
        "object": {
            "type": ["Object", "SignalEnvelope"],
            "id": id,
            "messages": devices.iter().map(message).collect::<Vec<_>>(),
        },
    })
}
