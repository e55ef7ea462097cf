//! Live exchanges with servers that were not written here: a running local server on one side, and on the other one
//! whose signatures other people's libraries make and verify. All of it over HTTP on loopback.
//!
//! It needs Python with `requirements.txt` (CONTRIBUTING.md).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod local_server;
mod pasture;
mod peer;
mod receipts;
mod received;
mod sent;

use eko_protocol::activity::context;
use eko_protocol::address::Origin;
use serde_json::{Value, json};

/// What is sent to a device, in base64.
fn content(device: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("sealed for {device}"))
}

/// A `Create(SignalEnvelope)` from a device to devices of one user, with the id `id`.
fn create((actor, from): (&str, &str), to: &str, devices: &[String], id: &str) -> Value {
    let message = |to: &String| json!({ "to": to, "from": from, "content": content(to) });
    json!({
        "@context": context(&Origin::of(actor).unwrap()),
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
