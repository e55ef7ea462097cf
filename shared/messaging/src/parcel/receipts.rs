//! The bounds on the receipts that wait for one other site, and on those of one account.
//!
//! A receipt is caused by the server that it goes to and by the account that acknowledges. Both may
//! be the same person, who has as many servers under one domain as they like. So each receipt is in
//! two lists: that of the site and that of the account. It is listed when it has to wait for the
//! first time: a server that answers costs nothing. Beyond either bound it is dropped. Envelopes have
//! a list of their own, so that receipts keep no account from sending.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::address::Origin;
use eko_store::inbound::site;
use eko_store::outstanding::Outstanding;
use eko_store::parcels::Parcel;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use super::{ReceivedParcel, ends_with_author, wait};
use crate::{Messaging, Result};

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
    /// One GetItem for each site with a receipt that may be listed already; two UpdateItem for each
    /// receipt that is not. No call without a receipt that has to wait. If a call fails, the receipt
    /// waits without being listed.
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

    /// Reads the lists of the sites whose receipts may be listed already.
    async fn listed_receipts(&self, waiting: &[(ReceivedParcel, i64)]) -> BTreeMap<String, BTreeSet<String>> {
        let may_be_listed =
            waiting.iter().map(|(received, _)| received).filter(|one| self.has_waited(&one.parcel));
        let sites: BTreeSet<String> = may_be_listed.filter_map(site_of_receipt).collect();
        let read = sites.into_iter().map(async |site| {
            let listed = self.store().outstanding(Outstanding::ReceiptsFor(&site)).await;
            let listed = listed.inspect_err(|error| tracing::warn!(%error, "receipts may be listed twice"));
            (site, listed.unwrap_or_default())
        });
        join_all(read).await.into_iter().collect()
    }

    /// Lists one parcel, if it is a receipt that is not listed. Returns false if there is no room.
    async fn fits(&self, received: &ReceivedParcel, listed: &BTreeMap<String, BTreeSet<String>>) -> bool {
        let Some(site) = site_of_receipt(received) else { return true };
        if listed.get(&site).is_some_and(|ids| ids.contains(&list_id(received))) {
            return true;
        }
        match self.list_receipt(received, &site).await {
            Ok(None) => true,
            Ok(Some(full)) => {
                tracing::warn!(site, full, "a receipt is dropped: too many wait");
                false
            }
            Err(error) => {
                tracing::warn!(site, %error, "a receipt waits that is not listed");
                true
            }
        }
    }

    /// Adds a receipt to the list of its account and then to that of its site, which shows that it
    /// is in both. Returns the name of the list that is full, if one is.
    ///
    /// Two UpdateItem. If the list of the site is full, a third one takes the receipt out of the
    /// other. If the process dies in between, the next receive begins anew.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    async fn list_receipt(&self, received: &ReceivedParcel, site: &str) -> Result<Option<&'static str>> {
        let (id, ends_ms) = (list_id(received), received.parcel.ends_ms());
        let (store, limits, now_ms) = (self.store(), self.limits(), self.now_ms());
        let account = Outstanding::ReceiptsOf(&received.parcel.author);
        if !store.add_outstanding(account, &id, ends_ms, limits.account_receipts, now_ms).await? {
            return Ok(Some("the account's"));
        }
        let of_site = Outstanding::ReceiptsFor(site);
        if !store.add_outstanding(of_site, &id, ends_ms, limits.server_receipts, now_ms).await? {
            store.remove_outstanding(account, &id).await?;
            return Ok(Some("the site's"));
        }
        Ok(None)
    }

    /// Removes a receipt that is done from the lists of its account and of its site. Two UpdateItem;
    /// no call for another parcel, and none for a receipt that has not waited.
    pub(super) async fn unlist_receipt(&self, received: &ReceivedParcel) {
        if !self.has_waited(&received.parcel) {
            return;
        }
        let Some(site) = site_of_receipt(received) else { return };
        let id = list_id(received);
        let remove = async |list| {
            if let Err(error) = self.store().remove_outstanding(list, &id).await {
                tracing::warn!(site, %error, "a receipt counts until its time is over");
            }
        };
        let account = Outstanding::ReceiptsOf(&received.parcel.author);
        tokio::join!(remove(account), remove(Outstanding::ReceiptsFor(&site)));
    }

    /// True if a parcel may have waited before. A wait takes longer than the time that this looks
    /// back.
    pub(super) fn has_waited(&self, parcel: &Parcel) -> bool {
        self.now_ms().saturating_sub(parcel.first_ms) >= wait::SHORTEST_MS
    }
}

/// Returns the site of the server of a receipt, and `None` for another parcel. What outlives its author is
/// listed nowhere: the `Delete` of an account, which sends one to each server, and what the server says, of
/// which an account causes a few a day.
fn site_of_receipt(received: &ReceivedParcel) -> Option<String> {
    let parcel = &received.parcel;
    let is_receipt = parcel.outcome_to.is_none() && ends_with_author(parcel);
    let origin = is_receipt.then(|| Origin::of(&parcel.to)).flatten()?;
    Some(site(origin.authority()).to_owned())
}

/// Returns the id of a receipt in its lists. It is made from the message's id, which is the same at
/// each receive. SQS chooses that id, so that nobody can search for one with the same hash.
fn list_id(received: &ReceivedParcel) -> String {
    hex::encode(Sha256::digest(&received.message.id).get(..6).unwrap_or_default())
}
