//! RSA keys (`docs/protocol.md`, section 7): the server's own key, which signs requests, and the
//! public keys of actors on other servers.
//!
//! AWS-LC does all arithmetic, in constant time. The `rsa` crate does not (RUSTSEC-2023-0071).

mod pem;
mod public;
mod signing;

use aws_lc_rs::rsa;

pub use public::PublicKey;
pub use signing::SigningKey;

/// The accepted sizes of a modulus in bits. A smaller one can be factored; a larger one only costs
/// time.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The least public exponent. With small exponents, a mistake in a padding check allows forgeries.
const LEAST_EXPONENT: u64 = 65_537;

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
    /// The public exponent is even or below 65537.
    #[error("the key's public exponent is below 65537 or even")]
    Exponent,
    /// AWS-LC failed in an operation that does not depend on the key.
    #[error("the cryptographic library failed")]
    Library,
}

/// Checks the size of the modulus and the exponent.
fn check_numbers(key: &rsa::PublicKey) -> Result<(), KeyFault> {
    let bits = bits(key.modulus().big_endian_without_leading_zero());
    if !MODULUS_BITS.contains(&bits) {
        return Err(KeyFault::Modulus(bits));
    }
    let exponent = key.exponent().big_endian_without_leading_zero();
    // AWS-LC has refused exponents of more than 33 bits before.
    let exponent = exponent.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    if exponent < LEAST_EXPONENT || exponent.is_multiple_of(2) {
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
