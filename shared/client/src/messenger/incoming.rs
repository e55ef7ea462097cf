//! One message that arrived: the device that sent it, its content, and the conversation that it
//! belongs to.

use eko_protocol::flag::Flag;
use eko_protocol::letter::FetchedLetter;

use super::contact::{Contact, ListedDevice};
use super::groups::NoteStanding;
use super::reporting::{FALSE_TAG, Reportability};
use super::standing::Standing;
use super::{Distrust, Messenger, MessengerError, Notice, Person, UnreadableReason};
use crate::content::{Activity, ActivityContent, ActivityId, Note, NumberRange};
use crate::sessions::PeerDevice;
use crate::store::{CiphertextKey, DeviceStoreError, MessageContent, MessageStream, Transaction};
use crate::{SessionError, SignalSessions, Transport};

/// The time for which envelopes that were read, and silent ones that were sent, are remembered. An entry
/// lives 30 days in the recipient's mailbox, its answer 30 days in the author's, and a server tries
/// for two days to reach another one.
pub const REMEMBERED_MS: i64 = 62 * 24 * 3_600_000;
/// The beginning of the names under which the store keeps up to which position somebody has read what
/// another device of this user wrote in a conversation.
pub(super) const SEEN_UP_TO: &str = "seen_up_to";

/// The warning beside a note of somebody who has left its group.
const HAD_LEFT: &str = "they had left the group when it came: it was on its way then, or they wrote it since";

/// The treatment of an entry of the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryDisposition {
    /// Acknowledge it, which sends its author a delivery report.
    Confirm,
    /// Acknowledge it without a report.
    Drop,
    /// Leave it in the mailbox.
    Leave,
}

