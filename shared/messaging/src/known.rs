//! Who may write to a user (`docs/protocol.md`, section 6): the setting, the actors whom the user
//! knows, and what becomes of the letters of others.
//!
//! By default everyone may, and none of this makes a call.

use eko_protocol::Invalid;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::limits::MAX_KNOWN;
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_store::device::DeviceAddress;
use eko_store::devices::UserDevices;
use eko_store::inbound::site;
use eko_store::known::{Acquaintance, RequestOf, RequestOutcome};

use crate::active_device::require_active;
use crate::{Messaging, Refusal, Result};

/// What becomes of an accepted letter. Its sender does not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetterFate {
    /// It comes into the mailboxes.
    Delivered,
    /// It comes into the mailboxes as a request.
    Request {
        /// True for the first one of its author.
        is_first: bool,
    },
    /// It comes nowhere.
    Dropped,
}

impl LetterFate {
    /// True if the letter may wake a device: of an author's requests the first one may.
    pub(crate) fn wakes(self) -> bool {
        !matches!(self, Self::Request { is_first: false })
    }

    /// True for a request.
    pub(crate) fn is_request(self) -> bool {
        matches!(self, Self::Request { .. })
    }
}

impl Messaging {
    /// Decides what becomes of a letter for `user`. `is_own` is true for a sync.
    ///
    /// No call if the user lets everyone write. Otherwise one GetItem of what the user has to do with
    /// the sender, and for a stranger one transaction, which counts the request, or is refused. They
    /// are made whether the sender is blocked or not, so that the time tells nothing. One transaction more
    /// for each write of somebody else that comes between the two.
    pub(crate) async fn fate(
        &self,
        user: &UserName,
        devices: &UserDevices,
        header: &EnvelopeHeader,
        is_own: bool,
        now_ms: i64,
    ) -> Result<LetterFate> {
        let author = &header.author;
        let is_blocked = !is_own && devices.blocks.cover(author);
        let of_known = if is_blocked { LetterFate::Dropped } else { LetterFate::Delivered };
        if is_own || devices.who_may_write == WhoMayWrite::Everyone {
            return Ok(of_known);
        }
        let seen = match self.store().acquaintance(user, author, now_ms).await? {
            Acquaintance::Known => return Ok(of_known),
            Acquaintance::Stranger(seen) => seen,
        };
        let admits = devices.who_may_write == WhoMayWrite::Known && !is_blocked;
        let (key, origin) = (header.id.key(), Origin::of(author));
        let site = origin.as_ref().map(|origin| site(origin.authority())).unwrap_or_default();
        // Whoever has another server has as many actors as they like. The accounts here are no site: one
        // of them takes nothing from the others.
        let counted_as = if self.origin().owns(author) { author } else { site };
        let request = RequestOf { actor: author, counted_as, envelope: &key };
        let keep_until = self.keep_until(now_ms);
        // On the heap, so that the send to a user who lets everyone write is no larger for it.
        let counted = Box::pin(self.store().add_request(user, request, seen, admits, now_ms, keep_until));
        Ok(match counted.await? {
            RequestOutcome::Known => of_known,
            RequestOutcome::Request { is_first } => LetterFate::Request { is_first },
            RequestOutcome::Dropped => LetterFate::Dropped,
        })
    }

    /// True if a taker gets no one-time keys of a user: the user blocks the taker, or lets only known
    /// actors write and does not know the taker. One GetItem if not everyone may write, whether the
    /// taker is blocked or not; none by default.
    pub(crate) async fn withholds_from(
        &self,
        user: &UserName,
        devices: &UserDevices,
        taker: &str,
    ) -> Result<bool> {
        let is_blocked = devices.blocks.cover(taker);
        if devices.who_may_write == WhoMayWrite::Everyone || taker == self.origin().actor(user) {
            return Ok(is_blocked);
        }
        let acquaintance = self.store().acquaintance(user, taker, self.now_ms()).await?;
        Ok(is_blocked || acquaintance != Acquaintance::Known)
    }

    /// Records that the user of the device `caller` knows an actor. May be repeated.
    ///
    /// One transaction, as [`own_change`](Self::own_change) makes it.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`];
    /// [`Refusal::Invalid`] if the user knows [`MAX_KNOWN`] others; the store is broken or out of reach.
    pub async fn accept_actor(&self, caller: DeviceAddress<'_>, actor: &str) -> Result<()> {
        let change = self.store().add_known(caller, actor, self.now_ms());
        let full = || Invalid::at("/object", format!("would be more than {MAX_KNOWN} known actors")).into();
        self.own_change(caller, Box::pin(change), full).await
    }

    /// Records that the user of the device `caller` does not know an actor, who is a stranger from then on.
    /// May be repeated.
    ///
    /// One transaction, as [`own_change`](Self::own_change) makes it.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`]; the store is broken or
    /// out of reach.
    pub async fn forget_actor(&self, caller: DeviceAddress<'_>, actor: &str) -> Result<()> {
        let change = self.store().remove_known(caller, actor);
        self.own_change(caller, Box::pin(change), || Refusal::DeviceRevoked.into()).await
    }

    /// Returns the settings of the account of the device `caller`: one GetItem.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`]; the store is broken or out of reach.
    pub async fn settings(&self, caller: DeviceAddress<'_>) -> Result<AccountSettings> {
        let devices = require_active(self.store().device_set(caller.user).await?, caller.device)?;
        Ok(AccountSettings { who_may_write: devices.who_may_write })
    }

    /// Changes the settings of the account of the device `caller`: one UpdateItem, as
    /// [`own_change`](Self::own_change) makes it.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`]; the store is broken or
    /// out of reach.
    pub async fn change_settings(&self, caller: DeviceAddress<'_>, settings: AccountSettings) -> Result<()> {
        let change = self.store().set_who_may_write(caller, settings.who_may_write);
        self.own_change(caller, Box::pin(change), || Refusal::DeviceRevoked.into()).await
    }
}
