//! The opening of sockets.

use super::{DeliveryMode, FetchingReason, LiveFeed, OpenSocket, SocketState};
use crate::capabilities::Capabilities;
use crate::messenger::{JoinState, MessengerError};
use crate::transport::SocketTransport;
use crate::{SignalSessions, Transport};

impl<T: Transport + SocketTransport, S: SignalSessions> LiveFeed<'_, T, S> {
    /// Opens a socket, or notes why there is none.
    pub(super) async fn connect(&mut self, joined: JoinState) {
        let opened = self.open_socket(joined).await;
        self.mode = match (&opened, joined) {
            (Ok(_), JoinState::Joined) => DeliveryMode::Live,
            (Ok(_), JoinState::Waiting) => DeliveryMode::Waiting,
            (Err(reason), _) => DeliveryMode::Fetching(reason.clone()),
        };
        self.open = opened.ok();
    }

    /// Opens a socket. The fetch that follows a failure says what the user must know.
    pub(super) async fn open_socket(
        &mut self,
        joined: JoinState,
    ) -> Result<OpenSocket<T::Socket>, FetchingReason> {
        let messenger = self.messenger;
        let opened = match self.address().await {
            Ok(None) => {
                self.plan.note_absent();
                return Err(FetchingReason::NoSockets);
            }
            Ok(Some(address)) => {
                let open = async || messenger.device.open_socket(&address).await;
                match joined {
                    JoinState::Joined => messenger.signed_in(open).await,
                    JoinState::Waiting => messenger.with_tokens(open).await,
                }
            }
            Err(error) => Err(error),
        };
        match opened {
            Ok(socket) => {
                let token_ends_ms = messenger.device.tokens().map_or(0, |tokens| tokens.expires_ms);
                let is_waiting = joined == JoinState::Waiting;
                let state = SocketState::new(&messenger.environment, token_ends_ms, is_waiting);
                Ok(OpenSocket { socket, state })
            }
            Err(error) => {
                // The server may have moved its sockets.
                self.address = None;
                self.plan.note_unopened(error.retry_after_s().unwrap_or(0));
                Err(FetchingReason::Unopened(error.to_string()))
            }
        }
    }

    /// Returns the address of the sockets. One call, until the server has named it.
    async fn address(&mut self) -> Result<Option<String>, MessengerError> {
        if self.address.is_none() {
            let device = &self.messenger.device;
            self.address = Capabilities::fetch(device.transport(), device.origin().as_str()).await?.live;
        }
        Ok(self.address.clone())
    }
}
