//! The queue `federation`: activities that wait for another server (`docs/protocol.md`, sections 5
//! and 7).
//!
//! Each receive of a parcel is one attempt, signed anew. A parcel that fails is hidden for as long
//! again as it has waited, and tried for 48 hours. A server that fails is left alone by everyone
//! until its pause is over; then one parcel tries it. A parcel that finds it left alone waits as
//! after an attempt, since SQS counts its receives. The device that sent an envelope is told what
//! became of it.

mod fate;
mod receipts;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use eko_federation::Federation;
use eko_protocol::address::{Origin, UserName};
use eko_store::deliveries::ReportDelivery;
use eko_store::hosts::HostRecord;
use eko_store::outstanding::Outstanding;
use eko_store::parcels::Parcel;
use eko_store::resources::FEDERATION;
use eko_store::waiting::WaitingParcel;
use futures_util::future::join_all;

use crate::dispatch::{Admission, WaitScope};
use crate::{Messaging, MessagingError, QueueMessage, Result};

use fate::ParcelFate;
use receipts::BoundReceipts;

/// The receive at which a parcel is given up that would wait again. A few more are left for
/// failures, before the message goes to the dead-letter queue and nobody is told.
const LAST_RECEIVE: u32 = FEDERATION.max_receives - 20;

/// A message and the parcel in it.
struct ReceivedParcel {
    message: QueueMessage,
    parcel: Parcel,
}

/// The fates of all parcels of a batch.
#[derive(Default)]
struct BatchFates {
    /// The ids of messages that become visible again after the queue's own visibility timeout.
    failed: Vec<String>,
    /// Messages to hide in the queue, each until a time in epoch milliseconds.
    waiting: Vec<(ReceivedParcel, i64)>,
    /// Messages that are done, and the reports for their senders.
    done: Vec<(ReceivedParcel, Option<ReportDelivery>)>,
}

/// True if a parcel is dropped once its author's account is deleted. The deletion itself, and what the server
/// says, are not.
fn ends_with_author(parcel: &Parcel) -> bool {
    !parcel.is_deletion && !parcel.by_server
}

impl Messaging {
    /// Tries the parcels of a batch. Returns the ids of the messages that stay in the queue.
    ///
    /// One BatchGetItem of the records of the parcels' servers, and of the device sets of the authors of
    /// parcels that have waited: those of deleted accounts are dropped; for each parcel the calls of an
    /// attempt; a SendMessageBatch for the reports; an UpdateItem for each envelope that is done and
    /// was listed among its author's parcels, and two for each receipt that begins or ends to wait;
    /// a ChangeMessageVisibilityBatch and a
    /// BatchWriteItem if something has to wait. If the process dies after an attempt, the parcel is tried again: the other server
    /// knows the envelope by its id.
    ///
    /// A server without a `federation` gives every parcel up.
    pub async fn try_parcels(
        &self,
        federation: Option<&Federation>,
        batch: Vec<QueueMessage>,
    ) -> Vec<String> {
        let mut fates = BatchFates::default();
        let mut by_server: BTreeMap<Origin, Vec<ReceivedParcel>> = BTreeMap::new();
        for message in batch {
            let parsed = Parcel::parse(&message.body).map(|parcel| (Origin::of(&parcel.to), parcel));
            let Ok((Some(origin), parcel)) = parsed else {
                tracing::error!(message = message.id, "not a parcel");
                fates.failed.push(message.id);
                continue;
            };
            let received = ReceivedParcel { message, parcel };
            match self.too_early(&received.parcel) {
                Some(fate) => self.sort(&origin, received, Ok(fate), &mut fates),
                None => by_server.entry(origin).or_default().push(received),
            }
        }
        let authorities: Vec<&str> = by_server.keys().map(Origin::authority).collect();
        let old = by_server.values().flatten().filter(|received| self.may_be_of_nobody(&received.parcel));
        let authors: BTreeSet<UserName> = old.map(|received| received.parcel.author.clone()).collect();
        let hosts = match self.store().hosts(&authorities, &authors).await {
            Ok((hosts, deleted)) => {
                for group in by_server.values_mut() {
                    let dropped = group.extract_if(.., |received| {
                        ends_with_author(&received.parcel) && deleted.contains(&received.parcel.author)
                    });
                    fates.done.extend(dropped.map(|received| (received, None)));
                }
                hosts
            }
            Err(error) => {
                tracing::error!(%error, "nothing can be delivered to other servers");
                fates.failed.extend(by_server.into_values().flatten().map(|received| received.message.id));
                return self.settle(fates).await;
            }
        };
        let groups = by_server.into_iter().zip(hosts);
        let groups = groups.map(|((origin, group), host)| self.try_group(federation, origin, group, host));
        for group in join_all(groups).await {
            fates.failed.extend(group.failed);
            fates.waiting.extend(group.waiting);
            fates.done.extend(group.done);
        }
        self.settle(fates).await
    }

