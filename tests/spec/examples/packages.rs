//! Section 4: key packages.

use eko_client::device::JoinKind;
use eko_protocol::key_package::PublishedKeys;
use eko_testkit::{Internet, World};

use super::{Examples, actor, body, get};
use crate::cast::{ALICE, BOB};

pub(super) async fn play(examples: &mut Examples) {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let (there, _) = World::online(&internet, "b.example").await;
    let (alice, bob) = (actor(&world, &ALICE), actor(&world, &BOB));
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    bob.register(&world.id_token(&bob).await, JoinKind::First).await.unwrap();

    examples.exchange("packages", &get(&world, "/user/bob/keyPackages").await);
    examples.exchange("package", &get(&world, &format!("/user/bob/keyPackage/{}", bob.id())).await);

    let keys = PublishedKeys {
        signed_pre_key: Some(BOB.signed_pre_key()),
        last_resort: Some(BOB.kyber_pre_key(1)),
        pre_keys: vec![BOB.pre_key(3), BOB.pre_key(4)],
        kyber_pre_keys: vec![BOB.kyber_pre_key(3)],
    };
    bob.publish(&keys).await.unwrap();
    examples.exchange("add", &bob.last());
    assert!(bob.check_keys().await.unwrap());
    examples.exchange("check", &bob.last());

    alice.take(bob.user()).await.unwrap();
    let taken = alice.last();
    examples.exchange("take", &taken);
    examples.document("KeyPackage", &body(&taken)["items"][0]);

    let bob_there = actor(&there, &BOB);
    bob_there.register(&there.id_token(&bob_there).await, JoinKind::First).await.unwrap();
    alice.take_from(there.state.origin(), bob_there.user()).await.unwrap();
    examples.exchange("take-remote", &alice.last());
    alice.chain_through_home(there.state.origin(), bob_there.user()).await.unwrap();
    examples.exchange("proxy", &alice.last());
}
