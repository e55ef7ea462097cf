//! SPQR's part of a message (the sparse post-quantum ratchet), looked over before libsignal reads it.
//!
//! libsignal reads it before the MAC says who wrote it, and this version panics where it is cut short, where its
//! epoch is 0, and, with overflow checks, where a number is longer than any is. What a server, or whoever is
//! between, sends must not end the process. The form, numbers as in protobuf:
//!
//! ```text
//! version 1 | epoch, from 1 | index | kind of payload | and but for two kinds: number of the chunk, its 32 bytes
//! ```

const VERSION_1: u8 = 1;
const WITHOUT_A_CHUNK: [u8; 2] = [0, 4];
const CHUNK_BYTES: usize = 32;
const MAX_NUMBER_BYTES: usize = 10;

/// Whether libsignal can read it to its end. One that is not there, or of another version, it does not read.
pub(super) fn is_whole(message: &[u8]) -> bool {
    match message.split_first() {
        Some((&VERSION_1, rest)) => version_1(rest).is_some(),
        _ => true,
    }
}

fn version_1(message: &[u8]) -> Option<()> {
    let (epoch, rest) = number(message)?;
    let (_, rest) = number(rest)?;
    let (kind, rest) = rest.split_first()?;
    let chunk_is_whole = || number(rest).is_some_and(|(_, chunk)| chunk.len() >= CHUNK_BYTES);
    (epoch > 0 && (WITHOUT_A_CHUNK.contains(kind) || chunk_is_whole())).then_some(())
}

/// A number of at most ten bytes, seven bits in each, and what comes after it.
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
            assert!(is_whole(&[1, 1, 0, kind]));
            assert!(is_whole(&[1, 0xAC, 0x02, 0xFF, 0x01, kind, 7, 7]));
        }
        for kind in [1, 2, 3, 5, 6] {
            let message = [&[1, 1, 0, kind, 0x80, 0x01][..], &[0; CHUNK_BYTES]].concat();
            assert!(is_whole(&message));
            assert!(!is_whole(&message[..message.len() - 1]));
        }
        assert!(is_whole(&[]) && is_whole(&[0]) && is_whole(&[2, 0xFF]));
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
            assert!(!is_whole(message), "{message:?}");
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
