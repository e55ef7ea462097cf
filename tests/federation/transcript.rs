//! The activities between two servers, whole: each as the other server receives it, and the entry
//! that a device fetches.

use eko_client::{Auth, Body};
use eko_testkit::{Stranger, StrangerRequest};
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
    let message = json!({
        "to": scene.alice.address(),
        "from": format!("{}/device/1", scene.eve.actor),
        "content": "c2VhbGVk",
    });
    let create = json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "type": "Create",
        "actor": scene.eve.actor,
        "to": scene.alice.actor(),
        "object": {
            "type": ["Object", "SignalEnvelope"],
            "id": "urn:uuid:00000000-0000-4000-8000-000000000001",
            "messages": [message],
        },
    });
    assert_eq!(scene.eve.deliver(&scene.a, "/user/alice/inbox", &create).await, (202, Value::Null));
    scene.settle().await;
    let page = scene.alice.fetch().await.unwrap();
    insta::assert_json_snapshot!("entry_of_a_message", page.entries[0].activity);

    scene.a.confirm(&scene.alice).await;
    scene.settle().await;
    insta::assert_json_snapshot!("delivered", latest_post(&scene.eve));
}

#[tokio::test]
async fn a_take() {
    let scene = StrangerScene::new().await;
    let take = scene.alice.take_activity(json!("https://eve.example/user/eve/keyPackages"));
    // The other server has no packages to give: only its request matters here.
    let answer = scene.alice.call(Method::POST, "/user/alice/outbox", Body::Json(&take), Auth::Device).await;
    assert_eq!(answer.unwrap().status, 502);
    insta::assert_json_snapshot!("take", latest_post(&scene.eve));
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
