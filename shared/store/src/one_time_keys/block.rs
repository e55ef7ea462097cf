//! Blocks: items that store several one-time keys.
//!
//! An item costs its size in kilobytes, rounded up, so that neighbouring keys share one. Place `p`
//! of a pool is in block `p / PLACES`.
//!
//! # Item `D#{user}#{device}` / `OPK#{block}` or `PQK#{block}`
//!
//! | Attribute | Type | Unit | Meaning |
//! |---|---|---|---|
//! | `f` | N | place | the place of the first key in the block |
//! | `b` | B | | the keys, one after another |
//!
//! One key in `b`:
//!
//! ```text
//! OPK: id (4 bytes, big-endian) | Curve25519 key (33)
//! PQK: id (4 bytes, big-endian) | Kyber key (1569) | signature (64)
//! ```

use eko_protocol::key::{CurveKey, KeyId, KyberKey, Signature};
use eko_protocol::key_package::{KyberPreKey, OneTimePreKey};

use crate::attribute::{Item, ReadItem, WriteItem, b, corrupt, n};
use crate::device::{DeviceAddress, KYBER_PRE_KEY_POOL, PRE_KEY_POOL, PoolAttributes};
use crate::key::{self, ItemKey};
use crate::resources::SORT_KEY;
use crate::{Result, StoreError};

/// The names of the attributes.
mod attr {
    pub(super) const FIRST_PLACE: &str = "f";
    pub(super) const KEYS: &str = "b";
}

/// Bytes of a key's id.
const ID_BYTES: usize = 4;
/// Bytes of a Kyber key.
const KYBER_KEY_BYTES: usize = 1569;

/// A kind of one-time key.
pub(crate) trait OneTimeKey: Sized + Clone {
    /// The beginning of the sort keys of the blocks.
    const PREFIX: &'static str;
    /// The number of places in one block.
    const PLACES: u64;
    /// The number of bytes that one key takes in a block, with its id.
    const BYTES: usize;
    /// The names of the pool's attributes in the device record.
    const POOL: PoolAttributes;

    /// Returns the key's id.
    fn id(&self) -> KeyId;
    /// Appends the key to the bytes of a block, without its id.
    fn write(&self, bytes: &mut Vec<u8>);
    /// Reads a key that [`OneTimeKey::write`] wrote.
    fn read(id: KeyId, bytes: &[u8]) -> Result<Self>;

    /// Returns the number of the block that holds a place.
    fn block_of(place: u64) -> u64 {
        place.checked_div(Self::PLACES).unwrap_or(0)
    }

    /// Returns the key of the block with this number.
    fn block_key(address: DeviceAddress<'_>, number: u64) -> ItemKey {
        key::one_time_block(address, Self::PREFIX, number)
    }
}

impl OneTimeKey for OneTimePreKey {
    const PREFIX: &'static str = "OPK#";
    const PLACES: u64 = 20;
    const BYTES: usize = ID_BYTES + 33;
    const POOL: PoolAttributes = PRE_KEY_POOL;

    fn id(&self) -> KeyId {
        self.id
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.key.as_bytes());
    }

    fn read(id: KeyId, bytes: &[u8]) -> Result<Self> {
        Ok(Self { id, key: CurveKey::from_bytes(bytes).map_err(corrupt)? })
    }
}

impl OneTimeKey for KyberPreKey {
    const PREFIX: &'static str = "PQK#";
    const PLACES: u64 = 2;
    const BYTES: usize = ID_BYTES + KYBER_KEY_BYTES + 64;
    const POOL: PoolAttributes = KYBER_PRE_KEY_POOL;

    fn id(&self) -> KeyId {
        self.id
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.key.as_bytes());
        bytes.extend(self.signature.as_bytes());
    }

    fn read(id: KeyId, bytes: &[u8]) -> Result<Self> {
        let (key, signature) = bytes.split_at_checked(KYBER_KEY_BYTES).ok_or_else(cut_short)?;
        let key = KyberKey::from_bytes(key).map_err(corrupt)?;
        Ok(Self { id, key, signature: Signature::from_bytes(signature).map_err(corrupt)? })
    }
}

fn cut_short() -> StoreError {
    corrupt("a one-time key is cut short")
}

/// The keys at neighbouring places of a pool, stored in one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyBlock<K> {
    /// The number of the block.
    pub(crate) number: u64,
    /// The place of the first key.
    first: u64,
    /// The keys, by their places.
    keys: Vec<K>,
}

