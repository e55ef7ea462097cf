//! Live delivery: sockets of devices, over the function's own events (`docs/protocol.md`, section
//! 8).

mod bad_input;
mod connecting;
mod delivery;
mod ends;

use eko_client::Device;
use eko_testkit::{DirectTransport, TestSocket, World};
use serde_json::Value;

/// Starts a server with sockets, and Alice and Bob, who have one device each.
async fn alice_and_bob() -> (World, Device<DirectTransport>, Device<DirectTransport>) {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    (world, alice, bob)
}

/// Returns the types of frames, and of `Terminated` the reason.
fn kinds(frames: &[Value]) -> Vec<String> {
    let kind = |frame: &Value| match frame["type"].as_str() {
        Some("Terminated") => format!("Terminated {}", frame["reason"].as_str().unwrap()),
        Some("Problem") => {
            let (_, slug) = frame["problem"]["type"].as_str().unwrap().rsplit_once('/').unwrap();
            format!("Problem {slug}")
        }
        Some(kind) => kind.to_owned(),
        // Entries have the types of activities, which may be several.
        None => frame["type"][1].as_str().unwrap().to_owned(),
    };
    frames.iter().map(kind).collect()
}

/// Asserts that a socket was told this reason, and then closed.
#[track_caller]
fn assert_ended(socket: &mut TestSocket, reason: &str) {
    assert_eq!(kinds(&socket.frames()), [format!("Terminated {reason}")]);
    assert!(socket.is_closed());
}

/// Returns the addresses of entries, in the order of the frames.
fn addresses(frames: &[Value]) -> Vec<String> {
    frames.iter().filter_map(|frame| frame["eko:entry"].as_str()).map(str::to_owned).collect()
}
