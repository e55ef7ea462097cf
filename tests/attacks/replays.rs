//! Requests, activity ids and envelope ids that come again, at both inboxes, before and after the
//! acknowledgement. Each envelope makes one entry and one receipt.

use eko_protocol::json::has_type;
use eko_testkit::StoredState;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::scene::{AttackScene, SCHEMES, envelope_id};

/// Returns the messages in the mailbox of Bob's device, in one line each.
async fn mailbox(scene: &AttackScene) -> Vec<String> {
    scene.world.deliver().await;
    let messages = scene.world.messages(&scene.bob).await;
    let line = |message: &eko_protocol::letter::FetchedLetter| {
        format!("{} {}", message.letter.header.id, String::from_utf8_lossy(&message.ciphertext))
    };
    messages.iter().map(line).collect()
}

/// The one message that Bob should have, in the form of [`mailbox`].
const SECRET: &str = "urn:uuid:00000000-0000-4000-8000-000000000001 secret";

/// Returns a copy of the envelope with another ciphertext under the same ids.
fn other(envelope: &Value) -> Value {
    let mut other = envelope.clone();
    other["object"]["messages"][0]["content"] = json!("b3RoZXI=");
    other
}

/// Returns what is in the store now.
async fn stored(scene: &AttackScene) -> StoredState {
    scene.world.stored().await
}

#[tokio::test]
async fn of_a_request() {
    let scene = AttackScene::new().await;
    let envelope = scene.envelope(&scene.eve.actor, 1);
    for path in ["/inbox", "/user/bob/inbox"] {
        for scheme in SCHEMES {
            let request = scene.signed(scheme, path, &envelope);
            for time in 0..3 {
                assert_eq!(scene.send(request.clone()).await, "202", "{path} {scheme:?}: {time}");
                assert_eq!(mailbox(&scene).await, [SECRET], "{path} {scheme:?}: {time}");
            }
        }
    }
    let request = scene.signed(SCHEMES[0], "/inbox", &envelope);
    let before = stored(&scene).await;
    scene.world.advance(300_000);
    assert_eq!(scene.send(request.clone()).await, "202", "the window's last second");
    scene.world.deliver().await;
    scene.world.advance(1_000);
    assert_eq!(scene.send(request).await, "401 bad-signature", "after the window");
    let keys = |stored: &StoredState| stored.items.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&stored(&scene).await), keys(&before), "the entry may live a little longer");
    assert_eq!(mailbox(&scene).await, [SECRET]);
}

#[tokio::test]
async fn all_at_once() {
    let scene = AttackScene::new().await;
    let envelope = scene.envelope(&scene.eve.actor, 1);
    let paths = ["/inbox", "/user/bob/inbox"].into_iter().cycle().take(20);
    let requests = paths.map(|path| scene.send(scene.signed(SCHEMES[0], path, &envelope)));
    assert_eq!(join_all(requests).await, ["202"; 20]);
    assert_eq!(mailbox(&scene).await, [SECRET]);
    scene.world.confirm(&scene.bob).await;
    scene.world.federate().await;
    assert_eq!(scene.eve.posts().len(), 1, "one receipt");
}

#[tokio::test]
async fn after_it_was_acknowledged() {
    let scene = AttackScene::new().await;
    let envelope = scene.envelope(&scene.eve.actor, 1);
    let requests = ["/inbox", "/user/bob/inbox"]
        .map(|path| SCHEMES.map(|scheme| scene.signed(scheme, path, &envelope)))
        .concat();
    assert_eq!(scene.send(requests[0].clone()).await, "202");
    assert_eq!(mailbox(&scene).await, [SECRET]);
    scene.world.confirm(&scene.bob).await;
    scene.world.federate().await;
    let receipts = || scene.eve.posts().iter().filter(|post| has_type(&post.json(), "Delivered")).count();
    assert_eq!(receipts(), 1);
    for request in requests {
        assert_eq!(scene.send(request).await, "202");
    }
    let again = [other(&envelope), {
        let mut renamed = envelope.clone();
        renamed["id"] = json!("https://b.example/activity/other");
        renamed
    }];
    for activity in again {
        assert_eq!(scene.deliver(&activity).await, "202");
    }
    assert_eq!(mailbox(&scene).await, Vec::<String>::new(), "nothing comes back");
    scene.world.confirm(&scene.bob).await;
    scene.world.federate().await;
    assert_eq!(receipts(), 1, "and no second receipt");
}

