//! Messages to devices that have sockets, and to devices that are woken by pushes.

use anyhow::{Context as _, ensure};
use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_client::{Auth, Body, Device};
use eko_testkit::{DirectTransport, PushSite, TestSocket, World};
use http::Method;
use serde_json::{Value, json};

use super::{MessagePath, Meter, SHORT_BYTES, send};
use crate::prices::StepWork;

/// The milliseconds that a push service is assumed to take.
const PUSH_SERVICE_MS: f64 = 100.0;

/// The name of the step in which a device that was woken renews its token.
pub(super) const RENEWAL: &str = "the device renews its token";

/// The way by which a device learns of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The device has a socket.
    Socket,
    /// The device has a socket, and a subscription in case the connection breaks without a word.
    SocketAndPush,
    /// The device is absent and has a subscription.
    Push,
}

/// Measures a message to two devices of a user here. Both have sockets, and so has the author.
/// `together` messages are sent one by one, then delivered and acknowledged at once.
pub(super) async fn two_devices(together: usize) -> anyhow::Result<MessagePath> {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let second = world.further(&bob, "two").await;
    world.deliver().await;
    world.empty(&second).await;
    send(&world, &alice, [&bob, &second], SHORT_BYTES).await?;
    world.deliver().await;
    for device in [&bob, &second] {
        world.confirm(device).await;
    }
    world.deliver().await;
    world.empty(&alice).await;
    let mut author = connect(&world, &alice).await?;
    let mut sockets = [connect(&world, &bob).await?, connect(&world, &second).await?];

    let name = format!("{together} local at a time, {SHORT_BYTES} bytes for each of two devices on sockets");
    let mut path = MessagePath::new(name);
    let share = |work: StepWork| work.a_part(together as f64);
    let meter = Meter::new(&world);
    for _ in 0..together {
        world.advance(1);
        send(&world, &alice, [&bob, &second], SHORT_BYTES).await?;
    }
    path.push("send", share(meter.read(together, together).await?));
    world.deliver().await;
    path.push("deliver to two mailboxes and sockets", share(meter.read(0, 1).await?));
    for socket in &mut sockets {
        acknowledge(socket, together).await?;
    }
    path.push("two devices acknowledge", share(meter.read_live(0, 2, 2).await?));
    world.deliver().await;
    path.push("deliver the delivery report", share(meter.read(0, 1).await?));
    ensure!(author.frames().len() == together, "the reports are not on the author's socket");
    world.empty(&alice).await;
    Ok(path)
}

/// Measures a message to one device here, until the device has acknowledged it.
pub(super) async fn one_device(reach: Reach) -> anyhow::Result<MessagePath> {
    let world = World::live().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let site = PushSite::online(&world.internet, "push.example").await;
    message(&world, &alice, &bob).await?;
    world.deliver().await;
    world.confirm(&bob).await;
    world.deliver().await;
    world.empty(&alice).await;
    if reach != Reach::Socket {
        subscribe(&bob, &site).await?;
    }
    let mut socket = match reach {
        Reach::Socket | Reach::SocketAndPush => Some(connect(&world, &bob).await?),
        Reach::Push => None,
    };

    let how = match reach {
        Reach::Socket => "on a socket",
        Reach::SocketAndPush => "on a socket, with a subscription",
        Reach::Push => "that is woken by a push",
    };
    let mut path = MessagePath::new(format!("1 local at a time, {SHORT_BYTES} bytes for one device {how}"));
    let meter = Meter::new(&world);
    message(&world, &alice, &bob).await?;
    path.push("send", meter.read(1, 1).await?);
    world.deliver().await;
    path.push("deliver", meter.read(0, 1).await?);
    match &mut socket {
        Some(socket) => {
            acknowledge(socket, 1).await?;
            path.push("the device acknowledges", meter.read_live(0, 1, 1).await?);
        }
        None => {
            world.push().await;
            ensure!(site.taken().len() == 1, "no push was sent");
            let mut work = meter.read(0, 1).await?;
            work.lambda_ms += PUSH_SERVICE_MS;
            path.push("push", work);
            bob.refresh().await?;
            path.push(RENEWAL, meter.read(1, 1).await?);
            let page = bob.fetch().await?;
            path.push("the device fetches", meter.read(1, 1).await?);
            let entries: Vec<String> = page.entries.into_iter().map(|entry| entry.address).collect();
            bob.acknowledge(&entries).await?;
            path.push("the device acknowledges", meter.read(1, 1).await?);
        }
    }
    if reach == Reach::SocketAndPush {
        // The check finds that the device has acknowledged everything.
        world.advance(60_000);
        world.push().await;
        ensure!(site.taken().is_empty(), "a push was sent");
        path.push("check", meter.read(0, 1).await?);
    }
    world.deliver().await;
    path.push("deliver the delivery report", meter.read(0, 1).await?);
    world.empty(&alice).await;
    Ok(path)
}

/// Opens the socket of a device, and fetches.
pub(super) async fn connect(world: &World, device: &Device<DirectTransport>) -> anyhow::Result<TestSocket> {
    let mut socket = world.connect(device).await.map_err(|status| anyhow::anyhow!("refused: {status}"))?;
    let backlog = socket.fetch().await;
    ensure!(backlog.len() == 1, "the mailbox is not empty: {backlog:?}");
    Ok(socket)
}

/// Sends a message to one device.
async fn message(
    world: &World,
    from: &Device<DirectTransport>,
    to: &Device<DirectTransport>,
) -> anyhow::Result<()> {
    let messages = vec![(to.id().clone(), vec![7; SHORT_BYTES])];
    let outgoing = OutgoingEnvelope::new(to.user().clone(), from.envelope_id(), messages);
    let outcome = from.send(&outgoing.at(world.state.origin())).await?;
    ensure!(matches!(outcome, SendOutcome::Accepted { .. }), "the message is not taken: {outcome:?}");
    Ok(())
}

/// Subscribes a device at a push service.
async fn subscribe(device: &Device<DirectTransport>, site: &PushSite) -> anyhow::Result<()> {
    let path = format!("/user/{}/push", device.user());
    let body = site.browser("1").subscription();
    let answer = device.call(Method::POST, &path, Body::Json(&body), Auth::Device).await?;
    ensure!(answer.status == 204, "the subscription is answered {}", answer.status);
    Ok(())
}

/// Acknowledges the entries that have come on a socket, in one frame.
async fn acknowledge(socket: &mut TestSocket, due: usize) -> anyhow::Result<()> {
    let frames = socket.frames();
    let entries: Vec<&Value> = frames.iter().map(|frame| &frame["eko:entry"]).collect();
    ensure!(entries.len() == due, "{} entries of {due}", entries.len());
    let told = socket.say(&json!({ "type": "Delivered", "id": "1", "object": entries })).await;
    let answer = told.first().context("no answer")?;
    ensure!(answer["type"] == "Accept", "not accepted: {answer}");
    Ok(())
}
