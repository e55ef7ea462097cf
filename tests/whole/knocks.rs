//! Deliveries to a server that knows one signature scheme only (`docs/protocol.md`, section 7).

use eko_testkit::{Internet, Stranger, StrangerAnswer, World};
use http::Method;
use serde_json::json;

use crate::requests::post;

/// The other server refuses RFC 9421. It gets each first request twice, and its scheme is
/// remembered afterwards.
#[tokio::test]
async fn a_server_that_stumbles_over_rfc_9421_is_knocked_at_twice() {
    for status in [400, 401, 403, 500] {
        let internet = Internet::new();
        let world = World::at(&internet, "eko.example", |_| {}).await;
        let eve = Stranger::new(&internet, "eve.example").await;
        eve.script(move |asked| {
            asked.headers.contains_key("signature-input").then(|| StrangerAnswer::status(status))
        });
        let alice = world.user("alice").await;
        for id in
            ["urn:uuid:5cd5914c-7b80-4682-b1e9-9059f52bd971", "urn:uuid:5cd5914c-7b80-4682-b1e9-9059f52bd972"]
        {
            let device = format!("{}/phone", eve.actor);
            let message = json!({ "to": device, "from": alice.address(), "content": "c2VhbGVk" });
            let activity = json!({
                "type": "Create",
                "actor": alice.actor(),
                "to": eve.actor,
                "object": { "type": ["Object", "SignalEnvelope"], "id": id, "messages": [message] },
            });
            let sent = post(&alice, "/user/alice/outbox", &activity).await;
            assert_eq!(sent.status, 201, "{status}: {:?}", sent.body);
        }
        let knocks: Vec<(Method, bool)> = eve
            .asked()
            .into_iter()
            .map(|asked| (asked.method, asked.headers.contains_key("signature-input")))
            .collect();
        let (get, post) = (Method::GET, Method::POST);
        let due = [(&get, true), (&get, false), (&post, true), (&post, false), (&post, false)];
        assert_eq!(knocks, due.map(|(method, rfc_9421)| (method.clone(), rfc_9421)), "{status}");
    }
}
