//! Receipt handles: which message, and which of its receives.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fault::Fault;

/// ```text
/// ┌───────────┬───────────┬──────────────────┬──────────────┐
/// │ queue (8) │  row (8)  │ message id (16)  │ receives (8) │   base64url, big endian
/// └───────────┴───────────┴──────────────────┴──────────────┘
/// ```
///
/// SQLite gives row numbers out again, hence the message id; each receive counts `receives` up, so that the
/// handle of an earlier receive names nothing any more once there was a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) queue: i64,
    pub(super) row: i64,
    pub(super) message_id: [u8; 16],
    pub(super) receives: i64,
}

impl Receipt {
    pub(super) fn encode(&self) -> String {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&self.queue.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.row.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.message_id);
        bytes[32..].copy_from_slice(&self.receives.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a handle given for `queue`; one of another queue is as invalid as a made-up one.
    pub(super) fn decode(handle: &str, queue: i64) -> Result<Self, Fault> {
        let bytes = URL_SAFE_NO_PAD.decode(handle).map_err(|_| Fault::ReceiptHandleIsInvalid)?;
        let receipt = Self::from_bytes(&bytes).ok_or(Fault::ReceiptHandleIsInvalid)?;
        if receipt.queue == queue { Ok(receipt) } else { Err(Fault::ReceiptHandleIsInvalid) }
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
        let receipt = Receipt { queue: 3, row: 1 << 40, message_id: [7; 16], receives: 2 };
        let handle = receipt.encode();
        assert_eq!(Receipt::decode(&handle, 3).unwrap(), receipt);
        for (handle, queue) in [(handle.as_str(), 4), ("", 3), ("nonsense", 3), (&handle[..52], 3)] {
            assert!(matches!(Receipt::decode(handle, queue), Err(Fault::ReceiptHandleIsInvalid)));
        }
    }
}
