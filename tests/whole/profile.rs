//! The profile of a user: who changes it, where it is shown, and what becomes of it.

use eko_client::{Auth, Body, Device};
use eko_protocol::profile::{DisplayName, Icon, PartChange, UpdateProfile};
use eko_testkit::{ChainChanges as _, DirectTransport, Internet, World, refusal, refused};
use http::Method;
use serde_json::{Value, json};

use crate::people::alice_and_bob;
use crate::requests::get_public;

const PICTURE: &str = "https://pictures.example/bob.png";

fn name(text: &str) -> UpdateProfile {
    UpdateProfile { name: PartChange::Set(DisplayName::parse(text).unwrap()), ..UpdateProfile::default() }
}

fn icon(url: &str) -> UpdateProfile {
    UpdateProfile { icon: PartChange::Set(Icon::new(url, "image/png").unwrap()), ..UpdateProfile::default() }
}

/// Returns name and icon of Bob's actor document.
async fn shown(bob: &Device<DirectTransport>) -> (Value, Value) {
    let actor = get_public(bob, "/user/bob").await.json().unwrap();
    (actor["name"].clone(), actor["icon"].clone())
}

#[tokio::test]
async fn each_part_is_set_kept_and_removed() {
    let (world, _, bob) = alice_and_bob().await;
    assert_eq!(shown(&bob).await, (Value::Null, Value::Null));
    world.calls.reset();
    bob.change_profile(&name("  Bob \u{a0} Builder ")).await.unwrap();
    // The account's budget, and the device set.
    assert_eq!(world.calls.made(), ["UpdateItem", "UpdateItem"]);
    world.calls.reset();
    assert_eq!(shown(&bob).await, (json!("Bob Builder"), Value::Null));
    assert_eq!(world.calls.made(), ["GetItem"]);
    // A federated server reads an Image with its address and its type.
    let picture = json!({ "type": "Image", "mediaType": "image/png", "url": PICTURE });
    for _ in 0..2 {
        bob.change_profile(&icon(PICTURE)).await.unwrap();
        assert_eq!(shown(&bob).await, (json!("Bob Builder"), picture.clone()));
    }
    bob.change_profile(&UpdateProfile { name: PartChange::Remove, ..icon(PICTURE) }).await.unwrap();
    assert_eq!(shown(&bob).await, (Value::Null, picture));
    bob.change_profile(&UpdateProfile { icon: PartChange::Remove, ..name("Bob") }).await.unwrap();
    assert_eq!(shown(&bob).await, (json!("Bob"), Value::Null));
    // A page for a person has no text that a user has chosen.
    bob.change_profile(&name("<script>alert(1)</script>")).await.unwrap();
    let page = world.transport().json(page_request()).await;
    assert!(!page.1.to_string().contains("script"));
}

fn page_request() -> http::Request<eko_client::transport::Bytes> {
    let request = http::Request::get("https://eko.example/user/bob").header("accept", "text/html");
    request.body(eko_client::transport::Bytes::new()).unwrap()
}

