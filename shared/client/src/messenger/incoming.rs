//! One message that arrived: the device that sent it, its content, and the conversation that it
//! belongs to.

use eko_protocol::letter::FetchedLetter;

use super::standing::Standing;
use super::trust::{Contact, HeadComparison, ListedDevice};
use super::{Distrust, Messenger, MessengerError, Notice, Person, UnreadableReason};
use crate::content::{Activity, ActivityContent, Note};
use crate::sessions::PeerDevice;
use crate::store::{CiphertextKey, DeviceStoreError, MessageContent, Transaction};
use crate::{SessionError, SignalSessions, Transport};

/// The time for which envelopes that were read are remembered. Servers keep entries for a shorter
/// time.
const REMEMBERED_MS: i64 = 62 * 24 * 3_600_000;

/// The treatment of an entry of the mailbox.
pub(super) enum EntryDisposition {
    /// Acknowledge it, which sends its author a receipt.
    Confirm,
    /// Acknowledge it without a receipt.
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
    /// The time at which the server accepted it, in epoch milliseconds.
    pub(super) received_ms: i64,
    /// The standing of that device.
    pub(super) standing: Standing,
    /// A warning about the sender, for the reader.
    pub(super) warning: Option<String>,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    pub(super) async fn take_message(
        &self,
        message: &FetchedLetter,
        received_ms: i64,
        notices: &mut Vec<Notice>,
    ) -> Result<EntryDisposition, MessengerError> {
        let is_sync = message.letter.header.author == self.device.actor();
        let taken = if is_sync { EntryDisposition::Drop } else { EntryDisposition::Confirm };
        if self.store.read(|tx| tx.was_read(key(message)))? {
            return Ok(taken);
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
            Err(error @ (MessengerError::Store(_) | MessengerError::SignedOut)) => return Err(error),
            Err(error) => {
                notices.push(Notice::Unreadable { actor, why: error.into() });
                return Ok(EntryDisposition::Drop);
            }
        };
        let standing = Standing::of(&contact, &message.letter.header.from, &self.device.actor());
        let whence = ActivitySource {
            actor: &message.letter.header.author,
            device: &message.letter.header.from,
            received_ms,
            standing,
            warning: standing.warning(),
        };
        let activity = match self.open_message(message, &whence, listed, notices) {
            Ok(activity) => activity,
            Err(MessengerError::Session(SessionError::Duplicate)) => return Ok(taken),
            Err(error @ MessengerError::Store(_)) => return Err(error),
            Err(error) => {
                self.give_up(message)?;
                notices.push(Notice::Unreadable { actor, why: error.into() });
                return Ok(EntryDisposition::Drop);
            }
        };
        if let Some(activity) = activity {
            self.compare(&activity, &contact, notices).await?;
        }
        Ok(taken)
    }

    /// Finds the sender and their device, which must be in their chain.
    async fn sender(&self, message: &FetchedLetter) -> Result<(Contact, ListedDevice), MessengerError> {
        let nobody = || MessengerError::NoSuchPerson(message.letter.header.author.clone());
        let person = Person::of(&message.letter.header.author).ok_or_else(nobody)?;
        if person.origin.parse_device(&message.letter.header.from).is_none_or(|(user, _)| user != person.user)
        {
            return Err(nobody());
        }
        // What comes from another device of this user is put into the user's conversations, so those
        // devices must be beyond doubt.
        let known = match person == self.me() {
            true => self.trusted(&person).await?,
            false => self.contact(&person).await?,
        };
        if let Some(listed) = known.listed(&message.letter.header.from) {
            return Ok((known, listed));
        }
        let known = self.look_again(&person).await?;
        match known.listed(&message.letter.header.from) {
            Some(listed) => Ok((known, listed)),
            None => Err(self.alarm(&person.actor(), Distrust::Inserted(message.letter.header.from.clone()))?),
        }
    }

