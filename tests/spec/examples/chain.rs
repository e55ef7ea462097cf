//! Section 3: the device chain.

use eko_client::device::JoinKind;
use eko_protocol::chain::{MoveTarget, possession_base};
use eko_testkit::{ChainChanges as _, World};
use serde_json::Value;

use super::{Examples, actor, body, fetch, get, post};
use crate::cast::{ALICE, ALICE_LAPTOP, ALICE_TABLET, ALINA};

pub(super) async fn play(examples: &mut Examples) {
    let world = World::new().await;
    let [phone, tablet, laptop] = [ALICE, ALICE_TABLET, ALICE_LAPTOP].map(|role| actor(&world, &role));
    examples.document("AddDevice", &phone.first_node().unwrap());
    let base = possession_base(
        &phone.actor(),
        &phone.address(),
        &phone.described().identity_key,
        phone.described().registration_id,
    );
    let signed = base.split(|byte| *byte == 0).next_back().unwrap();
    examples.document("possession", &serde_json::from_slice(signed).unwrap());

    phone.register(&world.id_token(&phone).await, JoinKind::First).await.unwrap();
    examples.exchange("chain", &get(&world, "/user/alice/devices").await);

    world.advance(60_000);
    tablet.register(&world.id_token(&tablet).await, tablet.as_further()).await.unwrap();
    world.deliver().await;
    let page = body(&fetch(&phone, "/user/alice/inbox").await);
    let offer = page["orderedItems"].as_array().unwrap().iter().find(|item| item["type"] == "Offer").unwrap();
    examples.document("Offer", offer);
    examples.exchange("pending", &fetch(&phone, "/user/alice/devices/pending").await);

    world.advance(60_000);
    phone.approve(tablet.id()).await.unwrap();
    let approved = phone.last();
    examples.exchange("approve", &approved);
    let node: Value = serde_json::from_slice(approved.request.body()).unwrap();

    laptop.register(&world.id_token(&laptop).await, laptop.as_further()).await.unwrap();
    phone.turn_away(laptop.id()).await.unwrap();
    examples.exchange("turn-away", &phone.last());
    world.deliver().await;

    world.advance(60_000);
    phone.revoke(tablet.id()).await.unwrap();
    examples.exchange("revoke", &phone.last());
    examples.answer("stale-head", &post(&phone, "/user/alice/devices", &node).await);
    let (_, chain) = phone.chain(phone.user()).await.unwrap();
    examples.document("ResetDevices", &laptop.reset_node(&chain.position).unwrap());
    world.erase().await;
    moving(examples).await;
}

/// A user of the same server who moves to another account there.
async fn moving(examples: &mut Examples) {
    let world = World::new().await;
    let (old, new) = (actor(&world, &ALICE), actor(&world, &ALINA));
    old.register(&world.id_token(&old).await, JoinKind::First).await.unwrap();
    world.advance(60_000);
    new.register(&world.id_token(&new).await, JoinKind::FirstAfter(old.actor())).await.unwrap();
    let (nodes, _) = old.chain(new.user()).await.unwrap();
    let target = MoveTarget { actor: new.actor(), root: nodes[0].hash() };
    let position = old.chain(old.user()).await.unwrap().1.position;
    let node = old.departure(&position, &target).unwrap();
    examples.exchange("move", &post(&old, "/user/alice/devices", &node).await);
    new.take(old.user()).await.unwrap_err();
    examples.answer("moved", &new.last());
}
