//! The answer to `Fetch` on a socket.

use eko_protocol::collection::PreKeyCount;
use eko_protocol::frame;
use eko_protocol::limits::{MAX_BACKLOG_FRAMES, MAX_FRAME_BYTES};
use eko_store::live::Socket;

use super::entry_activity;
use crate::{Messaging, Result};

impl Messaging {
    /// Returns the frames that a `Fetch` of this id is answered with: the entries of the mailbox and
    /// `QueueEmpty`, or `Announce` alone, if there are many entries or long ones.
    ///
    /// The calls of [`fetch_for_frames`](Self::fetch_for_frames). If the device was approved since it
    /// has connected: two UpdateItem from which on entries are posted, and the Query again.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`](crate::Refusal::DevicePending),
    /// [`Refusal::DeviceRevoked`](crate::Refusal::DeviceRevoked); the store is broken or out of
    /// reach.
    pub async fn backlog(&self, socket: &Socket, id: Option<&str>) -> Result<Vec<String>> {
        let mut page = self.fetch_for_frames(socket.address()).await?;
        if socket.is_pending {
            self.store().approve_socket(socket).await?;
            page = self.fetch_for_frames(socket.address()).await?;
        }
        let count = PreKeyCount {
            pre_keys: page.device.pre_keys.left(),
            kyber_pre_keys: page.device.kyber_pre_keys.left(),
        };
        let (origin, device) = (self.origin(), socket.address());
        let is_long = page.next.is_some() || page.entries.len() > MAX_BACKLOG_FRAMES;
        let entries = page.entries.into_iter().take(MAX_BACKLOG_FRAMES);
        let mut frames: Vec<String> =
            entries.map(|entry| entry_activity(origin, device, entry).to_string()).collect();
        if is_long || frames.iter().any(|frame| frame.len() > MAX_FRAME_BYTES) {
            return Ok(vec![frame::announce(origin, &socket.user).to_string()]);
        }
        frames.push(frame::queue_empty(id, count).to_string());
        Ok(frames)
    }
}
