//! Replacing the access token before it ends.

use super::clocks::of_clock;
use super::joining::note_end;
use super::{Messenger, MessengerError};
use crate::device::DeviceTokens;
use crate::store::DeviceStoreError;
use crate::stored_time::lasts;
use crate::{ClientError, SignalSessions, Transport};

/// The remaining time below which a token is replaced before it is used.
const SOON_MS: i64 = 60_000;
/// The time that one process has for replacing a token. Others use the old one meanwhile.
const LEASE_MS: i64 = 30_000;
/// The longest time for which an access token lasts. Servers let one last for 15 minutes.
const LONGEST_TOKEN_MS: i64 = 24 * 3_600_000;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Makes a call as one of the user's devices. A device that has not pinned the own chain yet
    /// looks at that chain first, and makes no call unless it may believe it, whatever its server
    /// says.
    pub(super) async fn signed_in<R>(
        &self,
        call: impl AsyncFn() -> Result<R, ClientError>,
    ) -> Result<R, MessengerError> {
        self.require_joined().await?;
        self.with_tokens(call).await
    }

    /// Returns tokens of which the access token lasts. One call if they are to be replaced.
    pub(super) async fn fresh_tokens(&self) -> Result<Option<DeviceTokens>, MessengerError> {
        self.require_signed_in()?;
        if self.device.tokens().is_none_or(|tokens| !self.is_good(&tokens)) {
            self.refresh(false).await?;
        }
        Ok(self.device.tokens())
    }

    /// True if an access token lasts for a minute, as far as this device can tell.
    fn is_good(&self, tokens: &DeviceTokens) -> bool {
        lasts(self.now_ms().saturating_add(SOON_MS), tokens.expires_ms, LONGEST_TOKEN_MS)
    }

    /// Fails if the user has signed out, which another process may have done. The access token of this
    /// process may last longer, and is not used any more.
    pub(super) fn require_signed_in(&self) -> Result<(), MessengerError> {
        if self.store.read(|tx| tx.tokens())?.is_none() {
            self.device.set_tokens(None);
            return Err(MessengerError::SignedOut);
        }
        Ok(())
    }

    /// Makes a call with a valid token. If the server says that the token is not valid, it makes
    /// the call once more with a new one.
    pub(super) async fn with_tokens<R>(
        &self,
        call: impl AsyncFn() -> Result<R, ClientError>,
    ) -> Result<R, MessengerError> {
        let answer = self.with_valid_token(call).await.map_err(|error| of_clock(&self.device, error));
        if matches!(answer, Err(MessengerError::Revoked)) {
            note_end(&self.store, self.now_ms())?;
        }
        answer
    }

    async fn with_valid_token<R>(
        &self,
        call: impl AsyncFn() -> Result<R, ClientError>,
    ) -> Result<R, MessengerError> {
        self.fresh_tokens().await?;
        match call().await {
            Err(ClientError::Problem(problem))
                if problem.status == 401 && problem.slug() != "device-revoked" =>
            {
                self.refresh(true).await?;
                Ok(call().await?)
            }
            answer => Ok(answer?),
        }
    }

    /// Replaces the tokens, unless another process has done so or is doing so.
    ///
    /// A refresh token works once, and a second use ends all tokens of the device, except within a
    /// minute. So only one task or process refreshes at a time, the new tokens are kept before
    /// anything else happens, and a refresh whose answer is lost is repeated at once. Tokens that come
    /// after the user has signed out are ended, and not kept.
    async fn refresh(&self, refused: bool) -> Result<(), MessengerError> {
        let _one = self.refreshing.lock().await;
        let used = self.device.tokens();
        let (kept, ours) = self.store.write(|tx| {
            let kept = tx.tokens()?;
            // The transaction may have waited for one of another process, which has taken it.
            let ours = kept == used && tx.take_lease("refresh_lease", self.now_ms(), LEASE_MS)?;
            Ok::<_, DeviceStoreError>((kept, ours))
        })?;
        if kept.is_none() {
            self.device.set_tokens(None);
            return Err(MessengerError::SignedOut);
        }
        let good = kept.as_ref().is_some_and(|kept| self.is_good(kept));
        if !ours || (good && !refused) {
            self.device.set_tokens(kept);
            if ours {
                self.store.write(|tx| tx.put_moment("refresh_lease", self.now_ms()))?;
            }
            return Ok(());
        }
        let refreshed = match self.device.refresh().await {
            Err(ClientError::Transport(_)) => self.device.refresh().await,
            done => done,
        };
        let ended = matches!(&refreshed, Err(ClientError::Problem(problem)) if problem.status == 401);
        if ended {
            self.device.set_tokens(None);
        }
        let tokens = self.device.tokens();
        let done_ms = self.now_ms();
        let replaced = self.store.write(|tx| {
            tx.put_moment("refresh_lease", done_ms)?;
            let kept = tx.tokens()?;
            if kept != used {
                return Ok(Some(kept));
            }
            tx.keep_tokens(tokens.as_ref())?;
            Ok::<_, DeviceStoreError>(None)
        })?;
        if let Some(kept) = replaced {
            if kept.is_none() {
                // Without an answer they end by themselves.
                let _ = self.device.logout().await;
            }
            self.device.set_tokens(kept.clone());
            return kept.map(|_| ()).ok_or(MessengerError::SignedOut);
        }
        match refreshed {
            Err(_) if ended => Err(MessengerError::SignedOut),
            done => Ok(done?),
        }
    }
}
