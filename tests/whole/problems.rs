//! Problems, whole: the body of each refusal, and the headers that belong to its status.

use eko_client::device::RegistrationProof;
use eko_client::{Auth, Body, Exchange};
use eko_testkit::{CallFault, World, envelope, post_registration};
use http::Method;
use serde_json::{Value, json};

use crate::people::alice_and_bob;
use crate::redactions::redacted;
use crate::requests::{get, get_public, post};
use crate::variants::changed;

/// The tries that the AWS SDK makes of one call.
const TRIES: usize = 3;

/// Returns a refusal as it is documented: status, body, and the headers that its status asks for.
fn whole(answer: &Exchange) -> Value {
    let mut headers = serde_json::Map::new();
    for name in ["content-type", "www-authenticate", "allow", "retry-after"] {
        if let Some(value) = answer.headers.get(name) {
            headers.insert(name.to_owned(), json!(value.to_str().unwrap()));
        }
    }
    json!({ "status": answer.status.as_u16(), "headers": headers, "body": answer.json().unwrap() })
}

#[tokio::test]
async fn a_problem_explains_itself() {
    let (_world, alice, bob) = alice_and_bob().await;
    let good = alice.create_activity(&envelope(&alice, &[&bob]));
    let body = changed(&good, "/object/messages/0/content", json!(""));
    let answer = post(&alice, "/user/alice/outbox", &body).await;
    insta::assert_json_snapshot!(answer.json().unwrap(), { ".instance" => "[request id]" }, @r#"
    {
      "detail": "is empty",
      "instance": "[request id]",
      "pointer": "/object/messages/0/content",
      "status": 422,
      "title": "A member is missing or not valid",
      "type": "https://eko.example/problems/invalid"
    }
    "#);
}

#[tokio::test]
async fn a_problem_of_each_status() {
    let world = World::with(|config| config.limits.sender_budget = 1).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let good = alice.create_activity(&envelope(&alice, &[&bob]));
    let outbox = "/user/alice/outbox";
    let raw = |media_type, body: &str| Body::Raw(Some(media_type), body.to_owned().into());
    let send = async |body: Body<'_>| alice.call(Method::POST, outbox, body, Auth::Device).await.unwrap();
    let activity = "application/activity+json";
    let thief = world.device("alice", "a thief's", eko_testkit::BARE);
    let registration = thief.registration(RegistrationProof::Node(thief.first_node().unwrap()));
    let mallory = world.id_token_of("mallory", &thief).await;
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    let problems = [
        ("no JSON", send(raw(activity, "{")).await),
        ("no token", get_public(&alice, "/user/alice/inbox").await),
        ("another user's inbox", get(&alice, "/user/bob/inbox").await),
        (
            "another user as the author",
            post(&alice, outbox, &changed(&good, "/actor", json!(bob.actor()))).await,
        ),
        ("nobody of that name", get_public(&alice, "/user/nobody").await),
        ("a method that the path does not have", get(&alice, outbox).await),
        ("a name that somebody else has", post_registration(&thief, &mallory, &registration).await),
        ("a body that is too large", send(raw(activity, &" ".repeat(5 << 19 | 1))).await),
        ("another media type", send(raw("text/plain", "{}")).await),
        ("too many envelopes in a minute", post(&alice, outbox, &good).await),
        ("a table that does not answer", {
            world.calls.fail("Query", CallFault::Down, TRIES);
            get(&alice, "/user/alice/inbox").await
        }),
    ];
    let _redacted = redacted();
    insta::assert_json_snapshot!(problems.map(|(name, answer)| json!({ name: whole(&answer) })));
}
