//! Mailboxes that tests read page by page.

use std::collections::BTreeMap;

use eko_client::Device;
use eko_client::device::{EntryContent, MailboxPage, OutgoingEnvelope};
use eko_protocol::id::EnvelopeId;
use eko_testkit::{DirectTransport, ciphertext};

/// Fetches all pages of a device's mailbox, oldest entries first.
pub(crate) async fn pages(device: &Device<DirectTransport>) -> Vec<MailboxPage> {
    let mut pages = vec![device.fetch().await.unwrap()];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        pages.push(device.fetch_after(&next).await.unwrap());
    }
    pages
}

/// Counts the entries of each envelope in a device's mailbox.
///
/// Asserts that each message has the ciphertext that `eko_testkit::envelope` makes for the device.
pub(crate) async fn entry_counts(device: &Device<DirectTransport>) -> BTreeMap<EnvelopeId, usize> {
    let mut counts = BTreeMap::new();
    for entry in pages(device).await.into_iter().flat_map(|page| page.entries) {
        if let EntryContent::Message(message) = entry.content {
            assert_eq!(message.ciphertext, ciphertext(device));
            *counts.entry(message.letter.header.id).or_default() += 1;
        }
    }
    counts
}

/// Returns the counts of a mailbox that has exactly one entry of each of these envelopes.
pub(crate) fn one_entry_each<'a>(
    envelopes: impl IntoIterator<Item = &'a OutgoingEnvelope>,
) -> BTreeMap<EnvelopeId, usize> {
    envelopes.into_iter().map(|outgoing| (outgoing.id.clone(), 1)).collect()
}
