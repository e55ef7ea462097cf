//! Requests that nobody can verify at once: forged ones that name slow actors, so that functions
//! wait for them, and ones that would fill the table.
//!
//! Few requests wait for strangers, whoever is known is served meanwhile, an honest slow server
//! succeeds at its next try, and a forgery leaves nothing in the table.

use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::transport::Transport as _;
use eko_protocol::http_signature::Scheme;
use eko_store::inbound::{ServerGroup, WaitPlace};
use eko_testkit::{AnswerTail, CallFault, Stranger, StrangerAnswer, sign, signing_key};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::scene::{AttackScene, actor_document, like};

/// The answer to a request that does not wait.
const NOT_NOW: &str = "429 too-many";

/// Returns an answer that never comes.
fn silence() -> StrangerAnswer {
    StrangerAnswer::status(200).then(AnswerTail::Silent)
}

/// Delivers a `Like` of an actor under a key that the actor does not have, and returns the answer
/// in one line.
async fn forge(scene: &AttackScene, actor: &str) -> String {
    scene.send(forged(scene, actor)).await
}

/// Returns a `Like` of an actor under a key that the actor does not have.
fn forged(scene: &AttackScene, actor: &str) -> http::Request<bytes::Bytes> {
    let key = signing_key("forger").1;
    scene.signed_by(&key, &format!("{actor}#main-key"), Scheme::Rfc9421, like(actor).to_string())
}

/// Sends a request, and returns its status and `Retry-After`.
async fn retry_after(scene: &AttackScene, request: http::Request<bytes::Bytes>) -> (u16, String) {
    let answer = scene.world.transport().send(request).await.unwrap();
    let header = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), header.unwrap_or_default())
}

/// Serves actors that never answer at a stranger's server, and returns their ids.
fn silent_actors(stranger: &Stranger, count: usize) -> Vec<String> {
    let serve = |number| {
        stranger.document(&format!("/users/s{number}"), silence());
        format!("{}/users/s{number}", stranger.origin)
    };
    (0..count).map(serve).collect()
}

/// Takes the places of a group, as requests do that wait for servers of many sites.
async fn take_places(scene: &AttackScene, group: ServerGroup) -> Vec<WaitPlace> {
    let mut places = Vec::new();
    for site in 0..32 {
        let (host, now_ms) = (format!("slow{site}.example"), scene.world.now_ms());
        places.extend(scene.world.state.store().take_place(group, &host, &host, now_ms).await.unwrap());
    }
    assert_eq!(places.len() as u64, group.waits().together);
    places
}

/// Asserts that Eve, who is known, is answered while requests wait for others.
async fn assert_known_are_served(scene: &AttackScene, waiting: impl Future<Output = Vec<String>>) {
    tokio::pin!(waiting);
    for number in 0..5 {
        let envelope = scene.envelope(&scene.eve.actor, number);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the slow actors were answered before one who is known"),
            answer = scene.deliver(&envelope) => assert_eq!(answer, "202"),
        }
    }
    assert_eq!(waiting.await.iter().find(|answer| *answer != NOT_NOW), None);
    scene.world.deliver().await;
}

#[tokio::test]
async fn for_slow_actors_of_many_servers() {
    let mut scene = AttackScene::new().await;
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, "202");
    let mut actors = Vec::new();
    let mut strangers = Vec::new();
    for number in 0..13 {
        let stranger = Stranger::new(&scene.internet, &format!("slow{number}.example")).await;
        actors.extend(silent_actors(&stranger, 1));
        strangers.push(stranger);
    }
    let forgeries = actors.iter().map(|actor| forge(&scene, actor));
    assert_known_are_served(&scene, join_all(forgeries)).await;
    let asked = || strangers.iter().map(|stranger| stranger.asked().len()).sum::<usize>();
    assert_eq!(asked(), 2, "so many wait for strangers at once");
    // Everyone is fetched later, once, and not more than some in a minute.
    assert_eq!(scene.world.waiting().await, (13, 0));
    scene.world.leave_queues();
}

#[tokio::test]
async fn for_slow_actors_of_one_server() {
    let mut scene = AttackScene::new().await;
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, "202");
    let slow = Stranger::new(&scene.internet, "slow.example").await;
    let actors = silent_actors(&slow, 13);
    let forgeries = actors.iter().map(|actor| forge(&scene, actor));
    assert_known_are_served(&scene, join_all(forgeries)).await;
    assert_eq!(slow.asked().len(), 1, "so many wait for one server at once");
    // For a minute nobody waits for it, whoever is named.
    for (number, actor) in actors.iter().enumerate() {
        scene.world.advance(4_000);
        assert_eq!(forge(&scene, actor).await, NOT_NOW);
        assert_eq!(forge(&scene, &format!("{}/users/new{number}", slow.origin)).await, NOT_NOW);
    }
    assert_eq!(slow.asked().len(), 1);
    // An unknown actor of another server waits, and is accepted.
    let quick = Stranger::new(&scene.internet, "quick.example").await;
    assert_eq!(quick.deliver(&scene.world, "/inbox", &like(&quick.actor)).await.0, 202);
    let (waiting, dead) = scene.world.waiting().await;
    assert!(waiting <= 20 && dead == 0, "{waiting} fetches are planned in two minutes");
    scene.world.leave_queues();
}

