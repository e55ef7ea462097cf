//! Limits of a user's devices and of a registration.

use std::pin::Pin;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_client::device::RegistrationProof;
use eko_client::{Auth, Body, Exchange};
use eko_protocol::chain::{ChainPosition, NextNode, UnsignedNode};
use eko_protocol::key::JoiningMac;
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_testkit::{BARE, ChainChanges as _, Stranger, World, post_registration};
use http::Method;
use serde_json::{Value, json};

use super::budgets::arrives;
use super::{TwoUsers, told};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "active devices of a user",
    "pending devices of a user",
    "nodes of a chain",
    "nodes of a chain that ends with an `AddDevice`",
    "nodes since the last reset, with an `AddDevice` as the last",
    "devices of a user that are added in a day",
    "seconds that the time of a node is ahead",
    "characters of a user name",
    "characters of a device name",
    "characters of a display name",
    "bytes of the address of an avatar",
    "registration id",
    "blocks of a user",
    "actors whom a user knows",
    "pages of exports of a user in a day (UTC)",
    "requests of one stranger until the user knows the stranger, in 30 days",
    "requests of the strangers of one other site to one user, in a day",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Answers a request with exactly `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    let number = usize::try_from(count).unwrap();
    let text = "x".repeat(number);
    match limit {
        "active devices of a user" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            let mut last = String::new();
            for label in 1..count {
                let device = world.pending(&alice, &label.to_string()).await;
                world.deliver().await;
                last = match alice.approve(device.id()).await {
                    Ok(_) => "201".to_owned(),
                    Err(error) => {
                        let problem = error.problem().unwrap();
                        format!(
                            "{} `{}` `{}`",
                            problem.status,
                            problem.slug(),
                            problem.pointer.clone().unwrap()
                        )
                    }
                };
            }
            last
        }
        "pending devices of a user" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            let mut last = String::new();
            for label in 0..count {
                let device = world.device("alice", &label.to_string(), BARE);
                let (token, body) = (
                    world.id_token(&device).await,
                    device.registration(RegistrationProof::JoiningMac(&device.joining_code())),
                );
                last = told(&post_registration(&alice, &token, &body).await);
            }
            world.deliver().await;
            last
        }
        "nodes of a chain" => {
            let pair = TwoUsers::new().await;
            pair.append(count, 0, |next| next.revoke(pair.alice.id())).await
        }
        "nodes of a chain that ends with an `AddDevice`" => {
            let pair = TwoUsers::new().await;
            let waiting = pair.world.pending(&pair.alice, "two").await;
            pair.world.deliver().await;
            let approve = |next: NextNode<'_>| next.approve(&waiting.described(), &JoiningMac::from([1; 32]));
            pair.append(count, count - 1, approve).await
        }
        "nodes since the last reset, with an `AddDevice` as the last" => {
            let pair = TwoUsers::new().await;
            let waiting = pair.world.pending(&pair.alice, "two").await;
            pair.world.deliver().await;
            let approve = |next: NextNode<'_>| next.approve(&waiting.described(), &JoiningMac::from([1; 32]));
            pair.append(count + 5, 5, approve).await
        }
        "devices of a user that are added in a day" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            let mut last = String::new();
            for label in 0..count {
                let device = world.pending(&alice, &label.to_string()).await;
                world.deliver().await;
                last = match alice.approve(device.id()).await {
                    Ok(_) => "201".to_owned(),
                    Err(error) => {
                        let problem = error.problem().unwrap();
                        format!("{} `{}`", problem.status, problem.slug())
                    }
                };
                if last == "201" {
                    alice.revoke(device.id()).await.unwrap();
                }
            }
            last
        }
        "seconds that the time of a node is ahead" => {
            let TwoUsers { world, alice, .. } = TwoUsers::new().await;
            let second = world.further(&alice, "two").await;
            let position = alice.chain(alice.user()).await.unwrap().1.position;
            let made_ms = world.now_ms() + i64::try_from(count * 1000).unwrap();
            let next = NextNode::new(alice.origin(), alice.user(), &position, made_ms);
            let node = alice.sign_node(next.revoke(second.id())).unwrap();
            told(
                &alice
                    .call(Method::POST, "/user/alice/devices", Body::Json(&node), Auth::Device)
                    .await
                    .unwrap(),
            )
        }
        "characters of a user name" => {
            let world = World::new().await;
            let name = "a".repeat(number.min(30));
            let device = world.device(&name, "one", BARE);
            let mut body = device.registration(RegistrationProof::Node(device.first_node().unwrap()));
            body["username"] = json!("a".repeat(number));
            told(&post_registration(&device, &world.id_token(&device).await, &body).await)
        }
        "characters of a device name" => told(&register(|body| body["deviceName"] = json!(text)).await),
        "registration id" => {
            // At the limit the number is not the one that was signed, which is found out later.
            let answer = told(&register(|body| body["registrationId"] = json!(count)).await);
            if answer == "422 `invalid` `/possession`" { "taken".to_owned() } else { answer }
        }
        "blocks of a user" => {
            let pair = TwoUsers::new().await;
            let mut last = String::new();
            for number in 0..count {
                let block = json!({ "type": "Block", "object": format!("https://s{number}.example") });
                last = told(&pair.post("/user/alice/outbox", &block).await);
            }
            last
        }
        "actors whom a user knows" => {
            let pair = TwoUsers::new().await;
            pair.set("SET #kn = :kn", "kn", count - 1).await;
            let accept = json!({ "type": "Accept", "object": "https://b.example/user/eve" });
            told(&pair.post("/user/alice/outbox", &accept).await)
        }
        "pages of exports of a user in a day (UTC)" => {
            let pair = TwoUsers::new().await;
            let counter = format!("EXPORTS#{}", pair.world.now_ms().div_euclid(DAY_MS));
            pair.set_in(("L#alice", &counter), "SET #n = :n", "n", count - 1).await;
            let answer = pair.alice.call(Method::GET, "/user/alice/export", Body::Empty, Auth::Device).await;
            told(&answer.unwrap())
        }
        "requests of one stranger until the user knows the stranger, in 30 days" => {
            let pair = TwoUsers::new().await;
            pair.let_known_write().await;
            for _ in 0..count {
                assert_eq!(told(&pair.send().await), "201");
            }
            pair.requests(count).await
        }
        "requests of the strangers of one other site to one user, in a day" => {
            let pair = TwoUsers::new().await;
            pair.let_known_write().await;
            for number in 0..count {
                let stranger = Stranger::new(&pair.world.internet, &format!("s{number}.b.example")).await;
                assert_eq!(arrives(&pair, &stranger).await, "202");
            }
            pair.requests(count).await
        }
        "characters of a display name" => update(json!({ "name": text })).await,
        "bytes of the address of an avatar" => {
            let url = format!("https://b.example/{}", &text["https://b.example/".len()..]);
            let icon = json!({ "type": "Image", "mediaType": "image/png", "url": url });
            update(json!({ "icon": icon })).await
        }
        other => panic!("nothing plays the limit {other:?}"),
    }
}

/// Changes members of Alice's actor. The future is on the heap, since the one of all limits is large.
fn update(mut members: Value) -> Pin<Box<dyn Future<Output = String>>> {
    Box::pin(async move {
        let pair = TwoUsers::new().await;
        members["id"] = json!(pair.alice.actor());
        let update = json!({ "type": "Update", "object": members });
        told(&pair.post("/user/alice/outbox", &update).await)
    })
}

impl TwoUsers {
    /// Has Bob let only known actors write.
    async fn let_known_write(&self) {
        let settings = AccountSettings { who_may_write: WhoMayWrite::Known };
        self.bob.change_settings(settings).await.unwrap();
    }

    /// Says whether `count` messages have come to Bob, or the last one was dropped.
    async fn requests(&self, count: u64) -> String {
        self.world.deliver().await;
        let came = self.world.messages(&self.bob).await.len();
        let is_whole = u64::try_from(came).unwrap() == count;
        if is_whole { "delivered".to_owned() } else { "dropped".to_owned() }
    }

    /// Changes a number in the item of Alice's devices.
    async fn set(&self, expression: &str, name: &str, number: u64) {
        self.set_in(("U#alice", "DEVICES"), expression, name, number).await;
    }

    /// Changes a number in the item with this key.
    async fn set_in(&self, (pk, sk): (&str, &str), expression: &str, name: &str, number: u64) {
        let cloud = &self.world.cloud;
        let set = cloud.clients.dynamodb.update_item().table_name(cloud.names().table);
        set.key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()))
            .update_expression(expression)
            .expression_attribute_names(format!("#{name}"), name)
            .expression_attribute_values(format!(":{name}"), AttributeValue::N(number.to_string()))
            .send()
            .await
            .unwrap();
    }

    /// Appends a node to Alice's chain, after the server was made to believe that with it the chain
    /// has `count` nodes, and that the last reset is at the place `root`.
    async fn append(&self, count: u64, root: u64, node: impl FnOnce(NextNode<'_>) -> UnsignedNode) -> String {
        let (_, state) = self.alice.chain(self.alice.user()).await.unwrap();
        let position = ChainPosition { length: count - 1, ..state.position };
        let cloud = &self.world.cloud;
        let set = cloud.clients.dynamodb.update_item().table_name(cloud.names().table);
        set.key("pk", AttributeValue::S("U#alice".to_owned()))
            .key("sk", AttributeValue::S("DEVICES".to_owned()))
            .update_expression("SET #len = :len, #root = :root")
            .expression_attribute_names("#len", "len")
            .expression_attribute_names("#root", "root")
            .expression_attribute_values(":root", AttributeValue::N(root.to_string()))
            .expression_attribute_values(":len", AttributeValue::N(position.length.to_string()))
            .send()
            .await
            .unwrap();
        let next = NextNode::new(self.alice.origin(), self.alice.user(), &position, self.world.now_ms());
        let node = self.alice.sign_node(node(next)).unwrap();
        told(&self.post("/user/alice/devices", &node).await)
    }
}

/// Registers a device whose registration is changed.
async fn register(change: impl FnOnce(&mut Value)) -> Exchange {
    let world = World::new().await;
    let device = world.device("alice", "one", BARE);
    let mut body = device.registration(RegistrationProof::Node(device.first_node().unwrap()));
    change(&mut body);
    post_registration(&device, &world.id_token(&device).await, &body).await
}
