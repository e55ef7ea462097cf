//! Names that resolve differently from one time to the next, redirects that go round, down or
//! elsewhere, and credentials in URLs.

use eko_testkit::{Stranger, StrangerAnswer, World};
use serde_json::json;

use crate::scene::{AttackScene, actor_document, like};

#[tokio::test]
async fn a_name_that_was_within_at_first() {
    let scene = AttackScene::new().await;
    let other = Stranger::new(&scene.internet, "c.example").await;
    let public = other.address.ip().to_string();
    scene.internet.name("turns.example", &["127.0.0.1"]);
    scene.internet.name("turns.example", &[&public]);
    let actor = "https://turns.example/users/eve";
    assert_eq!(scene.deliver(&like(actor)).await, "401 bad-signature");
    assert_eq!(scene.dialled(), []);
    // The first answer of DNS is used for ten minutes. Then the name leads to another server, whose
    // certificate does not have it.
    scene.world.advance(10 * 60_000);
    assert_eq!(scene.deliver(&like(actor)).await, "503 remote-unreachable");
    assert_eq!(scene.dialled(), [other.address]);
    scene.assert_unchanged("an activity of an actor within").await;
}

#[tokio::test]
async fn a_name_that_is_within_at_the_second_look() {
    let scene = AttackScene::new().await;
    let turns = Stranger::new(&scene.internet, "turns.example").await;
    scene.internet.name("turns.example", &["127.0.0.1", "169.254.169.254"]);
    // The server closes each connection, so that every request looks the name up again.
    let document = StrangerAnswer::activity(200, &turns.actor_document()).with("connection", "close");
    turns.document("/users/eve", document.clone());
    assert_eq!(scene.deliver(&like(&turns.actor)).await, "202");
    assert_eq!(scene.dialled(), [turns.address]);
    // The inbox of the actor, which is known by now, is not reached.
    assert_eq!(scene.alice_sends(&turns.actor, &turns.actor, 1).await, "409 Reject");
    // Neither is its document: a forged signature asks for it again, once the copy is a minute old.
    scene.world.advance(60_000);
    let forged = scene.signed_bytes(
        eko_protocol::http_signature::Scheme::Cavage,
        "/inbox",
        &format!("{}#no-key", turns.actor),
        like(&turns.actor).to_string(),
    );
    assert_eq!(scene.send(forged).await, "401 bad-signature");
    assert_eq!(scene.internet.resolved(), ["turns.example", "turns.example"]);
    assert_eq!(scene.dialled(), []);
    scene.assert_unchanged_but_sent("what was for a name within").await;
}

#[tokio::test]
async fn a_name_that_is_within_when_the_queue_tries_again() {
    let scene = AttackScene::new().await;
    let turns = Stranger::new(&scene.internet, "turns.example").await;
    let closing = StrangerAnswer::activity(200, &turns.actor_document()).with("connection", "close");
    turns.document("/users/eve", closing);
    assert_eq!(scene.deliver(&like(&turns.actor)).await, "202");
    scene.internet.unplug(turns.address);
    assert_eq!(scene.alice_sends(&turns.actor, &turns.actor, 1).await, "202 Create");
    assert_eq!(scene.world.waiting().await, (1, 0));
    scene.internet.name("turns.example", &["169.254.169.254"]);
    // The addresses found before are still in use at first.
    scene.internet.forget();
    for _ in 0..3 {
        scene.world.advance(250_000);
        scene.world.federate().await;
    }
    assert!(scene.dialled().iter().all(|address| *address == turns.address));
    assert_eq!(scene.world.waiting().await, (0, 0), "it is given up");
    scene.world.deliver().await;
    let reports = scene.world.reports(&scene.alice).await;
    let summaries: Vec<_> = reports.iter().filter_map(|report| report.summary.as_deref()).collect();
    assert_eq!(summaries, ["turns.example: turns.example has no public address"]);
}

