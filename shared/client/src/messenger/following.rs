//! Following the store: one process reads the mailbox, and others show what it has put there.
//!
//! A program that shows one conversation leaves the messages of the others, so that another program
//! shows them.

use super::Messenger;
use crate::store::{DeviceStoreError, StoredMessage};
use crate::{SignalSessions, Transport};

/// The part of the store that a program has seen.
#[derive(Debug, Clone, Default)]
pub struct StoreView {
    /// The only conversation that the program shows, if it does not show all.
    conversation: Option<String>,
    /// The number by which the last message was new that it has seen, once it has looked.
    after: Option<i64>,
}

/// The messages that are new to a program.
#[derive(Debug, Default)]
pub struct NewMessages {
    /// Those that it shows, in order.
    pub shown: Vec<StoredMessage>,
    /// Those of other conversations.
    pub elsewhere: Vec<StoredMessage>,
}

impl StoreView {
    /// Returns the view of a program that shows all conversations, or only this one.
    pub fn of(conversation: Option<String>) -> Self {
        Self { conversation, after: None }
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the messages that have come since the last look of this view, without those that this
    /// device has written. The first look returns those that nobody has shown.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn look_into_store(&self, view: &mut StoreView) -> Result<NewMessages, DeviceStoreError> {
        let (own, conversation) = (self.device.address(), view.conversation.as_deref());
        let (new, last) = self.store.read(|tx| {
            let new = tx.messages_after(view.after, &own, conversation)?;
            Ok::<_, DeviceStoreError>((new, tx.last_position()?))
        })?;
        // There may be more than are read at once.
        view.after = Some(match (view.after, new.last()) {
            (Some(_), Some(message)) => message.placed,
            _ => last,
        });
        let is_shown =
            |message: &StoredMessage| conversation.is_none_or(|only| message.content.conversation == only);
        let (shown, elsewhere) = new.into_iter().partition(is_shown);
        Ok(NewMessages { shown, elsewhere })
    }

    /// Records that one message was shown, and nothing of those before it.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be written.
    pub fn note_message_shown(&self, message: &StoredMessage) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| tx.note_alone_shown(message.position))
    }

    /// Leaves a message for a program that shows its conversation.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be written.
    pub fn leave_message(&self, message: &StoredMessage) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| tx.note_left(message.position))
    }

    /// True if a message of a conversation was left, and no program has shown it since.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn has_left_messages(&self, conversation: &str) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| tx.has_left(conversation))
    }
}
