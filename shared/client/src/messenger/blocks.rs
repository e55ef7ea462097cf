//! Blocks: whom the user does not want to hear.
//!
//! The server drops what a blocked party sends. It could fail to, so this device also drops what
//! arrives, unread. Each device tells the other ones by an encrypted activity, and the server by
//! `Block`; a new device reads the server's list.

use eko_protocol::block::BlockedParty;

use super::incoming::ActivitySource;
use super::send::OutgoingActivity;
use super::standing::Standing;
use super::{Messenger, MessengerError};
use crate::content::{Activity, ActivityContent};
use crate::device::{EntryContent, MailboxEntry};
use crate::store::{DeviceStoreError, KeptBlock, KeptBlocks, Transaction};
use crate::stored_time::is_over;
use crate::{ClientError, SignalSessions, Transport};

/// The time after which the list of the server is read again.
const READ_AGAIN_MS: i64 = 24 * 3_600_000;

/// A party that the user blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserBlock {
    /// The party.
    pub party: BlockedParty,
    /// The time at which a device of the user blocked it, in epoch milliseconds.
    pub since_ms: i64,
    /// True if the server's list has it, `None` if that was not read.
    pub is_at_server: Option<bool>,
}

/// The blocks of a user, as far as a device knows.
#[derive(Debug)]
pub struct UserBlocks {
    /// The blocks, the latest first.
    pub all: Vec<UserBlock>,
    /// The reason for which the server's list was not read, if it was not.
    pub problem: Option<MessengerError>,
}

