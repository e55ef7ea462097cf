//! Deletion of an account between servers: those with contact are told, and keep nothing of the actor;
//! what is under way is dropped.

use eko_client::device::SendOutcome;
use eko_federation::Scheme;
use eko_testkit::{Stranger, StrangerAnswer, World, envelope, lose_each_answer, refused, sign};
use serde_json::json;

use crate::stranger_scene::StrangerScene;
use crate::{HOUR_MS, MINUTE_MS, ServerPair};

const ALICE: &str = "https://a.example/user/alice";

/// Two servers whose users have written to each other. Alice's account is old enough to be deleted.
async fn acquainted() -> ServerPair {
    let pair = ServerPair::new().await;
    pair.internet.advance(HOUR_MS);
    pair.alice.sign_in_again(&pair.a.id_token(&pair.alice).await).await.unwrap();
    sign_in_bob(&pair).await;
    pair.bob.take_from(pair.alice.origin(), pair.alice.user()).await.unwrap();
    pair.bob.send(&envelope(&pair.bob, &[&pair.alice])).await.unwrap();
    pair.settle().await;
    pair.a.confirm(&pair.alice).await;
    pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    pair.b.empty(&pair.bob).await;
    pair
}

async fn sign_in_bob(pair: &ServerPair) {
    pair.bob.sign_in_again(&pair.b.id_token(&pair.bob).await).await.unwrap();
}

/// Deletes Alice's account after a fresh sign-in.
async fn delete(pair: &ServerPair) -> Result<(), String> {
    let token = pair.a.id_token(&pair.alice).await;
    pair.alice.delete_account(&token).await.map_err(|error| error.to_string())
}

/// Returns the keys of a server's items that name Alice, in key or value.
async fn naming_alice(world: &World) -> Vec<String> {
    let keys = |item: String| item.split(' ').take(2).collect::<Vec<_>>().join(" ");
    world.items_naming("alice").await.into_iter().map(keys).collect()
}

/// Erases what Alice left, and tells the other servers.
async fn erase(pair: &ServerPair) {
    for _ in 0..3 {
        pair.internet.advance(15 * MINUTE_MS);
        while pair.a.deliver().await + pair.a.federate().await > 0 {
            pair.internet.advance(1_000);
        }
    }
}

/// Asserts that both servers know nothing of Alice but that she is gone.
async fn assert_gone(pair: &ServerPair, run: &str) {
    erase(pair).await;
    assert_eq!(naming_alice(&pair.a).await, ["U#alice DEVICES"], "{run}");
    assert_eq!(naming_alice(&pair.b).await, Vec::<String>::new(), "{run}");
    for world in [&pair.a, &pair.b] {
        assert_eq!((world.queued().await, world.waiting().await), ((0, 0), (0, 0)), "{run}");
    }
}

#[tokio::test]
async fn both_servers_keep_nothing_but_the_tombstone() {
    let pair = acquainted().await;
    let looked_up = format!("R#{ALICE} ACTOR");
    assert!(naming_alice(&pair.b).await.contains(&looked_up));
    delete(&pair).await.unwrap();
    assert_gone(&pair, "told").await;
    sign_in_bob(&pair).await;
    assert_eq!(refused(pair.bob.send(&envelope(&pair.bob, &[&pair.alice])).await), "410 user-deleted");
    let taken = pair.bob.take_from(pair.alice.origin(), pair.alice.user()).await;
    assert_eq!(refused(taken), "410 user-deleted");
    let chain = pair.bob.chain_through_home(pair.alice.origin(), pair.alice.user()).await;
    assert_eq!(refused(chain), "410 user-deleted");
}

/// A server that has not been told yet finds out when it sends. It keeps the actor as one who was deleted,
/// for ten minutes, and the handle for longer. The `Delete` comes before or after that time.
#[tokio::test]
async fn a_server_with_a_copy_of_the_actor_finds_out() {
    for minutes in [5, 30] {
        let pair = acquainted().await;
        delete(&pair).await.unwrap();
        for _ in 0..2 {
            sign_in_bob(&pair).await;
            let sent = pair.bob.send(&envelope(&pair.bob, &[&pair.alice])).await;
            assert_eq!(refused(sent), "410 user-deleted");
            pair.internet.advance(minutes * MINUTE_MS / 2);
        }
        pair.settle().await;
        assert_eq!(naming_alice(&pair.b).await, Vec::<String>::new(), "{minutes} minutes");
        erase(&pair).await;
        assert_eq!(naming_alice(&pair.a).await, ["U#alice DEVICES"], "{minutes} minutes");
        assert_eq!(naming_alice(&pair.b).await, Vec::<String>::new(), "{minutes} minutes");
    }
}

/// A server answers 410 for a while, as a proxy or a broken release does: nobody was deleted.
#[tokio::test]
async fn a_server_that_is_gone_for_a_while_has_deleted_nobody() {
    let scene = StrangerScene::new().await;
    scene.send(&scene.envelope()).await.unwrap();
    scene.internet.advance(MINUTE_MS);
    scene.eve.script(|_| Some(StrangerAnswer::status(410)));
    assert_eq!(refused(scene.send(&scene.envelope()).await), "404 not-found");
    scene.eve.script(|_| None);
    scene.internet.advance(10 * MINUTE_MS);
    scene.send(&scene.envelope()).await.unwrap();
}

