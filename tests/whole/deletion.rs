//! Deletion of an account: who may, what everybody is answered from then on, and what is left.

mod interrupted;
mod lists;
mod refused;
mod under_way;

use eko_client::{Auth, Body, Device};
use eko_protocol::block::BlockedParty;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::profile::{DisplayName, Icon, PartChange, UpdateProfile};
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_protocol::vocabulary::in_context;
use eko_testkit::{
    BARE, ChainChanges as _, DirectTransport, FrankedContent, PushSite, TestSocket, World, envelope, refused,
};
use http::Method;
use serde_json::{Value, json};

use crate::people::sign_in_again;
use crate::{HOUR_MS, MINUTE_MS};

/// A server with sockets and pushes. Wanda has everything that an account can have; Alice has to do
/// with her.
pub(crate) struct WandaScene {
    pub(crate) world: World,
    pub(crate) alice: Device<DirectTransport>,
    pub(crate) wanda: Device<DirectTransport>,
    pub(crate) second: Device<DirectTransport>,
    socket: TestSocket,
}

impl WandaScene {
    pub(crate) async fn new() -> Self {
        let world = World::live().await;
        let (alice, wanda) = (world.user("alice").await, world.user("wanda").await);
        let second = world.further(&wanda, "two").await;
        let revoked = world.further(&wanda, "three").await;
        wanda.revoke(revoked.id()).await.unwrap();
        let turned_away = world.pending(&wanda, "four").await;
        wanda.turn_away(turned_away.id()).await.unwrap();
        world.erase().await;
        world.advance(HOUR_MS);
        for device in [&alice, &wanda, &second] {
            sign_in_again(&world, device).await;
            device.refresh().await.unwrap();
        }
        let _ = world.pending(&wanda, "five").await;
        for n in 0..3 {
            let id = GroupStateId::from_mac([n; 16]);
            wanda.keep_group_state(&id, &SealedGroupState { epoch: 1, content: vec![n] }).await.unwrap();
        }
        wanda.change_block(&BlockedParty::parse("https://spam.example").unwrap(), false).await.unwrap();
        wanda.accept_actor(&alice.actor()).await.unwrap();
        alice.accept_actor(&wanda.actor()).await.unwrap();
        alice.change_block(&BlockedParty::parse(&wanda.actor()).unwrap(), false).await.unwrap();
        alice.change_block(&BlockedParty::parse(&wanda.actor()).unwrap(), true).await.unwrap();
        wanda.change_settings(AccountSettings { who_may_write: WhoMayWrite::Known }).await.unwrap();
        wanda.change_profile(&wandas_profile()).await.unwrap();
        let eve = world.user("eve").await;
        alice.take(wanda.user()).await.unwrap();
        for sender in [&alice, &eve] {
            world.send(sender, &[&wanda, &second]).await;
        }
        let site = PushSite::online(&world.internet, "push.example").await;
        let body = site.browser("1").subscription();
        let subscribed = second.call(Method::POST, "/user/wanda/push", Body::Json(&body), Auth::Device).await;
        assert_eq!(subscribed.unwrap().status, 204);
        world.send(&wanda, &[&alice]).await;
        world.send(&wanda, &[&second]).await;
        report(&world, &wanda, &[&alice]).await;
        report(&world, &alice, &[&wanda, &second]).await;
        let socket = world.connect(&wanda).await.unwrap();
        world.deliver().await;
        world.push().await;
        Self { world, alice, wanda, second, socket }
    }

    /// Deletes Wanda's account after a fresh sign-in.
    async fn delete(&self) -> String {
        delete(&self.world, &self.wanda).await
    }

    /// Returns what names Wanda in the table.
    async fn left(&self) -> Vec<String> {
        self.world.items_naming("wanda").await
    }
}

/// A display name and an avatar.
fn wandas_profile() -> UpdateProfile {
    let name = DisplayName::parse("Wanda W").unwrap();
    let icon = Icon::new("https://pictures.example/wanda.png", "image/png").unwrap();
    UpdateProfile { actor: None, name: PartChange::Set(name), icon: PartChange::Set(icon) }
}

