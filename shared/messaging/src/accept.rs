//! Acceptance of an envelope for a user of this server (`docs/protocol.md`, section 5).
//!
//! The sender is a local device ([`crate::send`]) or another server (the function `inbox`).

use std::collections::BTreeSet;

use eko_protocol::Invalid;
use eko_protocol::activity::Report;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::coverage::{self, Coverage};
use eko_protocol::envelope::{Create, EnvelopeHeader};
use eko_protocol::franking::FrankingSecret;
use eko_protocol::id::{self, DeviceId};
use eko_protocol::letter::Letter;
use eko_store::deliveries::{DeviceCiphertext, LetterDelivery};
use eko_store::devices::UserDevices;
use eko_store::fill::MailboxSender;

use crate::active_device::moved;
use crate::known::LetterFate;
use crate::{Messaging, Refusal, Result};

/// The outcome of an envelope for a user of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Every device of the recipient has its ciphertext queued, now or before.
    Complete {
        /// The id of the `Create` activity.
        activity: String,
    },
    /// The ciphertexts are queued, except for devices that lack one or whose mailboxes are full.
    /// The report names them.
    Partial(Report),
    /// Nothing is queued, since the envelope names devices that are not active, or only such whose
    /// mailboxes are full. The report names them, and the devices that lack a ciphertext.
    Rejected(Report),
}

impl Messaging {
    /// Accepts an envelope of another server for `user`.
    ///
    /// Four AWS calls in three rounds, if the author's key is in memory: GetItem of the device set
    /// beside the UpdateItem of the budgets; UpdateItem of the envelope's record; SendMessageBatch.
    /// A rejected envelope costs the first round and the UpdateItem that gives it back; one that
    /// names full devices only, and not all devices, or is for a user who has moved, also the GetItem of
    /// its record.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`], [`Refusal::UserDeleted`], [`Refusal::UserMoved`],
    /// [`Refusal::OverBudget`], and [`Refusal::Invalid`] if a message is
    /// for an address that is not a device of that user. The store is broken or out of reach.
    pub async fn accept_remote(&self, create: &Create, user: &UserName) -> Result<Acceptance> {
        // A message for another user costs no call.
        create.local_ciphertexts(self.origin(), user)?;
        let charge = self.recipient_charge(create, user.as_str());
        let (devices, mut spending) = tokio::join!(self.store().device_set(user), self.spend(None, charge));
        let accept = async {
            let devices = devices?.stored()?;
            spending.check()?;
            if let Some(refusal) = moved(&devices) {
                self.require_accepted(create, user, refusal).await?;
            }
            self.accept(create, user, &devices, None, None).await
        };
        let accepted = accept.await;
        if !matches!(accepted, Ok(Acceptance::Complete { .. } | Acceptance::Partial(_))) {
            self.give_back(spending).await;
        }
        accepted
    }