    /// Decrypts a message and keeps its content, in one transaction.
    fn open_message(
        &self,
        message: &FetchedLetter,
        whence: &ActivitySource<'_>,
        listed: ListedDevice,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<Activity>, MessengerError> {
        let address = self.device.address();
        let own = self.own(&address);
        let peer = PeerDevice { address: &message.letter.header.from, identity: &listed.identity };
        let now_ms = self.now_ms();
        self.store.write(|tx| {
            let record = tx.session(&message.letter.header.from)?.map(|session| session.record);
            let opened = self.sessions.decrypt(own, peer, record.as_deref(), tx, &message.ciphertext)?;
            tx.keep_session(&message.letter.header.author, &message.letter.header.from, &opened.record)?;
            let last_resorts = tx.last_resorts()?;
            tx.spend(opened.one_time, opened.kyber.as_ref(), |id| last_resorts.contains(&id.get()))?;
            tx.note_read(key(message), now_ms, now_ms.saturating_sub(REMEMBERED_MS))?;
            let activity = Activity::from_plaintext(&opened.plaintext);
            match activity {
                Ok(activity) => {
                    self.keep(tx, &activity, whence, notices)?;
                    Ok(Some(activity))
                }
                // The session has moved on, although the content is of no use.
                Err(fault) => {
                    notices.push(unreadable(whence.actor, UnreadableReason::Malformed(fault)));
                    Ok(None)
                }
            }
        })
    }

    /// Keeps the content of an activity. Its author must be the user whose device sent it.
    pub(super) fn keep(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        whence: &ActivitySource<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let me = self.device.actor();
        if activity.actor != whence.actor {
            notices.push(unreadable(whence.actor, UnreadableReason::OtherAuthor));
            return Ok(());
        }
        match (&activity.content, &activity.group) {
            (ActivityContent::Control(control), _) => {
                self.keep_control(tx, activity, control, whence, notices)
            }
            (ActivityContent::Note(note), Some(group)) => {
                if self.belongs(tx, activity, group, whence, notices)? {
                    self.keep_note(tx, activity, note, group.id.to_string(), whence)?;
                }
                Ok(())
            }
            (ActivityContent::Note(note), None) => {
                match conversation(activity, &me) {
                    Some(conversation) => {
                        // Whom this user writes to on another device is a contact here, too.
                        if whence.standing == Standing::Own {
                            tx.make_contact(&conversation)?;
                        }
                        self.keep_note(tx, activity, note, conversation, whence)?;
                    }
                    None => notices.push(unreadable(whence.actor, UnreadableReason::OtherAddressee)),
                }
                Ok(())
            }
            (ActivityContent::Read(id), _) if activity.actor != me => {
                notices.push(Notice::Read { actor: activity.actor.clone(), id: id.to_string() });
                Ok(())
            }
            (
                ActivityContent::Read(_)
                | ActivityContent::Receipt(_)
                | ActivityContent::Join(_)
                | ActivityContent::Announce(_)
                | ActivityContent::Other(_),
                _,
            ) => Ok(()),
        }
    }

    fn keep_note(
        &self,
        tx: &Transaction<'_>,
        activity: &Activity,
        note: &Note,
        conversation: String,
        whence: &ActivitySource<'_>,
    ) -> Result<(), MessengerError> {
        let arrival = MessageContent {
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
        };
        tx.store_arrival(&arrival, self.now_ms())?;
        Ok(())
    }

    /// Remembers a message that cannot be read, so that it is recognised if it comes again. The
    /// next message to its sender begins a new session, because the old one may be the cause.
    fn give_up(&self, message: &FetchedLetter) -> Result<(), DeviceStoreError> {
        let now_ms = self.now_ms();
        self.store.write(|tx| {
            tx.note_read(key(message), now_ms, now_ms.saturating_sub(REMEMBERED_MS))?;
            tx.renew_session(&message.letter.header.from)
        })
    }

    /// Compares the device sets that the sender saw with those that this device saw.
    async fn compare(
        &self,
        activity: &Activity,
        sender: &Contact,
        notices: &mut Vec<Notice>,
    ) -> Result<(), MessengerError> {
        let me = self.me();
        for (of, set) in &activity.device_sets {
            let contact = match Person::of(of) {
                Some(person) if person == sender.person => sender.clone(),
                Some(person) if person == me => match self.contact(&me).await {
                    Ok(own) => own,
                    Err(_) => continue,
                },
                _ => continue,
            };
            let agrees = match contact.compare_head(set) {
                HeadComparison::Same => true,
                HeadComparison::Other => false,
                // The sender saw a longer chain. It is asked for again: if the server still hides
                // it, one of the two devices is shown something false.
                HeadComparison::Later => match self.look_again(&contact.person).await {
                    Ok(now) => now.compare_head(set) == HeadComparison::Same,
                    Err(MessengerError::Distrust { actor, why }) => {
                        notices.push(Notice::Refused { actor, why });
                        continue;
                    }
                    Err(_) => continue,
                },
            };
            if !agrees {
                notices.push(Notice::Contradiction { seen_by: activity.actor.clone(), of: of.clone() });
            }
        }
        Ok(())
    }
}

fn key(message: &FetchedLetter) -> CiphertextKey<'_> {
    CiphertextKey {
        actor: &message.letter.header.author,
        envelope: message.letter.header.id.as_str(),
        device: &message.letter.header.from,
    }
}

pub(super) fn unreadable(actor: &str, why: UnreadableReason) -> Notice {
    Notice::Unreadable { actor: actor.to_owned(), why }
}

/// Returns the conversation of an activity: with its author, or with the user to whom another
/// device of this user wrote.
fn conversation(activity: &Activity, me: &str) -> Option<String> {
    if activity.actor == me {
        return activity.to.first().cloned();
    }
    activity.to.iter().any(|to| to == me).then(|| activity.actor.clone())
}
