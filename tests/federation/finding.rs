//! Finding people on other servers: WebFinger, actors, and the copies of them that are stored.

use eko_client::device::SendOutcome;
use eko_client::{Auth, Body, Device};
use eko_federation::Scheme;
use eko_service::config::Config;
use eko_testkit::{
    DirectTransport, Internet, Stranger, StrangerAnswer, World, envelope, refusal, sign, signing_key,
};
use http::Method;
use serde_json::{Value, json};

use crate::{HOUR_MS, ServerPair};

#[tokio::test]
async fn a_handle_in_to() {
    let pair = ServerPair::new().await;
    for handle in ["@bob@b.example", "acct:bob@b.example", "bob@B.Example"] {
        let mut body = pair.alice.create_activity(&envelope(&pair.alice, &[&pair.bob]));
        body["to"] = json!(handle);
        let answer = pair
            .alice
            .call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device)
            .await
            .unwrap();
        assert_eq!(answer.status, 201, "{handle}");
        assert_eq!(answer.json().unwrap()["to"], "https://b.example/user/bob");
    }
    pair.settle().await;
    assert_eq!(pair.b.messages(&pair.bob).await.len(), 3);
    // A handle of the own server is resolved without a request.
    let second = pair.a.user("carol").await;
    let mut body = pair.alice.create_activity(&envelope(&pair.alice, &[&second]));
    body["to"] = json!("@carol@a.example");
    let answer =
        pair.alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await.unwrap();
    assert_eq!(answer.status, 201);
    pair.settle().await;
}

/// A handle may have another domain than its actor, who names it, too. The answer of WebFinger is stored
/// for a day.
#[tokio::test]
async fn a_handle_on_another_domain_than_its_actor() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let own_domain = |config: &mut Config| config.handle_domain = "b.example".to_owned();
    let (b, _) = World::online_with(&internet, "social.b.example", own_domain).await;
    let bob = b.user("bob").await;
    let front = Stranger::new(&internet, "b.example").await;
    let jrd = json!({"subject": "acct:bob@b.example", "links": [
        {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": "https://b.example/bob"},
        {"rel": "self", "type": "application/activity+json", "href": "https://social.b.example/user/bob"},
    ]});
    let answer = StrangerAnswer { media_type: "application/jrd+json", ..StrangerAnswer::activity(200, &jrd) };
    front.document("/.well-known/webfinger?resource=acct%3Abob%40b.example", answer);
    let mut body = alice.create_activity(&envelope(&alice, &[&bob]));
    body["to"] = json!("@bob@b.example");
    for _ in 0..2 {
        let answer = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await;
        assert_eq!(answer.unwrap().status, 201);
    }
    assert_eq!(front.asked().len(), 1);
    b.deliver().await;
    assert_eq!(b.messages(&bob).await.len(), 1);
}

#[tokio::test]
async fn a_handle_that_nobody_has() {
    let pair = ServerPair::new().await;
    let outbox = async |to: &str| {
        let mut body = pair.alice.create_activity(&envelope(&pair.alice, &[&pair.bob]));
        body["to"] = json!(to);
        let answer =
            pair.alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await;
        refusal_of(&answer.unwrap())
    };
    assert_eq!(outbox("@nobody@b.example").await, "404 not-found");
    assert_eq!(outbox("@bob@nowhere.example").await, "503 remote-unreachable");
    pair.internet.forget();
    // The failures are remembered, and nobody is asked again at once.
    assert_eq!(outbox("@nobody@b.example").await, "404 not-found");
    assert_eq!(outbox("@bob@nowhere.example").await, "503 remote-unreachable");
    assert_eq!(pair.internet.resolved(), Vec::<String>::new());
    pair.internet.advance(2 * HOUR_MS);
    let token = pair.alice.refresh().await;
    assert!(token.is_ok());
    pair.b.calls.reset();
    assert_eq!(outbox("@nobody@b.example").await, "404 not-found");
    assert_eq!(pair.b.calls.made(), ["GetItem"]);
}

