//! Padding: what is padded to what, and what is refused.

use eko_client::content::{MAX_PLAINTEXT, PADDED_LENGTHS, pad, unpad};
use serde_json::{Value, json};

use super::hex;

pub(super) fn vectors() -> Value {
    let padded = ["", "{}", &"x".repeat(1535), &"x".repeat(1536), "ends in 0x80 \u{80}"].map(|plain| {
        let padded = pad(plain.as_bytes()).unwrap();
        assert_eq!(unpad(&padded).unwrap(), plain.as_bytes());
        json!({ "plain": hex(plain), "padded": hex(&padded), "paddedBytes": padded.len() })
    });
    let lengths = PADDED_LENGTHS.map(|length| {
        assert_eq!(pad(&vec![b'x'; length - 1]).unwrap().len(), length);
        json!({ "longestPlain": length - 1, "paddedBytes": length })
    });
    assert!(pad(&[b'x'; MAX_PLAINTEXT]).is_err());
    let shortest = PADDED_LENGTHS[0];
    let filled = |bytes: &[u8], length: usize| {
        let mut filled = bytes.to_vec();
        filled.resize(length, 0);
        filled
    };
    let refused = [
        filled(&[], 0),
        filled(&[], shortest),
        filled(&[0x41], shortest),
        filled(&[0x41, 0x80, 1], shortest),
        filled(&[0x41, 0x80], 160),
        filled(&[0x41, 0x80], shortest - 1),
        filled(&[0x41, 0x80], shortest + 1),
    ];
    let refused = refused.map(|bytes| {
        assert!(unpad(&bytes).is_err());
        hex(&bytes)
    });
    json!({ "padded": padded, "lengths": lengths, "refused": refused })
}
