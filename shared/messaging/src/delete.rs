//! Deletion of an account: everything but a tombstone is erased, step by step, and the other servers
//! that had contact with it are told (`docs/protocol.md`, section 10; [decision
//! 0037](../../../docs/decisions/0037-deletion.md)).
//!
//! From the moment of the tombstone nobody finds the account. The rest is done by the queue
//! `deliveries`. Sockets go first; then mailboxes, keys and tokens of each device, group states, and
//! the items of the user; the list of the devices goes last, because it leads to the others.
//!
//! A step has less time than the function that does it, and what it has done stays done. Its message
//! keeps how far it came, and has the same size however many devices and servers there are.

use std::collections::BTreeSet;
use std::time::Duration;

use eko_protocol::address::{Origin, UserName};
use eko_protocol::{deletion, id};
use eko_store::StoreError;
use eko_store::deletion::{AccountErasure, ContactBy, DeletionPass, DoomedItems};
use eko_store::device::DeviceAddress;
use eko_store::parcels::{Parcel, ParcelBody};
use tokio::time::Instant;

use crate::erase::{MOST_FAILURES, ORDER_SECONDS, PASS_SECONDS, STEP_SECONDS, in_step_time, retry_seconds};
use crate::{Messaging, Result};

/// The most devices that one step looks at.
const STEP_DEVICES: i32 = 10;
/// The most device records that one step erases: those of one BatchWriteItem.
const STEP_RECORDS: i32 = 25;
/// The time that has to be left of a step for another page of items.
const PAGE_TIME: Duration = Duration::from_secs(2);

impl Messaging {
    /// Orders the erasure of an account that is about to be deleted. Call it before the deletion: a
    /// process that dies between the two leaves an order that erases nothing.
    ///
    /// One SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach. The account must not be deleted then.
    pub async fn order_deletion(&self, user: &UserName) -> Result<()> {
        let erasure = AccountErasure::new(user, DeletionPass::Ordered);
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
        let erasure = AccountErasure::new(user, DeletionPass::Sockets);
        if let Err(error) = self.store().queue_account_erasure(erasure, 0).await {
            tracing::warn!(%error, "sockets of a deleted account end with its erasure");
        }
    }

