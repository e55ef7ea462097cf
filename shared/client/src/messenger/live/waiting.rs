//! The feed of a device that waits for approval: it gets nothing else.

use super::{DeliveryMode, LiveFeed};
use crate::messenger::{JoinState, MessengerError};
use crate::transport::SocketTransport;
use crate::{SignalSessions, Transport};

impl<T: Transport + SocketTransport, S: SignalSessions> LiveFeed<'_, T, S> {
    /// Looks whether this device was approved, if it waits for that and a look is due. The server says
    /// on the socket when to look. [`LiveFeed::arrival`] and [`LiveFeed::due_ms`] say when to call it
    /// again. Makes no call for a device that does not wait.
    ///
    /// # Errors
    /// Those of [`Messenger::join`](crate::Messenger::join). The feed goes on with the next call.
    pub async fn join(&mut self) -> Result<JoinState, MessengerError> {
        if self.messenger.kept_code()?.is_none() {
            self.note_joined();
            return Ok(JoinState::Joined);
        }
        self.read_frames();
        self.leave_ended().await;
        if self.open.is_none() && self.plan.connect_ms() <= self.messenger.now_ms() {
            self.connect(JoinState::Waiting).await;
        }
        self.continue_sockets().await;
        self.send_due().await;
        let now_ms = self.messenger.now_ms();
        let is_due = match &self.open {
            Some(open) => open.state.is_approval_due(now_ms),
            None => self.plan.fetch_ms() <= now_ms,
        };
        if !is_due {
            return Ok(JoinState::Waiting);
        }
        let joined = self.messenger.join().await;
        let now_ms = self.messenger.now_ms();
        self.looked_ms = now_ms;
        self.plan.note_failed_fetch();
        if let Some(open) = &mut self.open {
            open.state.note_asked(now_ms);
        }
        let joined = joined?;
        if joined == JoinState::Joined {
            self.note_joined();
        }
        Ok(joined)
    }

    /// Goes on with the socket of a device that waits no longer.
    fn note_joined(&mut self) {
        if self.mode != DeliveryMode::Waiting {
            return;
        }
        if let Some(open) = &mut self.open {
            open.state.note_joined(self.messenger.now_ms());
            self.mode = DeliveryMode::Live;
        }
    }
}
