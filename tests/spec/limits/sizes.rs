//! Limits of envelopes, bodies and mailboxes.

use aws_sdk_dynamodb::types::AttributeValue;
use eko_client::{Auth, Body, Exchange};
use eko_protocol::group_state::SealedGroupState;
use eko_testkit::{Browser, envelope};
use http::Method;
use serde_json::json;

use super::{TwoUsers, told};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "ciphertexts in an envelope",
    "bytes of a ciphertext",
    "bytes of a body to an outbox",
    "bytes of a body to an inbox",
    "bytes of any other body",
    "levels of JSON",
    "bytes of an id or address",
    "entries in a `Delivered`",
    "entries on a page of a mailbox",
    "bytes of a group state",
    "group states of a user",
    "group states on a page of their list",
    "items on a page of an export",
    "bytes of a push endpoint",
    "bytes of a problem's `detail` or `pointer`",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Answers a request with exactly `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    let number = usize::try_from(count).unwrap();
    match limit {
        "ciphertexts in an envelope" => {
            let pair = TwoUsers::new().await;
            let mut create = pair.alice.create_activity(&envelope(&pair.alice, &[&pair.bob]));
            let message = create["object"]["messages"][0].clone();
            let messages = (0..count).map(|number| {
                let mut message = message.clone();
                message["to"] = json!(format!(
                    "https://eko.example/user/bob/device/00000000-0000-4000-8000-0000000000{number:02}"
                ));
                message
            });
            create["object"]["messages"] = messages.collect();
            let answer = pair.post("/user/alice/outbox", &create).await;
            // Devices that are not there are judged after their number.
            if answer.problem().is_none() { answer.status.to_string() } else { told(&answer) }
        }
        "bytes of a ciphertext" => {
            let pair = TwoUsers::new().await;
            let mut outgoing = envelope(&pair.alice, &[&pair.bob]);
            outgoing.messages[0].1 = vec![7; number];
            let answer = pair.post("/user/alice/outbox", &pair.alice.create_activity(&outgoing)).await;
            pair.world.deliver().await;
            told(&answer)
        }
        "bytes of a body to an outbox" => {
            told(&TwoUsers::new().await.bytes("/user/alice/outbox", count).await)
        }
        "bytes of a body to an inbox" => told(&TwoUsers::new().await.bytes("/user/alice/inbox", count).await),
        "bytes of any other body" => told(&TwoUsers::new().await.bytes("/user/alice/devices", count).await),
        "levels of JSON" => {
            let pair = TwoUsers::new().await;
            // The activity is one level, its member `x` the others.
            let nested = format!("{}{}", "[".repeat(number - 1), "]".repeat(number - 1));
            let body = format!(r#"{{"type":"Create","x":{nested}}}"#);
            let body = Body::Raw(Some("application/json"), body.into());
            let answer =
                pair.alice.call(Method::POST, "/user/alice/outbox", body, Auth::Device).await.unwrap();
            let answer = told(&answer);
            if answer.contains("/x/") { "422 `invalid`".to_owned() } else { answer }
        }
        "bytes of an id or address" => {
            let pair = TwoUsers::new().await;
            let mut create = pair.alice.create_activity(&envelope(&pair.alice, &[&pair.bob]));
            let start = "https://eko.example/message/";
            create["object"]["id"] = json!(format!("{start}{}", "x".repeat(number - start.len())));
            let answer = pair.post("/user/alice/outbox", &create).await;
            pair.world.deliver().await;
            told(&answer)
        }
        "entries in a `Delivered`" => {
            let entries: Vec<String> = (0..count)
                .map(|number| {
                    format!("https://eko.example/user/alice/inbox/{number:012x}-{}", "0".repeat(32))
                })
                .collect();
            told(
                &TwoUsers::new()
                    .await
                    .post("/user/alice/outbox", &json!({ "type": "Delivered", "object": entries }))
                    .await,
            )
        }
        "entries on a page of a mailbox" => {
            let pair = TwoUsers::with(|config| config.limits.sender_budget = 1_000).await;
            for _ in 0..count {
                assert_eq!(pair.send().await.status, 201);
            }
            pair.world.deliver().await;
            let page = pair.bob.fetch().await.unwrap();
            // At the limit there may be a next page, which is empty.
            let more = match &page.next {
                Some(next) => pair.bob.fetch_after(next).await.unwrap().entries.len(),
                None => 0,
            };
            if more > 0 { "200, `next`".to_owned() } else { "200".to_owned() }
        }
        "bytes of a group state" => {
            let pair = TwoUsers::new().await;
            let state = SealedGroupState { epoch: 1, content: vec![7; number] };
            told(&keep(&pair, 1, &state).await)
        }
        "group states of a user" => {
            let pair = TwoUsers::new().await;
            let clients = pair.world.clients("group-state");
            let item = |key: &str, text: &str| (key.to_owned(), AttributeValue::S(text.to_owned()));
            let counted = clients.dynamodb.update_item().table_name(pair.world.cloud.names().table);
            counted
                .set_key(Some([item("pk", "L#alice"), item("sk", "GROUPS")].into()))
                .update_expression("SET #n = :n")
                .expression_attribute_names("#n", "n")
                .expression_attribute_values(":n", AttributeValue::N((count - 1).to_string()))
                .send()
                .await
                .unwrap();
            let answer = told(&keep(&pair, count, &SealedGroupState { epoch: 1, content: vec![7] }).await);
            // The pointer is that of the whole document.
            answer.trim_end_matches(" ``").to_owned()
        }
        "group states on a page of their list" => {
            let pair = TwoUsers::new().await;
            for n in 0..count {
                let kept = keep(&pair, n, &SealedGroupState { epoch: 1, content: vec![7] }).await;
                assert_eq!(kept.status, 204);
            }
            let page = pair.alice.group_states().await.unwrap();
            // At the limit there may be a next page, which is empty.
            let more = match &page.next {
                Some(next) => pair.alice.group_states_after(next).await.unwrap().states.len(),
                None => 0,
            };
            if more > 0 { "200, `next`".to_owned() } else { "200".to_owned() }
        }
        "items on a page of an export" => {
            let pair = TwoUsers::new().await;
            let page = async || {
                let answer = pair.alice.call(Method::GET, "/user/alice/export", Body::Empty, Auth::Device);
                answer.await.unwrap().json().unwrap()
            };
            pair.alice.accept_actor("https://b.example/user/eve").await.unwrap();
            let some = page().await["orderedItems"].as_array().unwrap().len();
            pair.world.copy_item(("U#alice", "A#"), number - some).await;
            let page = page().await;
            // At the limit the next page is that of another part.
            let more = page["orderedItems"].as_array().unwrap().len() < number;
            if more { "200, `next`".to_owned() } else { "200".to_owned() }
        }
        "bytes of a push endpoint" => {
            let start = "https://push.example/";
            let mut body = Browser::at("https://push.example/1").subscription();
            body["endpoint"] = json!(format!("{start}{}", "x".repeat(number - start.len())));
            told(&TwoUsers::new().await.post("/user/alice/push", &body).await)
        }
        "bytes of a problem's `detail` or `pointer`" => {
            let pair = TwoUsers::new().await;
            let name = "x".repeat(number - 1);
            let body = Body::Raw(Some("application/json"), format!(r#"{{"{name}":1,"{name}":2}}"#).into());
            let answer =
                pair.alice.call(Method::POST, "/user/alice/outbox", body, Auth::Device).await.unwrap();
            let pointer = answer.json().unwrap()["pointer"].as_str().unwrap().to_owned();
            let whole = pointer == format!("/{name}");
            format!("{}{}", answer.status.as_u16(), if whole { "" } else { ", with the beginning" })
        }
        other => panic!("nothing plays the limit {other:?}"),
    }
}

/// Stores Alice's `n`th group state.
async fn keep(pair: &TwoUsers, n: u64, state: &SealedGroupState) -> Exchange {
    let path = format!("/user/alice/groupState/00000000-0000-8000-8000-{n:012x}");
    let body = state.to_document(None);
    pair.alice.call(Method::PUT, &path, Body::Json(&body), Auth::Device).await.unwrap()
}