#[tokio::test]
async fn who_may_change_which_profile_to_what() {
    let (world, alice, bob) = alice_and_bob().await;
    let post = async |path: &str, activity: Value| {
        let answer = bob.call(Method::POST, path, Body::Json(&activity), Auth::Device).await.unwrap();
        refusal(&answer)
    };
    let update = |object: Value| json!({ "type": "Update", "object": object });
    let own = |member: &str, value: Value| {
        let mut object = json!({ "type": "Person", "id": bob.actor() });
        object[member] = value;
        update(object)
    };
    for (path, activity, answer) in [
        ("/user/bob/outbox", update(json!({ "id": alice.actor(), "name": "x" })), "422 invalid #/object/id"),
        ("/user/bob/outbox", update(json!({ "name": "x" })), "422 invalid #/object/id"),
        ("/user/bob/outbox", own("summary", json!("x")), "422 invalid #/object"),
        ("/user/bob/outbox", own("name", json!("a\u{202e}b")), "422 invalid #/object/name"),
        ("/user/bob/outbox", own("name", json!("x".repeat(65))), "422 invalid #/object/name"),
        ("/user/bob/outbox", own("icon", json!(PICTURE)), "422 invalid #/object/icon/type"),
        (
            "/user/bob/outbox",
            own("icon", json!({ "type": "Image", "mediaType": "image/svg+xml", "url": PICTURE })),
            "422 invalid #/object/icon/mediaType",
        ),
        (
            "/user/bob/outbox",
            own("icon", json!({ "type": "Image", "mediaType": "image/png", "url": "http://127.0.0.1/" })),
            "422 invalid #/object/icon/url",
        ),
        ("/user/alice/outbox", own("name", json!("x")), "403 not-owner"),
        (
            "/user/bob/outbox",
            json!({ "type": "Update", "actor": alice.actor(), "object": { "id": bob.actor(), "name": "x" } }),
            "403 not-yours #/actor",
        ),
    ] {
        assert_eq!(post(path, activity.clone()).await, answer, "{path} {activity}");
    }
    let waiting = world.pending(&bob, "two").await;
    assert_eq!(refused(waiting.change_profile(&name("x")).await), "403 device-pending");
    assert_eq!(shown(&bob).await, (Value::Null, Value::Null));
    let further = world.further(&bob, "three").await;
    further.change_profile(&name("Three")).await.unwrap();
    bob.revoke(further.id()).await.unwrap();
    assert_eq!(refused(further.change_profile(&name("x")).await), "401 device-revoked");
    assert_eq!(
        shown(&bob).await,
        (json!("Three"), Value::Null),
        "a change of the devices changes no profile"
    );
    world.deliver().await;
}

/// The domain of the handles is another one than the server's: the short handle is shown, and both find
/// the user.
#[tokio::test]
async fn handles_at_another_domain() {
    let internet = Internet::new();
    let world =
        World::at(&internet, "chat.example.org", |config| config.handle_domain = "example.org".to_owned())
            .await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let json_of = async |path: &str| get_public(&bob, path).await.json().unwrap();
    let actor = json_of("/user/bob").await;
    assert_eq!(
        [&actor["id"], &actor["webfinger"], &actor["preferredUsername"]],
        ["https://chat.example.org/user/bob", "bob@example.org", "bob"]
    );
    for resource in [
        "acct:bob@example.org",
        "acct:bob@chat.example.org",
        "https://chat.example.org/user/bob",
        "@BOB@Example.ORG",
    ] {
        let found = json_of(&format!("/.well-known/webfinger?resource={resource}")).await;
        assert_eq!(found["subject"], "acct:bob@example.org", "{resource}");
        assert_eq!(found["links"][0]["href"], "https://chat.example.org/user/bob", "{resource}");
    }
    for resource in ["acct:bob@www.example.org", "acct:bob@org", "acct:bob@example.org.evil.example"] {
        let answer = get_public(&bob, &format!("/.well-known/webfinger?resource={resource}")).await;
        assert_eq!(answer.status, 404, "{resource}");
    }
    assert_eq!(json_of("/.well-known/ecp").await["handleDomain"], "example.org");
    // Neither a send nor a take asks anybody for a handle of the own users.
    internet.forget();
    for handle in ["@bob@example.org", "acct:bob@chat.example.org"] {
        let mut body = alice.create_activity(&eko_testkit::envelope(&alice, &[&bob]));
        body["to"] = json!(handle);
        let sent = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await;
        assert_eq!(sent.unwrap().status, 201, "{handle}");
        let take = json!({ "type": "Take", "actor": alice.actor(), "object": handle });
        let taken = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&take), Auth::Device).await;
        assert_eq!(taken.unwrap().status, 200, "{handle}");
    }
    assert_eq!(internet.dialled(), []);
    world.deliver().await;
}
