//! Deletion of an account: everything but a tombstone is erased, step by step, and the other servers
//! that had contact with it are told (`docs/protocol.md`, section 10; [decision
//! 0037](../../../docs/decisions/0037-deletion.md)).
//!
//! From the moment of the tombstone nobody finds the account. The rest is done by the queue
//! `deliveries`. Sockets go first; then mailboxes, keys and tokens of each device, group states, and
//! the items of the user; the list of the devices goes last, because it leads to the others.

use std::collections::BTreeSet;

use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use eko_protocol::{deletion, id};
use eko_store::StoreError;
use eko_store::deletion::{AccountErasure, DeletionPass};
use eko_store::device::DeviceAddress;
use eko_store::parcels::{Parcel, ParcelBody};
use tokio::time::Instant;

use crate::erase::{MOST_FAILURES, ORDER_SECONDS, PASS_SECONDS, STEP_SECONDS, retry_seconds};
use crate::{Messaging, Result};

/// The most devices that one step looks at.
const STEP_DEVICES: usize = 10;
/// The most servers that an erasure remembers. A server beyond them is told by each step that finds it.
const MOST_TOLD: usize = 1_000;

/// The work that is left after a step of an erasure.
enum NextStep {
    /// There is another step.
    After {
        /// The erasure as it is then.
        erasure: AccountErasure,
        /// The time until then, in seconds.
        delay_seconds: i32,
    },
    /// Nothing is left.
    None,
}

impl Messaging {
    /// Orders the erasure of an account that is about to be deleted. Call it before the deletion: a
    /// process that dies between the two leaves an order that erases nothing.
    ///
    /// One SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach. The account must not be deleted then.
    pub async fn order_deletion(&self, user: &UserName) -> Result<()> {
        let erasure = account_erasure(user, DeletionPass::Ordered);
        Ok(self.store().queue_account_erasure(erasure, ORDER_SECONDS).await?)
    }

    /// Orders that the sockets of a deleted account end. Call it after the deletion. A failure is only
    /// logged: the erasure ends the sockets as well.
    ///
    /// One SendMessageBatch; none on a server without sockets.
    pub async fn end_deleted(&self, user: &UserName) {
        if !self.has_sockets() {
            return;
        }
        let erasure = account_erasure(user, DeletionPass::Sockets);
        if let Err(error) = self.store().queue_account_erasure(erasure, 0).await {
            tracing::warn!(%error, "sockets of a deleted account end with its erasure");
        }
    }

    /// Does the next step of the erasure of an account and queues the one after it. Sockets end until
    /// `deadline`.
    ///
    /// The first step reads the device set, one GetItem, and drops the order if the account was not
    /// deleted. A pass begins with one BatchGetItem of the sockets, the end of each with one
    /// BatchWriteItem, and one Query of the list of devices. Then a step makes the calls of
    /// [`erase_some`](eko_store::Store::erase_some) for up to ten devices. After the last device it makes
    /// one Query of the group states, of the user's items and of the counters, with up to four
    /// BatchWriteItem each, and one SendMessageBatch for each ten servers that are told. The last step
    /// reads the list of devices, one Query, and deletes the device records and then the list, two
    /// BatchWriteItem for each 25 devices. One SendMessageBatch after each step but the last. A step that
    /// is done twice does the same again.
    ///
    /// # Errors
    /// The next step could not be queued, or too many steps have failed.
    pub(crate) async fn erase_account(
        &self,
        erasure: AccountErasure,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        let failures = erasure.failures;
        match self.deletion_step(AccountErasure { failures: 0, ..erasure.clone() }, deadline).await {
            Ok(NextStep::None) => Ok(()),
            Ok(NextStep::After { erasure, delay_seconds }) => {
                self.store().queue_account_erasure(erasure, delay_seconds).await
            }
            Err(error) if failures >= MOST_FAILURES => Err(error),
            Err(error) => {
                tracing::warn!(%error, failures, "a deleted account is not erased yet");
                let next = AccountErasure { failures: failures.saturating_add(1), ..erasure };
                self.store().queue_account_erasure(next, retry_seconds(failures)).await
            }
        }
    }

