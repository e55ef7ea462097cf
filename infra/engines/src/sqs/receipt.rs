//! Receipt handles. A handle names a message and one of its receives.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fault::SqsFault;

/// The content of a receipt handle.
///
/// ```text
/// ┌───────────┬───────────┬──────────────────┬──────────────┐
/// │ queue (8) │  row (8)  │ message id (16)  │ receives (8) │   base64url, big endian
/// └───────────┴───────────┴──────────────────┴──────────────┘
/// ```
///
/// SQLite uses row numbers again, so the handle has the message's id too. Every receive counts
/// `receives` up, so a handle is void as soon as the message is received again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReceiptHandle {
    pub(super) queue: i64,
    pub(super) row: i64,
    pub(super) message_id: [u8; 16],
    pub(super) receives: i64,
}

impl ReceiptHandle {
    /// Returns the handle as text.
    pub(super) fn encode(&self) -> String {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&self.queue.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.row.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.message_id);
        bytes[32..].copy_from_slice(&self.receives.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Parses a handle of a message in `queue`.
    ///
    /// # Errors
    /// `ReceiptHandleIsInvalid`, also for a handle of another queue.
    pub(super) fn decode(handle: &str, queue: i64) -> Result<Self, SqsFault> {
        let bytes = URL_SAFE_NO_PAD.decode(handle).map_err(|_| SqsFault::ReceiptHandleIsInvalid)?;
        let receipt = Self::from_bytes(&bytes).ok_or(SqsFault::ReceiptHandleIsInvalid)?;
        if receipt.queue == queue { Ok(receipt) } else { Err(SqsFault::ReceiptHandleIsInvalid) }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (queue, rest) = bytes.split_first_chunk()?;
        let (row, rest) = rest.split_first_chunk()?;
        let (message_id, rest) = rest.split_first_chunk()?;
        Some(Self {
            queue: i64::from_be_bytes(*queue),
            row: i64::from_be_bytes(*row),
            message_id: *message_id,
            receives: i64::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_for_its_own_queue_only() {
        let receipt = ReceiptHandle { queue: 3, row: 1 << 40, message_id: [7; 16], receives: 2 };
        let handle = receipt.encode();
        assert_eq!(ReceiptHandle::decode(&handle, 3).unwrap(), receipt);
        for (handle, queue) in [(handle.as_str(), 4), ("", 3), ("nonsense", 3), (&handle[..52], 3)] {
            assert!(matches!(ReceiptHandle::decode(handle, queue), Err(SqsFault::ReceiptHandleIsInvalid)));
        }
    }
}