/// Has a message that `from` sends to devices of one user reported by the first of them.
async fn report(world: &World, from: &Device<DirectTransport>, to: &[&Device<DirectTransport>]) {
    let by = to[0];
    let franked = FrankedContent::new(&from.actor(), &by.actor(), "a threat");
    from.send(&franked.envelope(from, to)).await.unwrap();
    world.deliver().await;
    let letter = world.messages(by).await.into_iter().rfind(|message| {
        let header = &message.letter.header;
        header.author == from.actor() && header.franking.is_some_and(|franking| franking.mac.is_some())
    });
    let flag = in_context(franked.flag(&letter.unwrap()).to_value(None));
    let path = by.origin().outbox(by.user());
    let answer = by.call(Method::POST, &path, Body::Json(&flag), Auth::Device).await.unwrap();
    assert_eq!(answer.status, 202);
}

/// Deletes the account of a device's user after a fresh sign-in. Returns the answer in one line.
async fn delete(world: &World, device: &Device<DirectTransport>) -> String {
    match device.delete_account(&world.id_token(device).await).await {
        Ok(()) => "204".to_owned(),
        Err(error) => refused::<()>(Err(error)),
    }
}

/// GETs a public path, and returns the status and the body.
async fn get(device: &Device<DirectTransport>, path: &str) -> (u16, Value) {
    let answer = device.call(Method::GET, path, Body::Empty, Auth::Nobody).await.unwrap();
    (answer.status.as_u16(), answer.json().unwrap())
}

#[tokio::test]
async fn everything_goes_but_the_tombstone() {
    let scene = WandaScene::new().await;
    let world = &scene.world;
    let kinds = |left: &[String]| {
        let mut kinds: Vec<String> = left.iter().map(|text| text.chars().take(2).collect()).collect();
        kinds.dedup();
        kinds.join(" ")
    };
    assert_eq!(kinds(&scene.left().await), "C# D# G# K# L# O# Q# U#");
    let users = get(&scene.alice, "/nodeinfo/2.1").await.1["usage"]["users"]["total"].clone();
    assert_eq!((users, scene.delete().await), (json!(3), "204".to_owned()));
    assert_eq!(get(&scene.alice, "/nodeinfo/2.1").await.1["usage"]["users"]["total"], json!(2));
    // Sockets end at once, and the rest follows.
    world.deliver().await;
    assert!(scene.socket.is_closed());
    world.erase().await;
    world.push().await;
    // What others have of her is theirs: Alice's contact and her mail. Reports are for the operator.
    let mut left: Vec<String> = scene.left().await.iter().map(|item| named(item)).collect();
    left.dedup();
    assert_eq!(left, ["D#alice M", "Q#2026-01-29 report", "U#alice A", "U#wanda DEVICES"]);
    assert_eq!(world.queued().await, (0, 0));
}

/// Returns an item's kind and the user whose it is.
fn named(item: &str) -> String {
    let words: Vec<&str> = item.splitn(3, ' ').collect();
    // The sort key of a report is a hash.
    let kind = if item.starts_with("Q#") { "report" } else { words[1].split('#').next().unwrap() };
    let owner = words[0].split('#').take(2).collect::<Vec<_>>().join("#");
    format!("{owner} {kind}")
}

