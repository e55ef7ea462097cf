//! The pairs of one kind, under ids that grow.

use std::collections::BTreeMap;

use eko_protocol::Invalid;
use eko_protocol::key::KeyId;

/// The pairs of one kind. Their ids begin at 1 and are never used again.
pub(super) struct PairPool<P> {
    made: u64,
    pairs: BTreeMap<KeyId, P>,
}

impl<P> PairPool<P> {
    pub(super) fn new() -> Self {
        Self { made: 0, pairs: BTreeMap::new() }
    }

    /// Adds a pair under the next id.
    ///
    /// # Errors
    /// [`Invalid`] if the ids have run out, after 2^31 - 1 pairs.
    pub(super) fn add(&mut self, pair: P) -> Result<KeyId, Invalid> {
        let made = self.made.saturating_add(1);
        let id = KeyId::new(made)?;
        self.made = made;
        self.pairs.insert(id, pair);
        Ok(id)
    }

    /// Returns a pool that goes on after `made` pairs, and holds none of them.
    pub(super) fn after(made: u64) -> Self {
        Self { made, pairs: BTreeMap::new() }
    }

    /// Returns the number of pairs ever made, which is the last id.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (KeyId, &P)> {
        self.pairs.iter().map(|(id, pair)| (*id, pair))
    }

    pub(super) fn get(&self, id: KeyId) -> Option<&P> {
        self.pairs.get(&id)
    }
}
