//! Kills a server and starts it again with messages under way. They wait for it, and none is lost.

use eko_protocol::activity::ReportKind;

use super::server::ServerProcess;
use super::stage::DemoStage;
use super::{mailbox, sending, taking};

/// Plays the scene in which Bob's server is away while Alice writes.
pub(super) async fn recipient_away(stage: &DemoStage, his: &mut ServerProcess) -> anyhow::Result<()> {
    stage.transcript.step("Alice's phone writes a message, Bob's server is killed, and the phone sends it");
    let (_, known) = taking::chain(stage).await?;
    his.kill().await?;
    let outgoing = sending::envelope(stage, &known)?;
    sending::queued(stage.alice.device.send(&outgoing).await?)?;
    stage.transcript.means("Accepted by Alice's server, which will try for 48 hours.");

    stage.transcript.step("Bob's server starts again, and Alice's phone hears of it");
    his.start().await?;
    mailbox::report(stage, ReportKind::Confirm, &outgoing.id).await?;
    stage.transcript.means("Confirm: it was tried again, and Bob's server has it now.");
    mailbox::receives(stage, &stage.phone, &outgoing).await?;
    mailbox::receives(stage, &stage.laptop, &outgoing).await?;
    mailbox::receipt(stage, &outgoing.id).await
}

/// Plays the scene in which Alice's server is away while Bob acknowledges.
pub(super) async fn author_away(stage: &DemoStage, hers: &mut ServerProcess) -> anyhow::Result<()> {
    stage.transcript.step("Alice's phone sends once more, and then her server is killed");
    let (_, known) = taking::chain(stage).await?;
    let outgoing = sending::envelope(stage, &known)?;
    sending::accepted(stage.alice.device.send(&outgoing).await?)?;
    hers.kill().await?;
    stage.transcript.means("Accepted, before that.");
    mailbox::receives(stage, &stage.phone, &outgoing).await?;
    mailbox::receives(stage, &stage.laptop, &outgoing).await?;
    stage.transcript.step("Alice's server starts again");
    hers.start().await?;
    stage.transcript.means("Bob's server has kept the receipt, and tries again.");
    mailbox::receipt(stage, &outgoing.id).await
}
