//! Moves to other accounts: those of others, which are followed once both chains prove them, and that of
//! this user, of whom the contacts are told.

use eko_protocol::block::BlockedParty;
use eko_protocol::chain::{ChainNode, ChainState, MoveTarget, check_move};
use eko_protocol::settings::WhoMayWrite;

use super::contact::Contact;
use super::incoming::ActivitySource;
use super::send::OutgoingActivity;
use super::trust::ChainRoute;
use super::{Distrust, Messenger, MessengerError, Notice, Person, Trust};
use crate::content::{ActivityContent, MoveEvidence};
use crate::store::{
    DeviceStoreError, EnvelopeState, FormerSelf, KeptBlock, KeptNotice, PinnedChain, Transaction,
};
use crate::{ClientError, SignalSessions, Transport};

/// The number of moves that are followed in one look.
pub const FOLLOWED_AT_ONCE: usize = 8;

/// The progress of telling the contacts that this user has moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoveProgress {
    /// The number of contacts.
    pub contacts: usize,
    /// The number of those whose servers have the news, or the own server for them.
    pub told: usize,
    /// The number of those who cannot be told.
    pub failed: usize,
}

/// The outcome of [`Messenger::depart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The whole chain of the account that was left, the `Move` last.
    pub nodes: Vec<ChainNode>,
    /// True if the server of that account has the node.
    pub is_served: bool,
}

/// The relation of nodes that somebody sends to the pinned chain of the same user.
enum Extension {
    /// They go on from it, or are in it. Holds the whole chain.
    Whole(Vec<ChainNode>),
    /// There are nodes in between.
    Gap,
    /// They contradict it.
    Conflict,
}

impl Contact {
    /// Returns the account to which the user has moved, as the last node of the chain says.
    pub(super) fn target(&self) -> Option<&MoveTarget> {
        self.pinned.nodes.last()?.target()
    }

    /// Compares nodes with this chain.
    fn extended(&self, nodes: &[ChainNode]) -> Extension {
        let mut whole = self.pinned.nodes.clone();
        for node in nodes {
            let at = usize::try_from(node.seq()).unwrap_or(usize::MAX);
            match whole.get(at) {
                Some(known) if known.hash() == node.hash() => {}
                Some(_) => return Extension::Conflict,
                None if at == whole.len() => whole.push(node.clone()),
                None => return Extension::Gap,
            }
        }
        match ChainState::replay(&self.person.origin, &self.person.user, &whole) {
            Ok(_) => Extension::Whole(whole),
            Err(_) => Extension::Conflict,
        }
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the account under which a person is reached now: another one if the person has moved, and
    /// this device has followed. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn whereabouts(&self, person: &Person) -> Result<Person, DeviceStoreError> {
        let moved = self.store.read(|tx| tx.moved_to(&person.actor()))?;
        Ok(moved.and_then(|actor| Person::of(&actor)).unwrap_or_else(|| person.clone()))
    }

    /// Goes on with the new account of somebody whose chain ends with a move: compares both links, and
    /// carries over what is known. Reads the new chain unless it is pinned.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the links do not agree, if the old chain was reset before and the
    /// user has not accepted that, or if something contradicts one of the chains; those of reading a chain.
    pub(super) async fn follow(&self, left: &Contact) -> Result<Person, MessengerError> {
        let old = left.person.actor();
        let target = left.target().ok_or(DeviceStoreError::Corrupt("move"))?.clone();
        if let Some(kept) = self.store.read(|tx| tx.moved_to(&old))? {
            return Ok(Person::of(&kept).ok_or(DeviceStoreError::Corrupt("move"))?);
        }
        self.store.write(|tx| tx.note_move(&old, &target.actor))?;
        if left.trust() == Trust::Reset {
            return Err(left.distrust(Distrust::Reset { verified: left.pinned.verified.is_some() }));
        }
        if let Some(why) = left.hidden() {
            return Err(left.distrust(why));
        }
        let new = Person::of(&target.actor).ok_or(DeviceStoreError::Corrupt("move"))?;
        let kept = self.store.read(|tx| self.kept_contact(tx, &target.actor))?;
        let contact = match kept {
            Some(kept) if check_move(&left.pinned.nodes, &kept.pinned.nodes).is_ok() => kept,
            // A stranger leads to no other server.
            _ if self.knows_as_stranger(&old)? => {
                Box::pin(self.look_again_by(&new, ChainRoute::ThroughHome)).await?
            }
            _ => Box::pin(self.look_again(&new)).await?,
        };
        match self.store.write(|tx| self.carry_over(tx, left, &contact))? {
            Ok(()) => Ok(new),
            Err(why) => {
                let why = Distrust::FalseMove { to: new.handle().to_string(), why };
                self.tell_false_move(&old, &why)?;
                Err(left.distrust(why))
            }
        }
    }

