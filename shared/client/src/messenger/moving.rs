//! The move of this user to another account, of which the contacts are told.

use std::collections::BTreeSet;

use eko_protocol::block::BlockedParty;
use eko_protocol::chain::{ChainNode, MoveTarget, check_move};
use eko_protocol::settings::WhoMayWrite;

use super::send::OutgoingActivity;
use super::{Distrust, Messenger, MessengerError, Person, announced_moves};
use crate::content::{ActivityContent, MoveEvidence};
use crate::store::{DeviceStoreError, EnvelopeState, FormerDevice, FormerSelf, KeptBlock, Transaction};
use crate::{ClientError, SignalSessions, Transport};

/// The progress of telling the contacts that this user has moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoveProgress {
    /// The number of contacts.
    pub contacts: usize,
    /// The number of those whose servers have the news, or the own server for them.
    pub told: usize,
    /// The number of those who cannot be told.
    pub failed: usize,
    /// The number of those who were not seen to follow yet. What they have not confirmed is sent again once they
    /// are.
    pub awaited: usize,
}

/// The outcome of [`Messenger::depart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The whole chain of the account that was left, the `Move` last.
    pub nodes: Vec<ChainNode>,
    /// True if the server of that account has the node.
    pub is_served: bool,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Moves this user to the account of `new`, whose first node names this one. The chain is the one that the
    /// new device has verified and pinned: its server could show another first node afterwards. If
    /// the answer is lost, or the process ends, a repetition goes on where it was: the node is kept before
    /// anybody gets it. Without its server (`is_server_gone`) it is signed all the same, after the last node
    /// that this device knows, for the contacts. This account has moved then, whatever its server says later.
    /// The new account may send and read from then on.
    ///
    /// **It cannot be undone.**
    ///
    /// # Errors
    /// [`MessengerError::Distrust`] if something contradicts the own devices, or the chains;
    /// [`MessengerError::AccountMoved`] if this user has moved elsewhere, or the contacts may have the node of a
    /// move elsewhere; the problem `stale-head` if
    /// another node was appended first; [`MessengerError::NotDone`] if the server does not show the node.
    pub async fn depart<U: Transport, R: SignalSessions>(
        &self,
        new: &Messenger<U, R>,
        is_server_gone: bool,
    ) -> Result<Departure, MessengerError> {
        let departure = Box::pin(self.leave_for(new, is_server_gone)).await?;
        new.store.write(|tx| tx.note_account_left())?;
        Ok(departure)
    }

    /// Makes the node that leads to the account of `new`, and has it stored.
    async fn leave_for<U: Transport, R: SignalSessions>(
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
                return Err(moved_elsewhere(&before.actor));
            }
            return Ok(Departure { nodes: own.pinned.nodes, is_served: !is_server_gone });
        }
        let kept = self.store.read(|tx| tx.own_move())?.map(|kept| kept.node);
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
        if let Some(elsewhere) = self.store.write(|tx| tx.keep_own_move(&node, is_server_gone))? {
            return Err(moved_elsewhere(&elsewhere));
        }
        if !is_server_gone && let Err(error) = self.append(&node.to_value(), "you have moved").await {
            // A server that has refused it does not have it.
            if matches!(&error, MessengerError::Client(ClientError::Problem(_)))
                && error.retry_after_s().is_none()
            {
                self.store.write(|tx| tx.forget_own_move(&node))?;
            }
            return Err(error);
        }
        Ok(Departure { nodes, is_served: !is_server_gone })
    }

    /// Brings over what the store of the account that this user has left has got since it was copied into this
    /// one: messages, and until the contacts are told also what is known of people, what was chosen, and what
    /// was not sent. It is done after the departure, which ends what the old account sends, and may be
    /// repeated: an old account still gets what was on its way. Returns the number of messages.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if one of the stores cannot be used, or the former one is of another account.
    pub fn bring_over(&self, former: FormerDevice<'_>) -> Result<u64, DeviceStoreError> {
        match self.store.read(|tx| self.former_actor(tx))? {
            Some(left) if left == former.actor => self.store.bring_over(former),
            Some(_) | None => Err(DeviceStoreError::Corrupt("former account")),
        }
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
            let (mut told, mut awaited) = (Vec::new(), BTreeSet::new());
            // Whoever is told of a change in a group follows before that.
            let members = tx.untold_controls()?.into_iter().map(|untold| untold.recipient);
            let heard: BTreeSet<String> = tx.contacts()?.into_iter().chain(members).collect();
            for actor in heard {
                let Some(person) = Person::of(&actor).filter(|person| *person != self.me()) else { continue };
                // Whoever has moved is told at the new account, which is a contact as well.
                if actor == evidence.old_actor() || tx.moved_to(&actor)?.is_some() || tx.is_blocked(&actor)? {
                    continue;
                }
                let content = ActivityContent::Move(evidence.clone());
                if tx.is_contact(&actor)? {
                    awaited.insert(actor.clone());
                }
                let outgoing = OutgoingActivity { conversation: actor, group: None, content };
                let activity = self.put_down(tx, &outgoing)?;
                self.enclose(tx, &activity, &[person], false)?;
                told.push(activity.id.to_string());
            }
            tx.put_json(announced_moves::AWAITED, &awaited)?;
            tx.keep_former_self(&FormerSelf { nodes, told })?;
            Ok::<_, MessengerError>(())
        })
    }

    /// Tells the server of the new account whom this user blocks, and who may write, as at the old one. What
    /// it cannot be told of the blocks now it is told by a later look. A block that covers the new account itself
    /// ends: it would cover all that this user's own devices send. One that the server refuses holds up no other.
    /// The user is told of both.
    ///
    /// # Errors
    /// Those of every call that may succeed later.
    async fn carry_refusals(&self) -> Result<(), MessengerError> {
        let mut lost: BTreeSet<BlockedParty> = self.store.write(|tx| {
            let mut blocks = tx.blocks()?;
            let live: Vec<_> = blocks.all().filter(|(_, kept)| !kept.is_undone).collect();
            let mut lost: BTreeSet<BlockedParty> = tx.lost_blocks()?.into_iter().collect();
            for (party, kept) in live {
                if party.check_for(self.device.origin(), self.device.user()).is_ok() {
                    blocks.note(&party, KeptBlock { is_untold: true, ..kept });
                } else {
                    let at_ms = self.now_ms().max(kept.at_ms.saturating_add(1));
                    blocks.note(&party, KeptBlock { at_ms, is_undone: true, is_untold: false });
                    lost.insert(party);
                }
            }
            tx.keep_lost_blocks(&lost)?;
            tx.keep_blocks(&blocks)?;
            Ok::<_, DeviceStoreError>(lost)
        })?;
        let told = match self.tell_blocks().await {
            Err(error) if error.holds_up_all() => return Err(error),
            told => told,
        };
        if let Ok(told) = told {
            lost.extend(told.refused.into_iter().map(|(party, _)| party));
            self.store.write(|tx| tx.keep_lost_blocks(&lost))?;
        }
        let Some(setting) = self.carried_setting()? else { return Ok(()) };
        match self.let_write(setting).await {
            Ok(()) => Ok(self.store.write(|tx| tx.drop_carried_setting())?),
            Err(error) if error.holds_up_all() || error.retry_after_s().is_some() => Err(error),
            // A server may have no settings. The contacts are told all the same.
            Err(_) => Ok(()),
        }
    }

    /// Returns whom the account that this user has left blocked, and the server of the new one does not. This
    /// device drops what they write, but for those of its own server, whose block has ended.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn lost_blocks(&self) -> Result<Vec<BlockedParty>, DeviceStoreError> {
        self.store.read(|tx| tx.lost_blocks())
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
            let awaited = announced_moves::awaited_followers(tx)?.len();
            let mut progress =
                MoveProgress { contacts: former.told.len(), awaited, ..MoveProgress::default() };
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

    /// Returns the messages of this user that the own server keeps for others whose servers were out of reach: pairs of
    /// a message's id and a recipient's actor id. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn queued_messages(&self) -> Result<Vec<(String, String)>, DeviceStoreError> {
        self.store.read(|tx| tx.queued_messages(&self.device.actor()))
    }

    /// Returns the accounts that this user has left one after another for this one, as far as this device knows them.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn former_accounts(&self) -> Result<Vec<Person>, DeviceStoreError> {
        let actors = self.store.read(|tx| self.former_actors(tx))?;
        Ok(actors.iter().filter_map(|actor| Person::of(actor)).collect())
    }

    /// Returns the actor id of the account that this user has left for this one, as the first node of the
    /// own chain says.
    pub(super) fn former_actor(&self, tx: &Transaction<'_>) -> Result<Option<String>, DeviceStoreError> {
        let own = self.kept_contact(tx, &self.device.actor())?;
        Ok(own.and_then(|own| own.pinned.nodes.first()?.moved_from().map(str::to_owned)))
    }

    /// Returns the actor ids of the accounts that this user has left one after another for this one: the last two,
    /// since this device has the chain of the last one.
    pub(super) fn former_actors(&self, tx: &Transaction<'_>) -> Result<Vec<String>, DeviceStoreError> {
        let before = tx.former_self()?.and_then(|it| it.nodes.first()?.moved_from().map(str::to_owned));
        Ok(self.former_actor(tx)?.into_iter().chain(before).collect())
    }

    /// Returns the account to which this user has moved from this one, as the own chain says, or the node that
    /// was made for the contacts without the server. Makes no call.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn moved_account(&self) -> Result<Option<Person>, DeviceStoreError> {
        Ok(self.store.left_for()?.and_then(|actor| Person::of(&actor)))
    }

    /// Succeeds unless this user has moved to another account. Makes no call.
    ///
    /// # Errors
    /// [`MessengerError::AccountMoved`], and [`MessengerError::Store`].
    pub fn require_not_moved(&self) -> Result<(), MessengerError> {
        match self.store.left_for()? {
            Some(actor) => Err(moved_elsewhere(&actor)),
            None => Ok(()),
        }
    }

    /// Fails if this user has moved to another account without the server of this one: the new account says
    /// what this one has not sent, also if the server comes back.
    pub(super) fn require_not_departed(&self) -> Result<(), MessengerError> {
        let given = self.store.read(|tx| tx.own_move())?.filter(|kept| kept.is_given);
        match given.as_ref().and_then(|kept| kept.node.target()) {
            Some(target) => Err(moved_elsewhere(&target.actor)),
            None => Ok(()),
        }
    }
}

/// Returns the error of a device whose user has moved to this account.
fn moved_elsewhere(actor: &str) -> MessengerError {
    MessengerError::AccountMoved(Person::of(actor).map(|to| to.handle().to_string()).unwrap_or_default())
}
