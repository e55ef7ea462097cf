//! Deletion of an account between servers: those with contact are told, and keep nothing of the actor;
//! what is under way is dropped.

use eko_client::device::SendOutcome;
use eko_testkit::{Stranger, World, envelope, lose_each_answer, refused};
use serde_json::json;

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

/// A server that has not been told yet finds out when it sends.
#[tokio::test]
async fn a_server_with_a_copy_of_the_actor_finds_out() {
    let pair = acquainted().await;
    delete(&pair).await.unwrap();
    assert_eq!(refused(pair.bob.send(&envelope(&pair.bob, &[&pair.alice])).await), "410 user-deleted");
    assert_gone_later(&pair).await;
}

/// Waits until what a failed lookup leaves has expired.
async fn assert_gone_later(pair: &ServerPair) {
    erase(pair).await;
    assert_eq!(naming_alice(&pair.a).await, ["U#alice DEVICES"]);
}

/// Only servers with contact are told. One that is out of reach is told when it is back.
#[tokio::test]
async fn nobody_else_is_told() {
    let pair = acquainted().await;
    let never = Stranger::new(&pair.internet, "never.example").await;
    let known = Stranger::new(&pair.internet, "known.example").await;
    let actor = json!({
        "id": format!("{}/actor", known.origin),
        "type": "Application",
        "inbox": format!("{}/inbox", known.origin),
    });
    known.document("/actor", eko_testkit::StrangerAnswer::activity(200, &actor));
    pair.alice.accept_actor(&known.actor).await.unwrap();
    pair.internet.unplug(pair.b_address);
    delete(&pair).await.unwrap();
    erase(&pair).await;
    assert_eq!(pair.a.waiting().await.0, 1, "the parcel for b.example waits");
    assert_eq!(naming_alice(&pair.a).await, ["U#alice DEVICES"]);
    pair.internet.plug(pair.b_address);
    pair.internet.advance(3 * HOUR_MS);
    assert_gone(&pair, "told late").await;
    assert!(never.asked().is_empty());
    let [told] = &known.posts()[..] else { panic!("{:?}", known.posts()) };
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
    let before = naming_alice(&pair.b).await;
    for actor in [ALICE, &eve.actor] {
        let forged = json!({ "type": "Delete", "actor": actor, "object": ALICE });
        eve.deliver(&pair.b, "/inbox", &forged).await;
    }
    assert_eq!(naming_alice(&pair.b).await, before);
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
