//! The activity of a mailbox entry, as pages and frames have it.

use eko_protocol::activity;
use eko_protocol::address::Origin;
use eko_protocol::letter::FetchedLetter;
use eko_store::device::DeviceAddress;
use eko_store::mailbox::{Entry, EntryContent};
use serde_json::Value;

/// Returns the activity of an entry of a device, with the URL by which the device acknowledges it.
pub fn entry_activity(origin: &Origin, device: DeviceAddress<'_>, entry: Entry) -> Value {
    let url = origin.entry(device.user, &entry.key);
    match entry.content {
        EntryContent::Report { activity: report, .. } => {
            let received_ms = i64::try_from(entry.key.accepted_ms()).unwrap_or(i64::MAX);
            activity::queued(report, received_ms, &url)
        }
        EntryContent::Letter { letter, ciphertext } => {
            let fetched = FetchedLetter {
                letter: *letter,
                to: origin.actor(device.user),
                device: origin.device(device.user, device.device),
                ciphertext,
            };
            fetched.to_value(&url)
        }
    }
}