#[tokio::test]
async fn after_it_was_discarded() {
    let scene = AttackScene::new().await;
    let envelope = scene.envelope(&scene.eve.actor, 1);
    let requests = ["/inbox", "/user/bob/inbox"]
        .map(|path| SCHEMES.map(|scheme| scene.signed(scheme, path, &envelope)))
        .concat();
    assert_eq!(scene.send(requests[0].clone()).await, "202");
    assert_eq!(mailbox(&scene).await, [SECRET]);
    let entry = scene.bob.fetch().await.unwrap().entries[0].address.clone();
    scene.bob.discard(&entry).await.unwrap();
    for request in requests {
        assert_eq!(scene.send(request).await, "202");
        assert_eq!(mailbox(&scene).await, Vec::<String>::new(), "nothing comes back");
    }
    assert_eq!(scene.deliver(&other(&envelope)).await, "202");
    assert_eq!(mailbox(&scene).await, Vec::<String>::new(), "nor under another request");
    scene.world.federate().await;
    assert_eq!(scene.eve.posts().len(), 0, "and nobody is told");
}

#[tokio::test]
async fn of_an_id_with_another_body() {
    let scene = AttackScene::new().await;
    let mut envelope = scene.envelope(&scene.eve.actor, 1);
    envelope["id"] = json!("https://b.example/activity/1");
    assert_eq!(scene.deliver(&envelope).await, "202");
    assert_eq!(mailbox(&scene).await, [SECRET]);
    // The envelope's id with another message makes no second entry. Only its author can send it.
    for path in ["/inbox", "/user/bob/inbox"] {
        assert_eq!(scene.send(scene.signed(SCHEMES[0], path, &other(&envelope))).await, "202", "{path}");
        assert_eq!(mailbox(&scene).await.len(), 1, "{path}");
    }
    // Another author under the same envelope id has an entry of its own, and does not change the
    // first one.
    let neighbour = scene.actor("neighbour", |_| {});
    assert_eq!(scene.deliver(&other(&scene.envelope(&neighbour, 1))).await, "202");
    assert_eq!(mailbox(&scene).await.len(), 2);
    // Another envelope under the same activity id is another entry.
    let mut second = scene.envelope(&scene.eve.actor, 2);
    second["id"] = json!("https://b.example/activity/1");
    assert_eq!(scene.deliver(&second).await, "202");
    scene.world.deliver().await;
    let messages = scene.world.messages(&scene.bob).await;
    assert_eq!(messages.len(), 3);
    // The names that other servers give their activities decide nothing, and reach the device.
    let named = messages.iter().filter(|it| it.letter.activity.as_deref() == second["id"].as_str());
    assert_eq!(named.count(), 2);
}

#[tokio::test]
async fn of_an_id_to_another_user() {
    let scene = AttackScene::new().await;
    let envelope = scene.envelope(&scene.eve.actor, 1);
    assert_eq!(scene.deliver(&envelope).await, "202");
    let mut to_alice = envelope.clone();
    to_alice["to"] = json!(scene.alice.actor());
    assert_eq!(scene.deliver(&to_alice).await, "422 invalid #/object/messages/0/to");
    to_alice["object"]["messages"][0]["to"] = json!(scene.alice.address());
    assert_eq!(scene.deliver(&to_alice).await, "202", "ids count for one recipient");
    assert_eq!(mailbox(&scene).await, [SECRET]);
    assert_eq!(scene.world.messages(&scene.alice).await.len(), 1);
}

/// A UUID is the same in upper and lower case, and so is the envelope that it names.
#[tokio::test]
async fn an_id_in_another_case_is_the_same_envelope() {
    let scene = AttackScene::new().await;
    let right = scene.envelope(&scene.eve.actor, 0xabc);
    let mut other = right.clone();
    other["object"]["id"] = json!(envelope_id(0xabc).to_uppercase());
    for envelope in [&right, &other, &right] {
        assert_eq!(scene.deliver(envelope).await, "202");
        scene.world.deliver().await;
        assert_eq!(scene.world.messages(&scene.bob).await.len(), 1);
    }
    scene.world.confirm(&scene.bob).await;
    assert_eq!(scene.deliver(&other).await, "202");
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 0);
    scene.world.federate().await;
    assert_eq!(scene.eve.posts().len(), 1, "one receipt");
}
