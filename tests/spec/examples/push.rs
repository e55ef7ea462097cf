//! Section 8: push subscriptions.

use eko_client::device::JoinKind;
use eko_client::{Auth, Body};
use eko_testkit::World;
use http::Method;
use serde_json::json;

use super::{Examples, actor, post};
use crate::cast::ALICE;

pub(super) async fn play(examples: &mut Examples) {
    let world = World::new().await;
    let alice = actor(&world, &ALICE);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    // The keys are those of RFC 8291, section 5.
    let subscription = json!({
        "endpoint": "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        "expirationTime": null,
        "keys": {
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    });
    let subscribed = post(&alice, "/user/alice/push", &subscription).await;
    assert_eq!(subscribed.response.status(), 204);
    examples.exchange("subscribe", &subscribed);
    alice.call(Method::DELETE, "/user/alice/push", Body::Empty, Auth::Device).await.unwrap();
    examples.exchange("unsubscribe", &alice.last());
}
