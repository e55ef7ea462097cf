//! Padding (ISO/IEC 7816-4) to one of eight lengths, which hides the length of a message from those
//! who see its ciphertext.
//!
//! ```text
//! the activity ‖ 0x80 ‖ 0x00 … 0x00     1,536 bytes, 2,048, 4,096, … 65,536, or 94,080
//! ```
//!
//! A message of any group and a message to one contact begin with members whose length depends on
//! the conversation. The first length has room for either with a text of some 500 characters, so these
//! differences rarely show.

use eko_protocol::Invalid;

/// The greatest length of a padded activity in bytes. A ciphertext has 96 KiB at most. This leaves
/// 4,224 bytes of it to Signal: a first message of libsignal 0.103 takes 1,774, later ones about a
/// hundred.
pub const MAX_PLAINTEXT: usize = 94_080;

/// All lengths of padded activities in bytes, in order.
pub const PADDED_LENGTHS: [usize; 8] = [1_536, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, MAX_PLAINTEXT];

/// The byte between content and padding.
const END: u8 = 0x80;

/// Appends one `0x80`, and then `0x00` up to the next of the [`PADDED_LENGTHS`].
///
/// # Errors
/// [`Invalid`] if the result would be longer than [`MAX_PLAINTEXT`].
pub fn pad(bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
    let length = PADDED_LENGTHS
        .into_iter()
        .find(|length| bytes.len() < *length)
        .ok_or_else(|| Invalid::whole(format!("has more than {MAX_PLAINTEXT} bytes with its padding")))?;
    let mut padded = Vec::with_capacity(length);
    padded.extend_from_slice(bytes);
    padded.push(END);
    padded.resize(length, 0);
    Ok(padded)
}

/// Returns the bytes that [`pad`] was given.
///
/// # Errors
/// [`Invalid`] if the length is none of the [`PADDED_LENGTHS`], or if the last byte that is not
/// `0x00` is not `0x80`.
pub fn unpad(padded: &[u8]) -> Result<&[u8], Invalid> {
    if !PADDED_LENGTHS.contains(&padded.len()) {
        return Err(Invalid::whole("does not have the length of a padded activity"));
    }
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

    /// Returns these bytes with zeros up to the shortest padded length.
    fn filled(bytes: &[u8]) -> Vec<u8> {
        let mut filled = bytes.to_vec();
        filled.resize(PADDED_LENGTHS[0], 0);
        filled
    }

    #[test]
    fn the_form_of_the_contract() {
        let padded = pad(b"{}").unwrap();
        assert_eq!(padded.len(), 1_536);
        assert_eq!(&padded[..3], b"{}\x80");
        assert!(padded[3..].iter().all(|byte| *byte == 0));
        let mut shortest = 0;
        for length in PADDED_LENGTHS {
            for longest in [shortest, length - 1] {
                assert_eq!(pad(&vec![1; longest]).unwrap().len(), length, "{longest}");
            }
            shortest = length;
        }
        assert!(pad(&[1; MAX_PLAINTEXT]).is_err());
    }

    #[test]
    fn what_is_not_padded_is_refused() {
        for bytes in [&b""[..], b"\0\0\0", b"{}", b"{}\x80\x01\0", b"{}\x81\0"] {
            assert!(unpad(&filled(bytes)).is_err(), "{bytes:?}");
        }
        // Only one `0x80` is removed: another before it belongs to the content.
        assert_eq!(unpad(&filled(b"{}\x80\x80\0")), Ok(&b"{}\x80"[..]));
    }

    /// A client that pads otherwise would show by its lengths which client it is.
    #[test]
    fn a_length_that_no_client_makes_is_refused() {
        let mut padded = pad(b"{}").unwrap();
        padded.resize(MAX_PLAINTEXT + 1, 0);
        while !padded.is_empty() {
            let expected = PADDED_LENGTHS.contains(&padded.len());
            assert_eq!(unpad(&padded).is_ok(), expected, "{}", padded.len());
            padded.pop();
        }
        assert!(unpad(&padded).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
            let padded = pad(&bytes).unwrap();
            prop_assert!(PADDED_LENGTHS.contains(&padded.len()));
            prop_assert_eq!(unpad(&padded), Ok(&bytes[..]));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(unpad(&bytes).is_err());
            let padded = filled(&bytes);
            if let Ok(inner) = unpad(&padded) {
                prop_assert_eq!(pad(inner).unwrap(), padded);
            }
        }
    }
}
