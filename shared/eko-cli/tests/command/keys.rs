//! Tests of `keys`: the state of the keys, and a renewal that is not due.

use super::people::{signed_in, text};
use super::test_home::server;

#[tokio::test]
async fn keys_are_shown_taken_and_renewed_when_due() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let keys = bob.object(&["keys"]).await;
    assert_eq!((keys["agrees"].as_bool(), keys["preKeys"].as_u64()), (Some(true), Some(100)));
    assert!(text(&keys, "made") < text(&keys, "due"));
    // One taken key is no reason to publish more.
    alice.eko(&["send", "@bob", "Hello"]).await.done();
    let renewed = bob.object(&["keys", "renew"]).await;
    assert_eq!((renewed["preKeys"].as_u64(), &renewed["made"]), (Some(99), &keys["made"]));
    assert_eq!(bob.object(&["keys", "status"]).await, renewed);
    assert!(bob.eko(&["keys", "renew"]).await.done().starts_with("Nothing was due.\n"));
}
