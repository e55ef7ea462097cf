//! What two people compare, to know that nobody is between them: Signal's numeric fingerprints and safety numbers
//! (`docs/protocol.md`, section 9).
//!
//! They equal those of libsignal's `Fingerprint`, version 2 with 5,200 iterations; the code of it that is needed is
//! this short, and libsignal's licence would be the whole client's.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA512};
use eko_protocol::key::IdentityKey;

/// How often a hash is taken, so that finding a key with a fingerprint much like another's takes that much longer.
const ITERATIONS: u32 = 5200;

/// The version of the QR code's form.
const VERSION: u8 = 2;

/// Bytes of a hash in a QR code.
const SCANNED: usize = 32;

/// The fingerprint of one identity key, under an id that stays while keys change: 30 digits in groups of 5.
pub fn fingerprint(stable_id: &str, identity: &IdentityKey) -> String {
    grouped(&digits(&hash(stable_id, identity)))
}

/// What both ends of a conversation see alike, as long as each has the other's own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    /// 60 digits in groups of 5.
    pub digits: String,
    /// The content of the QR code that the other end scans.
    pub scannable: Vec<u8>,
    /// What the other end's QR code holds then.
    theirs: Vec<u8>,
}

/// One of the two users whom a safety number is of.
#[derive(Debug, Clone, Copy)]
pub struct SafetyNumberEnd<'a> {
    /// The user's actor id.
    pub actor: &'a str,
    /// The identity key of the root device of the user's chain.
    pub identity: &'a IdentityKey,
}

impl SafetyNumber {
    /// The safety number of two users, each an actor id and the identity key of the chain's root device: this user and the
    /// other.
    pub fn new(local: SafetyNumberEnd<'_>, remote: SafetyNumberEnd<'_>) -> Self {
        let (local, remote) = (hash(local.actor, local.identity), hash(remote.actor, remote.identity));
        let mut halves = [digits(&local), digits(&remote)];
        halves.sort();
        Self {
            digits: grouped(&halves.concat()),
            scannable: combined(&local, &remote),
            theirs: combined(&remote, &local),
        }
    }

    /// Whether what was scanned is the other end's QR code, and says the same of both keys.
    pub fn matches(&self, scanned: &[u8]) -> bool {
        verify_slices_are_equal(&self.theirs, scanned).is_ok()
    }
}

/// SHA-512 of a version of two zero bytes, key, id, key; then again and again of the last hash and the key.
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

/// Six times five bytes as a number, modulo 100,000.
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

/// libsignal's `CombinedFingerprints`: `{1: version, 2: {1: own hash}, 3: {1: the other's}}` in protobuf, whose
/// lengths are all fixed.
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
