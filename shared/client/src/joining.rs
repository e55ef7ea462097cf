//! The joining code, which a user carries from a new device to an active one (`docs/protocol.md`,
//! section 3).
//!
//! ```text
//! 128 random bits  ── times 29 ──►  a number of 40 digits  ──►  01234 56789 01234 … (8 groups)
//! ```
//!
//! A number of 40 digits is a code if it is a multiple of 29 and the quotient has 128 bits. Every
//! single wrong digit, and every swap of two neighbouring digits, makes a number that is no
//! multiple of 29. So a typing error is told from the code of another device.

use eko_protocol::chain::{JOINING_SECRET_BYTES, JoiningKeys};
use zeroize::Zeroizing;

use crate::Environment;

/// The number of groups of digits.
const GROUPS: usize = 8;
/// The number of digits of a group.
const GROUP_DIGITS: usize = 5;
/// The number after the greatest group.
const BASE: u32 = 100_000;
/// The prime whose multiples codes are. The greatest code, 29 times 2^128, just has 40 digits.
const CHECK: u32 = 29;

/// A joining code: a secret of 128 bits that a new device draws and shows. Whoever enters it on an
/// active device lets the two devices recognise each other.
#[derive(Clone)]
pub struct JoiningCode(Zeroizing<[u8; JOINING_SECRET_BYTES]>);

/// A text that is no joining code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoiningCodeError {
    /// The text has another number of digits than 40.
    #[error("a joining code has 40 digits, and this has {0}")]
    Length(usize),
    /// The text has other characters than digits, spaces and hyphens.
    #[error("a joining code has only digits, in groups of five")]
    Character,
    /// The digits are those of no code: at least one is wrong.
    #[error("a digit of the joining code is wrong: compare it with what the new device shows")]
    Mistyped,
}

impl JoiningCode {
    /// The number of digits of a code.
    pub const DIGITS: usize = GROUPS * GROUP_DIGITS;

    /// Draws a new code.
    pub fn generate(environment: &Environment) -> Self {
        Self::from_secret(environment.bytes())
    }

    /// Returns the code of a secret.
    pub fn from_secret(secret: [u8; JOINING_SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// Reads a code as a person types it or a scanner reads it: 40 digits, with any spaces and
    /// hyphens between them.
    ///
    /// # Errors
    /// [`JoiningCodeError`] if it is none.
    pub fn parse(text: &str) -> Result<Self, JoiningCodeError> {
        let mut digits = Zeroizing::new(Vec::with_capacity(Self::DIGITS));
        for character in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            digits.push(character.to_digit(10).ok_or(JoiningCodeError::Character)?);
        }
        if digits.len() != Self::DIGITS {
            return Err(JoiningCodeError::Length(digits.len()));
        }
        let groups = digits.chunks(GROUP_DIGITS);
        let groups = groups.map(|group| group.iter().fold(0, |number, digit| number * 10 + digit));
        let mut number = Zeroizing::new(groups.collect::<Vec<u32>>());
        if divide(&mut number, CHECK) != 0 {
            return Err(JoiningCodeError::Mistyped);
        }
        let mut secret = Zeroizing::new([0; JOINING_SECRET_BYTES]);
        for byte in secret.iter_mut().rev() {
            *byte = u8::try_from(divide(&mut number, 256)).unwrap_or_default();
        }
        match number.iter().all(|group| *group == 0) {
            true => Ok(Self(secret)),
            false => Err(JoiningCodeError::Mistyped),
        }
    }

    /// Returns the digits for a person: 8 groups of 5, separated by spaces.
    pub fn digits(&self) -> String {
        self.groups().map(|group| format!("{group:05}")).join(" ")
    }

    /// Returns the content of the QR code: the 40 digits alone.
    pub fn scannable(&self) -> String {
        self.groups().map(|group| format!("{group:05}")).concat()
    }

    /// Returns the keys of the MACs that the two devices exchange.
    pub fn keys(&self) -> JoiningKeys {
        JoiningKeys::derive(&self.0)
    }

    /// Returns the secret, for the store.
    pub(crate) fn secret(&self) -> &[u8; JOINING_SECRET_BYTES] {
        &self.0
    }

    fn groups(&self) -> [u32; GROUPS] {
        let mut number = [0; GROUPS];
        for byte in self.0.iter() {
            multiply(&mut number, 256, u32::from(*byte));
        }
        multiply(&mut number, CHECK, 0);
        number
    }
}

/// Leaves the digits out, so that they come into no log.
impl std::fmt::Debug for JoiningCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoiningCode(hidden)")
    }
}

