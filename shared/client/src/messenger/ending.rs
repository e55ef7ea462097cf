//! The end of this device: another device of its user has revoked it or turned it away, or a reset has
//! replaced all devices, or the account was deleted.

use super::{Messenger, MessengerError};
use crate::store::{DeviceEnd, DeviceStore, DeviceStoreError};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// True if this device is taken to have ended: the own chain proves it, the server has refused this device
    /// as revoked or turned away, it shows a reset, or it says that the account was deleted. Of the last three it is true
    /// until the server takes a call of this device, or shows it in the chain.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn is_revoked(&self) -> Result<bool, DeviceStoreError> {
        Ok(self.store.device_end()?.is_some())
    }

    /// Returns the reason for which this device is taken to have ended, or `None` if it has not.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn device_end(&self) -> Result<Option<DeviceEnd>, DeviceStoreError> {
        self.store.device_end()
    }

    /// True if this device has ended for good.
    pub(super) fn is_proven_revoked(&self) -> Result<bool, DeviceStoreError> {
        Ok(self.store.device_end()? == Some(DeviceEnd::Proven))
    }

    /// Succeeds unless this device has ended. Makes no call unless only the server has said that it has.
    ///
    /// # Errors
    /// [`MessengerError::Revoked`] or [`MessengerError::AccountDeleted`] if it has, and
    /// [`MessengerError::Store`].
    pub async fn require_not_ended(&self) -> Result<(), MessengerError> {
        if matches!(self.store.device_end()?, Some(DeviceEnd::Said | DeviceEnd::Deleted)) {
            // Without an answer it is as the server has said.
            let _ = self.check_this_device().await;
        }
        self.store.device_end()?.map_or(Ok(()), |end| Err(end.into()))
    }

    /// Takes notice of what the answer to a call of this device says of its end. If the server has refused
    /// the device, the own chain is read, which may prove it. One call then.
    pub(super) async fn note_standing<R>(
        &self,
        answer: Result<R, MessengerError>,
    ) -> Result<R, MessengerError> {
        match &answer {
            Ok(_) if matches!(self.store.device_end()?, Some(DeviceEnd::Said | DeviceEnd::Deleted)) => {
                self.store.write(|tx| tx.forget_said_end())?;
            }
            Err(MessengerError::AccountDeleted) => note_deleted(&self.store, self.now_ms())?,
            Err(MessengerError::Revoked) => {
                note_said_end(&self.store, self.now_ms())?;
                if self.store.device_end()? == Some(DeviceEnd::Said) {
                    let _ = self.look_again(&self.me()).await;
                }
            }
            Err(MessengerError::AccountMoved(_)) => {
                // The own chain says where to. Without an answer it is not known.
                if self.moved_account()?.is_none() {
                    let _ = Box::pin(self.look_again(&self.me())).await;
                }
                if let Some(new) = self.moved_account()? {
                    return Err(MessengerError::AccountMoved(new.handle().to_string()));
                }
            }
            Ok(_) | Err(_) => {}
        }
        answer
    }

    /// True if the server does not know this device any more, which is signed out: it has lost its data.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn is_forgotten(&self) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| tx.is_forgotten())
    }

    /// Returns the reason for which the server has ended the session of this device: the device has ended, the
    /// server knows neither it nor its user, or it is signed out. One call.
    pub(super) async fn why_signed_out(&self) -> Result<MessengerError, DeviceStoreError> {
        // Without an answer it is signed out, as far as this device knows.
        if let Err(MessengerError::Forgotten) = self.look_again(&self.me()).await {
            self.store.write(|tx| tx.note_forgotten(self.now_ms()))?;
        }
        self.signed_out()
    }
}

impl From<DeviceEnd> for MessengerError {
    /// Returns the error of a call that needs a device which has not ended.
    fn from(end: DeviceEnd) -> Self {
        match end {
            DeviceEnd::Proven | DeviceEnd::Said => Self::Revoked,
            DeviceEnd::Deleted => Self::AccountDeleted,
        }
    }
}

/// Records that the server has called the account deleted. That holds until it says otherwise.
pub(super) fn note_deleted(store: &DeviceStore, now_ms: i64) -> Result<(), DeviceStoreError> {
    store.write(|tx| tx.note_device_end(DeviceEnd::Deleted, now_ms))
}

/// Records that the server has called this device revoked or turned away. That holds until it says otherwise:
/// the chain decides, and a device that waits keeps its joining code.
pub(super) fn note_said_end(store: &DeviceStore, now_ms: i64) -> Result<(), DeviceStoreError> {
    store.write(|tx| tx.note_device_end(DeviceEnd::Said, now_ms))
}