#[tokio::test]
async fn a_name_with_addresses_of_both_kinds() {
    let scene = AttackScene::new().await;
    let mixed = Stranger::new(&scene.internet, "c.example").await;
    let public = mixed.address.ip().to_string();
    scene.internet.name("c.example", &["10.0.0.1", "::1", "::ffff:127.0.0.1", &public, "169.254.169.254"]);
    // The name first resolves to the stranger's own address, which it got when it was made.
    let closing = StrangerAnswer::activity(200, &mixed.actor_document()).with("connection", "close");
    mixed.document("/users/eve", closing);
    assert_eq!(scene.deliver(&like(&mixed.actor)).await, "202");
    assert_eq!(scene.alice_sends(&mixed.actor, &mixed.actor, 1).await, "201 Create");
    assert_eq!(scene.internet.resolved(), ["c.example", "c.example"]);
    assert_eq!(scene.dialled(), [mixed.address, mixed.address], "only what is public is tried");
    scene.assert_unchanged_but_sent("what was for a name within").await;
}

#[tokio::test]
async fn redirects_that_lead_nowhere() {
    let scene = AttackScene::new().await;
    let origin = scene.eve.origin.clone();
    let there = actor_document(&format!("{origin}/there"), scene.eve.key.public_pem());
    scene.eve.document("/there", StrangerAnswer::activity(200, &there));
    for (name, location, fetches) in [
        ("itself", "/users/itself".to_owned(), 4),
        ("a circle", "/users/back".to_owned(), 4),
        ("plain http", format!("{}/there", origin.replace("https", "http")), 1),
        ("credentials", "https://eve:secret@b.example/there".to_owned(), 1),
        ("a user", "https://eve@b.example/there".to_owned(), 1),
        ("another scheme", "ftp://b.example/there".to_owned(), 1),
        ("a file", "file:///etc/passwd".to_owned(), 1),
        ("data", "data:application/activity+json,{}".to_owned(), 1),
        ("no location", String::new(), 1),
        ("nothing readable", "https://".to_owned(), 1),
        ("another id", "/there".to_owned(), 2),
    ] {
        let path = format!("/users/{}", name.replace(' ', "-"));
        let answer = match location.as_str() {
            "" => StrangerAnswer::status(302),
            to => StrangerAnswer::status(302).with("location", to),
        };
        scene.eve.document(&path, answer);
        scene.eve.document("/users/back", StrangerAnswer::status(302).with("location", "/users/a-circle"));
        let before = scene.eve.asked().len();
        assert_eq!(scene.deliver(&like(&format!("{origin}{path}"))).await, "401 bad-signature", "{name}");
        assert_eq!(scene.eve.asked().len() - before, fetches, "{name}");
        scene.assert_contacted_only(&[], name);
    }
    scene.assert_unchanged("an activity of an actor behind a redirect").await;
}

