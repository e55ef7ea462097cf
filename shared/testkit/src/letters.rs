//! Sends envelopes, and reads mailboxes.

use eko_client::Device;
use eko_client::device::{EntryContent, OutgoingEnvelope, SendOutcome};
use eko_protocol::activity::Report;
use eko_protocol::letter::FetchedLetter;

use crate::{DirectTransport, World};

/// Returns the ciphertext that [`envelope`] has for a device. It differs from device to device.
pub fn ciphertext(device: &Device<DirectTransport>) -> Vec<u8> {
    format!("sealed for {}", device.id()).into_bytes()
}

/// Makes an envelope with a new id for devices of one user.
pub fn envelope(from: &Device<DirectTransport>, to: &[&Device<DirectTransport>]) -> OutgoingEnvelope {
    let id = from.envelope_id();
    let user = to.first().expect("a device").user().clone();
    let messages = to.iter().map(|device| (device.id().clone(), ciphertext(device))).collect();
    OutgoingEnvelope::new(user, id, messages).at(to.first().expect("a device").origin())
}

impl World {
    /// Sends an envelope for these devices, which must be all devices of their user.
    pub async fn send(
        &self,
        from: &Device<DirectTransport>,
        to: &[&Device<DirectTransport>],
    ) -> OutgoingEnvelope {
        let outgoing = envelope(from, to);
        let outcome = from.send(&outgoing).await.expect("an answer");
        assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
        outgoing
    }

    /// Returns the messages on the first page of a device's mailbox. It may hold notices of pending
    /// devices besides, and nothing else.
    pub async fn messages(&self, device: &Device<DirectTransport>) -> Vec<FetchedLetter> {
        let entries = device.fetch().await.expect("a page").entries;
        let message = |content| match content {
            EntryContent::Message(message) => Some(message),
            EntryContent::DeviceOffered(_) => None,
            other => panic!("not a message: {other:?}"),
        };
        entries.into_iter().filter_map(|entry| message(entry.content)).collect()
    }

    /// Returns the reports on the first page of a device's mailbox, which must hold nothing else.
    pub async fn reports(&self, device: &Device<DirectTransport>) -> Vec<Report> {
        let entries = device.fetch().await.expect("a page").entries;
        let report = |content| match content {
            EntryContent::Report(report) => report,
            other => panic!("not a report: {other:?}"),
        };
        entries.into_iter().map(|entry| report(entry.content)).collect()
    }

    /// Acknowledges everything on the first page of a device's mailbox, with receipts.
    pub async fn confirm(&self, device: &Device<DirectTransport>) {
        let entries = device.fetch().await.expect("a page").entries;
        let addresses: Vec<String> = entries.into_iter().map(|entry| entry.address).collect();
        if !addresses.is_empty() {
            device.acknowledge(&addresses).await.expect("acknowledged");
        }
    }
}