    async fn deletion_step(
        &self,
        mut erasure: AccountErasure,
        deadline: Instant,
    ) -> std::result::Result<NextStep, StoreError> {
        let user = erasure.user.clone();
        match erasure.pass {
            DeletionPass::Sockets | DeletionPass::Ordered if !self.is_deleted(&user).await? => {
                return Ok(NextStep::None);
            }
            DeletionPass::Sockets => {
                self.end_all_sockets(&user, deadline).await?;
                return Ok(NextStep::None);
            }
            DeletionPass::Ordered => self.begin_pass(&mut erasure, DeletionPass::First, deadline).await?,
            DeletionPass::Waiting => self.begin_pass(&mut erasure, DeletionPass::Second, deadline).await?,
            DeletionPass::First | DeletionPass::Second => {}
        }
        let some = erasure.devices.len().min(STEP_DEVICES);
        let some: Vec<DeviceId> = erasure.devices.drain(..some).collect();
        for device in some {
            if self.store().erase_some(DeviceAddress::new(&user, &device)).await? {
                erasure.devices.push(device);
            }
        }
        if !erasure.devices.is_empty() {
            return Ok(NextStep::After { erasure, delay_seconds: STEP_SECONDS });
        }
        if self.store().erase_group_states(&user).await?
            || self.tell_and_erase(&mut erasure).await?
            || self.store().erase_counters(&user).await?
        {
            return Ok(NextStep::After { erasure, delay_seconds: STEP_SECONDS });
        }
        if erasure.pass == DeletionPass::First {
            erasure.pass = DeletionPass::Waiting;
            return Ok(NextStep::After { erasure, delay_seconds: PASS_SECONDS });
        }
        let devices = self.store().owned_devices(&user).await?;
        self.store().erase_devices(&user, &devices).await?;
        Ok(NextStep::None)
    }

    /// True if the account of a user was deleted. One GetItem.
    async fn is_deleted(&self, user: &UserName) -> std::result::Result<bool, StoreError> {
        Ok(self.store().device_set(user).await?.is_deleted())
    }

    /// Begins a pass over everything: ends the sockets and lists the devices.
    async fn begin_pass(
        &self,
        erasure: &mut AccountErasure,
        pass: DeletionPass,
        deadline: Instant,
    ) -> std::result::Result<(), StoreError> {
        self.end_all_sockets(&erasure.user, deadline).await?;
        erasure.devices = self.store().owned_devices(&erasure.user).await?;
        erasure.pass = pass;
        Ok(())
    }

    /// Erases some items of the user, after the servers that they name are told. Returns true if there
    /// may be more items.
    ///
    /// Items are erased last: if the process dies before that, their servers are told once more.
    async fn tell_and_erase(&self, erasure: &mut AccountErasure) -> std::result::Result<bool, StoreError> {
        let items = self.store().doomed_items(&erasure.user).await?;
        let is_news =
            |contact: &&Origin| *contact != self.origin() && !erasure.told.contains(contact.as_str());
        let news: Vec<&Origin> = items.contacts.iter().filter(is_news).collect();
        let news = if self.store().has_parcels() { news } else { Vec::new() };
        let parcels = news.iter().map(|origin| self.deletion_parcel(&erasure.user, origin)).collect();
        self.store().queue_parcels(parcels, self.now_ms(), || self.random_uuid()).await?;
        let room = MOST_TOLD.saturating_sub(erasure.told.len());
        erasure.told.extend(news.into_iter().take(room).map(ToString::to_string));
        self.store().erase_items(&items).await?;
        Ok(items.has_more)
    }

    /// Builds the parcel that tells another server of a deletion. It goes to the actor of the server, so
    /// that it names no user there.
    fn deletion_parcel(&self, user: &UserName, origin: &Origin) -> Parcel {
        let actor = self.origin().actor(user);
        // An account is deleted once, so that each server gets the same id each time.
        let activity = self.origin().activity(&id::activity_uuid(0, &actor, "Delete"));
        Parcel {
            to: origin.server_actor(),
            author: user.clone(),
            first_ms: self.now_ms(),
            not_before_ms: None,
            expires_ms: None,
            outcome_to: None,
            listed_as: None,
            is_deletion: true,
            by_server: false,
            body: ParcelBody::Text(deletion::delete_activity(&actor, &activity).to_string()),
        }
    }
}

fn account_erasure(user: &UserName, pass: DeletionPass) -> AccountErasure {
    AccountErasure { user: user.clone(), devices: Vec::new(), told: BTreeSet::new(), pass, failures: 0 }
}