    /// Tells the user of a move that is not followed, once.
    fn tell_false_move(&self, actor: &str, why: &Distrust) -> Result<(), DeviceStoreError> {
        let text = serde_json::to_string(why).map_err(|_| DeviceStoreError::Corrupt("notice"))?;
        self.store.write(|tx| {
            if !self.is_stranger(tx, actor)? {
                tx.keep_notice(actor, &KeptNotice::Distrusted(text))?;
            }
            Ok(())
        })
    }

    /// Compares both links of a move, and carries over what is known of a person: that they are a contact,
    /// that numbers were compared, the numbers of notes, a block, and what is still to be sent. Returns the
    /// reason if the move is not followed: then nothing changes.
    fn carry_over(
        &self,
        tx: &Transaction<'_>,
        left: &Contact,
        new: &Contact,
    ) -> Result<Result<(), String>, DeviceStoreError> {
        let (from, to, now_ms) = (left.person.actor(), new.person.actor(), self.now_ms());
        if let Err(why) = check_move(&left.pinned.nodes, &new.pinned.nodes) {
            return Ok(Err(why.to_string()));
        }
        if to == self.device.actor() {
            // It is the account that this user has left. It may still be a member of groups.
            tx.redirect(&from, &to, now_ms)?;
            tx.note_followed(&from, &to)?;
            return Ok(Ok(()));
        }
        if tx.kept_move(&to)?.is_some_and(|kept| kept.is_followed) {
            return Ok(Err("they have left that account before".to_owned()));
        }
        let Some(first) = new.pinned.nodes.first().map(ChainNode::hash) else {
            return Ok(Err("the new account has no devices".to_owned()));
        };
        let mut pinned = new.pinned.clone();
        let was_contact = tx.is_contact(&to)?;
        if !was_contact {
            // The move names the first device. A reset after it is one like any other.
            pinned.accepted.clone_from(&first);
            pinned.uncompared = left.trust() == Trust::Accepted;
        }
        if left.trust() == Trust::Verified && pinned.verified.is_none() {
            // A reset that was shown before the move is one of a verified person.
            pinned.accepted.clone_from(&first);
            pinned.verified = Some(first);
            pinned.compared_with.clone_from(&left.pinned.compared_with);
        }
        if tx.is_contact(&from)? {
            self.take_as_contact(tx, &to)?;
        }
        tx.pin(&to, &pinned)?;
        self.carry_block(tx, &from, &to)?;
        tx.carry_numbers(&from, &to)?;
        tx.redirect(&from, &to, now_ms)?;
        tx.note_followed(&from, &to)?;
        tx.drop_distrust(&from)?;
        if !self.is_stranger(tx, &from)? {
            tx.keep_notice(&from, &KeptNotice::Moved(to))?;
        }
        Ok(Ok(()))
    }

    /// Blocks the new account of somebody who is blocked by the old one. Each device of this user does so
    /// by itself.
    fn carry_block(&self, tx: &Transaction<'_>, from: &str, to: &str) -> Result<(), DeviceStoreError> {
        let mut blocks = tx.blocks()?;
        let Some((was, now)) = BlockedParty::parse(from).ok().zip(BlockedParty::parse(to).ok()) else {
            return Ok(());
        };
        if blocks.of(&was).is_some_and(|kept| !kept.is_undone) && blocks.of(&now).is_none() {
            blocks.note(&now, KeptBlock { at_ms: self.now_ms(), is_undone: false, is_untold: true });
            tx.keep_blocks(&blocks)?;
        }
        Ok(())
    }