fn refusal_of(answer: &eko_client::Exchange) -> String {
    let body: Value = answer.json().unwrap();
    let slug = body["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    format!("{} {slug}", answer.status.as_u16())
}

/// Returns a `Like` of a stranger.
fn like(stranger: &Stranger) -> Value {
    json!({ "type": "Like", "actor": stranger.actor })
}

/// A server that wants another signature of a fetch says so in `Accept-Signature`. It gets that
/// signature once, on its own host only, and only if this server can make it.
#[tokio::test]
async fn a_signature_that_a_fetch_is_asked_for() {
    let wish = r#"eve=("@method" "@authority");created;nonce="n1""#;
    let asks = |wish: &str| StrangerAnswer::status(401).with("accept-signature", wish);
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let inputs = |stranger: &Stranger, path: &str| -> Vec<String> {
        let asked = stranger.asked().into_iter().filter(|asked| asked.target == path);
        let input = |name: &str, headers: &http::HeaderMap| {
            headers.get(name).map(|it| it.to_str().unwrap().to_owned())
        };
        asked
            .map(|asked| {
                let draft = input("signature", &asked.headers).filter(|it| it.starts_with("keyId"));
                input("signature-input", &asked.headers).or(draft).unwrap_or_default()
            })
            .collect()
    };

    // The wish is met, and the actor is read.
    let eve = Stranger::new(&internet, "eve.example").await;
    let document = eve.actor_document();
    eve.script(move |asked| {
        let input = asked.headers.get("signature-input")?.to_str().unwrap();
        let is_met = input.contains(r#"nonce="n1""#);
        let answer = if is_met { StrangerAnswer::activity(200, &document) } else { asks(wish) };
        (asked.method == Method::GET).then_some(answer)
    });
    assert_eq!(eve.deliver(&a, "/inbox", &like(&eve)).await.0, 202);
    let made = inputs(&eve, "/users/eve");
    assert_eq!(made.len(), 2);
    assert!(made[1].starts_with(r#"eve=("@method" "@target-uri" "@authority");created="#), "{}", made[1]);
    assert!(made[1].contains(r#"keyid="https://a.example/actor#main-key""#), "{}", made[1]);

    // A server that is never content is asked twice, and no more.
    let never = Stranger::new(&internet, "never.example").await;
    never.script(move |asked| (asked.method == Method::GET).then(|| asks(wish)));
    assert_eq!(never.deliver(&a, "/inbox", &like(&never)).await.0, 401);
    assert_eq!(inputs(&never, "/users/eve").len(), 2);

    // What this server cannot make is not made: the second knock has the other scheme.
    for (host, wish) in [
        ("component.example", r#"x=("@method" "cookie");created;nonce="n1""#),
        ("body.example", r#"x=("@method" "content-digest");created;nonce="n1""#),
        ("parameter.example", r#"x=("@method";req);created;nonce="n1""#),
        ("key.example", r#"x=("@method");created;nonce="n1";keyid="https://a.example/user/alice#main-key""#),
        ("algorithm.example", r#"x=("@method");created;nonce="n1";alg="ed25519""#),
        ("nonsense.example", r#"x=("@method"#),
    ] {
        let stranger = Stranger::new(&internet, host).await;
        stranger.script(move |asked| (asked.method == Method::GET).then(|| asks(wish)));
        assert_eq!(stranger.deliver(&a, "/inbox", &like(&stranger)).await.0, 401, "{host}");
        let made = inputs(&stranger, "/users/eve");
        assert_eq!(made.len(), 2, "{host}");
        assert!(made[0].starts_with("sig1=") && made[1].starts_with("keyId="), "{host}: {made:?}");
    }

    // A redirect to another server is not followed, and that server is not asked what it wishes.
    let here = Stranger::new(&internet, "here.example").await;
    let there = Stranger::new(&internet, "there.example").await;
    here.document(
        "/users/eve",
        StrangerAnswer::status(302).with("location", "https://there.example/users/eve"),
    );
    there.script(move |asked| (asked.method == Method::GET).then(|| asks(wish)));
    assert_eq!(here.deliver(&a, "/inbox", &like(&here)).await.0, 401);
    assert_eq!((here.asked().len(), there.asked().len()), (1, 0));
}

/// A proxy between the servers may change an answer, and says so by 203 (RFC 9110, section 15.3.4).
#[tokio::test]
async fn an_actor_that_a_proxy_has_changed_is_read() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let eve = Stranger::new(&internet, "b.example").await;
    eve.document("/users/eve", StrangerAnswer::activity(203, &eve.actor_document()));
    let found =
        StrangerAnswer { status: http::StatusCode::NON_AUTHORITATIVE_INFORMATION, ..web_finger(&eve.actor) };
    eve.document("/.well-known/webfinger?resource=acct%3Aeve%40b.example", found);
    assert_eq!(eve.deliver(&a, "/inbox", &like(&eve)).await.0, 202);
    assert_eq!(send_to(&alice, "@eve@b.example", &eve.actor).await, (201, json!(eve.actor)));
}

/// The names of a server and of its users may be on different hosts. WebFinger is redirected from
/// one to the other.
#[tokio::test]
async fn web_finger_is_redirected_to_another_host() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let apex = Stranger::new(&internet, "b.example").await;
    let www = Stranger::new(&internet, "www.b.example").await;
    let path = "/.well-known/webfinger?resource=acct%3Aeve%40b.example";
    apex.document(path, StrangerAnswer::status(301).with("location", format!("{}{path}", www.origin)));
    let link = json!({"rel": "self", "type": "application/activity+json", "href": www.actor});
    let named = json!({"subject": "acct:eve@b.example", "links": [link]});
    www.document(
        path,
        StrangerAnswer { media_type: "application/jrd+json", ..StrangerAnswer::activity(200, &named) },
    );
    assert_eq!(send_to(&alice, "@eve@b.example", &www.actor).await, (201, json!(www.actor)));
}

/// An actor is stored for a day, then asked for again. While its server is out of reach, the old
/// copy stays in use.
#[tokio::test]
async fn how_long_an_actor_is_kept() {
    let pair = ServerPair::new().await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.internet.advance(23 * HOUR_MS);
    pair.internet.forget();
    pair.alice.refresh().await.unwrap();
    let outcome = pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Accepted { .. }));
    let dials = pair.internet.dialled().len();
    assert!(dials <= 2, "the POST, and b's look at alice: {dials}");
    pair.internet.advance(2 * HOUR_MS);
    pair.alice.refresh().await.unwrap();
    pair.internet.unplug(pair.b_address);
    let outcome = pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Queued { .. }));
    pair.internet.plug(pair.b_address);
    pair.internet.advance(10_000);
    pair.settle().await;
    pair.bob.refresh().await.unwrap();
    assert_eq!(pair.b.messages(&pair.bob).await.len(), 3);
}

#[tokio::test]
async fn a_server_that_wants_the_older_signatures() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let old = Stranger::new(&internet, "old.example").await;
    old.script(|asked| {
        let newer = asked.headers.contains_key("signature-input");
        (asked.method == Method::POST && newer).then(|| StrangerAnswer::status(401))
    });
    let there = eko_protocol::address::Origin::parse("https://old.example").unwrap();
    let send = async || {
        let mut body = alice.create_activity(&envelope(&alice, &[&alice]));
        body["to"] = json!(old.actor);
        let to = format!("{there}/users/eve/devices/1");
        body["object"]["messages"] = json!([{ "to": to, "from": alice.address(), "content": "AAAA" }]);
        let answer = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await;
        assert_eq!(answer.unwrap().status, 201);
    };
    send().await;
    assert_eq!(old.posts().len(), 2, "knocked twice");
    send().await;
    assert_eq!(old.posts().len(), 3, "and then as it likes it");
    assert!(!old.posts()[2].headers.contains_key("signature-input"));
}

#[tokio::test]
async fn a_server_without_a_key_is_alone() {
    let internet = Internet::new();
    let alone = World::at(&internet, "eko.example", |config| config.federation = None).await;
    let alice = alone.user("alice").await;
    let eve = Stranger::new(&internet, "eve.example").await;
    let (status, body) = eve.deliver(&alone, "/inbox", &json!({"type": "Follow", "actor": eve.actor})).await;
    assert_eq!((status, &body["type"]), (403, &json!("https://eko.example/problems/not-federated")));
    let mut body = alice.create_activity(&envelope(&alice, &[&alice]));
    body["to"] = json!(eve.actor);
    let answer =
        alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await.unwrap();
    assert_eq!(refusal(&answer), "422 invalid #/to");
    body["to"] = json!("@eve@eve.example");
    let answer =
        alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await.unwrap();
    assert_eq!(refusal(&answer), "422 invalid #/to");
    let answer = alice.call(Method::GET, "/user/alice", Body::Empty, Auth::Nobody).await.unwrap();
    assert_eq!(answer.json().unwrap().get("publicKey"), None);
    let answer = alice.call(Method::GET, "/.well-known/ecp", Body::Empty, Auth::Nobody).await.unwrap();
    assert_eq!(answer.json().unwrap()["federation"], false);
    assert_eq!(internet.dialled(), []);
}

/// The WebFinger document of a server whose handles are `@name@b.example`.
fn web_finger(href: &str) -> StrangerAnswer {
    let link = json!({"rel": "self", "type": "application/activity+json", "href": href});
    let document = json!({"subject": "acct:x@b.example", "links": [link]});
    StrangerAnswer { media_type: "application/jrd+json", ..StrangerAnswer::activity(200, &document) }
}

/// Sends an envelope to a handle, and returns the status and the recipient that the answer names.
async fn send_to(alice: &Device<DirectTransport>, handle: &str, user: &str) -> (u16, Value) {
    let mut body = alice.create_activity(&envelope(alice, &[alice]));
    body["to"] = json!(handle);
    body["object"]["messages"] =
        json!([{ "to": format!("{user}/devices/1"), "from": alice.address(), "content": "AAAA" }]);
    let answer = alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await;
    let answer = answer.unwrap();
    (answer.status.as_u16(), answer.json().unwrap()["to"].clone())
}

/// FEP-fe34: the link of WebFinger may be an alias of an actor on the same origin.
#[tokio::test]
async fn an_alias_leads_to_the_actor_by_its_own_id() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let eve = Stranger::new(&internet, "b.example").await;
    let alias = "https://b.example/@eve";
    eve.document("/.well-known/webfinger?resource=acct%3Aeve%40b.example", web_finger(alias));
    eve.document("/@eve", StrangerAnswer::activity(200, &eve.actor_document()));
    assert_eq!(send_to(&alice, "@eve@b.example", &eve.actor).await, (201, json!(eve.actor)));
    let asked: Vec<String> = eve.asked().iter().map(|asked| asked.target.clone()).collect();
    assert_eq!(
        asked[..3],
        ["/.well-known/webfinger?resource=acct%3Aeve%40b.example", "/@eve", "/users/eve"],
        "and the actor is not fetched again: {asked:?}"
    );
    assert_eq!(asked.len(), 4, "{asked:?}");

    // A redirect does as well. An actor on another origin is not the alias's.
    eve.document(
        "/.well-known/webfinger?resource=acct%3Amoved%40b.example",
        web_finger("https://b.example/@m"),
    );
    eve.document("/@m", StrangerAnswer::status(302).with("location", eve.actor.clone()));
    assert_eq!(send_to(&alice, "@moved@b.example", &eve.actor).await, (201, json!(eve.actor)));
    // The address of the document may have a query. The link may leave out the type.
    let link = json!({"rel": "self", "href": "https://b.example/@q"});
    let untyped = json!({"subject": "acct:queried@b.example", "links": [link]});
    eve.document(
        "/.well-known/webfinger?resource=acct%3Aqueried%40b.example",
        StrangerAnswer { media_type: "application/jrd+json", ..StrangerAnswer::activity(200, &untyped) },
    );
    let json_of_eve = format!("{}?format=json", eve.actor);
    eve.document("/@q", StrangerAnswer::status(302).with("location", json_of_eve));
    eve.document("/users/eve?format=json", StrangerAnswer::activity(200, &eve.actor_document()));
    assert_eq!(send_to(&alice, "@queried@b.example", &eve.actor).await, (201, json!(eve.actor)));
    let other = Stranger::new(&internet, "c.example").await;
    eve.document(
        "/.well-known/webfinger?resource=acct%3Aother%40b.example",
        web_finger("https://b.example/@o"),
    );
    eve.document("/@o", StrangerAnswer::activity(200, &other.actor_document()));
    assert_eq!(send_to(&alice, "@other@b.example", &other.actor).await.0, 502);
    // An actor that says another id each time is followed once.
    let mut shifting = eve.actor_document();
    shifting["id"] = json!("https://b.example/@s/2");
    eve.document("/.well-known/webfinger?resource=acct%3As%40b.example", web_finger("https://b.example/@s"));
    eve.document("/@s", StrangerAnswer::activity(200, &shifting));
    shifting["id"] = json!("https://b.example/@s/3");
    eve.document("/@s/2", StrangerAnswer::activity(200, &shifting));
    assert_eq!(send_to(&alice, "@s@b.example", &eve.actor).await.0, 502);
}

/// Names of users elsewhere follow the rules of their servers (RFC 7565).
#[tokio::test]
async fn a_name_is_asked_for_as_it_is_written() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let eve = Stranger::new(&internet, "b.example").await;
    for name in ["first.last", "MixedCase", &"n".repeat(40)] {
        eve.document(
            &format!("/.well-known/webfinger?resource=acct%3A{name}%40b.example"),
            web_finger(&eve.actor),
        );
        let handle = format!("@{name}@b.example");
        assert_eq!(send_to(&alice, &handle, &eve.actor).await, (201, json!(eve.actor)), "{name}");
    }
}

/// GoToSocial and others publish a key in a document of its own, which the actor links.
#[tokio::test]
async fn a_linked_key_is_fetched_from_its_document() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let eve = Stranger::new(&internet, "b.example").await;
    let whole = eve.actor_document();
    let link = "https://b.example/users/eve/main-key";
    let mut linking = whole.clone();
    linking["publicKey"] = json!(link);
    let mut key = whole["publicKey"].clone();
    key["id"] = json!(link);
    eve.document("/users/eve", StrangerAnswer::activity(200, &linking));
    eve.document("/users/eve/main-key", StrangerAnswer::activity(200, &key));
    let follow = json!({"type": "Follow", "actor": eve.actor, "id": "https://b.example/1"});
    let url = "https://a.example/inbox";
    let body = follow.to_string().into();
    let signed = sign(&signing_key("stranger").1, link, Scheme::Rfc9421, url, body, a.now_ms());
    let (status, _) = a.transport().json(signed).await;
    assert_eq!(status, 202);
    let asked: Vec<String> = eve.asked().iter().map(|asked| asked.target.clone()).collect();
    assert_eq!(asked, ["/users/eve", "/users/eve/main-key"]);
    // A key that names another owner is none.
    key["owner"] = json!("https://b.example/users/somebody");
    eve.document("/users/eve/main-key", StrangerAnswer::activity(200, &key));
    internet.advance(2 * HOUR_MS * 24);
    let signed =
        sign(&signing_key("stranger").1, link, Scheme::Rfc9421, url, follow.to_string().into(), a.now_ms());
    assert_eq!(a.transport().json(signed).await.0, 401);
}

/// An actor may link several keys, beside one in its own document. Each is fetched when it has signed
/// something, and once.
#[tokio::test]
async fn of_several_linked_keys_the_one_that_signs_is_fetched() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let eve = Stranger::new(&internet, "b.example").await;
    let mut linking = eve.actor_document();
    let own = linking["publicKey"].clone();
    let link = |number: usize| format!("https://b.example/keys/{number}");
    linking["publicKey"] = json!([own, link(1), link(2), link(3)]);
    eve.document("/users/eve", StrangerAnswer::activity(200, &linking));
    for number in [1, 2] {
        let mut key = own.clone();
        key["id"] = json!(link(number));
        eve.document(&format!("/keys/{number}"), StrangerAnswer::activity(200, &key));
    }
    let body = like(&eve).to_string();
    let send = async |key_id: &str| {
        let (key, url) = (&signing_key("stranger").1, "https://a.example/inbox");
        let signed = sign(key, key_id, Scheme::Rfc9421, url, body.clone().into(), a.now_ms());
        let before = eve.asked().len();
        let (status, _) = a.transport().json(signed).await;
        let asked: Vec<String> = eve.asked().drain(before..).map(|asked| asked.target).collect();
        (status, asked)
    };
    let asked = |targets: &[&str]| targets.iter().map(|target| (*target).to_owned()).collect::<Vec<_>>();
    assert_eq!(send(&link(2)).await, (202, asked(&["/users/eve", "/keys/2"])));
    assert_eq!(send(&link(1)).await, (202, asked(&["/keys/1"])));
    for key_id in [eve.key_id(), link(1), link(2)] {
        assert_eq!(send(&key_id).await, (202, vec![]), "{key_id}");
    }
    // A key that is not there is asked for once, in both schemes at most, and one that nobody links
    // never.
    assert_eq!(send(&link(3)).await, (401, asked(&["/keys/3"])));
    for number in [3, 4] {
        assert_eq!(send(&link(number)).await, (401, vec![]), "{number}");
    }
}
