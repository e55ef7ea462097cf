//! The accounts that people have left for others, and the account that this user has left.

use std::collections::{BTreeMap, BTreeSet};

use eko_protocol::chain::ChainNode;
use eko_protocol::id::EnvelopeId;
use rusqlite::params;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelopes::{COLUMNS, read};
use super::recovery::user_of;
use super::{DeviceStoreError, OutboxEnvelope, Transaction};

/// The name under which the store keeps the moves of others.
const MOVES: &str = "moves";
/// The name under which the store keeps the account that this user has left for the one of this store.
const FORMER_SELF: &str = "former_self";
/// The name under which the store keeps the node by which this user leaves the account of this store.
const OWN_MOVE: &str = "own_move";
/// The greatest number of accounts that lead to one another.
const MOST_HOPS: usize = 8;
/// The greatest number of attempts to follow a move that nobody asks for.
const MOST_ATTEMPTS: u32 = 20;

/// The move of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptMove {
    /// The new actor id.
    pub(crate) to: String,
    /// True if both chains were verified, and this device goes on with the new account.
    pub(crate) is_followed: bool,
    /// The number of times that this device has tried to follow.
    #[serde(default)]
    attempts: u32,
    /// The last nodes of the old chain, if the new account has sent them and they are to be compared with
    /// what the old server shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Value>,
    /// True if somebody else has passed these nodes on.
    #[serde(default)]
    is_passed_on: bool,
    /// The news of the move that others send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<StoredMoveNews>,
    /// Members of groups with the old account who seem not to know of the move, by their actor ids: true once
    /// this device has passed it on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unaware: BTreeMap<String, bool>,
}

/// The news of a move, as it is stored beside others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredMoveNews {
    to: String,
    evidence: Vec<Value>,
    is_passed_on: bool,
}

impl StoredMoveNews {
    fn of(news: &MoveNews) -> Self {
        let evidence = news.nodes.iter().map(ChainNode::to_value).collect();
        Self { to: news.to.clone(), evidence, is_passed_on: news.is_passed_on }
    }

    fn read(&self) -> Result<MoveNews, DeviceStoreError> {
        let nodes = self.evidence.iter().map(ChainNode::parse).collect::<Result<_, _>>();
        let nodes = nodes.map_err(|_| DeviceStoreError::Corrupt("move"))?;
        Ok(MoveNews { to: self.to.clone(), nodes, is_passed_on: self.is_passed_on })
    }
}

/// The news of a move, which is to be compared with what the old server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveNews {
    /// The new actor id.
    pub(crate) to: String,
    /// The last nodes of the old chain.
    pub(crate) nodes: Vec<ChainNode>,
    /// True if somebody else than the mover has passed them on.
    pub(crate) is_passed_on: bool,
}

impl KeptMove {
    /// Returns what is said of the move by those who have sent nodes.
    fn news(&self) -> Result<Vec<MoveNews>, DeviceStoreError> {
        let Self { to, evidence, is_passed_on, .. } = self.clone();
        let first = StoredMoveNews { to, evidence, is_passed_on };
        let first = Some(&first).filter(|first| !first.evidence.is_empty());
        first.into_iter().chain(&self.others).map(StoredMoveNews::read).collect()
    }
}

/// The node by which this user leaves the account of this store, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredOwnMove {
    node: Value,
    is_given: bool,
}

/// The node by which this user leaves the account of this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnMove {
    /// The node.
    pub(crate) node: ChainNode,
    /// True if it is for the contacts without the server of the account: they may have followed it already.
    pub(crate) is_given: bool,
}

/// The account that this user has left for the one of this store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredFormerSelf {
    nodes: Vec<Value>,
    told: Vec<String>,
}

/// The account that this user has left for the one of this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormerSelf {
    /// The nodes of its chain, the `Move` last.
    pub(crate) nodes: Vec<ChainNode>,
    /// The ids of the activities by which the contacts are told.
    pub(crate) told: Vec<String>,
}