#[tokio::test]
async fn from_the_answer_on_the_account_is_gone_for_everybody() {
    let scene = WandaScene::new().await;
    let WandaScene { world, alice, wanda, second, .. } = &scene;
    let outgoing = envelope(alice, &[wanda, second]);
    let deleted = eko_protocol::timestamp::format(world.now_ms());
    let socket = world.connect(second).await.unwrap();
    assert_eq!(scene.delete().await, "204");
    for erased in [false, true] {
        for (path, former_type) in [
            ("/user/wanda", "Person"),
            ("/user/wanda/devices", "OrderedCollection"),
            ("/user/wanda/keyPackages", "Collection"),
        ] {
            let (status, body) = get(alice, path).await;
            assert_eq!((status, &body["type"]), (410, &json!("Tombstone")), "{path}");
            assert_eq!(body["formerType"], former_type, "{path}");
            assert_eq!(body["id"], format!("https://eko.example{path}"));
            assert_eq!(body["deleted"], deleted, "{path}");
            assert_eq!(body.get("publicKey").is_some(), path == "/user/wanda", "{path}");
        }
        let path = "/.well-known/webfinger?resource=acct:wanda@eko.example";
        assert_eq!(get(alice, path).await.0, 410);
        assert_eq!(refused(alice.send(&outgoing).await), "410 user-deleted");
        assert_eq!(refused(alice.take(wanda.user()).await), "410 user-deleted");
        let chain = alice.chain_through_home(wanda.origin(), wanda.user()).await;
        assert_eq!(refused(chain), "410 user-deleted");
        assert_eq!(refused(second.refresh().await), "410 account-deleted");
        let token = world.id_token(second).await;
        assert_eq!(refused(second.sign_in_again(&token).await), "410 account-deleted");
        // A second request is answered like the first.
        assert_eq!(scene.delete().await, "204");
        if !erased {
            for device in [wanda, second] {
                assert_eq!(refused(device.fetch().await), "410 account-deleted");
                assert_eq!(refused(device.settings().await), "410 account-deleted");
                assert_eq!(refused(device.group_states().await), "410 account-deleted");
                assert_eq!(refused(device.pending_devices().await), "410 account-deleted");
                let to_alice = envelope(device, &[alice]);
                assert_eq!(refused(device.send(&to_alice).await), "410 account-deleted");
            }
            assert_eq!(world.connect(second).await.err().map(|status| status.as_u16()), Some(410));
            world.erase().await;
            assert!(socket.is_closed());
            sign_in_again(world, alice).await;
        }
    }
    // Nobody gets the name. The person may register another one.
    for name in ["wanda", "other"] {
        let device = world.device("wanda", name, BARE);
        let token = world.id_token_of(name, &device).await;
        let taken = device.register(&token, eko_client::device::JoinKind::First).await;
        assert_eq!(refused(taken), "409 name-taken");
    }
    let anew = world.device("gwenda", "one", BARE);
    let token = world.id_token_of("wanda", &anew).await;
    anew.register(&token, eko_client::device::JoinKind::First).await.unwrap();
    anew.fetch().await.unwrap();
    let token = world.id_token(second).await;
    assert_eq!(refused(second.sign_in_again(&token).await), "410 account-deleted");
    world.advance(MINUTE_MS);
    world.deliver().await;
}

/// The calls are those that `docs/decisions/0037-deletion.md` counts.
#[tokio::test]
async fn what_a_deletion_costs() {
    let world = World::new().await;
    let bob = world.user_with("bob", BARE).await;
    world.advance(HOUR_MS);
    let token = world.id_token(&bob).await;
    world.calls.reset();
    bob.delete_account(&token).await.unwrap();
    let made = ["BatchGetItem", "BatchGetItem", "SendMessageBatch", "TransactWriteItems", "UpdateItem"];
    assert_eq!(world.calls.made(), made);
    let queues = ["ReceiveMessage", "DeleteMessageBatch", "SendMessageBatch"];
    // The list of devices, the device's items, group states; the user's items, the devices that the chain
    // names; counters.
    let user = ["Query", "BatchWriteItem", "BatchWriteItem"];
    let first = [&["GetItem", "Query", "Query", "BatchWriteItem", "Query"][..], &user, &["Query"]].concat();
    let second = ["Query", "Query", "Query", "Query", "Query", "Query", "BatchWriteItem", "BatchWriteItem"];
    for pass in [&first[..], &second] {
        world.advance(15 * MINUTE_MS);
        world.calls.reset();
        world.deliver().await;
        let mut made = world.calls.made();
        made.retain(|call| !queues.contains(&call.as_str()));
        assert_eq!(made, pass);
    }
}