    /// Does the next step of the erasure of an account until `ends`, and queues the one after it. Sockets
    /// end until `deadline`.
    ///
    /// The first step reads the device set, one GetItem, and drops the order if the account was not
    /// deleted. A pass begins with one BatchGetItem of the sockets, the end of each with one
    /// BatchWriteItem. A step makes one Query of the list of devices, and for each of up to ten devices one
    /// Query and up to four BatchWriteItem. After the last device it makes one Query of the group states,
    /// of the user's items and of the counters, with up to four BatchWriteItem each; one BatchWriteItem
    /// for each 25 nodes of the chain, which lists their devices; and one SendMessageBatch for each ten
    /// servers that are told. As long as there is time it goes on with the next page of the items of a
    /// device and of the user: others can make those many. The last steps read the list of devices, one Query, and delete 25 device
    /// records and then their places in the list, two BatchWriteItem. One SendMessageBatch after each step
    /// but the last. A step that is done twice does the same again.
    ///
    /// # Errors
    /// The next step could not be queued, or too many steps have failed.
    pub(crate) async fn erase_account(
        &self,
        erasure: AccountErasure,
        deadline: Instant,
        ends: Instant,
    ) -> std::result::Result<(), StoreError> {
        let failures = erasure.failures;
        let before = erasure.clone();
        let mut next = AccountErasure { failures: 0, ..erasure };
        let delay_seconds =
            match in_step_time(ends, Box::pin(self.deletion_step(&mut next, deadline, ends))).await {
                Ok(None) => return Ok(()),
                Ok(Some(delay_seconds)) => delay_seconds,
                // A step that came some of the way is no failure: the next one goes on from there.
                Err(error) if next != (AccountErasure { failures: 0, ..before }) => {
                    tracing::info!(%error, "a step of an erasure was cut off");
                    STEP_SECONDS
                }
                Err(error) if failures >= MOST_FAILURES => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, failures, "a deleted account is not erased yet");
                    next.failures = failures.saturating_add(1);
                    retry_seconds(failures)
                }
            };
        self.store().queue_account_erasure(next, delay_seconds).await
    }

    /// Erases some of what is left, and notes in `erasure` how far that came. Returns the time until the
    /// next step, in seconds; `None` if nothing is left.
    async fn deletion_step(
        &self,
        erasure: &mut AccountErasure,
        deadline: Instant,
        ends: Instant,
    ) -> std::result::Result<Option<i32>, StoreError> {
        let user = erasure.user.clone();
        match erasure.pass {
            DeletionPass::Sockets | DeletionPass::Ordered if !self.is_deleted(&user).await? => {
                return Ok(None);
            }
            DeletionPass::Sockets => {
                self.end_all_sockets(&user, deadline).await?;
                return Ok(None);
            }
            DeletionPass::Ordered => {
                self.end_all_sockets(&user, deadline).await?;
                erasure.pass = DeletionPass::First;
            }
            DeletionPass::Waiting => {
                self.end_all_sockets(&user, deadline).await?;
                erasure.pass = DeletionPass::Second;
                erasure.after = None;
            }
            DeletionPass::First | DeletionPass::Second => {}
        }
        if self.erase_of_devices(erasure, ends).await?
            || self.store().erase_group_states(&user).await?
            || self.erase_of_user(erasure, ends).await?
            || self.store().erase_counters(&user).await?
        {
            return Ok(Some(STEP_SECONDS));
        }
        if erasure.pass == DeletionPass::First {
            erasure.pass = DeletionPass::Waiting;
            return Ok(Some(PASS_SECONDS));
        }
        let listed = self.store().owned_devices(&user, None, STEP_RECORDS).await?;
        self.store().erase_devices(&user, &listed.devices).await?;
        Ok(listed.has_more.then_some(STEP_SECONDS))
    }

    /// True if the account of a user was deleted. One GetItem.
    async fn is_deleted(&self, user: &UserName) -> std::result::Result<bool, StoreError> {
        Ok(self.store().device_set(user).await?.is_deleted())
    }

    /// Erases what the next devices have, after the servers that took their keys are told. Returns true if
    /// there may be more. The device records stay.
    async fn erase_of_devices(
        &self,
        erasure: &mut AccountErasure,
        ends: Instant,
    ) -> std::result::Result<bool, StoreError> {
        let user = erasure.user.clone();
        let listed = self.store().owned_devices(&user, erasure.after.as_ref(), STEP_DEVICES).await?;
        for device in listed.devices {
            loop {
                let doomed = self.store().doomed_of_device(DeviceAddress::new(&user, &device)).await?;
                self.tell_all(erasure, &doomed).await?;
                self.store().erase_items(&doomed).await?;
                if !doomed.has_more {
                    break;
                }
                if !has_time(ends) {
                    return Ok(true);
                }
            }
            erasure.after = Some(device);
        }
        Ok(listed.has_more)
    }

    /// Erases items of the user, after the servers that they name are told, and the devices that they
    /// name are listed for the second pass. Returns true if there may be more items.
    async fn erase_of_user(
        &self,
        erasure: &mut AccountErasure,
        ends: Instant,
    ) -> std::result::Result<bool, StoreError> {
        loop {
            let items = self.store().doomed_items(&erasure.user).await?;
            self.tell_all(erasure, &items).await?;
            self.store().list_devices(&erasure.user, &items.devices).await?;
            self.store().erase_items(&items).await?;
            if !items.has_more || !has_time(ends) {
                return Ok(items.has_more);
            }
        }
    }

    /// Tells the servers that some items name.
    async fn tell_all(
        &self,
        erasure: &mut AccountErasure,
        doomed: &DoomedItems,
    ) -> std::result::Result<(), StoreError> {
        self.tell(erasure, &doomed.written_to, ContactBy::User).await?;
        self.tell(erasure, &doomed.heard_from, ContactBy::Others).await
    }

    /// Tells servers of the deletion that are not told yet. What names them is erased later: if the process
    /// dies before that, they are told once more.
    async fn tell(
        &self,
        erasure: &mut AccountErasure,
        contacts: &BTreeSet<Origin>,
        by: ContactBy,
    ) -> std::result::Result<(), StoreError> {
        if !self.store().has_parcels() {
            return Ok(());
        }
        let mut news = erasure.untold(contacts, by);
        news.retain(|origin| *origin != self.origin());
        let parcels = news.iter().map(|origin| self.deletion_parcel(&erasure.user, origin)).collect();
        self.store().queue_parcels(parcels, self.now_ms(), || self.random_uuid()).await?;
        erasure.note_told(&news, by);
        Ok(())
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

/// True if there is time for another page before a step ends.
fn has_time(ends: Instant) -> bool {
    ends.saturating_duration_since(Instant::now()) > PAGE_TIME
}