/// Whoever has a domain has as many servers under it as they like. They share what one may cause.
#[tokio::test]
async fn for_slow_actors_of_many_servers_under_one_domain() {
    let mut scene = AttackScene::new().await;
    let mut actors = Vec::new();
    let mut strangers = Vec::new();
    for number in 0..8 {
        let stranger = Stranger::new(&scene.internet, &format!("s{number}.slow.example")).await;
        actors.extend(silent_actors(&stranger, 2));
        strangers.push(stranger);
    }
    let answers = join_all(actors.iter().map(|actor| forge(&scene, actor))).await;
    assert_eq!(answers, vec![NOT_NOW; 16]);
    assert_eq!(strangers.iter().map(|stranger| stranger.asked().len()).sum::<usize>(), 1);
    assert_eq!(scene.world.waiting().await, (10, 0));
    // A stranger of another domain waits in the same seconds.
    let quick = Stranger::new(&scene.internet, "quick.example").await;
    assert_eq!(quick.deliver(&scene.world, "/inbox", &like(&quick.actor)).await.0, 202);
    scene.world.leave_queues();
}

/// A stranger does not make a server count as known by forging a signature of an actor that a user
/// here has written to.
#[tokio::test]
async fn of_an_actor_that_a_user_here_has_written_to() {
    let scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    assert_eq!(scene.alice_sends(&eve, &eve, 1).await, "201 Create");
    scene.world.advance(60_000);
    assert_eq!(forge(&scene, &eve).await, "401 bad-signature");
    assert_eq!(scene.world.stored().await.keys("I#", ""), Vec::<&(String, String)>::new());
    assert_eq!(scene.eve.asked().iter().filter(|request| request.method == Method::GET).count(), 2);
    assert_eq!(scene.deliver(&scene.envelope(&eve, 2)).await, "202");
    scene.world.advance(86_400_000);
    assert_eq!(scene.deliver(&scene.envelope(&eve, 3)).await, "202");
    assert_eq!(scene.world.stored().await.keys("I#", "").len(), 1);
    scene.world.deliver().await;
}

/// The copy of a known actor is old, and its server is slow: nobody waits for it more than once.
#[tokio::test]
async fn of_a_known_actor_whose_copy_is_old() {
    let scene = AttackScene::new().await;
    let (eve, before) = (scene.eve.actor.clone(), 1);
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    scene.eve.document("/users/eve", silence());
    scene.world.advance(7 * 3_600_000);
    for _ in 0..10 {
        assert_eq!(scene.deliver(&like(&eve)).await, "202");
    }
    assert_eq!(scene.eve.asked().len(), before + 1);
    scene.eve.document("/users/eve", StrangerAnswer::activity(200, &scene.eve.actor_document()));
    assert_eq!(scene.world.federate().await, 1);
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
}

/// Servers of which an actor is known have waits of their own.
#[tokio::test]
async fn for_slow_strangers_while_a_known_server_has_a_new_actor() {
    let mut scene = AttackScene::new().await;
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, "202");
    let places = take_places(&scene, ServerGroup::Strangers).await;
    let quick = Stranger::new(&scene.internet, "quick.example").await;
    let first =
        quick.signed(Scheme::Cavage, "https://eko.example/inbox", &like(&quick.actor), scene.world.now_ms());
    assert_eq!(scene.send(first).await, NOT_NOW, "the places of strangers are taken");
    let neighbour = scene.actor("neighbour", |_| {});
    assert_eq!(scene.deliver(&like(&neighbour)).await, "202");
    // A request leaves its place at the end of its wait.
    for place in places {
        scene.world.state.store().leave_place(&place).await.unwrap();
    }
    let second = Stranger::new(&scene.internet, "second.example").await;
    assert_eq!(second.deliver(&scene.world, "/inbox", &like(&second.actor)).await.0, 202);
    scene.world.leave_queues();
}

