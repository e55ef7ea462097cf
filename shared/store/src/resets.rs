//! Resets: a new device becomes the only one of its user, after a fresh sign-in.
//!
//! # Item `U#{user}` / `PROFILE`
//!
//! The account's item ([`crate::accounts`]) has these attributes from the first reset on:
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `rs` | N | epoch s | the time of the sign-in that last reset the devices |
//! | `ra` | N | epoch ms | the time of the last reset |
//! | `rn` | N | resets | the number of resets that followed each other, the last one included |

use aws_sdk_dynamodb::types::TransactWriteItem;
use eko_protocol::address::UserName;
use eko_protocol::chain::ChainNode;
use eko_protocol::id::DeviceId;

use crate::accounts::{DEVICE_RECORD, DeviceRegistration, Profile};
use crate::attribute::{Item, ReadItem, missing, n, ss};
use crate::chain::{HEAD_AS_SEEN, name_head, node_item};
use crate::deletion::DeletionRefusal;
use crate::device::{self, DeviceAddress, DeviceStatus};
use crate::devices::{self, OfUser, UserDevices, active_attribute};
use crate::key::EXISTS;
use crate::transaction::TransactionOutcome;
use crate::{Result, Store, fill, key};

/// The pause after a reset that follows no other, in milliseconds. It doubles with each reset that
/// follows, until [`MAX_RESET_PAUSE_MS`].
pub const RESET_PAUSE_MS: i64 = 600_000;

/// The longest pause after a reset, in milliseconds: one day.
pub const MAX_RESET_PAUSE_MS: i64 = 86_400_000;

/// The time after a reset from which on the next one follows no other, in milliseconds: seven days.
const RESETS_FORGOTTEN_MS: i64 = 7 * 86_400_000;

/// The name of the attribute of the profile that holds the time of the last reset's sign-in.
pub(crate) const SIGN_IN_S: &str = "rs";

/// The names of the other attributes of the profile.
mod attr {
    pub(super) const RESET_MS: &str = "ra";
    pub(super) const RESETS: &str = "rn";
}

/// The outcome of [`Store::reset_devices`]. Nothing is stored unless it is `Reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    /// The chain is reset and the device is its only active one.
    Reset,
    /// The device id is or was in use.
    DeviceIdUsed,
    /// The sign-in, or a later one, has reset the devices before.
    SignInUsed,
    /// The pause after the last reset is not over.
    TooSoon {
        /// The rest of the pause, in seconds.
        retry_after_s: u64,
    },
    /// The chain, the pending devices or the resets have changed since they were read.
    Lost,
}

/// The state that a reset depends on, as it was read.
#[derive(Clone, Debug)]
pub struct ResetState {
    /// The devices.
    pub devices: UserDevices,
    /// The user's account.
    pub profile: Profile,
    /// The last reset; `None` before the first one.
    last: Option<LastReset>,
}

impl ResetState {
    /// Returns the outcome of a reset that is refused by what was read, and `None` if it may happen.
    /// `device` is the new device, `sign_in_s` the time of the sign-in in epoch seconds.
    pub fn refusal(&self, device: &DeviceId, sign_in_s: i64, now_ms: i64) -> Option<ResetOutcome> {
        // A transaction cannot write one item twice: here to claim the id and to revoke its device.
        if self.devices.active.contains_key(device) || self.devices.pending.contains(device) {
            return Some(ResetOutcome::DeviceIdUsed);
        }
        if self.last.is_some_and(|last| sign_in_s <= last.sign_in_s) {
            return Some(ResetOutcome::SignInUsed);
        }
        let left_ms = self.last?.pause_ends_ms().saturating_sub(now_ms);
        let retry_after_s = left_ms.unsigned_abs().div_ceil(1000);
        (left_ms > 0).then_some(ResetOutcome::TooSoon { retry_after_s })
    }

    /// Returns the reason why what was read refuses a deletion, and `None` if it may happen. `sign_in_s` is
    /// the time of the sign-in, in epoch seconds; one that has reset the devices deletes nothing. An account that
    /// is younger than `after_ms`, in milliseconds, is not deleted.
    pub fn deletion_refusal(&self, sign_in_s: i64, after_ms: i64, now_ms: i64) -> Option<DeletionRefusal> {
        if self.last_sign_in_s().is_some_and(|last_s| sign_in_s <= last_s) {
            return Some(DeletionRefusal::SignInUsed);
        }
        let left_ms = self.profile.created_ms.saturating_add(after_ms).saturating_sub(now_ms);
        let retry_after_s = left_ms.unsigned_abs().div_ceil(1000);
        (left_ms > 0).then_some(DeletionRefusal::TooYoung { retry_after_s })
    }

    /// Returns the time of the sign-in that last reset the devices, in epoch seconds.
    pub(crate) fn last_sign_in_s(&self) -> Option<i64> {
        self.last.map(|last| last.sign_in_s)
    }

    /// Returns the number of resets that follow each other, with one more at `now_ms`.
    fn next_count(&self, now_ms: i64) -> u64 {
        let is_recent = |last: &LastReset| now_ms.saturating_sub(last.at_ms) < RESETS_FORGOTTEN_MS;
        self.last.filter(is_recent).map_or(1, |last| last.count.saturating_add(1))
    }
}

/// The last reset of a user.
#[derive(Clone, Copy, Debug)]
struct LastReset {
    /// The time of its sign-in, in epoch seconds.
    sign_in_s: i64,
    /// The time of the reset, in epoch milliseconds.
    at_ms: i64,
    /// The number of resets that followed each other, this one included.
    count: u64,
}

