//! The bound on the receipts that wait for one other server.
//!
//! A receipt is caused by the server that it goes to, so that it counts for that server and for no
//! account here. It is listed when it has to wait for the first time: a server that answers costs
//! nothing. Beyond the bound, receipts for that server are dropped.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::address::Origin;
use eko_store::outstanding::Outstanding;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use super::{ReceivedParcel, wait};
use crate::Messaging;

/// The receipts of a batch that have to wait, and those that are dropped.
pub(super) struct BoundReceipts {
    /// The messages that wait, each until a time in epoch milliseconds.
    pub(super) waiting: Vec<(ReceivedParcel, i64)>,
    /// The messages that are dropped.
    pub(super) dropped: Vec<ReceivedParcel>,
}

impl Messaging {
    /// Lists the receipts that have to wait, and drops those for which there is no room. Other
    /// parcels pass.
    ///
    /// One GetItem for each server with a receipt that may be listed already; one UpdateItem for
    /// each receipt that is not. No call without a receipt that has to wait. If a call fails, the
    /// receipt waits without being listed.
    pub(super) async fn bound_receipts(&self, waiting: Vec<(ReceivedParcel, i64)>) -> BoundReceipts {
        let listed = self.listed_receipts(&waiting).await;
        let fits = join_all(waiting.iter().map(|(received, _)| self.fits(received, &listed))).await;
        let mut bound = BoundReceipts { waiting: Vec::new(), dropped: Vec::new() };
        for ((received, until_ms), fits) in waiting.into_iter().zip(fits) {
            match fits {
                true => bound.waiting.push((received, until_ms)),
                false => bound.dropped.push(received),
            }
        }
        bound
    }

    /// Reads the lists of the servers whose receipts may be listed already, by authority.
    async fn listed_receipts(&self, waiting: &[(ReceivedParcel, i64)]) -> BTreeMap<String, BTreeSet<String>> {
        let may_be_listed = waiting.iter().map(|(received, _)| received).filter(|one| self.has_waited(one));
        let servers: BTreeSet<String> = may_be_listed.filter_map(authority).collect();
        let read = servers.into_iter().map(async |authority| {
            let listed = self.store().outstanding(Outstanding::ForServer(&authority)).await;
            let listed = listed.inspect_err(|error| tracing::warn!(%error, "receipts may be listed twice"));
            (authority, listed.unwrap_or_default())
        });
        join_all(read).await.into_iter().collect()
    }

    /// Lists one parcel, if it is a receipt that is not listed. Returns false if there is no room.
    async fn fits(&self, received: &ReceivedParcel, listed: &BTreeMap<String, BTreeSet<String>>) -> bool {
        let Some(authority) = authority(received) else { return true };
        let id = list_id(received);
        if listed.get(&authority).is_some_and(|ids| ids.contains(&id)) {
            return true;
        }
        let (list, most) = (Outstanding::ForServer(&authority), self.limits().server_receipts);
        let ends_ms = received.parcel.ends_ms();
        match self.store().add_outstanding(list, &id, ends_ms, most, self.now_ms()).await {
            Ok(true) => true,
            Ok(false) => {
                tracing::warn!(host = authority, "a receipt is dropped: too many wait for that server");
                false
            }
            Err(error) => {
                tracing::warn!(host = authority, %error, "a receipt waits that is not listed");
                true
            }
        }
    }

    /// Removes a receipt that is done from the list of its server. One UpdateItem; no call for
    /// another parcel, and none for a receipt that has not waited.
    pub(super) async fn unlist_receipt(&self, received: &ReceivedParcel) {
        if !self.has_waited(received) {
            return;
        }
        let Some(authority) = authority(received) else { return };
        let list = Outstanding::ForServer(&authority);
        if let Err(error) = self.store().remove_outstanding(list, &list_id(received)).await {
            tracing::warn!(host = authority, %error, "a receipt counts until its time is over");
        }
    }

    /// True if a parcel may have waited before. A wait takes longer than the time that this looks
    /// back.
    fn has_waited(&self, received: &ReceivedParcel) -> bool {
        self.now_ms().saturating_sub(received.parcel.first_ms) >= wait::SHORTEST_MS
    }
}

/// Returns the authority of the server of a receipt, and `None` for another parcel.
fn authority(received: &ReceivedParcel) -> Option<String> {
    let parcel = &received.parcel;
    let origin = parcel.outcome_to.is_none().then(|| Origin::of(&parcel.to)).flatten()?;
    Some(origin.authority().to_owned())
}

/// Returns the id of a receipt in the list of its server. It is made from the message's id, which
/// is the same at each receive.
fn list_id(received: &ReceivedParcel) -> String {
    hex::encode(Sha256::digest(&received.message.id).get(..6).unwrap_or_default())
}