    /// True if the author of a parcel may have been deleted since it was queued: it has waited. Others are
    /// posted as if the account had been deleted a moment later.
    fn may_be_of_nobody(&self, parcel: &Parcel) -> bool {
        ends_with_author(parcel) && self.has_waited(parcel)
    }

    /// Tries the parcels for one server: one first, and then the others at once. A server that
    /// cannot be connected to costs a batch one connection.
    ///
    /// If the first one only waits by itself, so do the parcels that have its author or its
    /// recipient: one sender's slow address costs a batch one attempt.
    async fn try_group(
        &self,
        federation: Option<&Federation>,
        origin: Origin,
        mut group: Vec<ReceivedParcel>,
        host: HostRecord,
    ) -> BatchFates {
        let mut fates = BatchFates::default();
        if group.is_empty() {
            return fates;
        }
        let why = host.why.clone();
        let host = match self.admit(&origin, host).await {
            Ok(Admission::LeftAlone { until_ms }) => {
                self.postpone_all(&origin, &why, group, until_ms, &mut fates);
                return fates;
            }
            Ok(Admission::Admitted(host)) => host,
            Err(error) => {
                log(&origin, &error);
                fates.failed.extend(group.into_iter().map(|received| received.message.id));
                return fates;
            }
        };
        let first = group.remove(0);
        let fate = self.try_parcel(federation, &origin, &host, &first.parcel).await;
        // Unless it says so, the attempt has left no failure to record.
        let mut open = HostRecord { wants_cavage: host.wants_cavage, ..HostRecord::default() };
        match fate.as_ref().map(ParcelFate::scope) {
            Ok(WaitScope::Activity) => {}
            Ok(WaitScope::Server { until_ms }) => {
                self.postpone_all(&origin, &why, std::mem::take(&mut group), until_ms, &mut fates);
            }
            Ok(WaitScope::Parties) => {
                let Parcel { author, to, .. } = &first.parcel;
                let same = |one: &ReceivedParcel| one.parcel.author == *author || one.parcel.to == *to;
                let (same, others): (Vec<_>, Vec<_>) = group.into_iter().partition(same);
                let now_ms = self.now_ms();
                for received in same {
                    let until_ms = wait::next_ms(received.parcel.first_ms, now_ms);
                    self.postpone_all(&origin, &why, vec![received], until_ms, &mut fates);
                }
                (open, group) = self.open_record(&origin, others, &mut fates).await;
            }
            Err(_) => (open, group) = self.open_record(&origin, group, &mut fates).await,
        }
        self.sort(&origin, first, fate, &mut fates);
        let attempts = group.iter().map(|one| self.try_parcel(federation, &origin, &open, &one.parcel));
        let outcomes = join_all(attempts).await;
        for (received, fate) in group.into_iter().zip(outcomes) {
            self.sort(&origin, received, fate, &mut fates);
        }
        fates
    }

    /// Reads the record of a server again after a failed attempt. Returns it with the parcels that
    /// may be tried: none if others have tripped the circuit breaker meanwhile. One GetItem; no call
    /// without parcels.
    async fn open_record(
        &self,
        origin: &Origin,
        group: Vec<ReceivedParcel>,
        fates: &mut BatchFates,
    ) -> (HostRecord, Vec<ReceivedParcel>) {
        if group.is_empty() {
            return Default::default();
        }
        match self.store().host(origin.authority()).await {
            Ok(host) if host.until_ms == 0 => return (host, group),
            Ok(host) => self.postpone_all(origin, &host.why, group, host.until_ms, fates),
            Err(error) => {
                log(origin, &error.into());
                fates.failed.extend(group.into_iter().map(|received| received.message.id));
            }
        }
        Default::default()
    }

