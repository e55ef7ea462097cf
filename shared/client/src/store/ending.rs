//! The end of the device of a store: what this device knows of its own revocation, or of a reset.

use super::{DeviceStore, DeviceStoreError, Transaction};

/// The name under which the time is kept at which this device saw its own revocation.
const PROVEN: &str = "own_revocation";
/// The name under which the time is kept at which the server said that this device has ended.
const SAID: &str = "own_end_said";
/// The moment at which the server said that the account was deleted.
const DELETED: &str = "own_account_deleted";

/// The moment at which the server knew neither the tokens of this device nor its user.
const FORGOTTEN: &str = "own_device_forgotten";

/// The reason for which a device is taken to have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEnd {
    /// The own chain proves it. It is for good.
    Proven,
    /// The server says it, by a refusal or by a reset in the own chain, which proves nothing. It holds until
    /// the server takes a call of the device, or shows the device in the chain. A device that waits is in no
    /// chain, so that nothing else is known of it.
    Said,
    /// The server says that the account was deleted, which proves nothing. It holds as long.
    Deleted,
}

impl DeviceStore {
    /// Returns the reason for which the device of this store is taken to have ended, or `None` if it has not.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn device_end(&self) -> Result<Option<DeviceEnd>, DeviceStoreError> {
        self.read(|tx| tx.device_end())
    }
}

impl Transaction<'_> {
    /// Returns the reason for which this device is taken to have ended.
    pub(crate) fn device_end(&self) -> Result<Option<DeviceEnd>, DeviceStoreError> {
        if self.moment(PROVEN)?.is_some() {
            return Ok(Some(DeviceEnd::Proven));
        }
        if self.moment(DELETED)?.is_some() {
            return Ok(Some(DeviceEnd::Deleted));
        }
        Ok(self.moment(SAID)?.map(|_| DeviceEnd::Said))
    }

    /// Records that this device has ended.
    pub(crate) fn note_device_end(&self, end: DeviceEnd, now_ms: i64) -> Result<(), DeviceStoreError> {
        match end {
            DeviceEnd::Proven => self.put_moment(PROVEN, now_ms),
            DeviceEnd::Said => self.put_moment(SAID, now_ms),
            DeviceEnd::Deleted => self.put_moment(DELETED, now_ms),
        }
    }

    /// Records that the server does not know this device any more. It holds until the device signs in, or the
    /// server shows it in the chain.
    pub(crate) fn note_forgotten(&self, now_ms: i64) -> Result<(), DeviceStoreError> {
        self.put_moment(FORGOTTEN, now_ms)
    }

    /// True if the server does not know this device any more.
    pub(crate) fn is_forgotten(&self) -> Result<bool, DeviceStoreError> {
        Ok(self.moment(FORGOTTEN)?.is_some())
    }

    /// Forgets what the server has said of the end of this device.
    pub(crate) fn forget_said_end(&self) -> Result<(), DeviceStoreError> {
        self.delete(FORGOTTEN)?;
        self.delete(DELETED)?;
        self.delete(SAID)
    }
}
