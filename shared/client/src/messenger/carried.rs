//! Messages that a former device of the user has kept, and has not sent.

use super::send::OutgoingActivity;
use super::{MessageDraft, Messenger, MessengerError, Person};
use crate::content::ActivityContent;
use crate::group::GroupId;
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Says anew what a former device has not sent: to those who lack it, and as messages of this device,
    /// since each activity is signed by the device that sends it. They are due at once.
    pub(super) async fn say_carried(&self) -> Result<(), MessengerError> {
        if !self.store.read(|tx| tx.has_unsent())? {
            return Ok(());
        }
        let (me, has_others) = (self.device.actor(), self.has_other_devices().await?);
        self.store.write(|tx| {
            for unsent in tx.take_unsent()? {
                let Some(message) = tx.message(&me, &unsent.id)? else { continue };
                let conversation = message.content.conversation.clone();
                let group = self.current_group(tx, &conversation)?;
                if group.is_none() && GroupId::parse(&conversation).is_ok() {
                    continue;
                }
                tx.withdraw(&me, &unsent.id)?;
                let draft =
                    MessageDraft { text: message.content.text, attachments: message.content.attachments };
                let content = ActivityContent::Note(self.note(draft));
                let activity = self.put_down(tx, &OutgoingActivity { conversation, group, content })?;
                let (own, others): (Vec<_>, Vec<_>) =
                    unsent.recipients.iter().partition(|recipient| **recipient == me);
                let to: Vec<Person> = others.into_iter().filter_map(|actor| Person::of(actor)).collect();
                // The other devices of this user may have the copy of the former one.
                self.enclose(tx, &activity, &to, has_others && !own.is_empty())?;
            }
            Ok(())
        })
    }
}
