//! The setting of who may write to this user, which the server enforces.
//!
//! The server does not know contacts. If the user does not let everyone write, it is told whom the
//! user knows: contacts, and the members of the user's groups.

use std::collections::BTreeSet;

use eko_protocol::settings::{AccountSettings, WhoMayWrite};

use super::{Messenger, MessengerError};
use crate::store::DeviceStoreError;
use crate::stored_time::is_over;
use crate::{ClientError, SignalSessions, Transport};

/// The name under which the store keeps the setting as it was last read or put.
pub(super) const SETTING: &str = "who_may_write";
/// The name under which the store keeps when the setting was last read.
pub(super) const READ: &str = "who_may_write_read";
/// The name under which the store keeps the actors of whom the server was told.
pub(super) const TOLD: &str = "known_at_server";
/// The time after which the setting is read again: another device may have changed it.
const READ_AGAIN_MS: i64 = 24 * 3_600_000;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns who may write to this user: one call.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn who_may_write(&self) -> Result<WhoMayWrite, MessengerError> {
        let AccountSettings { who_may_write } = self.signed_in(async || self.device.settings().await).await?;
        self.keep_setting(who_may_write)?;
        Ok(who_may_write)
    }

    /// Has the server let everyone, known actors or nobody new write to this user. The server is told
    /// of everybody whom this device knows first, so that nobody of them is taken for a stranger.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn let_write(&self, who_may_write: WhoMayWrite) -> Result<(), MessengerError> {
        if who_may_write != WhoMayWrite::Everyone {
            self.tell_known().await?;
        }
        let settings = AccountSettings { who_may_write };
        self.signed_in(async || self.device.change_settings(settings).await).await?;
        Ok(self.keep_setting(who_may_write)?)
    }

    /// Reads the setting once a day, and tells the server of those whom the user has got to know since,
    /// if that matters.
    pub(super) async fn settle_known(&self) -> Result<(), MessengerError> {
        let read_ms = self.store.read(|tx| tx.json::<i64>(READ))?;
        if read_ms.is_none_or(|read_ms| is_over(self.now_ms(), read_ms, READ_AGAIN_MS)) {
            match self.who_may_write().await {
                // A server that has no settings lets everyone write.
                Err(error) if error.retry_after_s().is_none() => self.keep_setting(WhoMayWrite::Everyone)?,
                read => drop(read?),
            }
        }
        self.tell_known_if_due().await
    }

    /// Tells the server of those whom this user knows, unless everyone may write.
    pub(super) async fn tell_known_if_due(&self) -> Result<(), MessengerError> {
        let setting = self.store.read(|tx| tx.json::<String>(SETTING))?;
        match setting.as_deref() {
            None | Some("everyone") => Ok(()),
            Some(_) => self.tell_known().await,
        }
    }

    async fn tell_known(&self) -> Result<(), MessengerError> {
        let (known, mut told) = self.store.read(|tx| {
            let mut known: BTreeSet<String> = tx.contacts()?.into_iter().collect();
            known.extend(self.fellow_members(tx)?);
            let told = tx.json::<BTreeSet<String>>(TOLD)?.unwrap_or_default();
            known.retain(|actor| *actor != self.device.actor() && !told.contains(actor));
            Ok::<_, DeviceStoreError>((known, told))
        })?;
        if known.is_empty() {
            return Ok(());
        }
        let answer = self.tell_each(known, &mut told).await;
        // If this is lost, the server is told again.
        self.store.write(|tx| tx.put_json(TOLD, &told))?;
        answer
    }

    /// Tells the server of those whom this user knows, and adds those of whom it was told.
    async fn tell_each(
        &self,
        known: BTreeSet<String>,
        told: &mut BTreeSet<String>,
    ) -> Result<(), MessengerError> {
        for actor in known {
            match self.signed_in(async || self.device.accept_actor(&actor).await).await {
                // There is room for no more, or the server does not take the id: it is not told again.
                Err(MessengerError::Client(ClientError::Problem(problem))) if problem.slug() == "invalid" => {
                }
                other => other?,
            }
            told.insert(actor);
        }
        Ok(())
    }

    fn keep_setting(&self, setting: WhoMayWrite) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| {
            tx.put_json(SETTING, &setting.as_str())?;
            tx.put_json(READ, &self.now_ms())
        })
    }
}
