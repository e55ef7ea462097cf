//! Joining: a new device waits until another device of its user approves it. Before that it
//! believes no chain, sends nothing and reads nothing.

use eko_protocol::chain::{ChainNode, JoiningVerdict, root};

use super::{Distrust, Messenger, MessengerError};
use crate::joining::JoiningCode;
use crate::store::DeviceStoreError;
use crate::{SignalSessions, Transport};

/// The state of a device that was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinState {
    /// The device is one of its user's devices, and has verified their chain.
    Joined,
    /// The device waits for the approval of another device.
    Waiting,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the code that the user enters on an active device, or `None` if this device does not
    /// wait for approval. The code is the same until the device has joined. It is shown only after
    /// the server has confirmed the registration, so that nobody can register it first. A server that
    /// calls the device revoked changes nothing about it: see [`Self::device_end`].
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn joining_code(&self) -> Result<Option<JoiningCode>, DeviceStoreError> {
        self.store.read(|tx| if tx.is_registered()? { tx.joining_code() } else { Ok(None) })
    }

    /// Returns the code of this device if it waits, whatever its server says of it.
    pub(super) fn kept_code(&self) -> Result<Option<JoiningCode>, DeviceStoreError> {
        self.store.read(|tx| tx.joining_code())
    }

    /// Looks whether another device has approved this one. If so, it verifies the approval against
    /// the chain that the server shows, pins the chain, and forgets the joining code. A device that
    /// began the chain pins it if it is the root.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the server shows a chain for this device that whoever has the
    /// joining code did not approve, that another device began, or in which a reset has followed;
    /// [`MessengerError::Revoked`] if this device was turned away or revoked.
    pub async fn join(&self) -> Result<JoinState, MessengerError> {
        if self.is_proven_revoked()? {
            return Err(MessengerError::Revoked);
        }
        if self.store.read(|tx| tx.is_pinned(&self.device.actor()))? {
            return Ok(JoinState::Joined);
        }
        if self.kept_code()?.is_some() {
            // A device that was turned away hears of it from its own calls only: it is in no chain.
            self.with_tokens(async || self.device.pending_devices().await).await?;
        }
        match self.look_again(&self.me()).await {
            Ok(_) => Ok(JoinState::Joined),
            Err(MessengerError::Pending) => Ok(JoinState::Waiting),
            Err(error) => Err(error),
        }
    }

    /// Succeeds if this device is one of its user's devices.
    pub(super) async fn require_joined(&self) -> Result<(), MessengerError> {
        match self.join().await? {
            JoinState::Joined => Ok(()),
            JoinState::Waiting => Err(MessengerError::Pending),
        }
    }

    /// Checks a chain of this user before it is pinned for the first time.
    ///
    /// A device that waits believes only the chain that its approval names, as long as no reset has
    /// followed: a reset needs nobody's consent, so it proves nothing. The device that began a
    /// chain, or began it anew by a reset, believes only a chain whose root it is.
    pub(super) fn check_first_own(&self, nodes: &[ChainNode]) -> Result<(), MessengerError> {
        let actor = self.device.actor();
        let Some(code) = self.kept_code()? else {
            let own = self.device.described();
            let is_own = |node: &ChainNode| {
                node.device() == self.device.address()
                    && node.addition().is_some_and(|it| it.identity_key == own.identity_key)
            };
            return match root(nodes) {
                Some(root) if is_own(root) => Ok(()),
                _ => Err(self.alarm(&actor, Distrust::OtherRoot)?),
            };
        };
        let (origin, user) = (self.device.origin(), self.device.user());
        match code.keys().judge(origin, user, &self.device.described(), nodes) {
            JoiningVerdict::NotAdded => Err(MessengerError::Pending),
            JoiningVerdict::Approved => Ok(()),
            JoiningVerdict::Replaced => Err(self.alarm(&actor, Distrust::OwnReset)?),
            JoiningVerdict::False => Err(self.alarm(&actor, Distrust::NotApproved)?),
        }
    }
}
