//! RSA keys: the server's own, and those of others (`docs/protocol.md`, section 7). All arithmetic is AWS-LC's,
//! in constant time: the `rsa` crate is not (RUSTSEC-2023-0071).

mod pem;
mod public;
mod signing;

use aws_lc_rs::rsa;

pub use public::PublicKey;
pub use signing::SigningKey;

/// The sizes of a modulus that are trusted, in bits: below is breakable, above only costs time.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The least public exponent; smaller ones have made every padding mistake a forgery.
const LEAST_EXPONENT: u64 = 65_537;

/// Why a key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The text is longer than any key.
    #[error("the key is longer than 16 KiB")]
    TooLong,
    /// Not exactly one PEM block, or not base64 within.
    #[error("the key is not one PEM block")]
    NotPem,
    /// A PEM block of something else: a certificate, a private key where a public one is asked for.
    #[error("the PEM block is not labelled as a key of this kind")]
    Label,
    /// What is in the block is not an RSA key in the encoding that its label says.
    #[error("the key is not an RSA key")]
    NotRsa,
    /// The modulus is below 2048 or above 8192 bits.
    #[error("the key has a modulus of {0} bits, not 2048 to 8192")]
    Modulus(usize),
    /// The public exponent is even or below 65537.
    #[error("the key's public exponent is below 65537 or even")]
    Exponent,
    /// AWS-LC failed at what it does not fail at.
    #[error("the cryptographic library failed")]
    Library,
}

fn check_numbers(key: &rsa::PublicKey) -> Result<(), KeyFault> {
    let bits = bits(key.modulus().big_endian_without_leading_zero());
    if !MODULUS_BITS.contains(&bits) {
        return Err(KeyFault::Modulus(bits));
    }
    let exponent = key.exponent().big_endian_without_leading_zero();
    // AWS-LC refuses more than 33 bits already.
    let exponent = exponent.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    if exponent < LEAST_EXPONENT || exponent.is_multiple_of(2) {
        return Err(KeyFault::Exponent);
    }
    Ok(())
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |byte| byte.leading_zeros());
    number.len() * 8 - zeros as usize
}

#[cfg(test)]
mod tests;