/// The origin of an activity.
pub(super) struct ActivitySource<'a> {
    /// The actor id of the user whose device sent it.
    pub(super) actor: &'a str,
    /// The address of that device.
    pub(super) device: &'a str,
    /// The id of the envelope in which it came, unless it was held or forwarded.
    pub(super) envelope: Option<&'a str>,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub(super) received_ms: i64,
    /// The standing of that device.
    pub(super) standing: Standing,
    /// A warning about the sender, for the reader.
    pub(super) warning: Option<String>,
    /// True if the activity was held, and is tried again.
    pub(super) was_held: bool,
    /// The actor id of the member who forwards what this device sent, if somebody does.
    pub(super) forwarder: Option<&'a str>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    pub(super) async fn take_message(
        &self,
        message: &FetchedLetter,
        received_ms: i64,
        notices: &mut Vec<Notice>,
    ) -> Result<EntryDisposition, MessengerError> {
        if self.store.read(|tx| tx.was_read(key(message)))? {
            return Ok(EntryDisposition::Drop);
        }
        let actor = message.letter.header.author.clone();
        let (contact, listed) = match self.sender(message).await {
            Ok(found) => found,
            Err(MessengerError::Distrust { actor, why }) => {
                // The message is not read, because their server may show the true chain later. It
                // stays until its time is over.
                notices.push(Notice::Refused { actor, why });
                return Ok(EntryDisposition::Leave);
            }
            Err(error) if error.retry_after_s().is_some() => {
                notices.push(Notice::Waits { actor, why: error.to_string() });
                return Ok(EntryDisposition::Leave);
            }
            Err(error) if error.holds_up_all() => return Err(error),
            Err(error) => {
                notices.push(Notice::Unreadable { actor, why: error.into() });
                return Ok(EntryDisposition::Drop);
            }
        };
        let standing = Standing::of(&contact, &message.letter.header.from, &self.device.actor());
        let whence = ActivitySource {
            actor: &message.letter.header.author,
            device: &message.letter.header.from,
            envelope: Some(message.letter.header.id.as_str()),
            received_ms,
            standing,
            warning: standing.warning(&contact, &message.letter.header.from, &self.device.actor()),
            was_held: false,
            forwarder: None,
        };
        let (activity, disposition) = match self.open_message(message, &whence, listed, notices) {
            Ok(kept) => kept,
            Err(MessengerError::Session(SessionError::Duplicate)) => return Ok(EntryDisposition::Drop),
            Err(error @ MessengerError::Store(_)) => return Err(error),
            Err(MessengerError::Session(error)) => {
                notices.extend(self.give_up(message, &whence, error)?);
                return Ok(EntryDisposition::Drop);
            }
            Err(error) => {
                self.store.write(|tx| self.note_given_up(tx, key(message)))?;
                notices.push(Notice::Unreadable { actor, why: error.into() });
                return Ok(EntryDisposition::Drop);
            }
        };
        let counts = self.store.read(|tx| self.counts(tx, &whence))?;
        if counts && activity.is_some_and(|activity| activity.actor == actor) {
            self.note_doubt(&actor)?;
        }
        Ok(disposition)
    }

    /// Finds the sender and their device, which must be in their chain. The chain of anybody else than
    /// this user was read before, if that was due.
    async fn sender(&self, message: &FetchedLetter) -> Result<(Contact, ListedDevice), MessengerError> {
        let (author, device) = (&message.letter.header.author, &message.letter.header.from);
        let nobody = || MessengerError::NoSuchPerson(author.clone());
        let person = Person::of(author).ok_or_else(nobody)?;
        if person.origin.parse_device(device).is_none_or(|(user, _)| user != person.user) {
            return Err(nobody());
        }
        let is_own = person == self.me();
        // What comes from another device of this user is put into the user's conversations, so those
        // devices must be beyond doubt.
        let mut known = match is_own {
            true => self.trusted(&person).await?,
            false => self.store.read(|tx| self.kept_contact(tx, author))?.ok_or_else(nobody)?,
        };
        if is_own && known.listed(device).is_none() {
            known = self.look_again(&person).await?;
        }
        match known.listed(device) {
            Some(listed) => Ok((known, listed)),
            None => Err(self.alarm(author, Distrust::Inserted(device.clone()))?),
        }
    }

    /// Decrypts a message and keeps its content, in one transaction.
    fn open_message(
        &self,
        message: &FetchedLetter,
        whence: &ActivitySource<'_>,
        listed: ListedDevice,
        notices: &mut Vec<Notice>,
    ) -> Result<(Option<Activity>, EntryDisposition), MessengerError> {
        let address = self.device.address();
        let own = self.own(&address);
        let peer = PeerDevice { address: &message.letter.header.from, identity: &listed.identity };
        let now_ms = self.now_ms();
        self.store.write(|tx| {
            let record = tx.session(&message.letter.header.from)?.map(|session| session.record);
            let opened = self.sessions.decrypt(own, peer, record.as_deref(), tx, &message.ciphertext)?;
            tx.keep_session(&message.letter.header.author, &message.letter.header.from, &opened.record)?;
            if whence.standing == Standing::Revoked {
                tx.end_session(whence.device, now_ms)?;
            }
            let last_resorts = tx.last_resorts()?;
            tx.spend(opened.one_time, opened.kyber.as_ref(), |id| last_resorts.contains(&id.get()))?;
            self.note_taken(tx, key(message))?;
            let place = self.take_place(tx, whence.device, &message.letter.header.id)?;
            let activity = Activity::from_plaintext(&opened.plaintext)
                .and_then(|activity| Self::check_head(activity, whence, listed));
            match activity {
                Ok(activity) => {
                    let is_note = matches!(activity.content, ActivityContent::Note(_));
                    let report = match is_note && whence.standing != Standing::Own {
                        true => Reportability::of(message, &opened.plaintext),
                        false => Reportability::Unknown,
                    };
                    let warning = match (&report, &whence.warning) {
                        (Reportability::False, Some(warning)) => Some(format!("{warning}; {FALSE_TAG}")),
                        (Reportability::False, None) => Some(FALSE_TAG.to_owned()),
                        (_, warning) => warning.clone(),
                    };
                    let whence = &ActivitySource { warning, ..*whence };
                    self.note_heads(tx, &activity, whence)?;
                    let mut found = Vec::new();
                    let disposition = match &report {
                        Reportability::Reportable(flag) => {
                            self.keep_reportable(tx, &activity, whence, flag, &mut found)?
                        }
                        _ => self.keep(tx, &activity, whence, &mut found)?,
                    };
                    self.note_follower(tx, whence)?;
                    if let Some(place) = place {
                        self.fill_place(tx, &place, &activity)?;
                    }
                    self.keep_notices(tx, &mut found)?;
                    notices.append(&mut found);
                    Ok((Some(activity), disposition))
                }
                // The session has moved on, although the content is of no use.
                Err(fault) => {
                    notices.push(unreadable(whence.actor, UnreadableReason::Malformed(fault)));
                    Ok((None, EntryDisposition::Drop))
                }
            }
        })
    }

    /// Keeps the content of a note, and with it what a report of it reveals: beside the message that it
    /// becomes, or beside what is held. A note whose id is that of another one becomes neither.
    pub(super) fn keep_reportable(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        whence: &ActivitySource<'_>,
        flag: &Flag,
        notices: &mut Vec<Notice>,
    ) -> Result<EntryDisposition, MessengerError> {
        let id = activity.id.as_str();
        let (was_known, held) = (tx.has_message(whence.actor, id)?, tx.last_held()?);
        let disposition = self.keep(tx, activity, whence, notices)?;
        if !was_known && tx.has_message(whence.actor, id)? {
            tx.keep_evidence(id, flag)?;
        }
        tx.hold_evidence(held, flag)?;
        Ok(disposition)
    }

    /// Keeps the content of an activity. Its author must be the user whose device sent it. Nothing
    /// is confirmed but a message of somebody else that is in a conversation now.
    ///
    /// A device may have written a message before its user revoked it, so the message is kept with a
    /// warning. Nothing else of that device counts.
    pub(super) fn keep(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<EntryDisposition, MessengerError> {
        let me = self.device.actor();
        if activity.actor != whence.actor {
            notices.push(unreadable(whence.actor, UnreadableReason::OtherAuthor));
            return Ok(EntryDisposition::Drop);
        }
        if whence.standing == Standing::Revoked && !matches!(activity.content, ActivityContent::Note(_)) {
            notices.push(unreadable(whence.actor, UnreadableReason::RevokedDevice));
            return Ok(EntryDisposition::Drop);
        }
        match (&activity.content, &activity.group) {
            (ActivityContent::Control(control), _) => {
                self.keep_control(tx, activity, control, whence, notices)?;
            }
            (ActivityContent::Note(note), Some(group)) => {
                let standing = self.belongs(tx, activity, group, whence, notices)?;
                if standing != NoteStanding::Waits {
                    let mut message = self.message_of(activity, note, group.id.to_string(), whence);
                    if standing == NoteStanding::Late {
                        let warnings = message.warning.iter().map(String::as_str).chain([HAD_LEFT]);
                        message.warning = Some(warnings.collect::<Vec<_>>().join("; "));
                    }
                    return Ok(self.keep_note(tx, &message, &activity.void, whence)?);
                }
            }
            (ActivityContent::Note(note), None) => {
                let Some(conversation) = conversation(activity, &me, &self.former_actors(tx)?) else {
                    notices.push(unreadable(whence.actor, UnreadableReason::OtherAddressee));
                    return Ok(EntryDisposition::Drop);
                };
                let message = self.message_of(activity, note, conversation, whence);
                // Whom this user writes to on another device is a contact here, too. What this device has
                // kept of them comes before that.
                if whence.standing == Standing::Own && !tx.is_contact(&message.conversation)? {
                    tx.note_accepted(&message.conversation)?;
                    self.place_accepted(tx, &message.conversation)?;
                }
                if whence.actor == me || tx.is_contact(whence.actor)? {
                    return Ok(self.keep_note(tx, &message, &activity.void, whence)?);
                }
                self.keep_request(tx, &message, &activity.void, whence, notices)?;
            }
            (ActivityContent::Read(id), _) => self.keep_read(tx, id, whence, notices)?,
            (ActivityContent::Typing | ActivityContent::TypingEnded, _) => {
                self.keep_typing(tx, activity, whence, notices)?;
            }
            (ActivityContent::Receipt(receipt), _) => self.keep_receipt(tx, receipt, whence, notices)?,
            (ActivityContent::Join(_), Some(group)) => {
                self.keep_join(tx, activity, group, whence, notices)?
            }
            (ActivityContent::Announce(control), _) => {
                self.keep_announced(tx, activity, control, whence, notices)?;
            }
            (ActivityContent::Block(party) | ActivityContent::Unblock(party), _) => {
                self.keep_block(tx, activity, party, whence)?;
            }
            (ActivityContent::Decisions(decisions), _) => self.keep_decisions(tx, decisions, whence)?,
            (ActivityContent::Leave(target), _) => self.keep_leave(tx, activity, target, whence)?,
            (ActivityContent::Move(evidence), _) => {
                self.keep_move(tx, evidence, whence)?;
                self.note_teller(tx, activity, evidence, whence)?;
            }
            (ActivityContent::StateKeys(keys), _) => self.keep_state_keys(tx, activity, keys, whence)?,
            (ActivityContent::Join(_) | ActivityContent::Other(_), _) => {}
        }
        Ok(EntryDisposition::Drop)
    }

    /// Returns the message that a note is in a conversation.
    fn message_of(
        &self,
        activity: &Activity,
        note: &Note,
        conversation: String,
        whence: &ActivitySource<'_>,
    ) -> MessageContent {
        MessageContent {
            id: activity.id.to_string(),
            actor: activity.actor.clone(),
            device: whence.device.to_owned(),
            conversation,
            outgoing: activity.actor == self.device.actor(),
            sequence: activity.sequence,
            published_ms: activity.published_ms,
            received_ms: whence.received_ms,
            text: note.text.clone(),
            attachments: note.attachments.clone(),
            warning: whence.warning.clone(),
        }
    }

    /// Puts a message into its conversation. Its author is owed a receipt, unless it is this user, or
    /// the device that would read the receipt is revoked. `void` are the numbers under which its device
    /// sends nothing. One that came from another device before, also from one of the account that its author has
    /// left, is shown once, and its number is void.
    fn keep_note(
        &self,
        tx: &Transaction<'_>,
        message: &MessageContent,
        void: &[NumberRange],
        whence: &ActivitySource<'_>,
    ) -> Result<EntryDisposition, DeviceStoreError> {
        let MessageContent { conversation, device, actor, .. } = message;
        let of = MessageStream { conversation, device, actor };
        tx.note_void(of, void)?;
        let is_of_other_device = match self.has_from_other_account(tx, message)? {
            true => true,
            false => !tx.store_arrival(message, self.now_ms())? && tx.is_of_other_device(message)?,
        };
        if is_of_other_device && let Some(number) = message.sequence {
            tx.note_void(of, &[NumberRange { first: number, last: number }])?;
        }
        if matches!(whence.standing, Standing::Own | Standing::Revoked) {
            return Ok(EntryDisposition::Drop);
        }
        tx.owe_receipt(whence.actor, &message.id)?;
        Ok(EntryDisposition::Confirm)
    }

    /// True if a message came from another account of its author, who has moved: the old one has sent it, and
    /// does not know, so that the new one has said it again.
    fn has_from_other_account(
        &self,
        tx: &Transaction<'_>,
        message: &MessageContent,
    ) -> Result<bool, DeviceStoreError> {
        for account in tx.accounts_of(&message.actor)? {
            if account != message.actor && tx.message(&account, &message.id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Records and tells that somebody read a message of this user in a conversation that both are in.
    fn keep_read(
        &self,
        tx: &Transaction<'_>,
        id: &ActivityId,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DeviceStoreError> {
        if whence.standing == Standing::Own || whence.standing.is_in_doubt() {
            return Ok(());
        }
        let Some(read) = tx.message(&self.device.actor(), id.as_str())? else { return Ok(()) };
        if self.takes_part(tx, whence.actor, &read.content.conversation)? {
            // Whoever has read it has it.
            tx.note_received_by(id.as_str(), whence.actor, whence.device)?;
            notices.extend(tx.note_received(id.as_str(), whence.actor)?.map(Notice::Settled));
            self.confirm_by_receipt(tx, id.as_str(), whence.actor)?;
            let seen = tx.note_seen(id.as_str(), whence.actor)?;
            // Another device of this user may have sent it. Each device of the reader may say so.
            let is_of_other_device = tx.envelopes_of(id.as_str())?.is_empty();
            let mark = format!(
                "{SEEN_UP_TO} {} {} {}",
                whence.actor, read.content.device, read.content.conversation
            );
            if seen > 0 || (is_of_other_device && tx.pass_mark(&mark, read.position)?) {
                let (actor, id) = (whence.actor.to_owned(), id.to_string());
                notices.push(Notice::Read { actor, id, before: seen.saturating_sub(1) });
            }
        }
        Ok(())
    }

    /// True if somebody is in a conversation with this user: it is theirs alone, or that of a group
    /// that they are a member of.
    pub(super) fn takes_part(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
        conversation: &str,
    ) -> Result<bool, DeviceStoreError> {
        if conversation == actor {
            return Ok(true);
        }
        let known = tx.group(conversation)?;
        Ok(known.is_some_and(|known| known.current.members().contains(actor)))
    }

    /// Remembers a ciphertext, so that it is recognised if it comes again.
    pub(super) fn note_taken(
        &self,
        tx: &Transaction<'_>,
        key: CiphertextKey<'_>,
    ) -> Result<(), DeviceStoreError> {
        tx.note_read(key, self.now_ms(), self.kept_since_ms(REMEMBERED_MS))
    }
}

pub(super) fn key(message: &FetchedLetter) -> CiphertextKey<'_> {
    CiphertextKey {
        actor: &message.letter.header.author,
        envelope: message.letter.header.id.as_str(),
        device: &message.letter.header.from,
    }
}

pub(super) fn unreadable(actor: &str, why: UnreadableReason) -> Notice {
    Notice::Unreadable { actor: actor.to_owned(), why }
}

/// Returns the conversation of an activity that is for no group: with its author, or with the user to whom another
/// device of this user wrote. What was addressed to one of `former`, the accounts that this user has left for this
/// one, is for this user, too: its author has followed.
pub(super) fn conversation(activity: &Activity, me: &str, former: &[String]) -> Option<String> {
    if activity.actor == me {
        return Some(activity.to.clone());
    }
    (activity.to == me || former.contains(&activity.to)).then(|| activity.actor.clone())
}
