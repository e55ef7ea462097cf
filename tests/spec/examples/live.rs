//! Section 8: the frames of a socket.

use eko_protocol::address::{Origin, UserName};
use eko_protocol::collection::PreKeyCount;
use eko_protocol::frame::{self, ClientFrame, TerminationReason};
use eko_service::Problem;
use serde_json::{Value, json};

use super::Examples;

pub(super) fn play(examples: &mut Examples) {
    let origin = Origin::parse("https://eko.example").unwrap();
    let bob = UserName::parse("bob").unwrap();
    let entry = "https://eko.example/user/bob/inbox/019c0b3be792-a3c863d52f5c62649c3e6c2e75806e9a";
    let mut sent = |title: &str, frame: Value| {
        ClientFrame::parse(frame.to_string().as_bytes()).unwrap();
        examples.document(title, &frame);
    };
    sent("Fetch", json!({ "type": "Fetch", "id": "1" }));
    sent("Delivered frame", json!({ "type": ["Activity", "Delivered"], "id": "2", "object": [entry] }));
    sent("Authenticate", json!({ "type": "Authenticate", "id": "3", "token": "<access token>" }));
    sent("Ping", json!({ "type": "Ping" }));
    examples.document("Accept", &frame::accepted("2"));
    examples.document("Announce", &frame::announce(&origin, &bob));
    examples.document("Pong", &frame::pong(None));
    let count = PreKeyCount { pre_keys: 98, kyber_pre_keys: 3 };
    examples.document("QueueEmpty", &frame::queue_empty(Some("1"), count));
    let problem = Problem::DevicePending;
    let type_url = format!("{origin}/problems/{}", problem.kind().slug);
    let problem = problem.body(&type_url, "e60f4bf0-5b8a-4e2b-8f5c-2a4f8a6d3b11");
    examples.document("Problem frame", &frame::problem(Some("1"), problem));
    examples.document("Terminated", &frame::terminated(TerminationReason::TokenExpired));
}