/// Strangers use up what may be done for them and for known servers. The copies of known actors are
/// renewed all the same, and serve for a week if that is used up too.
#[tokio::test]
async fn while_the_copy_of_a_known_actor_grows_old() {
    let mut scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    let fetches = |scene: &AttackScene| {
        scene.eve.asked().iter().filter(|request| request.method == Method::GET).count()
    };
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    scene.world.advance(25 * 3_600_000);
    take_places(&scene, ServerGroup::Strangers).await;
    take_places(&scene, ServerGroup::Known).await;
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    assert_eq!(fetches(&scene), 2, "a renewal has places of its own");
    let week_ms = 7 * 24 * 3_600_000;
    scene.world.advance(week_ms - 1);
    for group in [ServerGroup::Strangers, ServerGroup::Known, ServerGroup::Renewals] {
        take_places(&scene, group).await;
    }
    assert_eq!(forge(&scene, &eve).await, NOT_NOW);
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    assert_eq!(fetches(&scene), 2);
    // The copy is not kept for longer.
    scene.world.advance(300_001);
    for group in [ServerGroup::Strangers, ServerGroup::Known, ServerGroup::Renewals] {
        take_places(&scene, group).await;
    }
    assert_eq!(scene.deliver(&like(&eve)).await, NOT_NOW);
    scene.world.leave_queues();
}

/// The document of an honest actor takes longer than a request waits. It is fetched meanwhile.
#[tokio::test]
async fn of_an_honest_slow_server() {
    let scene = AttackScene::new().await;
    let (eve, path) = (scene.eve.actor.clone(), "/users/eve");
    let right = StrangerAnswer::activity(200, &scene.eve.actor_document());
    let asked = AtomicUsize::new(0);
    scene.eve.script(move |request| {
        (request.method == Method::GET && request.target == path)
            .then(|| if asked.fetch_add(1, Ordering::SeqCst) == 0 { silence() } else { right.clone() })
    });
    let request = || scene.signed(Scheme::Rfc9421, "/inbox", &scene.envelope(&eve, 1));
    for _ in 0..3 {
        assert_eq!(retry_after(&scene, request()).await, (429, "10".to_owned()));
    }
    assert_eq!(scene.world.waiting().await.0, 1, "it is planned once");
    assert_eq!(scene.world.federate().await, 1);
    // The copy is kept for ten minutes, until a signature of the actor is verified.
    let copy =
        |stored: eko_testkit::StoredState| stored.items[&(format!("R#{eve}"), "ACTOR".to_owned())].clone();
    assert!(copy(scene.world.stored().await).contains("\"x\":"));
    scene.world.advance(10_000);
    assert_eq!(forge(&scene, &eve).await, "401 bad-signature");
    assert_eq!(scene.send(request()).await, "202");
    assert!(!copy(scene.world.stored().await).contains("\"x\":"));
    assert_eq!(scene.eve.asked().len(), 2);
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 1);
}

/// An actor that is known replaces the key. The new document is fetched too slowly for a request.
#[tokio::test]
async fn of_a_known_actor_whose_server_became_slow() {
    let scene = AttackScene::new().await;
    let eve = scene.eve.actor.clone();
    assert_eq!(scene.deliver(&like(&eve)).await, "202");
    let next = signing_key("next").1;
    let right = StrangerAnswer::activity(200, &actor_document(&eve, next.public_pem()));
    let asked = AtomicUsize::new(0);
    scene.eve.script(move |request| {
        (request.method == Method::GET)
            .then(|| if asked.fetch_add(1, Ordering::SeqCst) == 0 { silence() } else { right.clone() })
    });
    scene.world.advance(60_000);
    let under_next = || {
        let body = like(&eve).to_string();
        scene.signed_by(&next, &format!("{eve}#main-key"), Scheme::Rfc9421, body)
    };
    assert_eq!(scene.send(under_next()).await, NOT_NOW);
    assert_eq!(scene.deliver(&like(&eve)).await, "202", "the known key counts meanwhile");
    assert_eq!(scene.world.federate().await, 1);
    scene.world.advance(10_000);
    assert_eq!(scene.send(under_next()).await, "202");
    assert_eq!(scene.deliver(&like(&eve)).await, "401 bad-signature");
}

/// Somebody names a slow address of an honest server. Its actors are not kept out.
#[tokio::test]
async fn for_a_slow_address_of_an_honest_server() {
    let scene = AttackScene::new().await;
    let slow = silent_actors(&scene.eve, 3);
    assert_eq!(join_all(slow.iter().map(|actor| forge(&scene, actor))).await, [NOT_NOW; 3]);
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, NOT_NOW);
    assert_eq!(scene.world.federate().await, 4);
    for number in 0..3 {
        assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, number)).await, "202");
    }
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 3);
}

