//! Ids: of devices, of envelopes, of the entries in a device's queue.

mod device;
mod entry;
mod envelope;

pub use device::DeviceId;
pub use entry::{EntryKey, activity_uuid, envelope_key};
pub use envelope::EnvelopeId;

/// Whether a text is a UUID in lower-case hyphenated form (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => is_lower_hex(b),
        })
}

pub(crate) const fn is_lower_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}
