//! Frames that are refused: each is answered, and names its id.

use eko_protocol::limits::{FRAME_BURST, MAX_FRAME_BYTES};
use serde_json::json;

use super::{addresses, alice_and_bob, kinds};

#[tokio::test]
async fn every_bad_frame_is_answered_and_the_socket_stays() {
    let (world, alice, bob) = alice_and_bob().await;
    world.send(&alice, &[&bob]).await;
    world.send(&bob, &[&alice]).await;
    world.deliver().await;
    let mut socket = world.connect(&bob).await.unwrap();
    let mut foreign = world.connect(&alice).await.unwrap();
    let foreign = addresses(&foreign.fetch().await);
    let large = json!({ "type": "Ping", "id": "i", "more": "x".repeat(MAX_FRAME_BYTES) });
    let many = vec!["https://eko.example/user/bob/inbox/x"; 101];
    for (text, problem, pointer, id) in [
        ("{".to_owned(), "not-json", None, None),
        (String::new(), "not-json", None, None),
        ("[]".to_owned(), "invalid", Some(""), None),
        (r#"{"id": "i", "type": "Ping", "type": "Ping"}"#.to_owned(), "invalid", Some("/type"), Some("i")),
        (json!({ "id": "i" }).to_string(), "invalid", Some("/type"), Some("i")),
        (json!({ "type": "Create", "id": "i" }).to_string(), "invalid", Some("/type"), Some("i")),
        (json!({ "type": "Ping", "id": "x".repeat(65) }).to_string(), "invalid", Some("/id"), None),
        (json!({ "type": "Authenticate", "id": "i" }).to_string(), "invalid", Some("/token"), Some("i")),
        (large.to_string(), "body-too-large", None, Some("i")),
        (
            json!({ "type": "Delivered", "id": "i", "object": foreign }).to_string(),
            "not-yours",
            Some("/object/0"),
            Some("i"),
        ),
        (
            json!({ "type": "Delivered", "id": "i", "object": "https://eko.example/user/bob" }).to_string(),
            "not-yours",
            Some("/object/0"),
            Some("i"),
        ),
        (
            json!({ "type": "Delivered", "actor": alice.actor(), "id": "i", "object": many[0] }).to_string(),
            "not-yours",
            Some("/actor"),
            Some("i"),
        ),
        (json!({ "type": "Delivered", "object": many }).to_string(), "invalid", Some("/object"), None),
    ] {
        let told = socket.say_text(&text).await;
        let shown = text.get(..80).unwrap_or(&text);
        assert_eq!(kinds(&told), [format!("Problem {problem}")], "{shown}");
        assert_eq!(told[0]["object"].as_str(), id, "{shown}");
        assert_eq!(told[0]["problem"]["pointer"].as_str(), pointer, "{shown}");
    }
    for (bytes, id) in [(&b"{\"type\": \"Ping\", \"id\": \"b\"}"[..], Some("b")), (b"\xFF", None)] {
        let told = socket.say_binary(bytes).await;
        assert_eq!((kinds(&told), told[0]["object"].as_str()), (vec!["Problem not-json".to_owned()], id));
    }
    // One foreign entry among own ones: none is acknowledged.
    let own = addresses(&socket.fetch().await);
    let mixed = json!({ "type": "Delivered", "id": "m", "object": ([own, foreign].concat()) });
    let told = socket.say(&mixed).await;
    assert_eq!((kinds(&told), &told[0]["object"]), (vec!["Problem not-yours".to_owned()], &json!("m")));
    assert_eq!(told[0]["problem"]["pointer"], "/object/1");
    assert_eq!(kinds(&socket.fetch().await), ["Create", "QueueEmpty"]);
}

/// A device may send sixty frames at once, and one a second besides.
#[tokio::test]
async fn a_flood_ends_the_socket() {
    let (world, _alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    let ping = json!({ "type": "Ping", "id": "p" });
    for _ in 0..FRAME_BURST {
        assert_eq!(kinds(&socket.say(&ping).await), ["Pong"]);
    }
    world.advance(1_000);
    assert_eq!(kinds(&socket.say(&ping).await), ["Pong"]);
    let told = socket.say(&ping).await;
    assert_eq!(kinds(&told), ["Problem too-many", "Terminated too-many-messages"]);
    assert_eq!(told[0]["object"], "p");
    assert!(socket.is_closed());
    // Frames that were under way reach nobody.
    assert_eq!(kinds(&socket.say(&ping).await), [] as [&str; 0]);
}

/// A part of the server that is out of reach is told like any other problem.
#[tokio::test]
async fn a_frame_is_answered_though_the_table_is_away() {
    let (world, _alice, bob) = alice_and_bob().await;
    let mut socket = world.connect(&bob).await.unwrap();
    world.calls.fail("UpdateItem", eko_testkit::CallFault::Down, 3);
    let told = socket.say(&json!({ "type": "Ping", "id": "p" })).await;
    assert_eq!((kinds(&told), &told[0]["object"]), (vec!["Problem unavailable".to_owned()], &json!("p")));
    world.calls.fail("Query", eko_testkit::CallFault::Down, 3);
    assert_eq!(kinds(&socket.fetch().await), ["Problem unavailable"]);
    assert_eq!(kinds(&socket.fetch().await), ["QueueEmpty"]);
}
