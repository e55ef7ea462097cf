//! Safety numbers, which two people compare to learn whether anybody is between
//! them (`docs/protocol.md`, section 9).
//!
//! They equal those of libsignal's `Fingerprint`, version 2 with 5,200 iterations. They are
//! computed here because this is little code, while linking libsignal would put the whole client
//! under its licence.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA512};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::key::IdentityKey;

/// The number of times that a hash is taken. It makes a search for a key with a similar fingerprint
/// that much slower.
const ITERATIONS: u32 = 5200;

/// The version of the QR code's format.
const VERSION: u8 = 2;

/// The number of bytes of a hash that a QR code holds.
const SCANNED: usize = 32;

/// The safety number of two users. Both see the same one if each has the other's true chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    /// The 60 digits, in groups of 5.
    pub digits: String,
    /// The content of the QR code that the other end scans.
    pub scannable: Vec<u8>,
    /// The content of the QR code that the other end shows.
    theirs: Vec<u8>,
}

/// One of the two users whom a safety number is of.
#[derive(Debug, Clone, Copy)]
pub struct SafetyNumberEnd<'a> {
    /// The user's actor id.
    pub actor: &'a str,
    /// The device set of the user's whole chain. So two people whose servers show them different
    /// chains see different numbers, whatever the keys are.
    pub set: &'a DeviceSetRef,
    /// The identity key of the chain's anchor: the first device of the chain that is active today,
    /// or the root device if none is.
    pub anchor: &'a IdentityKey,
}

impl SafetyNumberEnd<'_> {
    /// Returns libsignal's stable id: the actor id, the chain's length, and its head, a line each.
    fn stable_id(&self) -> String {
        format!("{}\n{}\n{}", self.actor, self.set.length, self.set.head)
    }
}

impl SafetyNumber {
    /// Computes the safety number of this user and another.
    pub fn new(local: SafetyNumberEnd<'_>, remote: SafetyNumberEnd<'_>) -> Self {
        let [local, remote] = [local, remote].map(|end| hash(&end.stable_id(), end.anchor));
        let mut halves = [digits(&local), digits(&remote)];
        halves.sort();
        Self {
            digits: grouped(&halves.concat()),
            scannable: combined(&local, &remote),
            theirs: combined(&remote, &local),
        }
    }

    /// True if `scanned` is the content of the other end's QR code, and both ends have the same
    /// chains. Compares in constant time.
    pub fn matches(&self, scanned: &[u8]) -> bool {
        verify_slices_are_equal(&self.theirs, scanned).is_ok()
    }
}

/// Hashes an identity key: SHA-512 of two zero bytes (the version), the key, the id and the key,
/// then 5,199 times SHA-512 of the last hash and the key.
fn hash(stable_id: &str, identity: &IdentityKey) -> [u8; 64] {
    let key = identity.as_bytes();
    let mut hash = sha512(&[&[0, 0], key, stable_id.as_bytes(), key]);
    for _ in 1..ITERATIONS {
        hash = sha512(&[&hash, key]);
    }
    hash
}

fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut context = Context::new(&SHA512);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 64];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// Returns 30 digits: six times five bytes as a number, modulo 100,000.
fn digits(hash: &[u8; 64]) -> String {
    let number = |chunk: &[u8]| chunk.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)) % 100_000;
    hash.chunks_exact(5).take(6).map(|chunk| format!("{:05}", number(chunk))).collect()
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len().saturating_mul(6) / 5);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index.is_multiple_of(5) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Encodes libsignal's `CombinedFingerprints` in protobuf: `{1: version, 2: {1: own hash}, 3: {1:
/// the other's}}`. All its lengths are fixed.
fn combined(own: &[u8; 64], other: &[u8; 64]) -> Vec<u8> {
    let mut bytes = vec![0x08, VERSION];
    for (tag, hash) in [(0x12, own), (0x1A, other)] {
        bytes.extend_from_slice(&[tag, 2 + SCANNED as u8, 0x0A, SCANNED as u8]);
        bytes.extend(hash.iter().take(SCANNED));
    }
    bytes
}

#[cfg(test)]
mod tests;
