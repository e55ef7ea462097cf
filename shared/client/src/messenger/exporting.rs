//! The export of what the server stores about the user.

use serde_json::Value;

use super::{Messenger, MessengerError};
use crate::device::ExportProgress;
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Reads the next page of what the server stores about this user, and returns its items. Call it
    /// until [`ExportProgress::is_over`]; [`Device::begin_export`](crate::Device::begin_export) writes the
    /// document.
    ///
    /// # Errors
    /// Those of the call ([`Device::export_next`](crate::Device::export_next)). The page may be read again
    /// then.
    pub async fn export_next(&self, progress: &mut ExportProgress) -> Result<Vec<Value>, MessengerError> {
        let (items, read) = self
            .signed_in(async || {
                let mut read = progress.clone();
                let items = self.device.export_next(&mut read).await?;
                Ok((items, read))
            })
            .await?;
        *progress = read;
        Ok(items)
    }
}
