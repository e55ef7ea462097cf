//! Section 8: the frames of a socket.

use eko_client::device::JoinKind;
use eko_testkit::World;
use serde_json::{Value, json};

use super::sending::envelope;
use super::{Examples, actor};
use crate::cast::{ALICE, BOB};

pub(super) async fn play(examples: &mut Examples) {
    let world = World::live().await;
    let (alice, phone) = (actor(&world, &ALICE), actor(&world, &BOB));
    for device in [&alice, &phone] {
        device.register(&world.id_token(device).await, JoinKind::First).await.unwrap();
    }
    let mut socket = world.connect(&phone).await.unwrap();
    let fetch = json!({ "type": "Fetch", "id": "1" });
    examples.document("Fetch", &fetch);
    examples.document("QueueEmpty", &only(socket.say(&fetch).await));

    alice.send(&envelope(85, world.state.origin(), &[BOB])).await.unwrap();
    world.deliver().await;
    let entry = only(socket.frames())["eko:entry"].clone();
    let delivered = json!({ "type": ["Activity", "Delivered"], "id": "2", "object": [entry] });
    examples.document("Delivered frame", &delivered);
    examples.document("Accept", &only(socket.say(&delivered).await));
    world.deliver().await;

    examples
        .document("Authenticate", &json!({ "type": "Authenticate", "id": "3", "token": "<access token>" }));
    let ping = json!({ "type": "Ping" });
    examples.document("Ping", &ping);
    examples.document("Pong", &only(socket.say(&ping).await));
    let like = json!({ "type": "Like", "id": "4" });
    examples.document("Problem frame", &only(socket.say(&like).await));
    world.advance(900_000);
    examples.document("Terminated", &only(socket.say(&ping).await));

    phone.refresh().await.unwrap();
    alice.refresh().await.unwrap();
    let mut socket = world.connect(&phone).await.unwrap();
    let mut long = envelope(86, world.state.origin(), &[BOB]);
    long.messages = vec![(phone.id().clone(), vec![7; 32 * 1024])];
    alice.send(&long).await.unwrap();
    world.deliver().await;
    examples.document("Announce", &only(socket.frames()));
}

/// Returns the frame, if there is no other.
fn only(frames: Vec<Value>) -> Value {
    let [frame] = &frames[..] else { panic!("{} frames", frames.len()) };
    frame.clone()
}
