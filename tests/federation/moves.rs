//! A user of one server who moves to another one, as the servers of correspondents see it.

use eko_client::device::JoinKind;
use eko_protocol::chain::{MoveTarget, check_move};
use eko_testkit::{BARE, envelope, refused};

use crate::ServerPair;

/// Bob moves from b.example to a.example, where Alice is.
#[tokio::test]
async fn the_old_server_says_that_a_user_has_moved() {
    let pair = ServerPair::new().await;
    let (alice, bob) = (&pair.alice, &pair.bob);
    let carol = pair.b.user("carol").await;
    let robert = pair.a.device("robert", "one", BARE);
    let token = pair.a.id_token(&robert).await;
    robert.register(&token, JoinKind::FirstAfter(bob.actor())).await.unwrap();
    let (new, _) = alice.chain(robert.user()).await.unwrap();
    let position = bob.chain(bob.user()).await.unwrap().1.position;
    let target = MoveTarget { actor: robert.actor(), root: new[0].hash() };

    let early = envelope(alice, &[bob]);
    alice.send(&early).await.unwrap();
    let begun = envelope(bob, &[alice]);
    bob.send(&begun).await.unwrap();
    bob.append(&bob.departure(&position, &target).unwrap()).await.unwrap();
    pair.settle().await;

    // The answer to what was accepted may have been lost.
    alice.send(&early).await.unwrap();
    pair.settle().await;
    let late = envelope(alice, &[bob]);
    assert_eq!(refused(alice.send(&late).await), "410 user-moved");
    assert_eq!(refused(alice.take_from(bob.origin(), bob.user()).await), "410 user-moved");
    assert_eq!(bob.fetch().await.unwrap().entries.len(), 1, "what came before is there");
    assert_eq!(refused(bob.send(&envelope(bob, &[alice])).await), "410 account-moved");
    // Bob's answer may have been lost, too.
    bob.send(&begun).await.unwrap();
    pair.settle().await;
    assert_eq!(alice.fetch().await.unwrap().entries.len(), 1, "once");
    // Both links are there to read, and the new account is in reach of the old server's users.
    let (old, _) = alice.chain_through_home(bob.origin(), bob.user()).await.unwrap();
    assert_eq!(check_move(&old, &new), Ok(()));
    carol.send(&envelope(&carol, &[&robert])).await.unwrap();
    pair.settle().await;
    assert_eq!(robert.fetch().await.unwrap().entries.len(), 1);
}
