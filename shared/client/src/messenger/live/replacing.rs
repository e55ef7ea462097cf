//! The replacement of a socket by another one, which is opened before the first one is closed.

use super::{DeliveryMode, LiveFeed};
use crate::messenger::JoinState;
use crate::transport::{Socket as _, SocketTransport};
use crate::{SignalSessions, Transport};

impl<T: Transport + SocketTransport, S: SignalSessions> LiveFeed<'_, T, S> {
    /// Returns the time at which to open the socket that is to take the place of the open one.
    pub(super) fn replacement_due_ms(&self) -> i64 {
        match (&self.open, &self.next) {
            (Some(open), None) if self.mode == DeliveryMode::Live => {
                open.state.replace_ms().max(self.plan.connect_ms())
            }
            _ => i64::MAX,
        }
    }

    /// Opens a socket beside the open one if that is due, and changes over to it as soon as it has
    /// brought its backlog. If the open one has ended before, it is changed over at once.
    pub(super) async fn replace(&mut self) {
        if self.replacement_due_ms() <= self.messenger.now_ms() {
            // Until there is another one, the open one is in use.
            self.next = self.open_socket(JoinState::Joined).await.ok();
        }
        if self.next.as_ref().is_some_and(|next| next.state.end().is_some()) {
            if let Some(mut failed) = self.next.take() {
                failed.socket.close().await;
            }
            self.plan.note_unopened(0);
        }
        let has_ended = self.open.as_ref().is_none_or(|open| open.state.end().is_some());
        if self.next.as_ref().is_some_and(|next| has_ended || next.state.has_backlog()) {
            self.change_over().await;
        }
    }

    /// Goes on with the other socket, and closes the one that it replaces.
    async fn change_over(&mut self) {
        let Some(next) = self.next.take() else { return };
        let former = self.open.replace(next);
        self.mode = DeliveryMode::Live;
        let Some((open, mut former)) = self.open.as_mut().zip(former) else { return };
        former.socket.close().await;
        self.plan.note_replaced(former.state.age_ms(self.messenger.now_ms()));
        open.state.take_over(former.state);
    }
}
