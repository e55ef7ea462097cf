//! The upkeep of this device's keys on the server: topped up when few are left, renewed every week.

use eko_protocol::key_package::PublishedKeys;

use super::{Messenger, MessengerError, ProgressStep};
use crate::device::PoolCount;
use crate::keys::DeviceKeys;
use crate::store::DeviceStoreError;
use crate::{SignalSessions, Transport};

/// The number of one-time keys of a kind that a device tops up to.
const FULL: u64 = 100;
/// The number of one-time keys of a kind below which a device tops up.
const LOW: u64 = 25;
const DAY_MS: i64 = 24 * 3_600_000;
/// The age at which signed keys are renewed.
const RENEWED_AFTER_MS: i64 = 7 * DAY_MS;
/// The time for which replaced keys are kept. Messages under them may be on their way for 30 days,
/// by a server's default.
const KEPT_MS: i64 = 45 * DAY_MS;
/// The time between two comparisons with the server's copy of the keys.
const CHECKED_AFTER_MS: i64 = DAY_MS;

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
            self.store.write(|tx| tx.put_moment("keys_checked", 0))?;
        }
        Ok(KeyStatus { left, agrees, renewed_ms, due_ms: renewed_ms.saturating_add(RENEWED_AFTER_MS) })
    }

    /// Publishes the keys that are needed: one-time keys if few are left, and signed keys if they
    /// are old or if the server has others.
    ///
    /// # Errors
    /// Those of every call. The keys that were made are kept, and published next time.
    pub async fn upkeep(&self, left: PoolCount) -> Result<(), MessengerError> {
        let now_ms = self.now_ms();
        let (unpublished, keys, renewed_ms, checked_ms) = self.store.read(|tx| {
            let unpublished: PublishedKeys = tx.json("unpublished")?.unwrap_or_default();
            let (renewed, checked) = (tx.moment("keys_renewed")?, tx.moment("keys_checked")?);
            Ok::<_, DeviceStoreError>((
                unpublished,
                tx.device_keys()?,
                renewed.unwrap_or(0),
                checked.unwrap_or(0),
            ))
        })?;
        self.publish(&unpublished).await?;
        let mut renew = now_ms.saturating_sub(renewed_ms) >= RENEWED_AFTER_MS;
        if !renew && now_ms.saturating_sub(checked_ms) >= CHECKED_AFTER_MS {
            renew = !self.signed_in(async || self.device.check_these_keys(&keys).await).await?;
            self.store.write(|tx| tx.put_moment("keys_checked", now_ms))?;
        }
        let more = |left: u64, wanted: bool| match wanted && left < LOW {
            true => u16::try_from(FULL.saturating_sub(left)).unwrap_or(0),
            false => 0,
        };
        let pre_keys = more(left.pre_keys, unpublished.pre_keys.is_empty());
        let has_kyber = keys.last_resort().is_some();
        let kyber = more(left.kyber_pre_keys, has_kyber && unpublished.kyber_pre_keys.is_empty());
        if renew || pre_keys > 0 || kyber > 0 {
            let made = self.make(keys, KeyDemand { renew, pre_keys, kyber })?;
            self.publish(&made).await?;
        }
        Ok(())
    }

    /// Makes keys, and keeps them before they are published.
    fn make(&self, mut keys: DeviceKeys, demand: KeyDemand) -> Result<PublishedKeys, MessengerError> {
        let now_ms = self.now_ms();
        let mut made = keys.more(demand.pre_keys, demand.kyber, &self.environment)?;
        if demand.renew {
            let renewed = keys.rotate(&self.environment)?;
            made.signed_pre_key = renewed.signed_pre_key;
            made.last_resort = renewed.last_resort;
        }
        self.store.write(|tx| {
            tx.keep_keys(&keys, now_ms)?;
            tx.put_json("unpublished", &made)?;
            if demand.renew {
                tx.put_moment("keys_renewed", now_ms)?;
                if let Some(key) = keys.last_resort() {
                    tx.note_last_resort(key.id)?;
                }
                tx.forget_replaced(&keys, now_ms.saturating_sub(KEPT_MS))?;
            }
            Ok::<_, DeviceStoreError>(())
        })?;
        Ok(made)
    }

    async fn publish(&self, keys: &PublishedKeys) -> Result<(), MessengerError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.step(ProgressStep::Publish);
        self.signed_in(async || self.device.publish(keys).await).await?;
        Ok(self.store.write(|tx| tx.put_json("unpublished", &PublishedKeys::default()))?)
    }
}