#[tokio::test]
async fn that_plan_more_fetches_than_their_share() {
    let mut scene = AttackScene::new().await;
    let mut full = 0;
    take_places(&scene, ServerGroup::Strangers).await;
    for number in 0..12 {
        let stranger = Stranger::new(&scene.internet, &format!("slow{number}.example")).await;
        for actor in silent_actors(&stranger, 15) {
            let (status, header) = retry_after(&scene, forged(&scene, &actor)).await;
            assert_eq!(status, 429);
            full += usize::from(header == "60");
        }
    }
    assert_eq!(scene.world.waiting().await, (60, 0), "so many in a minute, of all strangers");
    assert_eq!(full, 12 * 15 - 60);
    // What is fetched too late is not fetched at all.
    scene.internet.forget();
    scene.world.advance(300_001);
    scene.world.federate().await;
    assert_eq!(scene.dialled(), []);
    scene.world.leave_queues();
}

/// A flood of forgeries leaves the table as it was: no actor, no failure, no server.
#[tokio::test]
async fn that_would_fill_the_table() {
    let scene = AttackScene::new().await;
    let before = scene.world.stored().await;
    let (bytes, key) = ("x".repeat(16 * 1024), "publicKey");
    let large = scene.actor("large", |document| {
        let right = document[key].clone();
        let padding = |number: usize| {
            json!({ "id": format!("{}#{number}", right["id"]), "owner": right["owner"], "publicKeyPem": bytes })
        };
        document[key] = (0..8).map(padding).collect();
    });
    scene.actor("long", |document| document[&bytes] = json!({ "@graph": bytes }));
    scene
        .eve
        .document("/users/page", StrangerAnswer { media_type: "text/html", ..StrangerAnswer::status(200) });
    scene.eve.document("/users/broken", StrangerAnswer::status(500));
    let named = |name: &str| format!("{}/users/{name}", scene.eve.origin);
    let mut names = vec![large, named("long"), named("page"), named("broken"), scene.eve.actor.clone()];
    names.extend((0..40).map(|number| named(&format!("nobody{number}"))));
    names.push("https://nowhere.example/users/eve".to_owned());
    for _ in 0..3 {
        for actor in &names {
            let answer = forge(&scene, actor).await;
            assert!(
                ["401 bad-signature", NOT_NOW, "503 remote-unreachable"].contains(&answer.as_str()),
                "{actor}: {answer}"
            );
        }
        scene.world.advance(60_000);
    }
    let after = scene.world.stored().await;
    assert_eq!(after.difference(&before), []);
    assert_eq!(after, before);
}

/// A real actor with as many and as long keys as possible is kept, in a small item.
#[tokio::test]
async fn that_become_verified_with_a_large_document() {
    let scene = AttackScene::new().await;
    let large = scene.actor("large", |document| {
        let right = document["publicKey"].clone();
        let padding = |number: usize| {
            let id = format!("{}/users/large{}#{number}", scene.eve.origin, "/x".repeat(220));
            json!({ "id": id, "owner": right["owner"], "publicKeyPem": "x".repeat(2_048) })
        };
        document["publicKey"] = [right.clone()].into_iter().chain((0..7).map(padding)).collect();
        document["summary"] = json!("x".repeat(40_000));
    });
    assert_eq!(scene.deliver(&like(&large)).await, "202");
    let stored = scene.world.stored().await;
    let item = &stored.items[&(format!("R#{large}"), "ACTOR".to_owned())];
    assert!((8_000..16_384).contains(&item.len()), "{} bytes", item.len());
}

/// A lookup that the table does not take is made again the next time. Nobody is refused for it.
#[tokio::test]
async fn whose_actor_cannot_be_kept() {
    let scene = AttackScene::new().await;
    scene.world.calls.fail("PutItem", CallFault::Down, 3);
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, "202");
    assert_eq!(scene.deliver(&like(&scene.eve.actor)).await, "202");
    let stored = scene.world.stored().await;
    assert_eq!(stored.keys("R#", ""), Vec::<&(String, String)>::new());
}

#[tokio::test]
async fn from_many_honest_servers_at_once() {
    let scene = AttackScene::new().await;
    let mut strangers = Vec::new();
    for number in 0..6 {
        strangers.push(Stranger::new(&scene.internet, &format!("c{number}.example")).await);
    }
    // Quick answers give their wait back, so that everyone is served, if not at once.
    let mut accepted = Vec::new();
    for stranger in &strangers {
        for number in 0..3 {
            let actor = format!("{}/users/a{number}", stranger.origin);
            let document: Value = actor_document(&actor, stranger.key.public_pem());
            stranger.document(&format!("/users/a{number}"), StrangerAnswer::activity(200, &document));
            let (key_id, body) = (format!("{actor}#main-key"), like(&actor).to_string());
            let (url, now_ms) = ("https://eko.example/inbox", scene.world.now_ms());
            let request = sign(&stranger.key, &key_id, Scheme::Cavage, url, body.into(), now_ms);
            accepted.push(scene.send(request).await);
        }
    }
    assert_eq!(accepted, vec!["202"; 18]);
}
