//! The upkeep of this device's keys on the server: topped up when few are left, renewed every week.

use eko_protocol::key_package::PublishedKeys;
use serde::{Deserialize, Serialize};

use super::{Messenger, MessengerError, Notice, ProgressStep};
use crate::device::PoolCount;
use crate::keys::DeviceKeys;
use crate::store::{DeviceStoreError, Transaction};
use crate::stored_time::is_over;
use crate::{ClientError, ProblemDetails, SignalSessions, Transport};

/// A device tops up once fewer than one in this number of its one-time keys of a kind are left.
const LOW_PART: u16 = 4;
const DAY_MS: i64 = 24 * 3_600_000;
/// The age at which signed keys are renewed.
const RENEWED_AFTER_MS: i64 = 7 * DAY_MS;
/// The time for which replaced keys are kept once the server has taken their successors. Messages under them
/// may be on their way for 30 days, by a server's default.
const KEPT_MS: i64 = 45 * DAY_MS;
/// The time between two comparisons with the server's copy of the keys.
const CHECKED_AFTER_MS: i64 = DAY_MS;
/// The time between two of these comparisons that are made because a first message was for a prekey that this
/// device does not have. Anybody can make such a message.
const DOUBTED_AFTER_MS: i64 = 3_600_000;
/// The time after which a replacement that the server does not take is made anew, and the time
/// between two replacements. A server takes one an hour.
const REPLACED_AGAIN_AFTER_MS: i64 = 3_600_000;
/// The number of keys that the server has left if it has not said it: none is made for that.
const PLENTY: PoolCount = PoolCount { pre_keys: u64::MAX, kyber_pre_keys: u64::MAX };
/// The name under which the store keeps the time of the last comparison, or 0 if the next one is due.
const CHECKED: &str = "keys_checked";
/// The name under which the store keeps the publication that is not known to have arrived.
pub(super) const UNPUBLISHED: &str = "unpublished";
/// The name under which the store keeps the time of the last replacement.
pub(super) const REPLACED: &str = "keys_replaced";

/// The state of this device's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStatus {
    /// The one-time keys that the server has left.
    pub left: PoolCount,
    /// True if the server has this device's newest signed keys.
    pub agrees: bool,
    /// The time at which the signed keys were made, in epoch milliseconds.
    pub renewed_ms: i64,
    /// The time at which they are renewed, in epoch milliseconds.
    pub due_ms: i64,
}

/// The keys that are to be made.
struct KeyDemand {
    /// True if new signed keys are needed.
    renew: bool,
    /// The number of one-time prekeys.
    pre_keys: u16,
    /// The number of one-time Kyber prekeys.
    kyber: u16,
    /// True if the new keys replace all keys that the server has.
    replaces: bool,
}

/// A publication as the store keeps it until it has arrived.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct StoredPublication {
    keys: PublishedKeys,
    /// The time that the publication states, in epoch milliseconds, if it replaces all keys.
    /// Another attempt states the same time.
    replaces_ms: Option<i64>,
}