    /// Follows moves that this device has heard of and could not follow yet, eight in a look, each once in
    /// ten minutes, and twenty times at most. Those of strangers are forgotten.
    pub(super) async fn settle_moves(&self) -> Result<(), MessengerError> {
        let mut tried = 0;
        for actor in self.store.read(|tx| tx.open_moves())? {
            let Some(person) = Person::of(&actor).filter(|person| *person != self.me()) else { continue };
            if tried >= FOLLOWED_AT_ONCE || !self.may_look(&format!("move {actor}")) {
                continue;
            }
            tried += 1;
            let kept = self.store.write(|tx| match self.is_stranger(tx, &actor)? {
                true => tx.forget_open_move(&actor).map(|()| None),
                false if !tx.count_attempt(&actor)? => Ok(None),
                false => self.kept_contact(tx, &actor).map(Some),
            })?;
            let Some(kept) = kept else { continue };
            let left = match kept {
                Some(kept) if kept.target().is_some() && !kept.is_in_doubt() => Ok(kept),
                _ => Box::pin(self.look_again(&person)).await,
            };
            let evidence = self.store.read(|tx| tx.move_evidence(&actor))?;
            let followed = match (left, evidence) {
                (Ok(left), _) if left.target().is_some() => Box::pin(self.follow(&left)).await.map(drop),
                // Nothing but somebody's word spoke for it.
                (Ok(_), None) => Ok(self.store.write(|tx| tx.forget_open_move(&actor))?),
                (Ok(_), Some((to, nodes))) => Ok(self.follow_by_evidence(&actor, &to, &nodes, true)?),
                (
                    Err(
                        MessengerError::Client(_)
                        | MessengerError::NoSuchPerson(_)
                        | MessengerError::PersonDeleted(_)
                        | MessengerError::PersonMoved(_),
                    ),
                    Some((to, nodes)),
                ) => Ok(self.follow_by_evidence(&actor, &to, &nodes, false)?),
                (Err(error), _) => Err(error),
            };
            if let Err(error @ (MessengerError::Store(_) | MessengerError::SignedOut)) = followed {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Follows a person of whom a server has said that they have moved, if their chain proves it.
    ///
    /// # Errors
    /// `error`, if the chain does not end with a move; those of [`follow`](Self::follow).
    pub(super) async fn follow_after(
        &self,
        error: MessengerError,
        person: &Person,
    ) -> Result<Person, MessengerError> {
        let left = Box::pin(self.look_again(person)).await?;
        match left.target() {
            Some(_) => Box::pin(self.follow(&left)).await,
            None => Err(error),
        }
    }

    /// Takes the news that the author has moved here from another account, whose chain proves it. It counts
    /// if this device knows the old account, and follows the same rules as a move that its server shows.
    pub(super) fn keep_move(
        &self,
        tx: &Transaction<'_>,
        evidence: &MoveEvidence,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DeviceStoreError> {
        let old = evidence.old_actor();
        if whence.standing.is_in_doubt() || old == self.device.actor() || self.is_stranger(tx, old)? {
            return Ok(());
        }
        let known = self.kept_contact(tx, old)?.zip(self.kept_contact(tx, whence.actor)?);
        let Some((left, new)) = known else { return Ok(()) };
        if tx.kept_move(old)?.is_some_and(|kept| kept.is_followed) {
            return Ok(());
        }
        if !matches!(left.extended(evidence.nodes()), Extension::Conflict) {
            // The old server is asked first, and shows what this device has not read yet: a revocation of the
            // device that has signed, or what is missing in between.
            return tx.note_move_evidence(old, whence.actor, evidence.nodes());
        }
        let why = "it contradicts the devices that you know of them".to_owned();
        let to = new.person.handle().to_string();
        notices.push(Notice::Refused { actor: old.to_owned(), why: Distrust::FalseMove { to, why } });
        Ok(())
    }

    /// Goes on with the new account of somebody by the nodes that it has sent, after the old server was asked:
    /// it shows nothing that contradicts them, or nothing at all. A move that is contradicted is forgotten,
    /// and told. One with nodes that are missing is forgotten if the old server has answered.
    fn follow_by_evidence(
        &self,
        old: &str,
        new: &str,
        evidence: &[ChainNode],
        is_answered: bool,
    ) -> Result<(), DeviceStoreError> {
        let why = self.store.write(|tx| {
            let known = self.kept_contact(tx, old)?.zip(self.kept_contact(tx, new)?);
            let Some((left, new)) = known else { return Ok(None) };
            let to = new.person.handle().to_string();
            let refused = |why: String| Ok::<_, DeviceStoreError>(Some(Distrust::FalseMove { to, why }));
            let nodes = match left.extended(evidence) {
                Extension::Whole(nodes) => nodes,
                Extension::Gap => {
                    // The nodes in between are not there, so that nothing speaks for these.
                    if is_answered {
                        tx.forget_open_move(old)?;
                    }
                    return Ok(None);
                }
                Extension::Conflict => {
                    return refused("it contradicts the devices that you know of them".to_owned());
                }
            };
            let (before, person) = (left.active(), left.person.clone());
            let mut left = Contact::new(person, PinnedChain { nodes, ..left.pinned })?;
            if left.is_in_doubt() || left.hidden().is_some() || left.trust() == Trust::Reset {
                return Ok(None);
            }
            if let Err(why) = self.carry_over(tx, &left, &new)? {
                return refused(why);
            }
            for gone in before.difference(&left.active()) {
                tx.end_session(gone, self.now_ms())?;
            }
            if !before.is_subset(&left.active()) {
                tx.rekey_groups_of(old, left.state.position.length)?;
            }
            left.settle_proofs();
            tx.pin(old, &left.pinned)?;
            Ok(None)
        })?;
        if let Some(why) = why {
            self.tell_false_move(old, &why)?;
            self.store.write(|tx| tx.forget_open_move(old))?;
        }
        Ok(())
    }

    /// Moves this user to the account of `new`, whose first node names this one. The chain is the one that the
    /// new device has verified and pinned: its server could show another first node afterwards. If
    /// the answer is lost, or the process ends, a repetition goes on where it was: the node is kept before
    /// anybody gets it. Without its server (`is_server_gone`) it is signed all the same, after the last node
    /// that this device knows, for the contacts.
    ///
    /// **It cannot be undone.**
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if something contradicts the own devices, or the chains;
    /// [`MessengerError::AccountMoved`] if this user has moved elsewhere; the problem `stale-head` if
    /// another node was appended first; [`MessengerError::NotDone`] if the server does not show the node.
    pub async fn depart<U: Transport, R: SignalSessions>(
        &self,
        new: &Messenger<U, R>,
        is_server_gone: bool,
    ) -> Result<Departure, MessengerError> {
        let new = new.store.read(|tx| new.kept_contact(tx, &new.device.actor()))?;
        let new = &new.ok_or(MessengerError::NotDone("there is a new account"))?.pinned.nodes;
        let own = match is_server_gone {
            true => self.contact(&self.me()).await?,
            false => self.undisputed_own().await?,
        };
        let first = new.first().ok_or(MessengerError::NotDone("there is a new account"))?;
        let target = MoveTarget { actor: first.actor().to_owned(), root: first.hash() };
        if let Some(before) = own.target() {
            if *before != target {
                let to = Person::of(&before.actor).map(|to| to.handle().to_string());
                return Err(MessengerError::AccountMoved(to.unwrap_or_default()));
            }
            return Ok(Departure { nodes: own.pinned.nodes, is_served: !is_server_gone });
        }
        let kept = self.store.read(|tx| tx.own_move())?;
        let goes_on = |node: &ChainNode| node.previous() == own.state.position.head.as_deref();
        let node = match kept.filter(|node| node.target() == Some(&target) && goes_on(node)) {
            Some(kept) => kept,
            None => ChainNode::parse(&self.device.departure(&own.state.position, &target)?)?,
        };
        let mut nodes = own.pinned.nodes.clone();
        nodes.push(node.clone());
        if let Err(why) = check_move(&nodes, new) {
            let to = Person::of(&target.actor).map(|to| to.handle().to_string()).unwrap_or_default();
            return Err(own.distrust(Distrust::FalseMove { to, why: why.to_string() }));
        }
        self.store.write(|tx| {
            tx.keep_own_move(&node)?;
            tx.keep_own_node(&node.hash())
        })?;
        if !is_server_gone {
            self.append(&node.to_value(), "you have moved").await?;
        }
        Ok(Departure { nodes, is_served: !is_server_gone })
    }

    /// Takes over from the account that this user has left, whose chain is `nodes`: puts the news for each
    /// contact among what is to be sent, once. The contacts are those that this store has taken over. Those
    /// who are blocked are not told, and the own server is told before whom it has to keep out.
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if the chains are not those of one user who has moved here.
    pub async fn take_over(&self, nodes: Vec<ChainNode>) -> Result<(), MessengerError> {
        self.require_joined().await?;
        let own = self.contact(&self.me()).await?;
        if let Err(why) = check_move(&nodes, &own.pinned.nodes) {
            let to = self.me().handle().to_string();
            return Err(own.distrust(Distrust::FalseMove { to, why: why.to_string() }));
        }
        let evidence = MoveEvidence::of(&nodes).ok_or(DeviceStoreError::Corrupt("move"))?;
        if self.store.read(|tx| tx.former_self())?.is_some() {
            return Ok(());
        }
        Box::pin(self.carry_refusals()).await?;
        self.store.write(|tx| {
            if tx.former_self()?.is_some() {
                return Ok(());
            }
            let (mut told, blocks) = (Vec::new(), tx.blocks()?);
            for actor in tx.contacts()? {
                let Some(person) = Person::of(&actor).filter(|person| *person != self.me()) else { continue };
                if actor == evidence.old_actor() || blocks.cover(&actor) {
                    continue;
                }
                let content = ActivityContent::Move(evidence.clone());
                let outgoing = OutgoingActivity { conversation: actor, group: None, content };
                let activity = self.put_down(tx, &outgoing)?;
                self.enclose(tx, &activity, &[person], false)?;
                told.push(activity.id.to_string());
            }
            tx.keep_former_self(&FormerSelf { nodes, told })?;
            Ok::<_, MessengerError>(())
        })
    }

    /// Tells the server of the new account whom this user blocks, and who may write, as at the old one. What
    /// it cannot be told of the blocks now it is told by a later look.
    ///
    /// # Errors
    /// Those of every call that may succeed later.
    async fn carry_refusals(&self) -> Result<(), MessengerError> {
        self.store.write(|tx| {
            let mut blocks = tx.blocks()?;
            let live: Vec<_> = blocks.all().filter(|(_, kept)| !kept.is_undone).collect();
            for (party, kept) in live {
                blocks.note(&party, KeptBlock { is_untold: true, ..kept });
            }
            tx.keep_blocks(&blocks)
        })?;
        if let Err(error @ (MessengerError::Store(_) | MessengerError::SignedOut)) = self.tell_blocks().await
        {
            return Err(error);
        }
        let Some(setting) = self.carried_setting()? else { return Ok(()) };
        match self.let_write(setting).await {
            Ok(()) => Ok(self.store.write(|tx| tx.drop_carried_setting())?),
            Err(error @ (MessengerError::Store(_) | MessengerError::SignedOut)) => Err(error),
            Err(error) if error.retry_after_s().is_some() => Err(error),
            // A server may have no settings. The contacts are told all the same.
            Err(_) => Ok(()),
        }
    }

    /// Returns who could write to the account that this user has left, unless everyone could, or the server
    /// of the new one has taken that over.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn carried_setting(&self) -> Result<Option<WhoMayWrite>, DeviceStoreError> {
        let carried = self.store.read(|tx| tx.carried_setting())?;
        let setting = carried.and_then(|setting| WhoMayWrite::parse(&setting).ok());
        Ok(setting.filter(|setting| *setting != WhoMayWrite::Everyone))
    }

    /// Returns how many contacts were told that this user has moved here, or `None` if this user has not.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn move_progress(&self) -> Result<Option<MoveProgress>, DeviceStoreError> {
        self.store.read(|tx| {
            let Some(former) = tx.former_self()? else { return Ok(None) };
            let mut progress = MoveProgress { contacts: former.told.len(), ..MoveProgress::default() };
            for id in &former.told {
                let states: Vec<EnvelopeState> =
                    tx.envelopes_of(id)?.iter().map(|envelope| envelope.state).collect();
                match states.first() {
                    Some(EnvelopeState::ToSend) => {}
                    Some(EnvelopeState::Failed | EnvelopeState::Refused) => progress.failed += 1,
                    // Records of what has arrived are deleted after a while.
                    Some(EnvelopeState::Queued | EnvelopeState::Accepted | EnvelopeState::Delivered)
                    | None => progress.told += 1,
                }
            }
            Ok(Some(progress))
        })
    }

    /// Returns the account that this user has left for this one, if there is one.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn former_account(&self) -> Result<Option<Person>, DeviceStoreError> {
        self.store.read(|tx| Ok(self.former_actor(tx)?.and_then(|actor| Person::of(&actor))))
    }

    /// Returns the actor id of the account that this user has left for this one, as the first node of the
    /// own chain says.
    pub(super) fn former_actor(&self, tx: &Transaction<'_>) -> Result<Option<String>, DeviceStoreError> {
        let own = self.kept_contact(tx, &self.device.actor())?;
        Ok(own.and_then(|own| own.pinned.nodes.first()?.moved_from().map(str::to_owned)))
    }

    /// Returns the account to which this user has moved from this one, as the own chain says. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn moved_account(&self) -> Result<Option<Person>, DeviceStoreError> {
        self.store.read(|tx| {
            let own = self.kept_contact(tx, &self.device.actor())?;
            Ok(own.and_then(|own| Person::of(&own.target()?.actor)))
        })
    }
}

/// True if a server says that a person has moved. It proves nothing.
pub(super) fn says_moved(error: &MessengerError) -> bool {
    matches!(error, MessengerError::Client(ClientError::Problem(problem)) if problem.slug() == "user-moved")
}
