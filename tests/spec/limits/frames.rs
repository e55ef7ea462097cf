//! The limits of sockets and their frames.

use eko_protocol::limits::MAX_FRAME_BYTES;
use eko_testkit::{TestSocket, World};
use serde_json::{Value, json};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "sockets of a device",
    "sockets that a device opens in a minute",
    "bytes of a frame on a socket",
    "bytes of a frame's `id`",
    "bytes of a token in a frame",
    "frames of a device on a socket at once",
    "`Fetch` frames on a socket that are answered with entries at once",
    "entries that a `Fetch` on a socket is answered with",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Returns what a device with a socket is told that has `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut socket = world.connect(&bob).await.unwrap();
    let length = usize::try_from(count).unwrap();
    let frames = match limit {
        "sockets of a device" => {
            let mut others: Vec<TestSocket> = Vec::new();
            for _ in 1..count {
                world.advance(1);
                others.push(world.connect(&bob).await.unwrap());
            }
            socket.frames()
        }
        "sockets that a device opens in a minute" => {
            for _ in 2..count {
                world.connect(&bob).await.map(drop).unwrap();
            }
            let refused = world.connect(&bob).await.err();
            return refused.map(|status| status.as_str().to_owned()).unwrap_or_default();
        }
        "bytes of a frame on a socket" => {
            assert!(length <= MAX_FRAME_BYTES + 1);
            let ping = json!({ "type": "Ping" }).to_string();
            let ping = format!("{}{ping}", " ".repeat(length - ping.len()));
            socket.say_text(&ping).await
        }
        "bytes of a frame's `id`" => socket.say(&json!({ "type": "Ping", "id": "x".repeat(length) })).await,
        "bytes of a token in a frame" => {
            socket.say(&json!({ "type": "Authenticate", "token": "x".repeat(length) })).await
        }
        "frames of a device on a socket at once" => {
            for _ in 1..count {
                socket.say(&json!({ "type": "Ping" })).await;
            }
            socket.say(&json!({ "type": "Ping" })).await
        }
        "`Fetch` frames on a socket that are answered with entries at once" => {
            for _ in 1..count {
                socket.fetch().await;
            }
            socket.fetch().await
        }
        "entries that a `Fetch` on a socket is answered with" => {
            for _ in 0..count {
                world.send(&alice, &[&bob]).await;
            }
            world.deliver().await;
            socket.frames();
            let mut frames = socket.fetch().await;
            frames.split_off(frames.len() - 1)
        }
        other => panic!("nothing plays {other:?}"),
    };
    frames.iter().map(told).collect::<Vec<String>>().join(", ")
}

/// Returns a frame as the table has it: of a problem status, slug and pointer, of `Terminated` the
/// reason.
fn told(frame: &Value) -> String {
    let problem = &frame["problem"];
    let slug = problem["type"].as_str().and_then(|url| url.rsplit('/').next());
    match (slug, frame["reason"].as_str(), problem["pointer"].as_str()) {
        (Some(slug), _, Some(pointer)) => format!("{} `{slug}` `{pointer}`", problem["status"]),
        (Some(slug), _, None) => format!("{} `{slug}`", problem["status"]),
        (None, Some(reason), _) => format!("`Terminated` `{reason}`"),
        (None, None, _) => format!("`{}`", frame["type"].as_str().unwrap()),
    }
}
