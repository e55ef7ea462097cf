//! Section 6: the mailbox, acknowledgement, receipts, blocks, settings.

use eko_client::device::JoinKind;
use eko_protocol::block::BlockedParty;
use eko_protocol::profile::{DisplayName, Icon, PartChange, UpdateProfile};
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_testkit::World;

use super::sending::{envelope, two_devices};
use super::{Examples, actor, body, fetch};
use crate::cast::{ALICE, BOB, BOB_LAPTOP};
use crate::render;

pub(super) async fn play(examples: &mut Examples) {
    let world = World::new().await;
    let alice = actor(&world, &ALICE);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    let [phone, laptop] = two_devices(&world).await;

    world.advance(1_234);
    let mut outgoing = envelope(71, world.state.origin(), &[BOB, BOB_LAPTOP]);
    outgoing.device_set = alice.chain(phone.user()).await.unwrap().1.device_set().reference();
    alice.send(&outgoing).await.unwrap();
    world.deliver().await;
    let fetched = fetch(&phone, "/user/bob/inbox").await;
    examples.exchange("fetch", &fetched);

    world.advance(1_000);
    let entry = body(&fetched)["orderedItems"][0]["eko:entry"].as_str().unwrap().to_owned();
    phone.acknowledge(std::slice::from_ref(&entry)).await.unwrap();
    examples.exchange("delivered", &phone.last());
    laptop.discard(&entry).await.unwrap();
    examples.exchange("discard", &laptop.last());
    world.deliver().await;
    let receipt = body(&fetch(&alice, "/user/alice/inbox").await);
    examples.document("Delivered", &receipt["orderedItems"][0]);
    let party = |text| BlockedParty::parse(text).unwrap();
    alice.change_block(&party("https://b.example/user/mallory"), false).await.unwrap();
    examples.exchange("block", &alice.last());
    world.advance(1_000);
    alice.change_block(&party("https://spam.example"), false).await.unwrap();
    examples.exchange("blocked", &fetch(&alice, "/user/alice/blocked").await);
    alice.change_block(&party("https://spam.example"), true).await.unwrap();
    examples.put("unblock request".to_owned(), "http", render::request(&alice.last().request));
    examples.exchange("settings", &fetch(&alice, "/user/alice/settings").await);
    alice.change_settings(AccountSettings { who_may_write: WhoMayWrite::Known }).await.unwrap();
    examples.exchange("change-settings", &alice.last());
    alice.accept_actor("https://b.example/user/bob").await.unwrap();
    examples.exchange("accept", &alice.last());
    alice.forget_actor("https://b.example/user/bob").await.unwrap();
    examples.put("forget request".to_owned(), "http", render::request(&alice.last().request));
    let icon = Icon::new("https://pictures.example/alice.png", "image/png").unwrap();
    let name = PartChange::Set(DisplayName::parse("Alice Liddell").unwrap());
    let update = UpdateProfile { actor: None, name, icon: PartChange::Set(icon) };
    alice.change_profile(&update).await.unwrap();
    examples.exchange("update", &alice.last());
}