impl<K: OneTimeKey> KeyBlock<K> {
    /// Divides keys into blocks; the first key gets the place `start`.
    ///
    /// `last` is the stored block that holds the places right before `start`. The keys whose places
    /// belong to the same block are appended to it.
    pub(crate) fn divide(start: u64, keys: &[K], last: Option<Self>) -> Vec<Self> {
        let mut blocks: Vec<Self> = last.into_iter().collect();
        for (place, key) in (start..).zip(keys) {
            let number = K::block_of(place);
            match blocks.last_mut() {
                Some(block) if block.number == number => block.keys.push(key.clone()),
                _ => blocks.push(Self { number, first: place, keys: vec![key.clone()] }),
            }
        }
        blocks
    }

    pub(crate) fn item(&self, address: DeviceAddress<'_>) -> Item {
        let mut bytes = Vec::with_capacity(self.keys.len().saturating_mul(K::BYTES));
        for key in &self.keys {
            bytes.extend(key.id().get().to_be_bytes());
            key.write(&mut bytes);
        }
        let mut item = K::block_key(address, self.number).item();
        item.set(attr::FIRST_PLACE, n(self.first));
        item.set(attr::KEYS, b(bytes));
        item
    }

    pub(crate) fn from_item(item: &Item) -> Result<Self> {
        let number = item.need_s(SORT_KEY)?.strip_prefix(K::PREFIX).and_then(|text| text.parse().ok());
        let keys = item.need_b(attr::KEYS)?.chunks(K::BYTES).map(|bytes| {
            let (id, rest) = bytes.split_first_chunk::<ID_BYTES>().ok_or_else(cut_short)?;
            K::read(KeyId::new(u64::from(u32::from_be_bytes(*id))).map_err(corrupt)?, rest)
        });
        Ok(Self {
            number: number.ok_or_else(|| corrupt("not a block of one-time keys"))?,
            first: item.need_u(attr::FIRST_PLACE)?,
            keys: keys.collect::<Result<_>>()?,
        })
    }

    /// Returns the key at a place of the pool, if the block holds it.
    pub(crate) fn at(&self, place: u64) -> Option<&K> {
        self.keys.get(usize::try_from(place.checked_sub(self.first)?).ok()?)
    }

    /// Returns the keys in the order of their places.
    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use eko_protocol::address::UserName;
    use eko_protocol::id::DeviceId;

    use super::*;

    fn keys(first_id: u64, count: u64) -> Vec<OneTimePreKey> {
        let mut bytes = [7; 33];
        bytes[0] = 5;
        let key = CurveKey::from_bytes(&bytes).unwrap();
        (first_id..first_id + count).map(|id| OneTimePreKey { id: KeyId::new(id).unwrap(), key }).collect()
    }

    #[test]
    fn keys_go_to_the_blocks_of_their_places() {
        let blocks = KeyBlock::divide(0, &keys(1, 50), None);
        assert_eq!(blocks.iter().map(|block| block.keys.len()).collect::<Vec<_>>(), [20, 20, 10]);
        assert_eq!(blocks[2].at(40).unwrap().id.get(), 41);
        assert_eq!((blocks[2].at(39), blocks[2].at(50)), (None, None));

        let filled = KeyBlock::divide(50, &keys(51, 15), blocks.last().cloned());
        assert_eq!(
            filled.iter().map(|block| (block.number, block.first)).collect::<Vec<_>>(),
            [(2, 40), (3, 60)]
        );
        assert_eq!(filled[0].at(59).unwrap().id.get(), 60);
        assert_eq!(filled[1].at(60).unwrap().id.get(), 61);
    }

    #[test]
    fn an_item_holds_its_block() {
        let (user, device) = (UserName::parse("alice").unwrap(), DeviceId::parse(DEVICE).unwrap());
        let block = KeyBlock::divide(20, &keys(30, 3), None).remove(0);
        let item = block.item(DeviceAddress::new(&user, &device));
        assert_eq!(item.get_s(SORT_KEY), Some("OPK#00000001"));
        assert_eq!(KeyBlock::<OneTimePreKey>::from_item(&item).unwrap(), block);

        let mut cut = item.clone();
        cut.set(attr::KEYS, b(vec![0, 0, 0]));
        assert!(matches!(KeyBlock::<OneTimePreKey>::from_item(&cut), Err(StoreError::Corrupt(_))));
    }

    const DEVICE: &str = "0190e2d4-7c3a-7f00-8000-0123456789ab";
}
