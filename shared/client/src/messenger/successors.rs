//! Moves of others to other accounts, which are followed once both chains prove them.

use eko_protocol::block::BlockedParty;
use eko_protocol::chain::{ChainNode, MoveTarget, check_move};

use super::contact::Contact;
use super::trust::ChainRoute;
use super::{Distrust, Messenger, MessengerError, Person, Trust};
use crate::content::{Activity, ActivityContent, MoveEvidence};
use crate::group::GroupId;
use crate::store::{DeviceStoreError, EnvelopeState, KeptBlock, KeptNotice, OutboxEnvelope, Transaction};
use crate::{ClientError, SignalSessions, Transport};

/// The number of moves that are followed in one look.
pub const FOLLOWED_AT_ONCE: usize = 8;

/// Those to whom the activity of an envelope belongs.
enum EnvelopeScope {
    /// The recipient alone.
    Person,
    /// The members of the group with this id.
    Group(String),
    /// The activity cannot be read any more, or is of groups without an id. It is taken to belong to a group.
    Unknown,
}

impl Contact {
    /// Returns the account to which the user has moved, as the last node of the chain says.
    pub(super) fn target(&self) -> Option<&MoveTarget> {
        self.pinned.nodes.last()?.target()
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
            // That account may have been left, too.
            Ok(()) => Ok(self.whereabouts(&new)?),
            Err(why) => {
                self.store.write(|tx| self.tell_false_move(tx, &old, &new, &why))?;
                Err(left.distrust(Distrust::FalseMove { to: new.handle().to_string(), why }))
            }
        }
    }

    /// Keeps the notice of a move of an account to another one that is not followed, once for both: whoever
    /// says so again is not heard again. The user knows the account that is said to have been left.
    pub(super) fn tell_false_move(
        &self,
        tx: &Transaction<'_>,
        from: &str,
        to: &Person,
        why: &str,
    ) -> Result<(), DeviceStoreError> {
        if !self.is_stranger(tx, from)? {
            tx.keep_notice(
                from,
                &KeptNotice::FalseMove { to: to.handle().to_string(), why: why.to_owned() },
            )?;
        }
        Ok(())
    }

    /// Compares both links of a move, and carries over what is known of a person: that they are a contact,
    /// that numbers were compared, the numbers of notes, a block, and what is still to be sent. If this device
    /// has followed a later move before, all of it goes on along that one. Returns the reason if the move is not
    /// followed: then nothing changes.
    pub(super) fn carry_over(
        &self,
        tx: &Transaction<'_>,
        left: &Contact,
        new: &Contact,
    ) -> Result<Result<(), String>, DeviceStoreError> {
        let (from, to) = (left.person.actor(), new.person.actor());
        if let Err(why) = check_move(&left.pinned.nodes, &new.pinned.nodes) {
            return Ok(Err(why.to_string()));
        }
        if to == self.device.actor() {
            // It is the account that this user has left. It may still be a member of groups.
            self.redirect(tx, &from, &to)?;
            tx.note_followed(&from, &to)?;
            return Ok(Ok(()));
        }
        let later = tx.successors_of(&to)?;
        if later.contains(&from) {
            return Ok(Err("they have left that account before".to_owned()));
        }
        let mut carried = inherited(tx, left, new)?;
        if !later.is_empty() && carried.trust() == Trust::Reset {
            // In the order of the moves this device would not have followed the later one.
            return Ok(Err("all their devices there were replaced before they moved on".to_owned()));
        }
        self.keep_inherited(tx, &from, &carried)?;
        for next in later.iter().take_while(|next| **next != self.device.actor()) {
            let Some(known) = self.kept_contact(tx, next)? else { break };
            let before = carried;
            carried = inherited(tx, &before, &known)?;
            self.keep_inherited(tx, &before.person.actor(), &carried)?;
        }
        self.redirect(tx, &from, later.last().unwrap_or(&to))?;
        tx.note_followed(&from, &to)?;
        tx.drop_distrust(&from)?;
        if !self.is_stranger(tx, &from)? {
            tx.keep_notice(&from, &KeptNotice::Moved(to))?;
        }
        Ok(Ok(()))
    }

    /// Keeps the new account of a person, with what goes along from the old one.
    fn keep_inherited(
        &self,
        tx: &Transaction<'_>,
        from: &str,
        carried: &Contact,
    ) -> Result<(), DeviceStoreError> {
        let to = carried.person.actor();
        if tx.is_blocked(from)? && !tx.is_contact(&to)? {
            // What they have written there as a stranger is not to become a part of the conversation.
            tx.decline_requests(&to)?;
        }
        if tx.is_contact(from)? {
            self.take_as_contact(tx, &to)?;
        }
        tx.pin(&to, &carried.pinned)?;
        self.carry_block(tx, from, &to)?;
        tx.carry_numbers(from, &to)
    }

    /// Has what is still to be sent to the old account of somebody, or was held back from it, sent to the new
    /// one, unless it belongs to a group.
    pub(super) fn redirect(
        &self,
        tx: &Transaction<'_>,
        from: &str,
        to: &str,
    ) -> Result<(), DeviceStoreError> {
        tx.give_up_resends(from)?;
        for envelope in tx.open_to(from)? {
            self.redirect_one(tx, &envelope, to)?;
        }
        Ok(())
    }

    /// Has an envelope sent to the new account of its recipient. One that belongs to a group has failed if the
    /// group does not have that account: a move changes no membership, and only an admin says who reads a group.
    /// If the new account has an envelope of its own, this one is settled. So is a control of a group that has
    /// the new account, which an admin has told of the state.
    pub(super) fn redirect_one(
        &self,
        tx: &Transaction<'_>,
        envelope: &OutboxEnvelope,
        to: &str,
    ) -> Result<(), DeviceStoreError> {
        let known = match self.scope_of(tx, envelope)? {
            EnvelopeScope::Person => return tx.redirect(&envelope.id, to, self.now_ms()),
            EnvelopeScope::Group(group) => tx.group(&group)?,
            EnvelopeScope::Unknown => None,
        };
        let me = self.device.actor();
        let has_own = tx.envelopes_of(&envelope.message)?.iter().any(|other| other.recipient == to);
        let is_member = known.is_some_and(|known| known.current.members().contains(to));
        let is_note = tx.message(&me, &envelope.message)?.is_some();
        match (to == me || has_own, is_member) {
            (false, true) if is_note => tx.redirect(&envelope.id, to, self.now_ms()),
            (false, false) => {
                let to = Person::of(to).map(|to| to.handle().to_string()).unwrap_or_default();
                let reason = format!("they have moved to {to}, and the group does not have that account");
                tx.settle(&envelope.id, EnvelopeState::Failed, Some(&reason))
            }
            (true, _) | (false, true) => tx.settle(&envelope.id, EnvelopeState::Accepted, None),
        }
    }

    /// Returns to whom the activity of an envelope belongs.
    fn scope_of(
        &self,
        tx: &Transaction<'_>,
        envelope: &OutboxEnvelope,
    ) -> Result<EnvelopeScope, DeviceStoreError> {
        if let Some(message) = tx.message(&self.device.actor(), &envelope.message)? {
            let conversation = message.content.conversation;
            return Ok(match GroupId::parse(&conversation) {
                Ok(_) => EnvelopeScope::Group(conversation),
                Err(_) => EnvelopeScope::Person,
            });
        }
        let plaintext = tx.plaintext(&envelope.id)?;
        let Some(Ok(activity)) = plaintext.as_deref().map(Activity::from_plaintext) else {
            return Ok(EnvelopeScope::Unknown);
        };
        Ok(match (&activity.group, &activity.content) {
            (Some(group), _) => EnvelopeScope::Group(group.id.to_string()),
            (None, ActivityContent::Announce(control)) => {
                EnvelopeScope::Group(control.state().id().to_string())
            }
            (None, ActivityContent::StateKeys(_)) => EnvelopeScope::Unknown,
            (None, _) => EnvelopeScope::Person,
        })
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

    /// Tells members of groups of moves that they seem not to know, and that this device has followed: their own
    /// server, or that of the account that was left, may keep it from them, or be gone. Whoever they are, they
    /// have the old account in a group with this user.
    fn pass_moves_on(&self) -> Result<(), MessengerError> {
        self.store.write(|tx| {
            for (member, left) in tx.take_unaware()? {
                let kept = self.kept_contact(tx, &left)?;
                let evidence = kept.and_then(|left| MoveEvidence::of(&left.pinned.nodes));
                let Some((person, evidence)) = Person::of(&member).zip(evidence) else { continue };
                let activity = self.evidence(tx, &member, None, ActivityContent::Move(evidence))?;
                self.enclose(tx, &activity, &[person], false)?;
            }
            Ok(())
        })
    }

    /// Follows moves that this device has heard of and could not follow yet, eight in a look, each once in
    /// ten minutes, and twenty times at most. Those of strangers are forgotten.
    pub(super) async fn settle_moves(&self) -> Result<(), MessengerError> {
        self.pass_moves_on()?;
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
            let news = self.store.read(|tx| tx.move_news(&actor))?;
            for new in news.iter().filter_map(|news| Person::of(&news.to)) {
                // Somebody else may have passed it on. Without an answer it is tried again.
                let _ = Box::pin(self.contact(&new)).await;
            }
            let followed = match left {
                Ok(left) if left.target().is_some() => Box::pin(self.follow(&left)).await.map(drop),
                // Without news nothing but somebody's word spoke for it.
                Ok(_) => Ok(self.follow_by_news(&actor, &news, true)?),
                Err(
                    MessengerError::Client(_)
                    | MessengerError::NoSuchPerson(_)
                    | MessengerError::PersonDeleted(_)
                    | MessengerError::PersonMoved(_),
                ) if !news.is_empty() => Ok(self.follow_by_news(&actor, &news, false)?),
                Err(error) => Err(error),
            };
            if let Err(error) = followed
                && error.holds_up_all()
            {
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
}

/// Returns the new account of a person with what is known by the old one: that numbers were compared, or that
/// the user has accepted a replacement of all devices without that.
fn inherited(tx: &Transaction<'_>, left: &Contact, new: &Contact) -> Result<Contact, DeviceStoreError> {
    let first = new.pinned.nodes.first().map(ChainNode::hash);
    let first = first.ok_or(DeviceStoreError::Corrupt("device chain"))?;
    let mut pinned = new.pinned.clone();
    if !tx.is_contact(&new.person.actor())? {
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
    Ok(Contact { pinned, ..new.clone() })
}

/// True if a server says that a person has moved. It proves nothing.
pub(super) fn says_moved(error: &MessengerError) -> bool {
    matches!(error, MessengerError::Client(ClientError::Problem(problem)) if problem.slug() == "user-moved")
}
