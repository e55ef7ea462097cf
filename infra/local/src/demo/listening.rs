//! A device that listens on a socket (`docs/protocol.md`, section 8).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use eko_client::ClientError;
use eko_client::device::{EntryContent, MailboxEntry, ServerFrame};
use eko_client::transport::{Socket as _, WebSocket};
use eko_protocol::activity::activity_type;
use serde_json::json;

use super::stage::{DemoStage, Party};

/// The longest time that an entry may take. One that waits for another server comes after the next
/// try.
const PATIENCE: Duration = Duration::from_secs(40);

/// The pause before a socket is opened again.
const PAUSE: Duration = Duration::from_millis(200);

/// The id of each acknowledgement.
const ACKNOWLEDGEMENT: &str = "delivered";

/// The socket of a device.
#[derive(Default)]
pub(super) struct PartySocket {
    open: Option<WebSocket>,
    is_wanted: bool,
    /// The entries that came. One may come both as it arrives and with the answer to `Fetch`.
    seen: BTreeSet<String>,
}

/// Lets a device listen from now on, if its server has sockets.
///
/// # Errors
/// No socket can be opened.
pub(super) async fn begin(stage: &DemoStage, party: &Party) -> anyhow::Result<()> {
    stage.transcript.step(&format!("{} listens on a socket", party.label));
    if party.live.is_none() {
        stage.transcript.means("This server has no sockets: the phone fetches.");
        return Ok(());
    }
    let mut socket = party.socket.lock().await;
    match open(party, &mut socket).await {
        Ok(()) => stage.transcript.means("Open. What arrives from now on is sent to it at once."),
        Err(ClientError::Unfetchable(address)) => {
            stage
                .transcript
                .means(&format!("The phone does not trust {address} with its token, and fetches."));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    socket.is_wanted = true;
    Ok(())
}

/// True if a device listens.
pub(super) async fn is_listening(party: &Party) -> bool {
    party.socket.lock().await.is_wanted
}

/// Waits for the next message on the socket. If the socket has broken, another one is opened.
///
/// # Errors
/// No message comes within [`PATIENCE`].
pub(super) async fn next_message(party: &Party) -> anyhow::Result<MailboxEntry> {
    let mut socket = party.socket.lock().await;
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let Some(open) = &mut socket.open else {
                if let Err(error) = self::open(party, &mut socket).await {
                    tracing::debug!(%error, "no socket yet");
                    tokio::time::sleep(PAUSE).await;
                }
                continue;
            };
            match open.next().await {
                Ok(Some(text)) => {
                    let ServerFrame::Entry(entry) = party.device.read_frame(&text)? else { continue };
                    // Notices and reports are fetched.
                    let is_message = matches!(entry.content, EntryContent::Message(_));
                    if socket.seen.insert(entry.address.clone()) && is_message {
                        return anyhow::Ok(*entry);
                    }
                }
                Ok(None) | Err(_) => socket.open = None,
            }
        }
    });
    found
        .await
        .with_context(|| format!("expected a message for {}, got none in {PATIENCE:?}", party.label))?
}

/// Acknowledges an entry on the socket.
///
/// # Errors
/// The server does not accept it.
pub(super) async fn acknowledge(party: &Party, entry: &str) -> anyhow::Result<()> {
    let mut socket = party.socket.lock().await;
    let open = socket.open.as_mut().context("the socket has ended")?;
    let frame = json!({ "type": activity_type("Delivered"), "id": ACKNOWLEDGEMENT, "object": [entry] });
    open.send(frame.to_string()).await?;
    let answered = tokio::time::timeout(PATIENCE, async {
        loop {
            let text = open.next().await?.context("the socket has ended")?;
            match party.device.read_frame(&text)? {
                ServerFrame::Done(Some(id)) if id == ACKNOWLEDGEMENT => return anyhow::Ok(()),
                ServerFrame::Problem(_) => bail!("expected Accept, got {text}"),
                _ => {}
            }
        }
    });
    answered.await.with_context(|| format!("expected Accept, got nothing in {PATIENCE:?}"))?
}

/// Opens a socket, and asks for what is in the mailbox.
async fn open(party: &Party, socket: &mut PartySocket) -> Result<(), ClientError> {
    let mut open = party.device.open_socket(party.live.as_deref().unwrap_or_default()).await?;
    open.send(json!({ "type": "Fetch", "id": "fetch" }).to_string()).await?;
    socket.open = Some(open);
    Ok(())
}