/// A server of other software whose own actor can be told.
pub(crate) async fn server(pair: &ServerPair, host: &str) -> Stranger {
    let stranger = Stranger::new(&pair.internet, host).await;
    let actor = json!({
        "id": format!("{}/actor", stranger.origin),
        "type": "Application",
        "inbox": format!("{}/inbox", stranger.origin),
    });
    stranger.document("/actor", StrangerAnswer::activity(200, &actor));
    stranger
}

/// Only servers with contact are told. One that is out of reach is told when it is back. To have taken
/// keys is contact; to be named by the user, who may have made the name up, is none.
#[tokio::test]
async fn nobody_else_is_told() {
    let pair = acquainted().await;
    let never = server(&pair, "never.example").await;
    let named = server(&pair, "named.example").await;
    pair.alice.accept_actor(&named.actor).await.unwrap();
    for n in 0..30 {
        pair.alice.accept_actor(&format!("https://made-up-{n}.example/users/x")).await.unwrap();
    }
    let took = server(&pair, "took.example").await;
    let packages = "https://a.example/user/alice/keyPackages";
    let take = json!({ "type": "Take", "actor": took.actor, "object": packages });
    assert_eq!(took.deliver(&pair.a, "/user/alice/inbox", &take).await.0, 200);
    let resolved = pair.internet.resolved().len();
    pair.internet.unplug(pair.b_address);
    delete(&pair).await.unwrap();
    erase(&pair).await;
    assert_eq!(pair.a.waiting().await.0, 1, "the parcel for b.example waits");
    assert_eq!(naming_alice(&pair.a).await, ["U#alice DEVICES"]);
    pair.internet.plug(pair.b_address);
    pair.internet.advance(3 * HOUR_MS);
    assert_gone(&pair, "told late").await;
    assert!(never.asked().is_empty());
    assert_eq!(named.posts().len(), 0);
    let asked = pair.internet.resolved();
    assert!(!asked[resolved..].iter().any(|host| host.starts_with("made-up")), "{asked:?}");
    let [told] = &took.posts()[..] else { panic!("{:?}", took.posts()) };
    let activity = told.json();
    assert_eq!((&activity["type"], &activity["object"]), (&json!("Delete"), &json!(ALICE)));
    assert_eq!(activity["actor"], ALICE);
}

/// A parcel that waits for another server is dropped with its author, and so is the outcome.
#[tokio::test]
async fn what_waits_for_another_server_is_dropped() {
    let pair = acquainted().await;
    pair.internet.unplug(pair.b_address);
    let sent = pair.alice.send(&envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    assert!(matches!(sent, SendOutcome::Queued { .. }), "{sent:?}");
    delete(&pair).await.unwrap();
    pair.internet.plug(pair.b_address);
    pair.internet.advance(MINUTE_MS);
    pair.settle().await;
    assert_eq!(pair.b.messages(&pair.bob).await.len(), 0);
    assert_gone(&pair, "after a wait").await;
}

/// An envelope that waits for a user who is deleted meanwhile: its author is told so.
#[tokio::test]
async fn the_author_of_an_envelope_that_waited_is_told() {
    let pair = acquainted().await;
    pair.internet.unplug(pair.a_address);
    let sent = pair.bob.send(&envelope(&pair.bob, &[&pair.alice])).await.unwrap();
    assert!(matches!(sent, SendOutcome::Queued { .. }), "{sent:?}");
    delete(&pair).await.unwrap();
    pair.internet.plug(pair.a_address);
    pair.internet.advance(MINUTE_MS);
    pair.settle().await;
    let reports = pair.b.reports(&pair.bob).await;
    let told: Vec<&str> = reports.iter().filter_map(|report| report.summary.as_deref()).collect();
    assert_eq!(told, [format!("{ALICE} was deleted")]);
    erase(&pair).await;
}

/// Whoever cannot sign for an actor who is there removes nothing.
#[tokio::test]
async fn a_forged_deletion_removes_nothing() {
    let pair = acquainted().await;
    let eve = Stranger::new(&pair.internet, "eve.example").await;
    let mut kept = naming_alice(&pair.b).await;
    kept.retain(|item| item.starts_with("R#"));
    assert_eq!(kept.len(), 2, "document and handle");
    for actor in [ALICE, &eve.actor] {
        let forged = json!({ "type": "Delete", "actor": actor, "object": ALICE });
        eve.deliver(&pair.b, "/inbox", &forged).await;
    }
    // The one that names Alice's own key makes the server look whether she is there.
    pair.internet.advance(10 * MINUTE_MS);
    let forged = json!({ "type": "Delete", "actor": ALICE, "object": ALICE }).to_string();
    let (key, now_ms) = (format!("{ALICE}#main-key"), pair.b.now_ms());
    let request = sign(&eve.key, &key, Scheme::Rfc9421, "https://b.example/inbox", forged.into(), now_ms);
    pair.a.calls.reset();
    assert_eq!(pair.b.transport().json(request).await.0, 401);
    assert_eq!(pair.a.calls.made(), ["GetItem"], "her actor is looked at");
    assert_eq!(naming_alice(&pair.b).await, kept);
}

#[tokio::test]
async fn a_deletion_that_is_interrupted_at_any_call() {
    for is_of_user in [true, false] {
        lose_each_answer(
            acquainted,
            |pair| if is_of_user { &pair.a.calls } else { &pair.b.calls },
            async |pair, _| {
                delete(pair).await?;
                erase(pair).await;
                Ok(())
            },
            assert_gone,
        )
        .await;
    }
}
