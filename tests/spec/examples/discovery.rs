//! Section 2: errors and discovery.

use eko_client::device::JoinKind;
use eko_protocol::vocabulary;
use eko_testkit::World;
use serde_json::json;

use super::{Examples, actor, get, post};
use crate::cast::ALICE;

pub(super) async fn play(examples: &mut Examples) {
    for (title, context) in [
        ("context", vocabulary::context()),
        ("context of a node", vocabulary::node_context()),
        ("context of an actor", vocabulary::actor_context()),
        ("context of content", vocabulary::content_context()),
    ] {
        examples.document(title, &context);
    }
    let world = World::new().await;
    let alice = actor(&world, &ALICE);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();

    let envelope = json!({
        "type": ["Object", "SignalEnvelope"],
        "id": "https://eko.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd971",
        "messages": [],
    });
    let create = json!({
        "@context": vocabulary::context(),
        "type": "Create",
        "actor": "https://eko.example/user/alice",
        "to": "https://eko.example/user/bob",
        "object": envelope,
    });
    examples.exchange("problem", &post(&alice, "/user/alice/outbox", &create).await);

    // The issuer and the audience are a deployment's own.
    let deployed = World::with(|config| {
        config.oidc.issuer = "https://id.example".to_owned();
        config.oidc.audience = "eko".to_owned();
    });
    examples.exchange("ecp", &get(&deployed.await, "/.well-known/ecp").await);
    for (title, path) in [
        ("webfinger", "/.well-known/webfinger?resource=acct:alice@eko.example"),
        ("webfinger-server", "/.well-known/webfinger?resource=https://eko.example"),
        ("nodeinfo-links", "/.well-known/nodeinfo"),
        ("nodeinfo-2.0", "/nodeinfo/2.0"),
        ("nodeinfo", "/nodeinfo/2.1"),
        ("host-meta", "/.well-known/host-meta"),
        ("host-meta-json", "/.well-known/host-meta.json"),
        ("user", "/user/alice"),
        ("server", "/actor"),
    ] {
        examples.exchange(title, &get(&world, path).await);
    }
}
