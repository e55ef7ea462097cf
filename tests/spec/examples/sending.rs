//! Section 5: envelopes and what becomes of them.

use eko_client::device::{JoinKind, OutgoingEnvelope};
use eko_protocol::address::Origin;
use eko_protocol::id::EnvelopeId;
use eko_testkit::{ChainChanges as _, Internet, Stranger, StrangerAnswer, World};
use serde_json::json;

use super::{Examples, SceneDevice, actor};
use crate::cast::{ALICE, BOB, BOB_LAPTOP, DeviceRole};

/// Returns an envelope of Alice's for Bob's devices, at the server at `origin`.
pub(super) fn envelope(number: u8, origin: &Origin, to: &[DeviceRole]) -> OutgoingEnvelope {
    let id = format!("https://eko.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd9{number:02}");
    let id = EnvelopeId::parse(&id).unwrap();
    let messages = to.iter().map(|role| (role.device_id(), vec![0x33; 1135])).collect();
    OutgoingEnvelope::new(BOB.user(), id, messages).at(origin)
}

/// Registers Bob's two devices; the second is approved and the notice of it is discarded.
pub(super) async fn two_devices(world: &World) -> [SceneDevice; 2] {
    let (phone, laptop) = (actor(world, &BOB), actor(world, &BOB_LAPTOP));
    phone.register(&world.id_token(&phone).await, JoinKind::First).await.unwrap();
    laptop.register(&world.id_token(&laptop).await, laptop.as_further()).await.unwrap();
    world.deliver().await;
    for entry in phone.fetch().await.unwrap().entries {
        phone.discard(&entry.address).await.unwrap();
    }
    phone.approve(laptop.id()).await.unwrap();
    [phone, laptop]
}

pub(super) async fn play(examples: &mut Examples) {
    here(examples).await;
    elsewhere(examples).await;
}

async fn here(examples: &mut Examples) {
    let world = World::new().await;
    let alice = actor(&world, &ALICE);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    let [phone, laptop] = two_devices(&world).await;
    let origin = world.state.origin();

    let mut outgoing = envelope(71, origin, &[BOB, BOB_LAPTOP]);
    outgoing.device_set = alice.chain(phone.user()).await.unwrap().1.device_set().reference();
    outgoing.expires_ms = Some(world.now_ms() + 7 * 24 * 3_600_000);
    outgoing.franking = Some([0x44; 32].into());
    alice.send(&outgoing).await.unwrap();
    examples.exchange("send", &alice.last());

    alice.send(&envelope(72, origin, &[BOB])).await.unwrap();
    examples.answer("send", &alice.last());

    world.mark_full(laptop.user(), laptop.id()).await;
    alice.send(&envelope(76, origin, &[BOB, BOB_LAPTOP])).await.unwrap();
    examples.answer("send-full", &alice.last());

    phone.revoke(laptop.id()).await.unwrap();
    alice.send(&envelope(73, origin, &[BOB_LAPTOP])).await.unwrap();
    examples.answer("send", &alice.last());
    world.deliver().await;
}

async fn elsewhere(examples: &mut Examples) {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let alice = actor(&world, &ALICE);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    let mut there = Stranger::new(&internet, "b.example").await;
    there.actor = "https://b.example/user/bob".to_owned();
    let mut document = there.actor_document();
    document["inbox"] = json!("https://b.example/user/bob/inbox");
    there.document("/user/bob", StrangerAnswer::activity(200, &document));
    let origin = Origin::parse("https://b.example").unwrap();

    let refusal = json!({ "type": "about:blank", "title": "Forbidden", "detail": "this server does not federate with eko.example" });
    for _ in 0..2 {
        there.answer(StrangerAnswer::activity(403, &refusal));
    }
    alice.send(&envelope(74, &origin, &[BOB])).await.unwrap();
    examples.answer("send-remote", &alice.last());

    there.answer(StrangerAnswer::status(503));
    alice.send(&envelope(75, &origin, &[BOB])).await.unwrap();
    examples.answer("send-remote", &alice.last());
    world.advance(10_000);
    world.federate().await;
    world.deliver().await;
}
