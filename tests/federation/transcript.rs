//! The activities between two servers, whole: each as the other server receives it, and the entry
//! that a device fetches.

use eko_client::{Auth, Body};
use eko_testkit::{Stranger, StrangerAnswer, StrangerRequest};
use http::Method;
use serde_json::{Value, json};

use crate::stranger_scene::StrangerScene;

/// Returns the latest POST to the other server: its target, the headers that the protocol names,
/// and its body.
fn latest_post(to: &Stranger) -> Value {
    let posts = to.posts();
    let Some(StrangerRequest { target, headers, body, .. }) = posts.last() else {
        panic!("there was no POST")
    };
    let header = |name: &str| headers[name].to_str().unwrap();
    json!({
        "target": target,
        "content-type": header("content-type"),
        "signature-input": header("signature-input"),
        "body": serde_json::from_slice::<Value>(body).unwrap(),
    })
}

#[tokio::test]
async fn a_message_and_its_receipt() {
    let scene = StrangerScene::new().await;
    let outgoing = scene.envelope();
    scene.send(&outgoing).await.unwrap();
    insta::assert_json_snapshot!("create", latest_post(&scene.eve));

    // The other server's receipt for the message, in the mailbox of the author.
    let receipt = scene.report("Delivered", &outgoing);
    assert_eq!(scene.eve.deliver(&scene.a, "/user/alice/inbox", &receipt).await.0, 202);
    scene.settle().await;
    let page = scene.alice.fetch().await.unwrap();
    insta::assert_json_snapshot!("entry_of_a_receipt", page.entries[0].activity);
}

#[tokio::test]
async fn a_message_of_the_other_server_and_our_receipt() {
    let scene = StrangerScene::new().await;
    let create = scene.create_for(&scene.alice, 1);
    assert_eq!(scene.eve.deliver(&scene.a, "/user/alice/inbox", &create).await, (202, Value::Null));
    scene.settle().await;
    let page = scene.alice.fetch().await.unwrap();
    insta::assert_json_snapshot!("entry_of_a_message", page.entries[0].activity);

    scene.a.confirm(&scene.alice).await;
    scene.settle().await;
    insta::assert_json_snapshot!("delivered", latest_post(&scene.eve));
}

/// Other servers name their envelopes and activities as they like. The names stay as they are.
#[tokio::test]
async fn a_message_keeps_its_ids() {
    let scene = StrangerScene::new().await;
    for id in
        ["https://eve.example/objects/%31?id=2&x#create", "https://eve.example/", "https://EVE.example/o"]
    {
        let mut create = scene.create_for(&scene.alice, 1);
        create["id"] = json!(format!("{id}/activity"));
        create["object"]["id"] = json!(id);
        for _ in 0..2 {
            assert_eq!(scene.eve.deliver(&scene.a, "/user/alice/inbox", &create).await, (202, Value::Null));
        }
        scene.settle().await;
        let entries = scene.alice.fetch().await.unwrap().entries;
        let [entry] = entries.as_slice() else { panic!("{} entries", entries.len()) };
        assert_eq!((&entry.activity["id"], &entry.activity["object"]["id"]), (&create["id"], &json!(id)));
        scene.a.confirm(&scene.alice).await;
        scene.settle().await;
        let receipt = scene.eve.posts().last().unwrap().json();
        assert_eq!(receipt["object"], json!(id));
    }
    // On another origin, or longer than an id may be.
    for id in ["https://eve.example:8443/o".to_owned(), format!("https://eve.example/{}", "x".repeat(493))] {
        let mut create = scene.create_for(&scene.alice, 1);
        create["object"]["id"] = json!(id);
        let refused = scene.eve.deliver(&scene.a, "/user/alice/inbox", &create).await.0;
        assert!(matches!(refused, 403 | 422), "{refused} {id}");
    }
    // What Alice sends is named on her server.
    scene.send(&scene.envelope()).await.unwrap();
    let sent = scene.eve.posts().last().unwrap().json();
    let id = sent["object"]["id"].as_str().unwrap();
    assert!(id.starts_with("https://a.example/message/"), "{id}");
}

#[tokio::test]
async fn a_take() {
    let scene = StrangerScene::new().await;
    let take = scene.alice.take_activity(json!("https://eve.example/user/eve/keyPackages"));
    // The other server has no packages to give: only its request matters here.
    let answer = scene.alice.call(Method::POST, "/user/alice/outbox", Body::Json(&take), Auth::Device).await;
    assert_eq!(answer.unwrap().status, 502);
    insta::assert_json_snapshot!("take", latest_post(&scene.eve), { ".body.id" => "[chosen at random]" });
}

/// Servers that know ActivityStreams only refuse activities without a type of it, and without an
/// id. A receipt that is sent again is the same activity.
#[tokio::test]
async fn activities_are_typed_and_named() {
    let scene = StrangerScene::new().await;
    let create = scene.create_for(&scene.alice, 1);
    assert_eq!(scene.eve.deliver(&scene.a, "/user/alice/inbox", &create).await.0, 202);
    scene.settle().await;
    scene.eve.answer(StrangerAnswer::status(503));
    scene.a.confirm(&scene.alice).await;
    scene.settle().await;
    scene.internet.advance(60_000);
    scene.settle().await;
    let sent: Vec<Value> = scene.eve.posts().iter().map(StrangerRequest::json).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0]["type"], json!(["Activity", "Delivered"]));
    let id = sent[0]["id"].as_str().unwrap();
    assert!(id.starts_with("https://a.example/activity/"), "{id}");

    let take = scene.alice.take_activity(json!("https://eve.example/user/eve/keyPackages"));
    assert_eq!(take["type"], json!(["Activity", "Take"]));
    scene.alice.call(Method::POST, "/user/alice/outbox", Body::Json(&take), Auth::Device).await.unwrap();
    let taken = scene.eve.posts().last().unwrap().json();
    assert_eq!(taken["type"], json!(["Activity", "Take"]));
    assert!(taken["id"].as_str().unwrap().starts_with("https://a.example/activity/"));
}

/// The server is out of reach at first. The device is told when the message arrived, or that it was
/// given up.
#[tokio::test]
async fn reports_of_the_own_server() {
    let scene = StrangerScene::new().await;
    scene.internet.unplug(scene.eve.address);
    scene.send(&scene.envelope()).await.unwrap();
    scene.internet.plug(scene.eve.address);
    scene.internet.advance(10_000);
    scene.settle().await;
    let page = scene.alice.fetch().await.unwrap();
    insta::assert_json_snapshot!("entry_of_a_confirm", page.entries[0].activity);
    scene.a.empty(&scene.alice).await;

    scene.internet.unplug(scene.eve.address);
    let mut outgoing = scene.envelope();
    outgoing.expires_ms = Some(scene.internet.now_ms() + 60_000);
    scene.send(&outgoing).await.unwrap();
    while scene.a.waiting().await.0 > 0 {
        scene.internet.advance(60_000);
        scene.settle().await;
    }
    scene.settle().await;
    let page = scene.alice.fetch().await.unwrap();
    insta::assert_json_snapshot!("entry_of_a_reject", page.entries[0].activity);
}
