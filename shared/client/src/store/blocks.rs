//! The parties that the user blocks, as this device has decided or another one of the user has said.
//!
//! They are one value of the account. A party that is blocked no longer stays listed, with the time,
//! so that an older word of another device or of the server does not block it again.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::block::{BlockedParty, names_of};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{DeviceStoreError, Transaction};

/// The name under which the store keeps the blocks.
const BLOCKS: &str = "blocks";
/// The name under which the store keeps the blocks of a former account that the server of this one does not have.
const LOST: &str = "lost_blocks";
/// The most parties that are remembered though they are blocked no longer.
const MOST_UNDONE: usize = 500;

/// The parties that the user blocks, or has blocked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct KeptBlocks {
    /// By the text of the party.
    parties: BTreeMap<String, KeptBlock>,
    /// The time at which the list of the server was read last, in epoch milliseconds.
    pub(crate) read_ms: Option<i64>,
}

/// The last change of the block of one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptBlock {
    /// The time of the last change, in epoch milliseconds.
    pub(crate) at_ms: i64,
    /// True if the party is blocked no longer.
    pub(crate) is_undone: bool,
    /// True if this device has yet to tell the server.
    pub(crate) is_untold: bool,
}

impl KeptBlocks {
    /// True if an actor is blocked.
    pub(crate) fn cover(&self, actor: &str) -> bool {
        !self.parties.is_empty() && names_of(actor).into_iter().any(|name| self.is_blocked(name))
    }

    /// True if the party of this name is blocked.
    fn is_blocked(&self, name: &str) -> bool {
        let with = |scheme: &str| self.parties.get(&format!("{scheme}{name}"));
        let kept = [with(""), with("https://"), with("http://")];
        kept.into_iter().flatten().any(|kept| !kept.is_undone)
    }

    /// Returns what is kept of a party.
    pub(crate) fn of(&self, party: &BlockedParty) -> Option<KeptBlock> {
        self.parties.get(party.as_str()).copied()
    }

    /// Returns all parties, in the order of their texts.
    pub(crate) fn all(&self) -> impl Iterator<Item = (BlockedParty, KeptBlock)> + '_ {
        let party = |(text, kept): (&String, &KeptBlock)| Some((BlockedParty::parse(text).ok()?, *kept));
        self.parties.iter().filter_map(party)
    }

    /// Records a change, unless a later one is recorded. Of two at the same time the block counts, whichever
    /// comes first. Returns whether it is recorded.
    pub(crate) fn note(&mut self, party: &BlockedParty, change: KeptBlock) -> bool {
        let kept = self.of(party);
        let is_later = |kept: KeptBlock| (kept.at_ms, !kept.is_undone) > (change.at_ms, !change.is_undone);
        if kept.is_some_and(is_later) {
            return false;
        }
        self.parties.insert(party.as_str().to_owned(), change);
        let undone = |(text, kept): (&String, &KeptBlock)| {
            (kept.is_undone && !kept.is_untold).then(|| (kept.at_ms, text.clone()))
        };
        let mut undone: Vec<(i64, String)> = self.parties.iter().filter_map(undone).collect();
        undone.sort_unstable();
        let surplus = undone.len().saturating_sub(MOST_UNDONE);
        for (_, text) in undone.into_iter().take(surplus) {
            self.parties.remove(&text);
        }
        true
    }
}

