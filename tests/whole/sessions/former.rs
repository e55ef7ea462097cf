//! Refresh tokens of the earlier form, which name no device in their text: a logout ends their family.

use aws_sdk_dynamodb::types::AttributeValue;
use eko_client::{Auth, Body};
use eko_testkit::{World, refused};
use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

#[tokio::test]
async fn a_logout_with_a_token_of_the_earlier_form_ends_the_session() {
    const TOKEN: &str = "yjPx7ceV4v5d4wQzJ9bFf0sYvFr7n0p0YqkU3cQ0XwQ";
    let world = World::live().await;
    let bob = world.user("bob").await;
    let (dynamodb, table) = (&world.cloud.clients.dynamodb, &world.state.config().names.table);
    let s = |text: &str| AttributeValue::S(text.to_owned());
    let record = dynamodb.get_item().table_name(table);
    let record = record.key("pk", s(&format!("D#bob#{}", bob.id()))).key("sk", s("DEVICE"));
    let family = record.send().await.unwrap().item.unwrap().remove("fam").unwrap();
    let put = dynamodb.put_item().table_name(table);
    put.item(
        "pk",
        s(&format!(
            "S#{}",
            Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        )),
    )
    .item("sk", s("SESSION"))
    .item("u", s("bob"))
    .item("d", s(bob.id().as_str()))
    .item("fam", family)
    .item("ttl", AttributeValue::N((world.now_ms() / 1000 + 60).to_string()))
    .send()
    .await
    .unwrap();
    let socket = world.connect(&bob).await.unwrap();
    let log_out = async |token: &str| {
        let body = json!({ "refreshToken": token });
        bob.call(Method::POST, "/auth/logout", Body::Json(&body), Auth::Nobody).await.unwrap().status
    };
    assert_eq!(log_out("another").await, 204);
    world.deliver().await;
    assert!(!socket.is_closed());
    assert_eq!(log_out(TOKEN).await, 204);
    world.deliver().await;
    assert!(socket.is_closed());
    assert_eq!(refused(bob.refresh().await), "401 unauthenticated");
    world.advance(60_000);
    world.deliver().await;
}
