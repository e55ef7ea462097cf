//! Replacing the access token before it ends.

use std::time::Duration;

use tokio::time::sleep;

use super::clocks::of_clock;
use super::{Messenger, MessengerError};
use crate::device::DeviceTokens;
use crate::store::{DeviceStoreError, Transaction};
use crate::stored_time::lasts;
use crate::{ClientError, SignalSessions, Transport};

/// The remaining time below which a token is replaced before it is used.
const SOON_MS: i64 = 60_000;
/// The time that one process has for replacing a token. Others use the old one meanwhile, or wait. A
/// process that takes longer does no harm: the server gives both the same next token.
const LEASE: Duration = Duration::from_secs(10);
/// The pause between two looks for the tokens that another process is about to keep.
const LEASE_PAUSE: Duration = Duration::from_millis(100);
/// The name of the lease of whoever replaces the tokens.
pub(super) const REFRESH_LEASE: &str = "refresh_lease";
/// The longest time for which an access token lasts. Servers let one last for 15 minutes.
const LONGEST_TOKEN_MS: i64 = 24 * 3_600_000;

/// The part of this process in the replacement of tokens.
enum RefreshTurn {
    /// These tokens can be used.
    Use(DeviceTokens),
    /// This process replaces these tokens.
    Replace(DeviceTokens),
    /// Another process replaces tokens that cannot be used.
    Wait,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Makes a call as one of the user's devices. A device that has not pinned the own chain yet
    /// looks at that chain first, and makes no call unless it may believe it, whatever its server
    /// says.
    pub(super) async fn signed_in<R>(
        &self,
        call: impl AsyncFn() -> Result<R, ClientError>,
    ) -> Result<R, MessengerError> {
        Box::pin(self.require_joined()).await?;
        self.with_tokens(call).await
    }

    /// Returns tokens of which the access token lasts. One call if they are to be replaced.
    pub(super) async fn fresh_tokens(&self) -> Result<Option<DeviceTokens>, MessengerError> {
        self.require_signed_in()?;
        if self.device.tokens().is_none_or(|tokens| !self.is_good(&tokens)) {
            Box::pin(self.refresh(None)).await?;
        }
        Ok(self.device.tokens())
    }

    /// True if an access token lasts for a minute, as far as this device can tell.
    fn is_good(&self, tokens: &DeviceTokens) -> bool {
        lasts(self.now_ms().saturating_add(SOON_MS), tokens.expires_ms, LONGEST_TOKEN_MS)
    }

    /// Returns the error of a call of a device without tokens: it has ended, its server has forgotten it, or its
    /// user has signed out.
    pub(super) fn signed_out(&self) -> Result<MessengerError, DeviceStoreError> {
        Ok(match self.store.device_end()? {
            Some(end) => end.into(),
            None if self.is_forgotten()? => MessengerError::Forgotten,
            None => MessengerError::SignedOut,
        })
    }

    /// Fails if the user has signed out, which another process may have done. The access token of this
    /// process may last longer, and is not used any more.
    pub(super) fn require_signed_in(&self) -> Result<(), MessengerError> {
        if self.store.read(|tx| tx.tokens())?.is_none() {
            self.device.set_tokens(None);
            return Err(self.signed_out()?);
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
        Box::pin(self.note_standing(answer)).await
    }

    async fn with_valid_token<R>(
        &self,
        call: impl AsyncFn() -> Result<R, ClientError>,
    ) -> Result<R, MessengerError> {
        let used = self.fresh_tokens().await?;
        let answer = call().await;
        if !is_token_refused(&answer) {
            return Ok(answer?);
        }
        Box::pin(self.refresh(used.as_ref())).await?;
        let answer = call().await;
        if is_token_refused(&answer) {
            return Err(MessengerError::TokenRefused);
        }
        Ok(answer?)
    }

    /// Replaces the tokens, unless there are good ones that the server has not `refused`. If another
    /// process is replacing them, it waits for that one, for as long as that one has for it.
    ///
    /// A refresh token works once, and a second use may end all tokens of the device. So only one task
    /// or process refreshes at a time, the new tokens are kept before anything else happens, and a
    /// refresh whose answer is lost is repeated at once, or with the next call, unless the tokens are others
    /// by then. Tokens that come after the user has signed out are ended, and not kept.
    async fn refresh(&self, refused: Option<&DeviceTokens>) -> Result<(), MessengerError> {
        let _one = self.refreshing.lock().await;
        let mut waited = Duration::ZERO;
        let used = loop {
            match self.store.write(|tx| self.turn(tx, refused, waited))? {
                None => {
                    self.device.set_tokens(None);
                    return Err(self.signed_out()?);
                }
                Some(RefreshTurn::Use(kept)) => {
                    self.device.set_tokens(Some(kept));
                    return Ok(());
                }
                Some(RefreshTurn::Replace(kept)) => break kept,
                Some(RefreshTurn::Wait) => sleep(LEASE_PAUSE).await,
            }
            waited = waited.saturating_add(LEASE_PAUSE);
        };
        self.device.set_tokens(Some(used.clone()));
        let used = Some(used);
        let refreshed = match self.device.refresh().await {
            // This process may have been stopped, and others may have replaced them since.
            Err(ClientError::Transport(_)) if self.store.read(|tx| tx.tokens())? == used => {
                self.device.refresh().await
            }
            done => done,
        };
        let ended = matches!(&refreshed, Err(ClientError::Problem(problem)) if problem.status == 401);
        if ended {
            self.device.set_tokens(None);
        }
        let tokens = self.device.tokens();
        let done_ms = self.now_ms();
        let replaced = self.store.write(|tx| {
            tx.put_moment(REFRESH_LEASE, done_ms)?;
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
            Err(_) if ended => Err(Box::pin(self.why_signed_out()).await?),
            done => Ok(done?),
        }
    }

    /// Decides what this process does for valid tokens. Returns `None` if the user has signed out. A
    /// lease that it has waited for is over, whatever the clock says: its process may have ended.
    fn turn(
        &self,
        tx: &Transaction<'_>,
        refused: Option<&DeviceTokens>,
        waited: Duration,
    ) -> Result<Option<RefreshTurn>, DeviceStoreError> {
        // The transaction may have waited for one of another process, which has replaced them.
        let Some(kept) = tx.tokens()? else { return Ok(None) };
        let is_refused = refused == Some(&kept);
        if !is_refused && self.is_good(&kept) {
            return Ok(Some(RefreshTurn::Use(kept)));
        }
        let (now_ms, lease_ms) = (self.now_ms(), i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX));
        if waited >= LEASE {
            tx.put_moment(REFRESH_LEASE, now_ms)?;
        }
        if tx.take_lease(REFRESH_LEASE, now_ms, lease_ms)? {
            return Ok(Some(RefreshTurn::Replace(kept)));
        }
        Ok(Some(match !is_refused && lasts(now_ms, kept.expires_ms, LONGEST_TOKEN_MS) {
            true => RefreshTurn::Use(kept),
            false => RefreshTurn::Wait,
        }))
    }
}

/// True if the server has refused the access token of a call.
fn is_token_refused<R>(answer: &Result<R, ClientError>) -> bool {
    matches!(
        answer,
        Err(ClientError::Problem(problem)) if problem.status == 401 && problem.slug() != "device-revoked"
    )
}
