//! Signatures to a server that knows one scheme only (`docs/protocol.md`, section 7).

use eko_testkit::{Answer, Internet, Stranger, World};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_server_that_stumbles_over_rfc_9421_is_knocked_at_twice() {
    for status in [400, 401, 403, 500] {
        let internet = Internet::new();
        let world = World::at(&internet, "eko.example", |_| {}).await;
        let eve = Stranger::new(&internet, "eve.example").await;
        eve.script(move |asked| {
            asked.headers.contains_key("signature-input").then(|| Answer::status(status))
        });
        let alice = world.user("alice").await;
        let send = async |id: &str| {
            let message = json!({ "to": format!("{}/phone", eve.actor), "from": alice.address(), "content": "c2VhbGVk" });
            let activity = json!({
                "type": "Create",
                "actor": alice.actor(),
                "to": eve.actor,
                "object": { "type": ["Object", "SignalEnvelope"], "id": id, "messages": [message] },
            });
            let body = eko_client::Body::Json(&activity);
            let sent =
                alice.call(Method::POST, "/user/alice/outbox", body, eko_client::Auth::Device).await.unwrap();
            assert_eq!(sent.status, 201, "{status}: {:?}", sent.body);
        };
        send("urn:uuid:5cd5914c-7b80-4682-b1e9-9059f52bd971").await;
        send("urn:uuid:5cd5914c-7b80-4682-b1e9-9059f52bd972").await;
        let knocks: Vec<(String, bool)> = eve
            .asked()
            .into_iter()
            .map(|asked| (asked.method.to_string(), asked.headers.contains_key("signature-input")))
            .collect();
        let due = [("GET", true), ("GET", false), ("POST", true), ("POST", false), ("POST", false)];
        assert_eq!(knocks, due.map(|(method, rfc)| (method.to_owned(), rfc)), "{status}");
    }
}