/// The outcome of telling the server of blocks.
#[derive(Debug)]
pub(super) struct ToldBlocks {
    /// The time at which the list of the server was read last, in epoch milliseconds.
    read_ms: Option<i64>,
    /// The parties whose blocks the server has refused for good, each with its answer.
    pub(super) refused: Vec<(BlockedParty, MessengerError)>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Blocks a party, or undoes that: on this device at once, at the server, and on the other devices
    /// of this user. Somebody who has moved is blocked with all accounts that this device knows of.
    /// Returns false if the server could not be told yet: a later look tells it.
    ///
    /// # Errors
    /// [`MessengerError::Invalid`] for this user and this user's own server: nothing is changed then.
    /// The problem `invalid` if the server holds no more blocks; this device has the block then.
    pub async fn change_block(&self, party: &BlockedParty, is_undone: bool) -> Result<bool, MessengerError> {
        self.require_joined().await?;
        if !is_undone {
            party.check_for(self.device.origin(), self.device.user())?;
        }
        let sync = self.has_other_devices().await?;
        let parties = self.store.write(|tx| {
            let parties = self.parties_of(tx, party)?;
            for party in &parties {
                self.note_block(tx, party, is_undone, sync)?;
            }
            Ok::<_, MessengerError>(parties)
        })?;
        let told = self.tell_blocks().await;
        self.flush().await?;
        match told {
            Ok(told) => match told.refused.into_iter().find(|(refused, _)| parties.contains(refused)) {
                Some((_, error)) => Err(error),
                None => Ok(true),
            },
            Err(error) if error.retry_after_s().is_some() || error.needs_sign_in() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns a party with the other accounts of the same person, but for those of this user.
    fn parties_of(
        &self,
        tx: &Transaction<'_>,
        party: &BlockedParty,
    ) -> Result<Vec<BlockedParty>, DeviceStoreError> {
        let mut parties = vec![party.clone()];
        if let BlockedParty::Actor(actor) = party {
            let others = tx.accounts_of(actor)?.into_iter().filter(|account| account != actor);
            let others = others.map(BlockedParty::Actor);
            let (origin, user) = (self.device.origin(), self.device.user());
            parties.extend(others.filter(|other| other.check_for(origin, user).is_ok()));
        }
        Ok(parties)
    }

    /// Notes that a party is blocked, or is so no longer, for the server and the other devices of this user.
    fn note_block(
        &self,
        tx: &Transaction<'_>,
        party: &BlockedParty,
        is_undone: bool,
        sync: bool,
    ) -> Result<(), MessengerError> {
        let mut blocks = tx.blocks()?;
        // A wrong clock must not keep this change from being the last one.
        let last_ms = blocks.of(party).map_or(i64::MIN, |kept| kept.at_ms);
        let at_ms = self.now_ms().max(last_ms.saturating_add(1));
        blocks.note(party, KeptBlock { at_ms, is_undone, is_untold: true });
        tx.keep_blocks(&blocks)?;
        if sync {
            let content = match is_undone {
                true => ActivityContent::Unblock(party.clone()),
                false => ActivityContent::Block(party.clone()),
            };
            let conversation = self.device.actor();
            let outgoing = OutgoingActivity { conversation, group: None, content };
            // The other devices order the changes by the same time as this one.
            let activity = self.put_down_at(tx, at_ms, &outgoing)?;
            self.enclose(tx, &activity, &[], true)?;
        }
        Ok(())
    }

    /// Returns what the user blocks, the latest first. One call, which may fail without harm: what the
    /// server lists and this device does not know yet is blocked here, too.
    ///
    /// # Errors
    /// [`MessengerError::Store`] if the store cannot be used.
    pub async fn blocks(&self) -> Result<UserBlocks, MessengerError> {
        let (listed, problem) = match self.read_blocks().await {
            Err(error @ MessengerError::Store(_)) => return Err(error),
            Err(problem) => (None, Some(problem)),
            Ok(listed) => (Some(listed), None),
        };
        let kept = self.store.read(|tx| tx.blocks())?;
        let is_listed = |party: &BlockedParty| listed.as_ref().map(|listed| listed.contains(party));
        let mut all: Vec<UserBlock> = kept
            .all()
            .filter(|(_, kept)| !kept.is_undone)
            .map(|(party, kept)| UserBlock { is_at_server: is_listed(&party), since_ms: kept.at_ms, party })
            .collect();
        all.sort_by_key(|block| std::cmp::Reverse(block.since_ms));
        Ok(UserBlocks { all, problem })
    }

    /// True if the user blocks somebody, by this account or by another one that this device knows of.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn is_blocked(&self, actor: &str) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| tx.is_blocked(actor))
    }

    /// Fails if the user blocks a person: their answer would not arrive.
    pub(super) fn require_not_blocked(&self, actor: &str) -> Result<(), MessengerError> {
        self.store.read(|tx| {
            if !tx.is_blocked(actor)? {
                return Ok(());
            }
            let (accounts, blocks) = (tx.accounts_of(actor)?, tx.blocks()?);
            let live = blocks.all().filter(|(_, kept)| !kept.is_undone).map(|(party, _)| party);
            let covering: Vec<_> =
                live.filter(|party| accounts.iter().any(|account| party.covers(account))).collect();
            // Who is blocked by name stays so without the domain.
            let domain = covering.iter().all(|party| matches!(party, BlockedParty::Domain(_)));
            let actor = actor.to_owned();
            Err(match covering.first().filter(|_| domain) {
                Some(BlockedParty::Domain(origin)) => {
                    MessengerError::BlockedDomain { actor, domain: origin.authority().to_owned() }
                }
                Some(BlockedParty::Actor(_)) | None => MessengerError::Blocked(actor),
            })
        })
    }

    /// True if an entry is a message of another device of this user, which may say whom the user blocks.
    pub(super) fn is_of_own(&self, entry: &MailboxEntry) -> bool {
        match &entry.content {
            EntryContent::Message(message) => message.letter.header.author == self.device.actor(),
            EntryContent::Report(_) | EntryContent::DeviceOffered(_) | EntryContent::Unreadable(_) => false,
        }
    }

    /// True if an entry is a message of a blocked party, which is not read.
    pub(super) fn is_of_blocked(&self, blocks: &KeptBlocks, entry: &MailboxEntry) -> bool {
        match &entry.content {
            EntryContent::Message(message) => blocks.cover(&message.letter.header.author),
            EntryContent::Report(_) | EntryContent::DeviceOffered(_) | EntryContent::Unreadable(_) => false,
        }
    }

    /// Tells the server what it does not know yet, and reads its list once a day. A server that refuses
    /// a block is not told again; what it holds is in [`Messenger::blocks`].
    pub(super) async fn settle_blocks(&self) -> Result<(), MessengerError> {
        let ToldBlocks { read_ms, .. } = self.tell_blocks().await?;
        if read_ms.is_none_or(|read_ms| is_over(self.now_ms(), read_ms, READ_AGAIN_MS)) {
            match self.read_blocks().await {
                Err(error) if error.retry_after_s().is_none() => self.note_blocks_read()?,
                read => drop(read?),
            }
        }
        Ok(())
    }

    /// Records that the list of the server was asked for.
    fn note_blocks_read(&self) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| {
            let mut blocks = tx.blocks()?;
            blocks.read_ms = Some(self.now_ms());
            tx.keep_blocks(&blocks)
        })
    }

    /// Tells the server of changes that it was not told of. One that it refuses for good holds up no other. The
    /// end of a block is told to the own devices first: otherwise they would drop what the server lets through.
    pub(super) async fn tell_blocks(&self) -> Result<ToldBlocks, MessengerError> {
        let kept = self.store.read(|tx| tx.blocks())?;
        if kept.all().any(|(_, kept)| kept.is_undone && kept.is_untold) {
            Box::pin(self.flush()).await?;
        }
        let mut refused = Vec::new();
        for (party, told) in kept.all().filter(|(_, kept)| kept.is_untold) {
            let answer =
                self.signed_in(async || self.device.change_block(&party, told.is_undone).await).await;
            let refusal = match answer {
                Ok(()) => None,
                Err(MessengerError::Client(ClientError::Problem(problem))) if problem.slug() == "invalid" => {
                    Some(ClientError::Problem(problem).into())
                }
                Err(error) => return Err(error),
            };
            self.store.write(|tx| {
                let mut blocks = tx.blocks()?;
                // Another change may have come in between.
                if blocks.of(&party) == Some(told) {
                    blocks.note(&party, KeptBlock { is_untold: false, ..told });
                    tx.keep_blocks(&blocks)?;
                }
                Ok::<_, DeviceStoreError>(())
            })?;
            refused.extend(refusal.map(|error| (party, error)));
        }
        Ok(ToldBlocks { read_ms: kept.read_ms, refused })
    }

    /// Reads the list of the server, and blocks here what it has and this device has heard nothing
    /// later of. What the list lacks stays blocked.
    async fn read_blocks(&self) -> Result<Vec<BlockedParty>, MessengerError> {
        let listed = self.signed_in(async || self.device.blocks().await).await?;
        self.store.write(|tx| {
            let mut blocks = tx.blocks()?;
            for block in &listed {
                if blocks.of(&block.party).is_none_or(|kept| kept.is_undone) {
                    // A server must not make this block the last change for ever.
                    let at_ms = block.since_ms.min(self.now_ms());
                    blocks.note(&block.party, KeptBlock { at_ms, is_undone: false, is_untold: false });
                }
            }
            blocks.read_ms = Some(self.now_ms());
            tx.keep_blocks(&blocks)
        })?;
        Ok(listed.into_iter().map(|block| block.party).collect())
    }

    /// Keeps what another device of this user has blocked, or blocks no longer. Nobody else has a say.
    pub(super) fn keep_block(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        party: &BlockedParty,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        if whence.standing != Standing::Own {
            return Ok(());
        }
        let is_undone = matches!(activity.content, ActivityContent::Unblock(_));
        if !is_undone && party.check_for(self.device.origin(), self.device.user()).is_err() {
            return Ok(());
        }
        // It may be over again, as another activity has said.
        tx.follow_party_anew(party)?;
        let mut blocks = tx.blocks()?;
        let change = KeptBlock { at_ms: activity.published_ms, is_undone, is_untold: false };
        if blocks.note(party, change) {
            tx.keep_blocks(&blocks)?;
        }
        Ok(())
    }
}