impl Transaction<'_> {
    fn moves(&self) -> Result<BTreeMap<String, KeptMove>, DeviceStoreError> {
        Ok(self.json(MOVES)?.unwrap_or_default())
    }

    /// Reads all that is kept of the moves of others.
    pub(super) fn read_moves(&self) -> Result<(), DeviceStoreError> {
        self.moves()?.values().try_for_each(|kept| {
            user_of(&kept.to).ok_or(DeviceStoreError::Corrupt("move"))?;
            kept.news().map(drop)
        })
    }

    /// Returns the move of an account, if its user has left it.
    pub(crate) fn kept_move(&self, actor: &str) -> Result<Option<KeptMove>, DeviceStoreError> {
        Ok(self.moves()?.remove(actor))
    }

    /// Records that the chain of an account ends with a move, or that somebody says so. One that is
    /// followed stays so.
    pub(crate) fn note_move(&self, actor: &str, to: &str) -> Result<(), DeviceStoreError> {
        let mut moves = self.moves()?;
        if moves.get(actor).is_some_and(|kept| kept.is_followed || kept.to == to) {
            return Ok(());
        }
        moves.insert(
            actor.to_owned(),
            KeptMove { to: to.to_owned(), is_followed: false, ..KeptMove::default() },
        );
        self.put_json(MOVES, &moves)
    }

    /// Records what is said of the move of an account, in place of what was said before. With nothing it is
    /// forgotten. One that is followed stays so.
    pub(crate) fn put_move_news(&self, actor: &str, news: &[MoveNews]) -> Result<(), DeviceStoreError> {
        let mut news = news.iter().map(StoredMoveNews::of);
        let Some(StoredMoveNews { to, evidence, is_passed_on }) = news.next() else {
            return self.forget_open_move(actor);
        };
        let mut moves = self.moves()?;
        let before = moves.remove(actor).unwrap_or_default();
        if before.is_followed {
            return Ok(());
        }
        let others = news.collect();
        moves.insert(actor.to_owned(), KeptMove { to, evidence, is_passed_on, others, ..before });
        self.put_json(MOVES, &moves)
    }

    /// Returns what is said of the move of an account by those who have sent nodes.
    pub(crate) fn move_news(&self, actor: &str) -> Result<Vec<MoveNews>, DeviceStoreError> {
        self.kept_move(actor)?.map_or(Ok(Vec::new()), |kept| kept.news())
    }

    /// Records that this device goes on with the new account of somebody.
    pub(crate) fn note_followed(&self, actor: &str, to: &str) -> Result<(), DeviceStoreError> {
        let mut moves = self.moves()?;
        moves.insert(
            actor.to_owned(),
            KeptMove { to: to.to_owned(), is_followed: true, ..KeptMove::default() },
        );
        self.put_json(MOVES, &moves)
    }

    /// Records that a member of a group in which these others are seems not to know of the moves among them that
    /// this device has followed.
    pub(crate) fn note_unaware(
        &self,
        member: &str,
        others: &BTreeSet<String>,
    ) -> Result<(), DeviceStoreError> {
        let (mut moves, mut is_changed) = (self.moves()?, false);
        for (actor, kept) in &mut moves {
            if kept.is_followed && actor != member && kept.to != member && others.contains(actor) {
                is_changed |= !kept.unaware.contains_key(member);
                kept.unaware.entry(member.to_owned()).or_default();
            }
        }
        if is_changed { self.put_json(MOVES, &moves) } else { Ok(()) }
    }

    /// Takes those who are to be told of moves: pairs of a member and the account that was left. Each is told
    /// once, in this transaction.
    pub(crate) fn take_unaware(&self) -> Result<Vec<(String, String)>, DeviceStoreError> {
        let (mut moves, mut due) = (self.moves()?, Vec::new());
        for (actor, kept) in &mut moves {
            for (member, is_told) in &mut kept.unaware {
                if !std::mem::replace(is_told, true) {
                    due.push((member.clone(), actor.clone()));
                }
            }
        }
        if !due.is_empty() {
            self.put_json(MOVES, &moves)?;
        }
        Ok(due)
    }

    /// True if a move to this account is not followed yet.
    pub(crate) fn has_open_move_to(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let leads = |kept: &KeptMove| kept.to == actor || kept.others.iter().any(|other| other.to == actor);
        Ok(self.moves()?.values().any(|kept| !kept.is_followed && leads(kept)))
    }

    /// Returns the accounts whose moves are not followed yet.
    pub(crate) fn open_moves(&self) -> Result<Vec<String>, DeviceStoreError> {
        let open = self.moves()?.into_iter().filter(|(_, kept)| !kept.is_followed);
        Ok(open.map(|(actor, _)| actor).collect())
    }

    /// Counts an attempt to follow a move. Returns false if there were too many: then it is forgotten, until
    /// something leads to it again.
    pub(crate) fn count_attempt(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let mut moves = self.moves()?;
        let Some(kept) = moves.get_mut(actor).filter(|kept| !kept.is_followed) else { return Ok(false) };
        if kept.attempts >= MOST_ATTEMPTS {
            return self.forget_open_move(actor).map(|()| false);
        }
        kept.attempts += 1;
        self.put_json(MOVES, &moves)?;
        Ok(true)
    }

    /// Forgets a move that is not followed.
    pub(crate) fn forget_open_move(&self, actor: &str) -> Result<(), DeviceStoreError> {
        let mut moves = self.moves()?;
        if moves.get(actor).is_some_and(|kept| !kept.is_followed) {
            moves.remove(actor);
            self.put_json(MOVES, &moves)?;
        }
        Ok(())
    }

    /// Returns the account under which somebody is reached now, if this device has followed a move.
    pub(crate) fn moved_to(&self, actor: &str) -> Result<Option<String>, DeviceStoreError> {
        Ok(self.successors_of(actor)?.pop())
    }

    /// Returns the accounts to which the moves lead from an account that this device has followed, in order.
    pub(crate) fn successors_of(&self, actor: &str) -> Result<Vec<String>, DeviceStoreError> {
        let (moves, mut successors) = (self.moves()?, Vec::new());
        for _ in 0..MOST_HOPS {
            let from = successors.last().map_or(actor, String::as_str);
            match moves.get(from).filter(|kept| kept.is_followed) {
                Some(kept) => successors.push(kept.to.clone()),
                None => break,
            }
        }
        Ok(successors)
    }

    /// Returns the accounts of one person, this one and those that lead to it or follow from it.
    pub(crate) fn accounts_of(&self, actor: &str) -> Result<BTreeSet<String>, DeviceStoreError> {
        let moves = self.moves()?;
        let followed: Vec<(&String, &String)> =
            moves.iter().filter(|(_, kept)| kept.is_followed).map(|(from, kept)| (from, &kept.to)).collect();
        let mut accounts = BTreeSet::from([actor.to_owned()]);
        for _ in 0..MOST_HOPS {
            for (from, to) in &followed {
                if accounts.contains(*from) || accounts.contains(*to) {
                    accounts.extend([(*from).clone(), (*to).clone()]);
                }
            }
        }
        Ok(accounts)
    }

    /// True if the user blocks somebody, by one of the accounts that this device knows of.
    pub(crate) fn is_blocked(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        let blocks = self.blocks()?;
        Ok(self.accounts_of(actor)?.iter().any(|account| blocks.cover(account)))
    }

    /// Returns the envelopes to somebody that are still to be sent, or were held back, also those that wake
    /// nobody.
    pub(crate) fn open_to(&self, actor: &str) -> Result<Vec<OutboxEnvelope>, DeviceStoreError> {
        let sql = format!("{COLUMNS} WHERE recipient = ?1 AND state IN (1, 6) ORDER BY made, id");
        let mut statement = self.inner.prepare_cached(&sql)?;
        statement.query_map([actor], |row| Ok(read(row)))?.map(|row| row?).collect()
    }

    /// Returns the envelopes that somebody's server has, or the own server for it, and that they have not
    /// confirmed, with their content.
    pub(crate) fn unconfirmed_to(&self, actor: &str) -> Result<Vec<(EnvelopeId, Vec<u8>)>, DeviceStoreError> {
        let sql = "SELECT id, plaintext FROM envelopes WHERE recipient = ?1 AND state IN (2, 3) \
                   AND resent_to IS NULL AND plaintext IS NOT NULL ORDER BY made, id";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([actor], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        let envelope = |row: rusqlite::Result<(String, Vec<u8>)>| {
            let (id, plaintext) = row?;
            let id = EnvelopeId::parse(&id).map_err(|_| DeviceStoreError::Corrupt("envelope"))?;
            Ok((id, plaintext))
        };
        rows.map(envelope).collect()
    }

    /// Has an envelope sent to the new account of its recipient. It is encrypted anew.
    pub(crate) fn redirect(&self, id: &EnvelopeId, to: &str, now_ms: i64) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM ciphertexts WHERE envelope = ?1", [id.as_str()])?;
        let sql = "UPDATE envelopes SET recipient = ?2, state = 1, due = ?3, put = ?3, tries = 0, claimed = 0, \
                   reason = NULL, full_devices = '[]' WHERE id = ?1";
        self.inner.execute(sql, params![id.as_str(), to, now_ms])?;
        Ok(())
    }

    /// Gives up what is sent again to one device of the old account of somebody.
    pub(crate) fn give_up_resends(&self, from: &str) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE envelopes SET state = 5, reason = 'they have moved' WHERE recipient = ?1 \
                   AND state IN (1, 6) AND resent_to IS NOT NULL";
        self.inner.execute(sql, [from])?;
        Ok(())
    }

    /// Numbers the notes to the new account of somebody on from those to the old one.
    pub(crate) fn carry_numbers(&self, from: &str, to: &str) -> Result<(), DeviceStoreError> {
        let sql = "INSERT INTO sequences (conversation, last) SELECT ?2, last FROM sequences WHERE conversation = ?1 \
                   ON CONFLICT (conversation) DO UPDATE SET last = max(last, excluded.last)";
        self.inner.execute(sql, [from, to])?;
        Ok(())
    }

    /// Returns the node by which this user leaves the account of this store, if it was made.
    pub(crate) fn own_move(&self) -> Result<Option<OwnMove>, DeviceStoreError> {
        let Some(StoredOwnMove { node, is_given }) = self.json(OWN_MOVE)? else { return Ok(None) };
        let node = ChainNode::parse(&node).map_err(|_| DeviceStoreError::Corrupt("own move"))?;
        Ok(Some(OwnMove { node, is_given }))
    }

    /// Keeps the node by which this user leaves the account of this store, before anybody gets it.
    ///
    /// Returns the actor id of another account, and keeps nothing, if an earlier node leads there that must not
    /// have a rival: the contacts may have it, or this one is for them and the server may have the other one,
    /// which goes on from the same node.
    pub(crate) fn keep_own_move(
        &self,
        node: &ChainNode,
        is_given: bool,
    ) -> Result<Option<String>, DeviceStoreError> {
        let kept = self.own_move()?;
        let is_rival = |kept: &OwnMove| kept.node.target() != node.target();
        let is_bound =
            |kept: &OwnMove| kept.is_given || (is_given && kept.node.previous() == node.previous());
        if let Some(kept) = kept.as_ref().filter(|kept| is_rival(kept) && is_bound(kept)) {
            return Ok(kept.node.target().map(|target| target.actor.clone()));
        }
        let is_given = is_given || kept.is_some_and(|kept| kept.is_given);
        self.put_json(OWN_MOVE, &StoredOwnMove { node: node.to_value(), is_given })?;
        self.keep_own_node(&node.hash())?;
        Ok(None)
    }

    /// Forgets the node by which this user wanted to leave the account of this store, because its server has
    /// refused it, unless the contacts may have it.
    pub(crate) fn forget_own_move(&self, node: &ChainNode) -> Result<(), DeviceStoreError> {
        match self.own_move()? {
            Some(kept) if !kept.is_given && kept.node.hash() == node.hash() => self.delete(OWN_MOVE),
            Some(_) | None => Ok(()),
        }
    }

    /// Forgets the node by which this user was to leave the account. After a reset it follows no
    /// node of the chain.
    pub(crate) fn drop_own_move(&self) -> Result<(), DeviceStoreError> {
        self.delete(OWN_MOVE)
    }

    /// Forgets what a former store has brought along of the account of this one, to which its user moves: of its
    /// own chain a device believes what it has verified alone.
    pub(crate) fn forget_carried_self(&self) -> Result<(), DeviceStoreError> {
        let own = self.own_actor()?.unwrap_or_default();
        for table in ["chains", "decisions", "notices"] {
            self.inner.execute(&format!("DELETE FROM {table} WHERE actor = ?1"), [&own])?;
        }
        let mut moves = self.moves()?;
        if moves.remove(&own).is_some() {
            self.put_json(MOVES, &moves)?;
        }
        Ok(())
    }

    /// Takes over the moves of others that the former store has followed, or has heard of.
    pub(super) fn merge_moves_of_former(&self) -> Result<(), DeviceStoreError> {
        let Some(theirs) = self.former_value(MOVES)? else { return Ok(()) };
        let theirs: BTreeMap<String, KeptMove> =
            serde_json::from_str(&theirs).map_err(|_| DeviceStoreError::Corrupt("moves"))?;
        let (mut moves, own) = (self.moves()?, self.own_actor()?.unwrap_or_default());
        for (actor, theirs) in theirs {
            let is_new = moves.get(&actor).is_none_or(|kept| theirs.is_followed && !kept.is_followed);
            if is_new && actor != own {
                moves.insert(actor, theirs);
            }
        }
        self.put_json(MOVES, &moves)
    }

    /// Returns the account that this user has left for the one of this store.
    pub(crate) fn former_self(&self) -> Result<Option<FormerSelf>, DeviceStoreError> {
        let Some(stored) = self.json::<StoredFormerSelf>(FORMER_SELF)? else { return Ok(None) };
        let nodes = stored.nodes.iter().map(ChainNode::parse).collect::<Result<_, _>>();
        let nodes = nodes.map_err(|_| DeviceStoreError::Corrupt("former chain"))?;
        Ok(Some(FormerSelf { nodes, told: stored.told }))
    }

    /// Keeps the account that this user has left for the one of this store, which has taken over then.
    pub(crate) fn keep_former_self(&self, former: &FormerSelf) -> Result<(), DeviceStoreError> {
        self.end_awaited_move()?;
        let nodes = former.nodes.iter().map(ChainNode::to_value).collect();
        self.put_json(FORMER_SELF, &StoredFormerSelf { nodes, told: former.told.clone() })
    }
}