    /// Postpones parcels for one server until a time in epoch milliseconds, without an attempt.
    fn postpone_all(
        &self,
        origin: &Origin,
        why: &str,
        group: Vec<ReceivedParcel>,
        until_ms: i64,
        fates: &mut BatchFates,
    ) {
        for received in group {
            let fate = self.postpone(origin, why, &received.parcel, until_ms);
            self.sort(origin, received, Ok(fate), fates);
        }
    }

    /// Adds the fate of one parcel to those of the batch.
    fn sort(
        &self,
        origin: &Origin,
        received: ReceivedParcel,
        fate: Result<ParcelFate>,
        fates: &mut BatchFates,
    ) {
        match fate {
            Ok(ParcelFate::Done { report, .. }) => fates.done.push((received, report)),
            Ok(ParcelFate::Wait { .. }) if received.message.receives >= LAST_RECEIVE => {
                tracing::error!(message = received.message.id, "given up: it was received too often");
                let report = self.too_often_report(origin, &received.parcel);
                fates.done.push((received, report));
            }
            Ok(ParcelFate::Wait { until_ms, .. }) => {
                let until_ms = wait::with_jitter(until_ms, self.random());
                fates.waiting.push((received, until_ms));
            }
            Err(error) => {
                log(origin, &error);
                fates.failed.push(received.message.id);
            }
        }
    }

    /// Removes a parcel that is done from the list that it is in, and its stored text.
    async fn discard(&self, received: &ReceivedParcel) {
        let (ReceivedParcel { message, parcel }, store) = (received, self.store());
        let remove = async {
            match &parcel.listed_as {
                Some(id) => store.remove_outstanding(Outstanding::EnvelopesOf(&parcel.author), id).await,
                None => Ok(()),
            }
        };
        let text = store.discard_parcel(&parcel.body);
        let (removed, discarded, ()) = tokio::join!(remove, text, self.unlist_receipt(received));
        if let Err(error) = removed {
            tracing::warn!(message = message.id, %error, "a parcel counts until its time is over");
        }
        // A stored body that stays goes by its time to live.
        if let Err(error) = discarded {
            tracing::warn!(message = message.id, %error, "the body of a delivered activity stays");
        }
    }

    /// Queues the reports for the senders, removes what is kept of parcels that are done, and hides
    /// the messages that wait. Returns the ids of the messages that stay in the queue, among
    /// them those whose reports could not be queued.
    async fn settle(&self, fates: BatchFates) -> Vec<String> {
        let BatchFates { mut failed, waiting, mut done } = fates;
        let store = self.store();
        let BoundReceipts { waiting, dropped } = self.bound_receipts(waiting).await;
        done.extend(dropped.into_iter().map(|received| (received, None)));
        let (received, reports): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        match store.queue_reports(reports.into_iter().flatten().collect()).await {
            Ok(()) => {
                join_all(received.iter().map(|received| self.discard(received))).await;
            }
            Err(error) => {
                tracing::error!(%error, "outcomes could not be queued");
                failed.extend(received.into_iter().map(|received| received.message.id));
            }
        }
        let listed = |(received, until_ms): &(ReceivedParcel, i64)| WaitingParcel {
            authority: Origin::of(&received.parcel.to)
                .map(|to| to.authority().to_owned())
                .unwrap_or_default(),
            message: received.message.id.clone(),
            receipt: received.message.receipt_handle.clone(),
            until_ms: *until_ms,
        };
        let hidden: Vec<WaitingParcel> = waiting.iter().map(listed).collect();
        if let Err(error) = store.postpone_parcels(&hidden, self.now_ms()).await {
            tracing::warn!(%error, "messages come back by the queue's timeout, or are not woken");
        }
        failed.extend(waiting.into_iter().map(|(received, _)| received.message.id));
        failed
    }
}

fn log(origin: &Origin, error: &MessagingError) {
    tracing::error!(host = origin.authority(), %error, "an attempt could not be made");
}
