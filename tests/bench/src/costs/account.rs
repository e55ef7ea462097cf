//! The requests of an account beside those for messages. Each step is an alternative.

use anyhow::ensure;
use eko_client::device::{ExportProgress, JoinKind, OutgoingEnvelope, SendOutcome};
use eko_client::{Auth, Body, Device};
use eko_protocol::block::BlockedParty;
use eko_protocol::chain::MoveTarget;
use eko_protocol::profile::{DisplayName, Icon, PartChange, UpdateProfile};
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_protocol::vocabulary::in_context;
use eko_testkit::{BARE, DirectTransport, FrankedContent, World};
use http::{Method, StatusCode};

use super::{MessagePath, Meter, SHORT_BYTES, boxed};

/// The time from a registration to when the account may be deleted, in milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// Measures what a device does with its account: blocks, acceptance, settings, profile, reports, export, move
/// and deletion.
pub(super) async fn requests() -> anyhow::Result<MessagePath> {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let mut path = MessagePath::new("account".to_owned());
    boxed(|| changed(&mut path, &world, &alice)).await?;
    boxed(|| written_to(&mut path, &world, [&bob, &alice])).await?;
    boxed(|| reported(&mut path, &world, [&bob, &alice])).await?;
    boxed(|| exported(&mut path, &world, &alice)).await?;
    boxed(|| moved(&mut path, &world, &bob)).await?;
    boxed(|| deleted(&mut path, &world)).await?;
    Ok(path)
}

/// Measures blocks, an acceptance, and changes of settings and profile.
async fn changed(
    path: &mut MessagePath,
    world: &World,
    device: &Device<DirectTransport>,
) -> anyhow::Result<()> {
    let mallory = BlockedParty::parse("https://b.example/user/mallory")?;
    let meter = Meter::new(world);
    device.change_block(&mallory, false).await?;
    path.push("block an actor", meter.read(1, 1).await?);
    ensure!(device.blocks().await?.len() == 1, "one block");
    path.push("read the blocks", meter.read(1, 1).await?);
    device.change_block(&mallory, true).await?;
    path.push("undo the block", meter.read(1, 1).await?);
    device.accept_actor("https://b.example/user/carol").await?;
    path.push("accept an actor", meter.read(1, 1).await?);
    device.forget_actor("https://b.example/user/carol").await?;
    path.push("undo the acceptance", meter.read(1, 1).await?);
    device.change_settings(AccountSettings { who_may_write: WhoMayWrite::Known }).await?;
    path.push("change who may write", meter.read(1, 1).await?);
    device.settings().await?;
    path.push("read who may write", meter.read(1, 1).await?);
    let profile = UpdateProfile {
        actor: None,
        name: PartChange::Set(DisplayName::parse("Alice Liddell")?),
        icon: PartChange::Set(Icon::new("https://pictures.example/alice.png", "image/png")?),
    };
    device.change_profile(&profile).await?;
    path.push("change the profile", meter.read(1, 1).await?);
    Ok(())
}

/// Measures what others do with a user who lets only known people write.
async fn written_to(
    path: &mut MessagePath,
    world: &World,
    [from, to]: [&Device<DirectTransport>; 2],
) -> anyhow::Result<()> {
    // The first request of a stranger makes the records that the next one finds.
    send(from, to).await?;
    from.take(to.user()).await?;
    let meter = Meter::new(world);
    send(from, to).await?;
    path.push("send to somebody who lets known people write, as a stranger", meter.read(1, 1).await?);
    from.take(to.user()).await?;
    path.push("take keys of them, as a stranger", meter.read(1, 1).await?);
    to.accept_actor(&from.actor()).await?;
    let meter = Meter::new(world);
    send(from, to).await?;
    path.push("send to them, as somebody known", meter.read(1, 1).await?);
    world.deliver().await;
    world.empty(to).await;
    Ok(())
}

/// Sends a short text to the only device of a user here.
async fn send(from: &Device<DirectTransport>, to: &Device<DirectTransport>) -> anyhow::Result<()> {
    let messages = vec![(to.id().clone(), vec![7; SHORT_BYTES])];
    let outcome = from.send(&OutgoingEnvelope::new(to.user().clone(), from.envelope_id(), messages)).await?;
    ensure!(matches!(outcome, SendOutcome::Accepted { .. }), "the message is not taken: {outcome:?}");
    Ok(())
}

/// Measures the report of a message between users of one server.
async fn reported(
    path: &mut MessagePath,
    world: &World,
    [from, to]: [&Device<DirectTransport>; 2],
) -> anyhow::Result<()> {
    let franked = FrankedContent::new(&from.actor(), &to.actor(), "a threat");
    from.send(&franked.envelope(from, &[to])).await?;
    world.deliver().await;
    let letters = world.messages(to).await;
    let [letter] = &letters[..] else { anyhow::bail!("one message") };
    let flag = in_context(franked.flag(letter).to_value(None));
    let outbox = to.origin().outbox(to.user());
    let meter = Meter::new(world);
    let answer = to.call(Method::POST, &outbox, Body::Json(&flag), Auth::Device).await?;
    ensure!(answer.status == StatusCode::ACCEPTED, "the report is not taken: {}", answer.status);
    path.push("report a message of this server", meter.read(1, 1).await?);
    Ok(())
}

/// Measures the export of an account with a few items.
async fn exported(
    path: &mut MessagePath,
    world: &World,
    device: &Device<DirectTransport>,
) -> anyhow::Result<()> {
    let meter = Meter::new(world);
    let (mut progress, mut pages) = (ExportProgress::default(), 0);
    while !progress.is_over() {
        device.export_next(&mut progress).await?;
        pages += 1;
    }
    path.push("export an account with a few items", meter.read(pages, pages).await?);
    Ok(())
}

/// Measures the node that ends the chain of an account. The registration of the next one is like any other.
async fn moved(path: &mut MessagePath, world: &World, old: &Device<DirectTransport>) -> anyhow::Result<()> {
    let new = world.device("robert", "one", BARE);
    new.register(&world.id_token(&new).await, JoinKind::FirstAfter(old.actor())).await?;
    let (nodes, _) = new.chain(new.user()).await?;
    let [first] = &nodes[..] else { anyhow::bail!("one node") };
    let target = MoveTarget { actor: new.actor(), root: first.hash() };
    let node = old.departure(&old.chain(old.user()).await?.1.position, &target)?;
    let meter = Meter::new(world);
    old.append(&node).await?;
    path.push("move to another account", meter.read(1, 1).await?);
    Ok(())
}

/// Measures the deletion of an account with one device and no messages.
async fn deleted(path: &mut MessagePath, world: &World) -> anyhow::Result<()> {
    let dave = world.user_with("dave", BARE).await;
    world.advance(HOUR_MS);
    let token = world.id_token(&dave).await;
    let meter = Meter::new(world);
    dave.delete_account(&token).await?;
    path.push("delete an account, until the answer", meter.read(1, 1).await?);
    let mut batches = 0;
    for _ in 0..2 {
        world.advance(HOUR_MS / 4);
        while world.deliver().await > 0 {
            batches += 1;
            world.advance(1_000);
        }
    }
    path.push("erase what it leaves, one device and no messages", meter.read(0, batches).await?);
    Ok(())
}
