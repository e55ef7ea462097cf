//! Padding (ISO/IEC 7816-4), which hides the exact length of a message from those who see its
//! ciphertext.

use eko_protocol::Invalid;

/// The unit of padded lengths, which is that of Signal's clients.
pub const PADDING_STEP: usize = 160;

/// The byte between content and padding.
const END: u8 = 0x80;

/// Appends one `0x80`, and then `0x00` up to the next multiple of [`PADDING_STEP`].
pub fn pad(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().saturating_add(1).next_multiple_of(PADDING_STEP);
    let mut padded = Vec::with_capacity(length);
    padded.extend_from_slice(bytes);
    padded.push(END);
    padded.resize(length, 0);
    padded
}

/// Returns the bytes that [`pad`] was given.
///
/// # Errors
/// [`Invalid`] if the last byte that is not `0x00` is not `0x80`.
pub fn unpad(padded: &[u8]) -> Result<&[u8], Invalid> {
    let end = padded.iter().rposition(|byte| *byte != 0).and_then(|at| padded.split_at_checked(at));
    match end {
        Some((bytes, [END, ..])) => Ok(bytes),
        _ => Err(Invalid::whole("is not padded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_form_of_the_contract() {
        let padded = pad(b"{}");
        assert_eq!(padded.len(), 160);
        assert_eq!(&padded[..3], b"{}\x80");
        assert!(padded[3..].iter().all(|byte| *byte == 0));
        for (length, expected) in [(0, 160), (159, 160), (160, 320), (319, 320)] {
            assert_eq!(pad(&vec![1; length]).len(), expected);
        }
    }

    #[test]
    fn what_is_not_padded_is_refused() {
        for bytes in [&b""[..], b"\0\0\0", b"{}", b"{}\0\0", b"{}\x80\x01\0", b"{}\x81\0"] {
            assert!(unpad(bytes).is_err(), "{bytes:?}");
        }
        // Only one `0x80` is removed: another before it belongs to the content.
        assert_eq!(unpad(b"{}\x80\x80\0"), Ok(&b"{}\x80"[..]));
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let padded = pad(&bytes);
            prop_assert_eq!(padded.len() % PADDING_STEP, 0);
            prop_assert_eq!(unpad(&padded), Ok(&bytes[..]));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(inner) = unpad(&bytes) {
                prop_assert_eq!(pad(inner)[..=inner.len()].to_vec(), bytes[..=inner.len()].to_vec());
            }
        }
    }
}