/// Multiplies a number, whose groups of digits begin with the highest, and adds to it.
fn multiply(number: &mut [u32], factor: u32, plus: u32) {
    let mut carry = plus;
    for group in number.iter_mut().rev() {
        // The sum is below 2^25, because a group is below 100,000 and the factor at most 256.
        let product = group.saturating_mul(factor).saturating_add(carry);
        *group = product % BASE;
        carry = product / BASE;
    }
}

/// Divides a number, whose groups of digits begin with the highest, and returns the remainder.
fn divide(number: &mut [u32], divisor: u32) -> u32 {
    let mut remainder: u32 = 0;
    for group in number.iter_mut() {
        let dividend = remainder.saturating_mul(BASE).saturating_add(*group);
        *group = dividend / divisor;
        remainder = dividend % divisor;
    }
    remainder
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Result<[u8; 16], JoiningCodeError> {
        JoiningCode::parse(text).map(|code| *code.secret())
    }

    #[test]
    fn the_least_and_the_greatest_code() {
        let least = JoiningCode::from_secret([0; 16]);
        assert_eq!(least.digits(), "00000 00000 00000 00000 00000 00000 00000 00000");
        let greatest = JoiningCode::from_secret([255; 16]);
        // 29 times (2^128 - 1)
        assert_eq!(greatest.digits(), "98681 88640 70721 54404 37863 61552 12781 32195");
        assert_eq!(parsed(&greatest.scannable()), Ok([255; 16]));
        assert_eq!(format!("{greatest:?}"), "JoiningCode(hidden)");
        let beyond = "98681 88640 70721 54404 37863 61552 12781 32224";
        assert_eq!(parsed(beyond), Err(JoiningCodeError::Mistyped));
    }

    #[test]
    fn other_texts_are_told_apart() {
        for (text, error) in [
            ("", JoiningCodeError::Length(0)),
            ("12345", JoiningCodeError::Length(5)),
            ("12345 1234o", JoiningCodeError::Character),
        ] {
            assert_eq!(parsed(text), Err(error), "{text:?}");
        }
        assert_eq!(parsed(&"0".repeat(41)), Err(JoiningCodeError::Length(41)));
    }

    proptest! {
        #[test]
        fn a_code_is_read_however_it_is_grouped(secret in any::<[u8; 16]>()) {
            let code = JoiningCode::from_secret(secret);
            for text in [code.digits(), code.scannable(), code.digits().replace(' ', "-\n\u{a0}")] {
                prop_assert_eq!(parsed(&text), Ok(secret));
            }
            prop_assert_eq!(code.digits().len(), 47);
        }

        #[test]
        fn a_wrong_digit_and_a_swap_of_neighbours_are_noticed(
            secret in any::<[u8; 16]>(),
            place in 0..40usize,
            change in 1..10u8,
        ) {
            let digits = JoiningCode::from_secret(secret).scannable().into_bytes();
            let mut wrong = digits.clone();
            wrong[place] = b'0' + (wrong[place] - b'0' + change) % 10;
            prop_assert_eq!(parsed(&String::from_utf8(wrong).unwrap()), Err(JoiningCodeError::Mistyped));
            let mut swapped = digits.clone();
            swapped.swap(place, (place + 1) % 40);
            let expected = if swapped == digits { Ok(secret) } else { Err(JoiningCodeError::Mistyped) };
            if place < 39 {
                prop_assert_eq!(parsed(&String::from_utf8(swapped).unwrap()), expected);
            }
        }
    }
}