/// The outcome of one attempt to publish.
enum PublishingOutcome {
    /// The server has the keys.
    Published,
    /// The server has later keys of this device, which this device did not make. Holds its refusal.
    Foreign(MessengerError),
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the state of this device's keys, here and on the server.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn key_status(&self) -> Result<KeyStatus, MessengerError> {
        let left = self.signed_in(async || self.device.fetch().await).await?.keys_left;
        let keys = self.store.read(|tx| tx.device_keys())?;
        let agrees = self.signed_in(async || self.device.check_these_keys(&keys).await).await?;
        let renewed_ms = self.store.read(|tx| tx.moment("keys_renewed"))?.unwrap_or_default();
        if !agrees {
            // A known difference is settled at the next occasion, and not a day later.
            self.store.write(|tx| tx.put_moment(CHECKED, 0))?;
        }
        Ok(KeyStatus { left, agrees, renewed_ms, due_ms: renewed_ms.saturating_add(RENEWED_AFTER_MS) })
    }

    /// Has the keys compared with those of the server with this look: a first message was for a prekey that this
    /// device does not have.
    pub(super) fn doubt_keys(&self, tx: &Transaction<'_>) -> Result<(), DeviceStoreError> {
        let checked_ms = tx.moment(CHECKED)?.unwrap_or(0);
        match is_over(self.now_ms(), checked_ms, DOUBTED_AFTER_MS) {
            true => tx.put_moment(CHECKED, 0),
            false => Ok(()),
        }
    }

    /// Does what [`Messenger::upkeep`] does after a look, if the server has said how many keys are left, or if
    /// the keys are to be compared at once.
    pub(super) async fn upkeep_after_look(
        &self,
        keys_left: Option<PoolCount>,
    ) -> Result<Option<Notice>, MessengerError> {
        match keys_left {
            Some(left) => self.upkeep(left).await,
            None if self.store.read(|tx| tx.moment(CHECKED))? == Some(0) => self.upkeep(PLENTY).await,
            None => Ok(None),
        }
    }

    /// Publishes the keys that are needed: one-time keys if few are left, and signed keys if they
    /// are old, if the server has others, or if this device has lost their private halves. By a clock that is
    /// known to be wrong nothing is made: a server takes no keys that are dated a day away from its own time.
    ///
    /// If the server has keys of this device that this device did not make, all of its keys are
    /// replaced, and the notice says so.
    ///
    /// # Errors
    /// Those of every call. The keys that were made are kept, and published next time.
    pub async fn upkeep(&self, left: PoolCount) -> Result<Option<Notice>, MessengerError> {
        if self.has_wrong_clock() {
            return Ok(None);
        }
        let now_ms = self.now_ms();
        let (unpublished, keys, full, renewed_ms, checked_ms) = self.store.read(|tx| {
            let unpublished: StoredPublication = tx.json(UNPUBLISHED)?.unwrap_or_default();
            let keys = tx.device_keys()?;
            let renewed_ms = match tx.has_newest_keys(&keys)? {
                true => tx.moment("keys_renewed")?.unwrap_or(0),
                false => 0,
            };
            let checked_ms = tx.moment(CHECKED)?.unwrap_or(0);
            Ok::<_, DeviceStoreError>((unpublished, keys, tx.key_counts()?, renewed_ms, checked_ms))
        })?;
        if let PublishingOutcome::Foreign(refusal) = self.publish(&unpublished).await? {
            return self.replace_all(keys, refusal).await.map(Some);
        }
        if unpublished.replaces_ms.is_some() {
            return Ok(Some(Notice::KeysReplaced));
        }
        let unpublished = unpublished.keys;
        let mut renew = is_over(now_ms, renewed_ms, RENEWED_AFTER_MS);
        if !renew && is_over(now_ms, checked_ms, CHECKED_AFTER_MS) {
            renew = !self.signed_in(async || self.device.check_these_keys(&keys).await).await?;
            self.store.write(|tx| tx.put_moment(CHECKED, now_ms))?;
        }
        let more = |full: u16, left: u64, wanted: bool| match wanted && left < full.div_ceil(LOW_PART).into()
        {
            true => u16::try_from(u64::from(full).saturating_sub(left)).unwrap_or(0),
            false => 0,
        };
        let pre_keys = more(full.pre_keys, left.pre_keys, unpublished.pre_keys.is_empty());
        let has_kyber = keys.last_resort().is_some();
        let wants_kyber = has_kyber && unpublished.kyber_pre_keys.is_empty();
        let kyber = more(full.kyber_pre_keys, left.kyber_pre_keys, wants_kyber);
        if renew || pre_keys > 0 || kyber > 0 {
            let made = self.make(keys, KeyDemand { renew, pre_keys, kyber, replaces: false })?;
            if let PublishingOutcome::Foreign(refusal) = self.publish(&made).await? {
                let keys = self.store.read(|tx| tx.device_keys())?;
                return self.replace_all(keys, refusal).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Makes a full set of keys and lets it take the place of all keys that the server has. Does so
    /// once an hour at most, whatever the server says, and otherwise returns its `refusal`.
    async fn replace_all(&self, keys: DeviceKeys, refusal: MessengerError) -> Result<Notice, MessengerError> {
        let now_ms = self.now_ms();
        let replaced_ms = self.store.read(|tx| tx.moment(REPLACED))?;
        if replaced_ms.is_some_and(|at| !is_over(now_ms, at, REPLACED_AGAIN_AFTER_MS)) {
            return Err(refusal);
        }
        let full = self.store.read(|tx| tx.key_counts())?;
        let kyber = if keys.last_resort().is_some() { full.kyber_pre_keys } else { 0 };
        let demand = KeyDemand { renew: true, pre_keys: full.pre_keys, kyber, replaces: true };
        let made = self.make(keys, demand)?;
        match self.publish(&made).await? {
            PublishingOutcome::Published => Ok(Notice::KeysReplaced),
            PublishingOutcome::Foreign(refusal) => Err(refusal),
        }
    }

    /// Makes keys, and keeps them before they are published.
    fn make(&self, mut keys: DeviceKeys, demand: KeyDemand) -> Result<StoredPublication, MessengerError> {
        let now_ms = self.now_ms();
        let mut made = keys.more(demand.pre_keys, demand.kyber, &self.environment)?;
        if demand.renew {
            let renewed = keys.rotate(&self.environment)?;
            made.signed_pre_key = renewed.signed_pre_key;
            made.last_resort = renewed.last_resort;
        }
        let made = StoredPublication { keys: made, replaces_ms: demand.replaces.then_some(now_ms) };
        self.store.write(|tx| {
            tx.keep_keys(&keys, now_ms)?;
            tx.put_json(UNPUBLISHED, &made)?;
            if demand.replaces {
                tx.put_moment(REPLACED, now_ms)?;
            }
            if demand.renew {
                tx.put_moment("keys_renewed", now_ms)?;
                if let Some(key) = keys.last_resort() {
                    tx.note_last_resort(key.id)?;
                }
            }
            Ok::<_, DeviceStoreError>(())
        })?;
        Ok(made)
    }

    async fn publish(&self, publication: &StoredPublication) -> Result<PublishingOutcome, MessengerError> {
        let StoredPublication { keys, replaces_ms } = publication;
        if keys.is_empty() {
            return Ok(PublishingOutcome::Published);
        }
        self.step(ProgressStep::Publish);
        let published = self
            .signed_in(async || match replaces_ms {
                None => self.device.publish(keys).await,
                Some(published_ms) => self.device.replace_keys(keys, *published_ms).await,
            })
            .await;
        match published {
            Ok(_) => {}
            Err(MessengerError::Client(ClientError::Problem(problem)))
                if self.is_foreign(&problem, *replaces_ms) =>
            {
                return Ok(PublishingOutcome::Foreign(ClientError::Problem(problem).into()));
            }
            Err(error) => return Err(error),
        }
        // The server has just said its time. If this machine's clock is ahead of it since this began, the
        // server's counts.
        let now_ms = self.device.retention_ms().unwrap_or_else(|| self.now_ms());
        self.store.write(|tx| {
            tx.put_json(UNPUBLISHED, &StoredPublication::default())?;
            tx.note_published(keys, now_ms, self.kept_since_ms(KEPT_MS))
        })?;
        Ok(PublishingOutcome::Published)
    }

    /// True if a refusal says that the server has later keys than these. Ids and times of this
    /// device only grow, so none of its own publications is refused for them. A replacement is
    /// tried for an hour as it is, so that its repetition is recognised.
    fn is_foreign(&self, refusal: &ProblemDetails, replaces_ms: Option<i64>) -> bool {
        match replaces_ms {
            None => {
                let pointer = refusal.pointer.as_deref().unwrap_or_default();
                refusal.slug() == "invalid" && pointer.starts_with("/object/") && pointer.ends_with("/id")
            }
            Some(replaces_ms) => {
                let is_old = is_over(self.now_ms(), replaces_ms, REPLACED_AGAIN_AFTER_MS);
                matches!(refusal.slug(), "invalid" | "too-many") && is_old
            }
        }
    }
}
