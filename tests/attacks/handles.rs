//! Handles at another domain than their actor's server: nobody gives or takes one alone.

use eko_testkit::{Stranger, StrangerAnswer};
use serde_json::{Value, json};

use crate::scene::{AttackScene, web_finger_answer};

/// The answer of WebFinger that names an actor, about this subject.
fn naming(subject: &str, actor: &str) -> StrangerAnswer {
    let link = json!({ "rel": "self", "type": "application/activity+json", "href": actor });
    web_finger_answer(&json!({ "subject": subject, "links": [link] }))
}

/// Serves an actor `name` at a stranger's server. `handle` is the member `webfinger`, if there is one.
fn serve(stranger: &Stranger, name: &str, handle: Option<Value>) -> String {
    let id = format!("{}/users/{name}", stranger.origin);
    let mut document = stranger.actor_document();
    document["id"] = json!(id);
    document["publicKey"]["owner"] = json!(id);
    if let Some(handle) = handle {
        document["webfinger"] = handle;
    }
    stranger.document(&format!("/users/{name}"), StrangerAnswer::activity(200, &document));
    id
}

/// Serves the answer of a stranger's own WebFinger about an actor id.
fn serve_own_web_finger(stranger: &Stranger, id: &str, answer: StrangerAnswer) {
    let query: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    stranger.document(&format!("/.well-known/webfinger?resource={query}"), answer);
}

#[tokio::test]
async fn a_domain_gives_nobody_a_handle_who_does_not_claim_it() {
    let scene = AttackScene::new().await;
    let bank = Stranger::new(&scene.internet, "bank.example").await;
    let (says_nothing, says_another) = ("404 not-found", "502 remote-failed");
    for (name, claims, answer) in [
        ("silent", None, says_nothing),
        ("number", Some(json!(7)), says_nothing),
        ("twice", Some(json!(["twice_1@b.example", "twice_2@b.example"])), says_nothing),
        ("own", Some(json!("own_1@bank.example")), says_another),
        ("third", Some(json!("third_1@c.example")), says_another),
        ("under", Some(json!("under_1@sub.b.example")), says_another),
        ("other", Some(json!("another@b.example")), says_another),
    ] {
        let victim = serve(&bank, name, claims);
        // The second time the actor is known already.
        for handle in [format!("{name}_1"), format!("{name}_2")] {
            scene.serve_web_finger(&handle, naming(&format!("acct:{handle}@b.example"), &victim));
            let handle = format!("@{handle}@b.example");
            assert_eq!(scene.alice_sends(&handle, &victim, 1).await, answer, "{handle}");
            assert_eq!(scene.alice_takes(&handle).await, answer, "{handle}");
        }
    }
    scene.assert_unchanged("what was for such a name").await;
    assert!(bank.posts().is_empty());
}

#[tokio::test]
async fn a_server_claims_no_handle_that_its_domain_does_not_give() {
    let scene = AttackScene::new().await;
    let bank = Stranger::new(&scene.internet, "bank.example").await;
    // Eve's actor claims the bank's handle. The bank names its own actor, or nobody.
    let eve = serve(&scene.eve, "support", Some(json!("support@bank.example")));
    let true_actor = serve(&bank, "support", None);
    let path = "/.well-known/webfinger?resource=acct%3Asupport%40bank.example";
    bank.document(path, naming("acct:support@bank.example", &true_actor));
    assert_eq!(scene.alice_sends("@support@bank.example", &true_actor, 1).await, "201 Create");
    assert_eq!(scene.alice_sends("@nobody@bank.example", &eve, 2).await, "404 not-found");
    // A claim does not make Eve's own handle the bank's, either.
    scene.serve_web_finger("support", naming("acct:support@bank.example", &eve));
    assert_eq!(scene.alice_sends("@support@b.example", &eve, 3).await, "201 Create");
    assert_eq!(bank.posts().len(), 1);
}

#[tokio::test]
async fn both_sides_agree_in_each_of_three_ways_and_no_other() {
    let scene = AttackScene::new().await;
    let chat = Stranger::new(&scene.internet, "chat.example").await;
    let try_it = async |name: &str, actor: &str| {
        scene.serve_web_finger(name, naming(&format!("acct:{name}@b.example"), actor));
        scene.alice_sends(&format!("@{name}@b.example"), actor, 1).await
    };
    let claiming = serve(&chat, "claiming", Some(json!("Claiming@b.example")));
    assert_eq!(try_it("claiming", &claiming).await, "201 Create");
    // The actor's server names the handle by its own WebFinger.
    let named = serve(&chat, "named", None);
    serve_own_web_finger(&chat, &named, naming("acct:named@b.example", &named));
    assert_eq!(try_it("named", &named).await, "201 Create");
    // It does not, if its answer is about somebody else, or was redirected to whoever asks.
    let (other, led) = (serve(&chat, "other", None), serve(&chat, "led", None));
    serve_own_web_finger(&chat, &other, naming("acct:other@chat.example", &other));
    assert_eq!(try_it("other", &other).await, "502 remote-failed");
    serve_own_web_finger(&chat, &led, naming("acct:led@b.example", &other));
    assert_eq!(try_it("led", &led).await, "502 remote-failed");
    // A redirect from the handle's domain: the actor's server answers, with the handle as the subject.
    let redirected = serve(&chat, "redirected", None);
    for (name, subject, expected) in [
        ("redirected", "acct:redirected@b.example", "201 Create"),
        ("wrongly", "acct:redirected@chat.example", "502 remote-failed"),
    ] {
        let path = format!("/.well-known/webfinger?resource=acct%3A{name}%40b.example");
        let location = format!("{}{path}", chat.origin);
        scene.eve.document(&path, StrangerAnswer::status(302).with("location", location));
        chat.document(&path, naming(subject, &redirected));
        let answer = scene.alice_sends(&format!("@{name}@b.example"), &redirected, 1).await;
        assert_eq!(answer, expected, "{name}");
    }
}