    /// Compares an envelope with the recipient's device set, records what is accepted, and queues
    /// it: one UpdateItem beside the calls of [`fate`](Self::fate), which are none by default; one
    /// SendMessageBatch.
    ///
    /// A letter that the user does not want is queued too, and dropped there. So its sender gets the
    /// same answer after the same calls, also when the envelope comes again.
    ///
    /// `sender` is the sending device if it is one of the recipient's own (a sync). `franking` is the
    /// key with which this server vouches for what its own users send. If the process
    /// dies between the two calls, the sender has no answer and sends the same envelope again.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if a message is for the sending device or for an address that is not a
    /// device of that user. The store is broken or out of reach.
    pub(crate) async fn accept(
        &self,
        create: &Create,
        user: &UserName,
        devices: &UserDevices,
        sender: Option<&DeviceId>,
        franking: Option<&FrankingSecret>,
    ) -> Result<Acceptance> {
        let messages = create.local_ciphertexts(self.origin(), user)?;
        let mut expected = devices.active_ids();
        if let Some(sender) = sender {
            expected.remove(sender);
            if let Some(index) = messages.iter().position(|(device, _)| device == sender) {
                let pointer = format!("/object/messages/{index}/to");
                return Err(Invalid::at(pointer, "a device sends nothing to itself").into());
            }
        }
        let header = &create.header;
        let named: BTreeSet<DeviceId> = messages.iter().map(|(device, _)| device.clone()).collect();
        if let Coverage::Stale { missing, stale } = coverage::check(&expected, &named, &BTreeSet::new()) {
            let set = Some(devices.set.clone());
            let (author, id) = (&header.author, &header.id);
            let report = Report::stale(self.origin(), user, author, id, &missing, &stale, set);
            return Ok(Acceptance::Rejected(report));
        }
        let now_ms = self.now_ms();
        let author = MailboxSender::of(&header.author, self.origin(), user);
        let is_full = |device: &DeviceId| devices.is_full_for(device, author, now_ms);
        let (full, messages): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|(device, _)| is_full(device));
        let full: Vec<DeviceId> = full.into_iter().map(|(device, _)| device).collect();
        if messages.is_empty() {
            let missing = self.missing_beside(create, user, &expected, &named, now_ms).await?;
            let (author, id, set) = (&header.author, &header.id, Some(devices.set.clone()));
            let report = Report::full(self.origin(), user, author, id, &missing, set);
            return Ok(Acceptance::Rejected(report.with_full_devices(self.origin(), user, &full)));
        }
        let named: BTreeSet<DeviceId> = messages.iter().map(|(device, _)| device.clone()).collect();
        expected.retain(|device| !full.contains(device));
        let keep_until = self.keep_until(now_ms);
        let from = Origin::of(&header.author).filter(|from| from != self.origin());
        // What becomes of a letter takes no round of its own.
        let (record, fate) = tokio::join!(
            self.store().accept_envelope(user, header, from.as_ref(), &named, now_ms, keep_until),
            self.fate(user, devices, header, sender.is_some(), now_ms)
        );
        let (record, fate) = (record?, fate?);
        let uuid = id::activity_uuid(record.accepted_ms.unsigned_abs(), &header.author, &header.id.key());
        let activity = self.origin().activity(&uuid);
        // A device that has acknowledged the envelope does not get it again, whoever sends it
        // again.
        let unacknowledged = messages.into_iter().filter(|(device, _)| !record.acknowledged.contains(device));
        let is_local = self.origin().owns(&header.author);
        let delivery = LetterDelivery {
            to: user.clone(),
            letter: Letter {
                header: EnvelopeHeader {
                    notify: header.notify && fate.wakes(),
                    franking: match is_local {
                        // Nobody but this server vouches for its users.
                        true => franking.and_then(|secret| secret.stamp(header, &activity, &create.to)),
                        false => header.franking,
                    },
                    ..header.clone()
                },
                activity: if is_local { Some(activity.clone()) } else { create.activity.clone() },
                accepted_ms: record.accepted_ms,
                is_request: fate.is_request(),
            },
            ttl: header.expires_ms.map_or(keep_until, |ms| keep_until.min(ms.div_euclid(1000))),
            ciphertexts: unacknowledged
                .map(|(device, content)| DeviceCiphertext { device, content })
                .collect(),
            is_dropped: fate == LetterFate::Dropped,
        };
        self.store().queue_letter(delivery).await?;
        let missing = match coverage::check(&expected, &named, &record.devices) {
            Coverage::Missing(missing) => missing,
            Coverage::All | Coverage::Stale { .. } => Vec::new(),
        };
        if missing.is_empty() && full.is_empty() {
            return Ok(Acceptance::Complete { activity });
        }
        let (author, id, set) = (&header.author, &header.id, Some(devices.set.clone()));
        let report = Report::partial_delivery(self.origin(), user, author, id, &missing, set);
        Ok(Acceptance::Partial(report.with_full_devices(self.origin(), user, &full)))
    }

    /// Checks that an envelope was accepted for all devices that it names. One that comes again after its
    /// author or `user` has moved is answered as it was before, and queued in case that it was not: its
    /// sender may have lost the answer, and the process may have died in between. One GetItem.
    ///
    /// # Errors
    /// `refusal`, if the envelope was not accepted. The store is broken or out of reach.
    pub(crate) async fn require_accepted(
        &self,
        create: &Create,
        user: &UserName,
        refusal: Refusal,
    ) -> Result<()> {
        let messages = create.local_ciphertexts(self.origin(), user)?;
        let record = self.store().envelope_record(user, &create.header, self.now_ms()).await?;
        let accepted = record.map(|record| record.devices).unwrap_or_default();
        match messages.iter().all(|(device, _)| accepted.contains(device)) {
            true => Ok(()),
            false => Err(refusal.into()),
        }
    }

    /// Returns the devices that lack a ciphertext of an envelope, of which all `named` devices are
    /// full. Nothing is written. No call if every expected device is named, one GetItem otherwise.
    async fn missing_beside(
        &self,
        create: &Create,
        user: &UserName,
        expected: &BTreeSet<DeviceId>,
        named: &BTreeSet<DeviceId>,
        now_ms: i64,
    ) -> Result<Vec<DeviceId>> {
        let unnamed: BTreeSet<DeviceId> = expected.difference(named).cloned().collect();
        if unnamed.is_empty() {
            return Ok(Vec::new());
        }
        let record = self.store().envelope_record(user, &create.header, now_ms).await?;
        let accepted = record.map(|record| record.devices).unwrap_or_default();
        Ok(unnamed.difference(&accepted).cloned().collect())
    }
}