#[tokio::test]
async fn redirects_of_a_post_that_lead_nowhere() {
    let scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    for (number, (name, location, posts)) in [
        ("itself", "/users/eve/inbox", 4),
        ("plain http", "http://b.example/users/eve/inbox", 1),
        ("another port", "https://b.example:8443/users/eve/inbox", 1),
        ("credentials", "https://eve:secret@b.example/users/eve/inbox", 1),
        ("a file", "file:///etc/passwd", 1),
        ("no location", "", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = match location {
            "" => StrangerAnswer::status(307),
            to => StrangerAnswer::status(307).with("location", to),
        };
        scene.eve.script(move |asked| (asked.method == http::Method::POST).then(|| answer.clone()));
        let before = scene.eve.posts().len();
        assert_eq!(scene.alice_sends(&eve, &eve, number).await, "409 Reject", "{name}");
        assert_eq!(scene.eve.posts().len() - before, posts, "{name}");
        scene.assert_contacted_only(&[], name);
    }
    scene.assert_unchanged_but_sent("what was redirected").await;
}

#[tokio::test]
async fn redirects_to_another_server() {
    let scene = AttackScene::new().await;
    let other = Stranger::new(&scene.internet, "c.example").await;
    // The document behind the redirect is right under its own id. It does not count under the id
    // that was asked for.
    let actor = format!("{}/users/moved", scene.eve.origin);
    scene.eve.document("/users/moved", StrangerAnswer::status(302).with("location", &other.actor));
    assert_eq!(scene.deliver(&like(&actor)).await, "401 bad-signature");
    let actor = format!("{}/users/claimed", scene.eve.origin);
    let there = format!("{}/users/claimed", other.origin);
    let document = actor_document(&actor, scene.eve.key.public_pem());
    other.document("/users/claimed", StrangerAnswer::activity(200, &document));
    scene.eve.document("/users/claimed", StrangerAnswer::status(302).with("location", &there));
    assert_eq!(scene.deliver(&like(&actor)).await, "401 bad-signature");
    // A POST is not redirected to another server.
    for status in [307, 308] {
        scene.eve.answer(StrangerAnswer::status(status).with("location", format!("{}/inbox", other.actor)));
        let sent = scene.alice_sends(&scene.eve.actor, &scene.eve.actor, status.into()).await;
        assert_eq!(sent, "409 Reject", "{status}");
    }
    assert!(other.posts().is_empty());
    scene.assert_unchanged_but_sent("what was redirected").await;
}

/// Whoever names an actor chooses where its documents are redirected to. Nobody else is asked for
/// them, in either signature scheme.
#[tokio::test]
async fn redirects_as_an_amplifier() {
    let scene = AttackScene::new().await;
    let victim = Stranger::new(&scene.internet, "c.example").await;
    let to = |path: &str| StrangerAnswer::status(302).with("location", format!("{}{path}", victim.origin));
    victim.script(|_| Some(StrangerAnswer::status(302).with("location", "/again")));
    scene.eve.document("/users/gone", to("/users/eve"));
    assert_eq!(scene.deliver(&like("https://b.example/users/gone")).await, "401 bad-signature");
    let key = "https://b.example/users/linking/key";
    let linking = scene.actor("linking", |document| document["publicKey"] = json!(key));
    scene.eve.document("/users/linking/key", to("/key"));
    assert_eq!(scene.deliver(&like(&linking)).await, "401 bad-signature");
    // A redirect within the server leads no further either.
    scene.eve.document("/users/first", StrangerAnswer::status(302).with("location", "/users/gone"));
    assert_eq!(scene.deliver(&like("https://b.example/users/first")).await, "401 bad-signature");
    scene.world.advance(60_000);
    assert_eq!(
        scene.alice_sends("https://b.example/users/gone", "https://b.example", 1).await,
        "502 remote-failed"
    );
    assert_eq!(victim.asked().len(), 0);
    scene.assert_unchanged_but_sent("what was redirected").await;
}

#[tokio::test]
async fn redirects_to_this_server() {
    let internet = eko_testkit::Internet::new();
    let (world, address) = World::online(&internet, "eko.example").await;
    let eve = Stranger::new(&internet, "b.example").await;
    let bob = world.user("bob").await;
    internet.forget();
    for (name, target) in [
        ("actor", bob.actor()),
        ("server", "https://eko.example/actor".to_owned()),
        ("inbox", "https://eko.example/user/bob/inbox?page=1".to_owned()),
        ("port", "https://eko.example:443/actor".to_owned()),
    ] {
        eve.document(&format!("/users/{name}"), StrangerAnswer::status(307).with("location", &target));
        let actor = format!("{}/users/{name}", eve.origin);
        let mut activity = like(&actor);
        activity["id"] = json!(format!("{actor}/1"));
        let (status, problem) = eve.deliver(&world, "/inbox", &activity).await;
        assert_eq!(
            (status, problem["title"].as_str()),
            (401, Some("A valid HTTP signature is needed")),
            "{name}"
        );
    }
    assert!(!internet.dialled().contains(&address), "a server asks itself nothing");
}

#[tokio::test]
async fn credentials_in_addresses() {
    let scene = AttackScene::new().await;
    for base in ["https://eve:secret@b.example", "https://eve@b.example", "https://:secret@b.example"] {
        let actor = format!("{base}/users/eve");
        assert_eq!(scene.deliver(&like(&actor)).await, "403 not-federated", "{base}");
        assert_eq!(scene.alice_sends(&actor, base, 1).await, "422 invalid #/to", "{base}");
        let packages = format!("{base}/user/eve/keyPackages");
        assert_eq!(scene.alice_takes(&packages).await, "422 invalid #/object", "{base}");
        assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]), "{base}");
    }
    scene.assert_unchanged("what was for an address with credentials").await;
}
