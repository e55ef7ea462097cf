//! The tables that say which members of a request are required: each member is left out, one after
//! another.

use eko_client::device::{JoinKind, RegistrationProof};
use eko_client::{Auth, Body, Exchange};
use eko_testkit::{COUNTS, ChainChanges as _, World, envelope, post_registration, refusal};
use http::Method;
use serde_json::{Value, json};

use crate::page;

/// The ways in which a device comes to the server, in the order of the columns of section 10.
const WAYS: [&str; 4] = ["first", "further", "reset", "again"];

async fn register(world: &World, way: &str, leave_out: Option<&str>) -> Exchange {
    let phone = world.device("alice", "one", COUNTS);
    let new = world.device("alice", "two", COUNTS);
    if way != "first" {
        phone.register(&world.id_token(&phone).await, JoinKind::First).await.unwrap();
    }
    let token = world.id_token(if way == "first" || way == "again" { &phone } else { &new }).await;
    let mut body = match way {
        "first" => phone.registration(RegistrationProof::Node(phone.first_node().unwrap())),
        "further" => new.registration(RegistrationProof::JoiningMac(&new.joining_code())),
        "reset" => {
            let (_, chain) = new.chain(new.user()).await.unwrap();
            new.registration(RegistrationProof::Node(new.reset_node(&chain.position).unwrap()))
        }
        _ => {
            let base = eko_protocol::chain::sign_in_base(token.text().as_bytes());
            let proof = phone.keys().identity().sign(&base, phone.environment());
            json!({
                "username": "alice",
                "deviceId": phone.id(),
                "identityKey": phone.described().identity_key,
                "registrationId": phone.described().registration_id,
                "signIn": eko_protocol::multibase::encode(&proof),
            })
        }
    };
    body["nonceRandom"] = json!(token.random());
    if let Some(member) = leave_out {
        assert!(body.as_object_mut().unwrap().remove(member).is_some(), "{way} has no {member}");
    }
    let auth = Auth::Token(token.text());
    let answer = new.call(Method::POST, "/auth/devices", Body::Json(&body), auth).await.unwrap();
    world.deliver().await;
    answer
}

#[tokio::test]
async fn members_of_a_registration() {
    for way in WAYS {
        let answer = register(&World::new().await, way, None).await;
        assert!(answer.status.is_success(), "{way}: {}", refusal(&answer));
    }
    let rows = page::table(&page::read(), "\n### Registering a device\n");
    assert!(!rows.is_empty());
    for row in rows {
        for member in row[0].split(", ").map(|member| member.trim_matches('`')) {
            for (way, cell) in WAYS.iter().zip(&row[1..]) {
                let world = World::new().await;
                if cell.starts_with("optional") {
                    let answer = register(&world, way, Some(member)).await;
                    assert!(answer.status.is_success(), "{way} without {member}: {}", refusal(&answer));
                } else if cell.starts_with("required") {
                    let answer = register(&world, way, Some(member)).await;
                    if (*way, member) == ("reset", "node") {
                        // Without its node a reset is the registration of a further device.
                        assert_eq!(refusal(&answer), "422 invalid #/joiningMac");
                    } else if (*way, member) == ("again", "signIn") {
                        // Without `signIn` the request is a registration, which lacks most.
                        assert!(refusal(&answer).starts_with("422 invalid"), "{}", refusal(&answer));
                    } else {
                        assert_eq!(refusal(&answer), format!("422 invalid #/{member}"), "{way}");
                    }
                } else {
                    assert!(["–", "MUST NOT be there"].contains(&cell.as_str()), "{member}: {cell}");
                }
            }
        }
    }
}

/// Section 10: only the first device of a user may add itself.
#[tokio::test]
async fn a_second_registration_that_adds_itself() {
    let world = World::new().await;
    world.user("alice").await;
    let second = world.device("alice", "two", COUNTS);
    let body = second.registration(RegistrationProof::Node(second.first_node().unwrap()));
    let token = world.id_token(&second).await;
    let answer = post_registration(&second, &token, &body).await;
    assert_eq!(refusal(&answer), "422 invalid #/node/type");
    world.advance(601_000);
    let answer = post_registration(&second, &token, &body).await;
    assert_eq!(refusal(&answer), "401 unauthenticated");
}

/// Removes the member at a path such as `object.messages[].to` and returns its pointer.
fn remove(body: &mut Value, path: &str) -> String {
    let pointer = format!("/{}", path.replace("[]", ".0").replace('.', "/"));
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).and_then(Value::as_object_mut);
    assert!(parent.and_then(|parent| parent.remove(name)).is_some(), "the envelope has no {path}");
    pointer
}

#[tokio::test]
async fn members_of_an_envelope() {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut outgoing = envelope(&alice, &[&bob]);
    outgoing.expires_ms = Some(world.now_ms() + 60_000);
    outgoing.device_set = alice.chain(bob.user()).await.unwrap().1.device_set().reference();
    outgoing.franking = Some([7; 32].into());
    let mut whole = alice.create_activity(&outgoing);
    whole["id"] = json!("https://eko.example/activity/1");
    for row in page::table(&page::read(), "\n## 5. Sending\n") {
        let (member, rule) = (row[0].trim_matches('`'), &row[2]);
        let mut body = whole.clone();
        let pointer = remove(&mut body, member);
        let answer = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await;
        let answer = answer.unwrap();
        if rule.starts_with("required") {
            assert_eq!(refusal(&answer), format!("422 invalid #{pointer}"));
        } else {
            assert!(rule.starts_with("optional"), "{member}: {rule}");
            assert_eq!(answer.status, 201, "without {member}: {}", refusal(&answer));
        }
    }
    world.deliver().await;
}

/// Section 13: the outbox takes none of the activities that are not built yet.
#[tokio::test]
async fn activities_that_are_not_built_yet() {
    let page = page::read();
    let rows = page::table(&page, "\n## 13. Not built yet\n");
    let row = rows.iter().find(|row| row[0] == "more in the outbox").unwrap();
    let world = World::new().await;
    let alice = world.user("alice").await;
    assert!(row[1].contains("`Add`"), "section 13 does not name Add");
    let body = json!({ "type": "Add", "actor": alice.actor(), "object": "https://eko.example/user/bob" });
    let answer = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await;
    assert_eq!(refusal(&answer.unwrap()), "422 invalid #/type");
}