impl LastReset {
    /// Returns the end of the pause after the reset, in epoch milliseconds.
    fn pause_ends_ms(self) -> i64 {
        let doublings = self.count.saturating_sub(1).min(30);
        let pause_ms = RESET_PAUSE_MS.saturating_mul(1 << doublings).min(MAX_RESET_PAUSE_MS);
        self.at_ms.saturating_add(pause_ms)
    }

    fn from_profile(item: &Item) -> Option<Self> {
        Some(Self {
            sign_in_s: item.get_n(SIGN_IN_S)?,
            at_ms: item.get_n(attr::RESET_MS)?,
            count: device::number_or_zero(item, attr::RESETS),
        })
    }
}

impl Store {
    /// Reads what a reset or a deletion depends on, strongly consistent.
    ///
    /// One BatchGetItem: 2 read units.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) and
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the reads;
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) if an item is not readable.
    pub async fn reset_state(&self, user: &UserName) -> Result<OfUser<ResetState>> {
        let [devices, profile] = [key::devices(user), key::profile(user)];
        let items = self.batch_get(vec![devices.clone(), profile.clone()]).await?;
        UserDevices::of(devices.find_in(&items))?.read(|devices| {
            let profile = profile.find_in(&items).ok_or_else(|| missing("PROFILE"))?;
            let last = LastReset::from_profile(profile);
            Ok(ResetState { devices, profile: Profile::from_item(profile)?, last })
        })
    }

    /// Starts the chain anew with this device alone. All other devices, active and pending, are
    /// revoked. `sign_in_s` is the time of the sign-in, in epoch seconds; each sign-in resets once.
    ///
    /// One transaction: twice the write units of device record, device keys, refresh token, blocks
    /// of one-time keys, device set, node, profile and one small record for each revoked device. If
    /// its answer is lost for good, the reset may have happened: a repetition then returns
    /// [`ResetOutcome::DeviceIdUsed`], and the device signs in.
    ///
    /// The keys and mailboxes of the revoked devices stay until [`Store::erase_some`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) or
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) of the transaction.
    pub async fn reset_devices(
        &self,
        seen: &ResetState,
        device: &DeviceRegistration<'_>,
        node: &ChainNode,
        sign_in_s: i64,
    ) -> Result<ResetOutcome> {
        let DeviceAddress { user, device: id } = device.address;
        let now_ms = device.keys.registered_ms;
        if let Some(refused) = seen.refusal(id, sign_in_s, now_ms) {
            return Ok(refused);
        }
        let reset = LastReset { sign_in_s, at_ms: now_ms, count: seen.next_count(now_ms) };
        let ResetState { devices: seen, last, .. } = seen;
        let mut writes = self.device_writes(device, DeviceStatus::Active)?;
        writes.push(self.reset_set(seen, device, node)?);
        writes.push(self.put_new(node_item(user, node))?);
        writes.push(self.note_reset(user, *last, reset)?);
        for other in seen.active.keys().chain(&seen.pending) {
            writes.push(self.tombstone(DeviceAddress::new(user, other))?);
        }
        Ok(match self.transact(writes).await? {
            TransactionOutcome::Done => ResetOutcome::Reset,
            TransactionOutcome::Refused { index: DEVICE_RECORD, .. } => ResetOutcome::DeviceIdUsed,
            TransactionOutcome::Refused { .. } => ResetOutcome::Lost,
        })
    }

    /// Builds the update of the device set to this device alone, on condition that the chain and
    /// the pending devices are as they were seen. The active ones change with the chain only.
    fn reset_set(
        &self,
        seen: &UserDevices,
        device: &DeviceRegistration<'_>,
        node: &ChainNode,
    ) -> Result<TransactWriteItem> {
        let DeviceAddress { user, device: id } = device.address;
        self.update(&key::devices(user), |update| {
            let pending = if seen.pending.is_empty() { "attribute_not_exists(#p)" } else { "#p = :seenp" };
            let update = name_head(update, seen, node)
                .update_expression(
                    "SET #len = :len, #head = :head, #at = :at, #root = :root, #a = :a, #f = :f REMOVE #p",
                )
                .expression_attribute_names("#root", devices::attr::ROOT)
                .expression_attribute_values(":root", n(node.seq()))
                .expression_attribute_names("#f", devices::attr::FULL)
                .expression_attribute_values(":f", fill::no_marks())
                .condition_expression(format!("{HEAD_AS_SEEN} AND {pending}"))
                .expression_attribute_names("#a", devices::attr::ACTIVE)
                .expression_attribute_names("#p", devices::attr::PENDING)
                .expression_attribute_values(":a", active_attribute([(id, device.keys.registration_id)]));
            if seen.pending.is_empty() {
                update
            } else {
                update.expression_attribute_values(":seenp", ss(&seen.pending))
            }
        })
    }

    /// Builds the update of the profile by a reset, on condition that no reset happened since
    /// `last`.
    fn note_reset(
        &self,
        user: &UserName,
        last: Option<LastReset>,
        reset: LastReset,
    ) -> Result<TransactWriteItem> {
        self.update(&key::profile(user), |update| {
            let as_seen = if last.is_some() { "#rs = :seen" } else { "attribute_not_exists(#rs)" };
            let update = update
                .update_expression("SET #rs = :rs, #ra = :ra, #rn = :rn")
                .condition_expression(format!("{EXISTS} AND {as_seen}"))
                .expression_attribute_names("#rs", SIGN_IN_S)
                .expression_attribute_names("#ra", attr::RESET_MS)
                .expression_attribute_names("#rn", attr::RESETS)
                .expression_attribute_values(":rs", n(reset.sign_in_s))
                .expression_attribute_values(":ra", n(reset.at_ms))
                .expression_attribute_values(":rn", n(reset.count));
            match last {
                Some(last) => update.expression_attribute_values(":seen", n(last.sign_in_s)),
                None => update,
            }
        })
    }
}
