//! Signatures in proofs: multibase, base58btc, exactly 64 bytes (`docs/protocol.md`, section 3).
//!
//! ```text
//! ┌─────┬───────────────────────────────────────────┐
//! │ "z" │ base58btc of R and s, 64 to 88 characters │
//! └─────┴───────────────────────────────────────────┘
//! ```
//!
//! base58btc is Bitcoin's alphabet: digits and letters without `0`, `O`, `I` and `l`. Each leading
//! zero byte is written as `1`.

use crate::Invalid;
use crate::key::Signature;

/// The maximum length of 64 bytes in base58: each byte takes log(256) / log(58) characters.
const MAX_CHARS: usize = 88;

/// Writes a signature.
pub fn encode(signature: &Signature) -> String {
    format!("z{}", bs58::encode(signature.as_bytes()).into_string())
}

/// Reads a signature.
///
/// ```
/// use eko_protocol::key::Signature;
/// use eko_protocol::multibase;
///
/// let signature = Signature::from_bytes(&[7; 64])?;
/// let text = multibase::encode(&signature);
/// assert!(text.starts_with('z'));
/// assert_eq!(multibase::decode(&text), Ok(signature));
///
/// assert!(multibase::decode(&text[1..]).is_err());
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
///
/// # Errors
/// [`Invalid`] if the text does not start with `z`, is not base58btc, or holds more or fewer than
/// 64 bytes.
pub fn decode(text: &str) -> Result<Signature, Invalid> {
    let fault = || Invalid::whole("must be a signature of 64 bytes in multibase: z and base58btc");
    let digits = text.strip_prefix('z').filter(|digits| digits.len() <= MAX_CHARS).ok_or_else(fault)?;
    let bytes = bs58::decode(digits).into_vec().map_err(|_| fault())?;
    Signature::from_bytes(&bytes).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_texts_are_refused() {
        let good = encode(&Signature::from_bytes(&[7; 64]).unwrap());
        let short = format!("z{}", bs58::encode([7; 63]).into_string());
        let long = format!("z{}", bs58::encode([7; 65]).into_string());
        for text in [
            "",
            "z",
            &good[1..],
            &good.replacen('z', "Z", 1),
            &format!("{good}0"),
            &format!("{good} "),
            &format!("z1{}", &good[1..]),
            &short,
            &long,
        ] {
            assert!(decode(text).is_err(), "{text:?}");
        }
        assert!(decode(&"z".repeat(1_000_000)).is_err());
    }

    #[test]
    fn leading_zeros_count() {
        for bytes in [[0; 64], [255; 64]] {
            let signature = Signature::from_bytes(&bytes).unwrap();
            assert_eq!(decode(&encode(&signature)), Ok(signature));
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 64)) {
            let signature = Signature::from_bytes(&bytes).unwrap();
            prop_assert_eq!(decode(&encode(&signature)), Ok(signature));
        }

        #[test]
        fn what_is_read_is_written_alike(text in "z[1-9A-HJ-NP-Za-km-z]{84,90}") {
            if let Ok(signature) = decode(&text) {
                prop_assert_eq!(encode(&signature), text);
            }
        }
    }
}