impl Transaction<'_> {
    /// Returns what the user blocks.
    pub(crate) fn blocks(&self) -> Result<KeptBlocks, DeviceStoreError> {
        Ok(self.json(BLOCKS)?.unwrap_or_default())
    }

    /// Returns the blocks of a former account that the server of this one does not have.
    pub(crate) fn lost_blocks(&self) -> Result<Vec<BlockedParty>, DeviceStoreError> {
        let lost: Vec<String> = self.json(LOST)?.unwrap_or_default();
        Ok(lost.iter().filter_map(|party| BlockedParty::parse(party).ok()).collect())
    }

    /// Keeps the blocks of a former account that the server of this one does not have.
    pub(crate) fn keep_lost_blocks(&self, lost: &BTreeSet<BlockedParty>) -> Result<(), DeviceStoreError> {
        self.put_json(LOST, &lost.iter().map(BlockedParty::as_str).collect::<Vec<_>>())
    }

    /// Returns what the user blocks by the former store, if it has blocks.
    pub(super) fn blocks_of_former(&self) -> Result<Option<KeptBlocks>, DeviceStoreError> {
        let kept = self.former_value(BLOCKS)?.map(|json| serde_json::from_str(&json));
        kept.transpose().map_err(|_| DeviceStoreError::Corrupt("blocks"))
    }

    /// Keeps what the user blocks, and forgets the receipts that those were owed who are blocked. What
    /// strangers among them wrote is deleted. Whoever comes to be blocked, or is so no longer, is followed
    /// anew: what they write in between is dropped, and is not missing.
    pub(crate) fn keep_blocks(&self, blocks: &KeptBlocks) -> Result<(), DeviceStoreError> {
        let before = self.blocks()?;
        self.follow_anew(None, |actor| before.cover(actor) != blocks.cover(actor))?;
        self.put_json(BLOCKS, blocks)?;
        self.forget_owed_to_blocked(blocks)
    }

    /// Follows those anew whom a party covers: a block of it has begun or ended, however long ago.
    pub(crate) fn follow_party_anew(&self, party: &BlockedParty) -> Result<(), DeviceStoreError> {
        let mut blocks = KeptBlocks::default();
        blocks.note(party, KeptBlock { at_ms: 0, is_undone: false, is_untold: false });
        self.follow_anew(None, |actor| blocks.cover(actor))
    }

    /// Forgets what is owed to those who are blocked. What had not come before is told them after the block.
    pub(crate) fn forget_owed_to_blocked(&self, blocks: &KeptBlocks) -> Result<(), DeviceStoreError> {
        if blocks.all().all(|(_, kept)| kept.is_undone) {
            return Ok(());
        }
        let sql = "SELECT actor FROM receipts UNION SELECT actor FROM messages WHERE request = 1";
        let mut statement = self.inner.prepare_cached(sql)?;
        let actors: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for actor in actors.iter().filter(|actor| blocks.cover(actor)) {
            self.inner.execute("DELETE FROM receipts WHERE actor = ?1", params![actor])?;
            self.decline_requests(actor)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(text: &str) -> BlockedParty {
        BlockedParty::parse(text).unwrap()
    }

    fn change(at_ms: i64, is_undone: bool) -> KeptBlock {
        KeptBlock { at_ms, is_undone, is_untold: false }
    }

    #[test]
    fn the_latest_word_counts() {
        let (mut blocks, eve) = (KeptBlocks::default(), party("https://b.example/user/eve"));
        assert!(blocks.note(&eve, change(2, false)) && blocks.cover(eve.as_str()));
        assert!(!blocks.note(&eve, change(1, true)) && blocks.cover(eve.as_str()));
        assert!(blocks.note(&eve, change(3, true)) && !blocks.cover(eve.as_str()));
        assert!(!blocks.note(&eve, change(2, false)) && !blocks.cover(eve.as_str()));
        assert!(blocks.note(&eve, change(3, false)) && blocks.cover(eve.as_str()));
        assert!(!blocks.note(&eve, change(3, true)) && blocks.cover(eve.as_str()), "the block counts");
    }

    #[test]
    fn a_domain_covers_as_at_the_server() {
        let mut blocks = KeptBlocks::default();
        blocks.note(&party("https://b.example"), change(1, false));
        blocks.note(&party("http://localhost:8081"), change(1, false));
        for actor in
            ["https://b.example/user/eve", "https://x.b.example:8443/eve", "http://localhost:8081/user/eve"]
        {
            assert!(blocks.cover(actor), "{actor}");
        }
        for actor in ["https://notb.example/user/eve", "http://localhost:8082/user/eve"] {
            assert!(!blocks.cover(actor), "{actor}");
        }
    }

    #[test]
    fn what_was_undone_is_remembered_in_bounds() {
        let mut blocks = KeptBlocks::default();
        for number in 0..600 {
            blocks.note(&party(&format!("https://s{number}.example")), change(number, number != 7));
        }
        assert_eq!(blocks.all().count(), MOST_UNDONE + 1);
        assert!(blocks.cover("https://s7.example/eve"));
        assert_eq!(blocks.of(&party("https://s6.example")), None);
    }
}
