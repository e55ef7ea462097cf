//! Ids of devices, of envelopes, of the entries of a mailbox, and of group states
//! (`docs/protocol.md`, sections 1, 6 and 9).

mod device;
mod entry;
mod envelope;
mod group_state;

pub use device::DeviceId;
pub use entry::{EntryKey, activity_uuid, envelope_key, report_uuid};
pub use envelope::EnvelopeId;
pub use group_state::GroupStateId;

/// True if a text is a UUID in lower-case hyphenated form (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => is_lower_hex(b),
        })
}

/// True if a byte is a lower-case hex digit.
pub(crate) const fn is_lower_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}
