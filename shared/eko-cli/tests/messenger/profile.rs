//! Tests of profiles, and of handles at another domain than the server: who is shown by which, and what
//! liars achieve.

use eko_client::messenger::MessengerError;
use eko_protocol::address::Handle;
use eko_protocol::profile::{DisplayName, Icon, PartChange};
use eko_testkit::{Internet, World};
use serde_json::{Value, json};

use crate::people::{TestMessenger, first};
use crate::test_network::{FalseAnswer, TestNetwork};

const BOB: &str = "https://chat.example.org/user/bob";

/// Alice at `a.example`, and Bob at `chat.example.org`, whose handles are at `example.org`.
struct ProfileScene {
    wire: TestNetwork,
    alice: TestMessenger,
    bob: TestMessenger,
    /// The servers, which live as long as the scene.
    _worlds: [World; 3],
}

impl ProfileScene {
    async fn new() -> Self {
        let internet = Internet::new();
        let (a, _) = World::online(&internet, "a.example").await;
        let chat = World::at(&internet, "chat.example.org", |config| {
            config.handle_domain = "example.org".to_owned();
        })
        .await;
        let (apex, _) = World::online(&internet, "example.org").await;
        let wire = TestNetwork::to(&[&a, &chat, &apex]);
        let (alice, bob) = (first(&a, &wire, "alice").await, first(&chat, &wire, "bob").await);
        Self { wire, alice, bob, _worlds: [a, chat, apex] }
    }

    /// Has `example.org` name an actor for every handle, or nobody.
    fn names(&self, actor: Option<&'static str>) {
        self.wire.drop_requests(move |request| {
            let is_apex = request.uri().host() == Some("example.org");
            let link = json!({ "rel": "self", "type": "application/activity+json", "href": actor });
            let body = json!({ "subject": "acct:x@example.org", "links": [link] });
            let status = if actor.is_some() { 200 } else { 404 };
            is_apex.then(|| FalseAnswer { status, body: body.to_string().into() })
        });
    }

    /// Has Bob's server say something else of Bob.
    fn says(&self, member: &'static str, value: Value) {
        self.wire.tamper(move |passing| {
            let mut body: Value = serde_json::from_slice(passing.answer).ok()?;
            body[member] = value.clone();
            let body = body.to_string().into();
            (passing.endpoint == ("GET", "/user/bob")).then_some(FalseAnswer { status: 200, body })
        });
    }

    /// Returns the handle by which Alice sees Bob after another look.
    async fn seen(&self) -> String {
        self.alice.look_at_profile(&self.bob.me()).await.unwrap();
        self.alice.handle_of(&self.bob.me()).unwrap().to_string()
    }
}

fn handle(text: &str) -> Handle {
    Handle::parse(text).unwrap()
}

#[tokio::test]
async fn a_handle_at_another_domain_is_found_and_shown() {
    let scene = ProfileScene::new().await;
    scene.names(Some(BOB));
    let found = scene.alice.find(&handle("@Bob@example.org")).await.unwrap();
    assert_eq!(found, scene.bob.me());
    assert_eq!(scene.alice.handle_of(&found).unwrap().to_string(), "@bob@example.org");
    // From then on nobody's server decides who that is.
    scene.names(None);
    scene.wire.asked.lock().unwrap().clear();
    for text in ["@bob@example.org", "@BOB@example.org"] {
        assert_eq!(scene.alice.find(&handle(text)).await.unwrap(), found);
    }
    assert_eq!(scene.wire.asked.lock().unwrap()[..], [""; 0]);
    // Bob's own handle at his server finds him as well.
    scene.wire.honest();
    assert_eq!(scene.alice.find(&handle("@bob@chat.example.org")).await.unwrap(), found);
    // Another look notices that the domain names him no longer.
    scene.names(None);
    assert_eq!(scene.seen().await, "@bob@chat.example.org");
}

#[tokio::test]
async fn neither_side_gives_a_handle_alone() {
    let scene = ProfileScene::new().await;
    // The server claims a handle that the domain gives nobody, or somebody else.
    for named in [None, Some("https://chat.example.org/user/robert"), Some("https://example.org/user/bob")] {
        scene.names(named);
        assert_eq!(scene.seen().await, "@bob@chat.example.org", "{named:?}");
    }
    // The domain gives a handle that Bob does not claim.
    scene.names(Some(BOB));
    for claim in [json!("bob@chat.example.org"), json!("bob@bank.example"), json!(7), json!(null)] {
        scene.says("webfinger", claim.clone());
        let refused = scene.alice.find(&handle("@bob@example.org")).await.unwrap_err();
        assert!(matches!(refused, MessengerError::NoSuchPerson(_)), "{claim}: {refused}");
    }
    scene.wire.honest();
    scene.names(Some(BOB));
    let refused = scene.alice.find(&handle("@ceo@example.org")).await.unwrap_err();
    assert!(matches!(refused, MessengerError::NoSuchPerson(_)), "{refused}");
    // A handle that was confirmed stays while its domain is out of reach, and no other one comes.
    assert_eq!(scene.seen().await, "@bob@example.org");
    scene.wire.drop_requests(|request| {
        let is_apex = request.uri().host() == Some("example.org");
        is_apex.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    assert_eq!(scene.seen().await, "@bob@example.org");
    scene.says("webfinger", json!("ceo@example.org"));
    assert_eq!(scene.seen().await, "@bob@chat.example.org");
}

#[tokio::test]
async fn what_people_call_themselves_is_made_harmless() {
    let scene = ProfileScene::new().await;
    let bob = scene.bob.me();
    assert_eq!(scene.alice.profile(&bob.actor()).unwrap().name, None);
    let icon = Icon::new("https://pictures.example/bob.png", "image/png").unwrap();
    let name = PartChange::Set(DisplayName::parse("Bob").unwrap());
    scene.bob.change_profile(name, PartChange::Set(icon.clone())).await.unwrap();
    scene.names(None);
    scene.wire.asked.lock().unwrap().clear();
    let seen = scene.alice.look_at_profile(&bob).await.unwrap();
    assert_eq!((seen.name.as_ref().unwrap().as_str(), &seen.icon), ("Bob", &Some(icon)));
    assert_eq!(scene.alice.profile(&bob.actor()).unwrap(), seen);
    let asked = scene.wire.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2, "the actor and the domain, and no picture: {asked:?}");
    for (name, shown) in [
        (json!("Bob\u{202e}\u{1b}[31m\nBEWARE"), Some("Bob[31m BEWARE".to_owned())),
        (json!("x".repeat(10_000)), Some("x".repeat(64))),
        (json!("\u{3164}\u{200b}"), None),
        (json!("@alice@a.example"), None),
        (json!(["a", "b"]), None),
        (json!({ "en": "Bob" }), None),
    ] {
        scene.says("name", name.clone());
        let seen = scene.alice.look_at_profile(&bob).await.unwrap().name;
        assert_eq!(seen.map(|name| name.as_str().to_owned()), shown, "{name}");
    }
    // The document of somebody else is not Bob's.
    scene.says("id", json!("https://chat.example.org/user/robert"));
    assert!(scene.alice.look_at_profile(&bob).await.is_err());
}
