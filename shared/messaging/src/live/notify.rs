//! New entries go to the sockets of their devices.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::address::UserName;
use eko_protocol::frame;
use eko_protocol::limits::MAX_FRAME_BYTES;
use eko_store::StoreError;
use eko_store::live::{Live, Socket};
use eko_store::mailbox::AddressedEntry;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::entry_activity;
use crate::Messaging;

/// The fate of entries that were written into mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notified {
    /// The sockets and pushes of the users, as they were after the entries were written.
    pub(crate) live: BTreeMap<UserName, Live>,
    /// The indexes of the entries that a socket has taken.
    pub(crate) taken: BTreeSet<usize>,
}

impl Messaging {
    /// Posts entries to the open sockets of their devices until a deadline. Call it after the entries
    /// were written.
    ///
    /// One BatchGetItem for the users of all entries; none without entries, and none on a server
    /// without sockets and pushes. Then the calls of [`post`](Self::post), for all sockets at
    /// once. A socket gets its entries in the order of their keys. Instead of an entry that is
    /// longer than a frame it gets `Announce`, and instead of all entries if it is behind. If it
    /// takes that, one UpdateItem notes that it is not behind any more.
    ///
    /// # Errors
    /// The sockets cannot be read. The messages have to come again, because nobody would tell the
    /// devices otherwise.
    pub(crate) async fn notify(
        &self,
        written: &[&AddressedEntry],
        deadline: Instant,
    ) -> Result<Notified, StoreError> {
        if self.store().sockets().is_none() && !self.store().has_pushes() {
            return Ok(Notified::default());
        }
        let users: BTreeSet<&UserName> = written.iter().map(|entry| &entry.user).collect();
        let live = self.store().live(&Vec::from_iter(users)).await?;
        let sockets = live.values().flat_map(|live| &live.sockets);
        let posted = join_all(sockets.map(|socket| self.notify_socket(socket, written, deadline))).await;
        let taken = posted.into_iter().flatten().collect();
        Ok(Notified { live, taken })
    }

    /// Posts those of the entries to a socket that are for its device. Returns the indexes of those
    /// that it has taken.
    async fn notify_socket(
        &self,
        socket: &Socket,
        written: &[&AddressedEntry],
        deadline: Instant,
    ) -> Vec<usize> {
        let is_own = |entry: &AddressedEntry| entry.address() == socket.address();
        let mut own: Vec<(usize, &AddressedEntry)> =
            written.iter().enumerate().filter(|(_, entry)| is_own(entry)).map(|(n, e)| (n, *e)).collect();
        if own.is_empty() || socket.is_pending {
            return Vec::new();
        }
        if self.end_if_due(socket, deadline).await {
            return Vec::new();
        }
        if let Some(behind) = socket.behind.filter(|behind| behind.until_ms > self.now_ms()) {
            // An entry would come before those that the device lacks.
            let announce = frame::announce(self.origin(), &socket.user).to_string();
            if self.post_until(socket, &[announce], deadline).await == 0 {
                return Vec::new();
            }
            if let Err(error) = self.store().unmark_behind(socket, behind).await {
                tracing::warn!(%error, "a socket is told to fetch for some time");
            }
            return own.into_iter().map(|(index, _)| index).collect();
        }
        own.sort_by(|(_, a), (_, b)| a.entry.key.cmp(&b.entry.key));
        own.dedup_by(|(_, a), (_, b)| a.entry.key == b.entry.key);
        let frames: Vec<String> = own.iter().map(|(_, entry)| self.entry_frame(entry)).collect();
        let taken = self.post_until(socket, &frames, deadline).await;
        own.into_iter().take(taken).map(|(index, _)| index).collect()
    }

    /// Returns the frame of an entry, or `Announce` if that is too long.
    fn entry_frame(&self, entry: &AddressedEntry) -> String {
        let frame = entry_activity(self.origin(), entry.address(), entry.entry.clone()).to_string();
        match frame.len() > MAX_FRAME_BYTES {
            true => frame::announce(self.origin(), &entry.user).to_string(),
            false => frame,
        }
    }
}
