//! RSA keys (`docs/protocol.md`, section 7): the server's own key, which signs requests, and the
//! public keys of actors on other servers.
//!
//! The crate `rsa` reads the keys of other servers, in memory-safe Rust, and generates the key of a
//! local server. AWS-LC signs and verifies (`docs/decisions/0009-rsa.md`).

mod pem;
mod public;
mod signing;

pub use public::PublicKey;
pub use signing::SigningKey;

/// The accepted sizes of a modulus in bits. A smaller one can be factored; a larger one only costs
/// time.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The accepted public exponents, of which even ones are refused, too. With small exponents, a
/// mistake in a padding check allows forgeries; large ones only cost time.
const EXPONENTS: std::ops::Range<u64> = 65_537..1 << 33;

/// The reason why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The text is longer than 16 KiB.
    #[error("the key is longer than 16 KiB")]
    TooLong,
    /// The text is not exactly one PEM block, or its content is not base64.
    #[error("the key is not one PEM block")]
    NotPem,
    /// The label of the PEM block is not that of the expected kind of key.
    #[error("the PEM block is not labelled as a key of this kind")]
    Label,
    /// The content is not an RSA key in the encoding of its label.
    #[error("the key is not an RSA key")]
    NotRsa,
    /// The modulus has fewer than 2048 or more than 8192 bits.
    #[error("the key has a modulus of {0} bits, not 2048 to 8192")]
    Modulus(usize),
    /// The public exponent is even, below 65537, or longer than 33 bits.
    #[error("the key's public exponent is below 65537, longer than 33 bits, or even")]
    Exponent,
    /// AWS-LC failed in an operation that does not depend on the key.
    #[error("the cryptographic library failed")]
    Library,
}

/// Checks the size of a modulus, and an exponent. Both are big-endian and have no leading zeros.
fn check_numbers(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyFault> {
    let modulus_bits = bits(modulus);
    if !MODULUS_BITS.contains(&modulus_bits) {
        return Err(KeyFault::Modulus(modulus_bits));
    }
    let number = exponent.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    if bits(exponent) > 64 || !EXPONENTS.contains(&number) || number.is_multiple_of(2) {
        return Err(KeyFault::Exponent);
    }
    Ok(())
}

/// Returns the number of bits of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |byte| byte.leading_zeros());
    number.len() * 8 - zeros as usize
}

#[cfg(test)]
mod tests;
