//! Sealing and opening: AES-256-GCM under a key of the state's own.
//!
//! ```text
//! 0x01 ‖ key id, 16 bytes ‖ nonce, 12 bytes ‖ ciphertext ‖ tag, 16 bytes
//! ```
//!
//! The plaintext is the record as JSON, then `0x80`, then `0x00` up to one of the [`RECORD_LENGTHS`].
//! The additional data are `eko-group-state-v1`, `0x00`, the state's address, `0x00`, and the epoch as
//! eight bytes, the most significant one first. So the server cannot show one state as another, nor an
//! old one under a later epoch.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use eko_protocol::id::GroupStateId;
use eko_protocol::{Invalid, json};
use zeroize::Zeroizing;

use super::key::ID_BYTES;
use super::{GroupRecord, StateKey, StateKeys};
use crate::Environment;
use crate::group::GroupState;

/// All lengths of padded records in bytes, in order. With what is around it, each fits into a whole
/// number of kilobytes, the unit in which DynamoDB bills a write.
pub const RECORD_LENGTHS: [usize; 8] = [1_920, 3_968, 8_064, 16_256, 32_640, 65_408, 130_944, MAX_RECORD];

/// The greatest length of a padded record in bytes.
pub const MAX_RECORD: usize = 262_016;

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"eko-group-state-v1\0";
const PLACE: &[u8] = b"eko-group-state-id-v1\0";
const END: u8 = 0x80;
const TAG_BYTES: usize = 16;

/// The place of a sealed state: its address and its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPlace<'a> {
    /// The address of the state.
    pub address: &'a str,
    /// The epoch under which it is stored.
    pub epoch: u64,
}

/// The reason why a sealed state cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// This device does not have its key.
    #[error("is sealed under a key that this device does not have")]
    UnknownKey,
    /// The state was changed, or is another one than its place says.
    #[error("does not belong where it lies")]
    Forged,
    /// The content breaks a rule.
    #[error(transparent)]
    Malformed(#[from] Invalid),
}

/// Returns the id under which the devices of the user `actor` keep a group.
///
/// It is made of the group's `nonce`, which only members' devices know. Two members' ids differ, so
/// a server does not see that they are in the same group.
pub fn key_of(group: &GroupState, actor: &str) -> GroupStateId {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &group.parts().origin.nonce);
    let mut context = hmac::Context::with_key(&key);
    context.update(PLACE);
    context.update(actor.as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    GroupStateId::from_mac(bytes)
}

/// Seals a record for its place.
///
/// # Errors
/// [`Invalid`] if it is longer than [`MAX_RECORD`] with its padding.
pub fn seal(
    record: &GroupRecord,
    place: SealedPlace<'_>,
    key: &StateKey,
    environment: &Environment,
) -> Result<Vec<u8>, Invalid> {
    let json = Zeroizing::new(record.to_value().to_string().into_bytes());
    let length = RECORD_LENGTHS.into_iter().find(|length| json.len() < *length);
    let length = length.ok_or_else(|| Invalid::whole(format!("has more than {MAX_RECORD} bytes")))?;
    let nonce: [u8; NONCE_LEN] = environment.bytes();
    let mut sealed = Vec::with_capacity(length.saturating_add(1 + ID_BYTES + NONCE_LEN + TAG_BYTES));
    sealed.push(VERSION);
    sealed.extend_from_slice(&key.id()?);
    sealed.extend_from_slice(&nonce);
    let header = sealed.len();
    sealed.extend_from_slice(&json);
    sealed.push(END);
    sealed.resize(header.saturating_add(length), 0);
    let (_, in_place) = sealed.split_at_mut(header);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = cipher(key, place)?
        .seal_in_place_separate_tag(nonce, Aad::from(bound(place)), in_place)
        .map_err(|_| Invalid::whole("cannot be sealed"))?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens a sealed state and reads its record, which must be of a group that is kept here.
///
/// # Errors
/// [`OpenError`].
pub fn open(sealed: &[u8], place: SealedPlace<'_>, keys: &StateKeys) -> Result<GroupRecord, OpenError> {
    let (version, rest) = sealed.split_first().ok_or(OpenError::Forged)?;
    let (id, rest) = rest.split_at_checked(ID_BYTES).ok_or(OpenError::Forged)?;
    let (nonce, rest) = rest.split_at_checked(NONCE_LEN).ok_or(OpenError::Forged)?;
    let key = keys.get(id).filter(|_| *version == VERSION).ok_or(OpenError::UnknownKey)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Forged)?;
    let mut bytes = Zeroizing::new(rest.to_vec());
    let opened = cipher(key, place)?.open_in_place(nonce, Aad::from(bound(place)), &mut bytes);
    let opened = opened.map_err(|_| OpenError::Forged)?;
    let end = opened.iter().rposition(|byte| *byte != 0).and_then(|at| opened.split_at_checked(at));
    let content = match end {
        Some((content, [END, ..])) if RECORD_LENGTHS.contains(&opened.len()) => content,
        _ => return Err(Invalid::whole("is not padded").into()),
    };
    let value = json::parse(content).map_err(|error| Invalid::whole(error.to_string()))?;
    Ok(GroupRecord::parse(&value)?)
}

fn cipher(key: &StateKey, place: SealedPlace<'_>) -> Result<LessSafeKey, Invalid> {
    let derived = Zeroizing::new(key.seal_key(place.address)?);
    let key = UnboundKey::new(&AES_256_GCM, &*derived).map_err(|_| Invalid::whole("has no key"))?;
    Ok(LessSafeKey::new(key))
}

/// Returns the additional data of a state.
fn bound(place: SealedPlace<'_>) -> Vec<u8> {
    [DOMAIN, place.address.as_bytes(), &[0], &place.epoch.to_be_bytes()].concat()
}
