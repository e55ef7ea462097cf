//! Deletions that are refused, and leave nothing.

use eko_client::device::JoinKind;
use eko_client::{Auth, Body, Device, IdToken};
use eko_protocol::chain::sign_in_base;
use eko_protocol::deletion::deletion_base;
use eko_protocol::multibase;
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, World, refusal, refused};
use http::Method;
use serde_json::{Value, json};

use super::delete;
use crate::HOUR_MS;
use crate::people::{alice_and_bobs_two, sign_in_again};

/// Returns the body of a deletion whose signature covers `base`.
fn body(device: &Device<DirectTransport>, token: &IdToken, base: &[u8]) -> Value {
    let proof = device.keys().identity().sign(base, device.environment());
    json!({
        "deviceId": device.id(),
        "identityKey": device.keys().identity().public(),
        "nonceRandom": token.random(),
        "deletion": multibase::encode(&proof),
    })
}

/// Posts the deletion of a user's account, and returns the answer in one line.
async fn send(device: &Device<DirectTransport>, path: &str, body: &Value, token: &IdToken) -> String {
    let auth = Auth::Token(token.text());
    refusal(&device.call(Method::DELETE, path, Body::Json(body), auth).await.unwrap())
}

#[tokio::test]
async fn only_an_active_device_deletes_and_only_after_a_fresh_sign_in() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let third = world.pending(&bob, "three").await;
    world.deliver().await;
    world.advance(HOUR_MS);
    sign_in_again(&world, &bob).await;
    bob.revoke(second.id()).await.unwrap();
    let before = world.stored().await;
    assert_eq!(delete(&world, &third).await, "403 device-pending");
    assert_eq!(delete(&world, &second).await, "401 device-revoked");
    let (token, hers) = (world.id_token(&bob).await, world.id_token(&alice).await);
    let good = body(&bob, &token, &deletion_base(token.text().as_bytes()));
    // Alice, with her own sign-in, and with Bob's.
    let of_alice = body(&alice, &hers, &deletion_base(hers.text().as_bytes()));
    assert_eq!(send(&alice, "/user/bob", &of_alice, &hers).await, "403 not-owner");
    assert_eq!(send(&alice, "/user/bob", &of_alice, &token).await, "401 unauthenticated");
    assert_eq!(send(&alice, "/user/bob", &good, &hers).await, "401 unauthenticated");
    assert_eq!(send(&bob, "/user/alice", &good, &token).await, "403 not-owner");
    assert_eq!(send(&bob, "/user/nobody", &good, &token).await, "404 not-found");
    // Whoever controls the issuer has no key of Bob's; and what signs in deletes nothing.
    let eve = world.device("bob", "of Eve", BARE);
    let forged = world.id_token(&eve).await;
    let mut of_eve = body(&eve, &forged, &deletion_base(forged.text().as_bytes()));
    assert_eq!(send(&eve, "/user/bob", &of_eve, &forged).await, "401 device-revoked");
    of_eve["deviceId"] = json!(bob.id());
    assert_eq!(send(&eve, "/user/bob", &of_eve, &forged).await, "422 invalid #/identityKey");
    let sign_in = body(&bob, &token, &sign_in_base(token.text().as_bytes()));
    assert_eq!(send(&bob, "/user/bob", &sign_in, &token).await, "422 invalid #/deletion");
    // An access token is no sign-in.
    let answer = bob.call(Method::DELETE, "/user/bob", Body::Json(&good), Auth::Device).await.unwrap();
    assert_eq!(refusal(&answer), "401 unauthenticated");
    // A sign-in of more than ten minutes ago.
    let now_s = world.now_ms() / 1000;
    let old = world.id_token_with(&bob, |claims| claims["auth_time"] = json!(now_s - 601)).await;
    assert_eq!(refused(bob.delete_account(&old).await), "401 unauthenticated");
    assert_eq!(world.stored().await.difference(&before), []);
    world.erase().await;
    bob.fetch().await.unwrap_err();
    sign_in_again(&world, &bob).await;
    bob.fetch().await.unwrap();
}

#[tokio::test]
async fn a_young_account_and_a_used_sign_in_delete_nothing() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    world.advance(HOUR_MS - 1_000);
    let token = world.id_token(&bob).await;
    let young = bob.delete_account(&token).await.unwrap_err();
    assert_eq!(young.problem().and_then(|problem| problem.retry_after_s), Some(1));
    assert_eq!(refused::<()>(Err(young)), "429 too-many");
    world.advance(1_000);
    let anew = world.device("bob", "anew", BARE);
    let reset = world.id_token(&anew).await;
    anew.register(&reset, JoinKind::Reset).await.unwrap();
    assert_eq!(refused(anew.delete_account(&reset).await), "401 unauthenticated");
    world.advance(1_000);
    assert_eq!(delete(&world, &anew).await, "204");
    world.erase().await;
}

/// The devices change between the look at them and the deletion.
#[tokio::test]
async fn a_device_that_joins_meanwhile_is_not_forgotten() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    world.advance(HOUR_MS);
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        let late = world.pending(&bob, "late").await;
        held.release();
        late
    };
    let token = world.id_token(&bob).await;
    let (deleted, late) = tokio::join!(bob.delete_account(&token), meanwhile);
    assert_eq!(refused(deleted), "409 stale-head");
    late.refresh().await.unwrap();
    assert_eq!(delete(&world, &bob).await, "204");
    assert_eq!(refused(late.refresh().await), "410 account-deleted");
    world.erase().await;
    assert_eq!(world.stored().await.keys("bob", "").len(), 1);
}

/// A device registers while the account is deleted, after it has read that there is one.
#[tokio::test]
async fn nobody_joins_a_deleted_account() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    world.advance(HOUR_MS);
    sign_in_again(&world, &bob).await;
    let late = world.device("bob", "late", BARE);
    let (token, fresh) = (world.id_token(&late).await, world.id_token(&bob).await);
    let held = world.calls.hold("TransactWriteItems", 0);
    let meanwhile = async {
        held.reached().await;
        bob.delete_account(&fresh).await.unwrap();
        held.release();
    };
    let (joined, ()) = tokio::join!(late.register(&token, late.as_further()), meanwhile);
    assert!(joined.is_err());
    world.erase().await;
    assert_eq!(world.stored().await.keys("bob", "").len(), 1);
}
