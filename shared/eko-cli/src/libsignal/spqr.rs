//! A check of a message's SPQR part (the sparse post-quantum ratchet), which must pass before
//! libsignal reads it.
//!
//! libsignal reads this part before it checks the MAC. This version of libsignal panics if the part
//! is cut short, if its epoch is 0, and, with overflow checks, if a number has too many bytes. A
//! server or someone on the network must not be able to end the process. The part has this form,
//! with numbers as in protobuf:
//!
//! ```text
//! version (1) | epoch (from 1) | index | kind | number of the chunk | chunk (32 bytes)
//! ```
//!
//! The kinds 0 and 4 have no chunk.

const VERSION_1: u8 = 1;
const WITHOUT_A_CHUNK: [u8; 2] = [0, 4];
const CHUNK_BYTES: usize = 32;
const MAX_NUMBER_BYTES: usize = 10;

/// True if libsignal can read the part without a panic. libsignal does not read an empty part or
/// another version.
pub(super) fn is_readable(message: &[u8]) -> bool {
    match message.split_first() {
        Some((&VERSION_1, rest)) => is_readable_version_1(rest).unwrap_or(false),
        _ => true,
    }
}

/// True if the part is readable, `None` if it is cut short before the chunk.
fn is_readable_version_1(message: &[u8]) -> Option<bool> {
    let (epoch, rest) = number(message)?;
    let (_, rest) = number(rest)?;
    let (kind, rest) = rest.split_first()?;
    let chunk_is_whole = || number(rest).is_some_and(|(_, chunk)| chunk.len() >= CHUNK_BYTES);
    Some(epoch > 0 && (WITHOUT_A_CHUNK.contains(kind) || chunk_is_whole()))
}

/// Reads a number of at most ten bytes with seven bits each, and returns it with the bytes after
/// it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes.iter().take(MAX_NUMBER_BYTES).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at_checked(last.checked_add(1)?)?;
    let number = number.iter().rev().fold(0, |number: u64, byte| number << 7 | u64::from(byte & 0x7F));
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libsignal_reads_to_its_end() {
        for kind in WITHOUT_A_CHUNK {
            assert!(is_readable(&[1, 1, 0, kind]));
            assert!(is_readable(&[1, 0xAC, 0x02, 0xFF, 0x01, kind, 7, 7]));
        }
        for kind in [1, 2, 3, 5, 6] {
            let message = [&[1, 1, 0, kind, 0x80, 0x01][..], &[0; CHUNK_BYTES]].concat();
            assert!(is_readable(&message));
            assert!(!is_readable(&message[..message.len() - 1]));
        }
        assert!(is_readable(&[]) && is_readable(&[0]) && is_readable(&[2, 0xFF]));
    }

    #[test]
    fn what_it_would_panic_on() {
        let too_long = [&[1][..], &[0x80; 10], &[1, 0, 0]].concat();
        let too_long_index = [&[1, 1][..], &[0x80; 10], &[1, 0]].concat();
        for message in [
            &[1][..],
            &[1, 1],
            &[1, 1, 0],
            &[1, 0x80],
            &[1, 0, 0, 0],
            &[1, 0x80, 0x80, 0x00, 0, 0],
            &too_long,
            &too_long_index,
            &[1, 1, 0, 1, 5],
        ] {
            assert!(!is_readable(message), "{message:?}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(&[0xAC, 0x02, 9]), Some((300, &[9][..])));
        let largest = [&[0xFF; 9][..], &[1]].concat();
        assert_eq!(number(&largest), Some((u64::MAX, &[][..])));
        assert_eq!(number(&[]), None);
    }
}
