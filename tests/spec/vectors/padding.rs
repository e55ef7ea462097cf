//! Padding: what is padded to what, and what is refused.

use eko_client::content::{pad, unpad};
use serde_json::{Value, json};

use super::hex;

pub(super) fn vectors() -> Value {
    let padded = ["", "{}", &"x".repeat(158), &"x".repeat(159), &"x".repeat(160), "ends in 0x80 \u{80}"].map(
        |plain| {
            let padded = pad(plain.as_bytes());
            assert_eq!(padded.len() % 160, 0);
            assert_eq!(unpad(&padded).unwrap(), plain.as_bytes());
            json!({ "plain": hex(plain), "padded": hex(&padded), "paddedBytes": padded.len() })
        },
    );
    let accepted =
        [(vec![0x80], vec![]), (vec![0x41, 0x80, 0, 0], vec![0x41]), (vec![0x80, 0x80], vec![0x80])];
    let accepted = accepted.map(|(padded, plain): (Vec<u8>, Vec<u8>)| {
        assert_eq!(unpad(&padded).unwrap(), plain);
        json!({ "padded": hex(&padded), "plain": hex(&plain) })
    });
    let refused = [vec![], vec![0], vec![0x41], vec![0x41, 0, 0], vec![0x80, 0x41]].map(|bytes: Vec<u8>| {
        assert!(unpad(&bytes).is_err());
        hex(&bytes)
    });
    json!({ "padded": padded, "readAnyway": accepted, "refused": refused })
}
