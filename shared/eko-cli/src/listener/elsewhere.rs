//! Messages of other conversations than the one that a chat shows. Its person is told of them, unless
//! another process shows them at once.

use std::collections::{BTreeMap, BTreeSet};

use eko_client::store::{DeviceStoreError, StoredMessage};

use super::MailboxListener;
use crate::people::{conversation, is_group};

/// The time that another process has for showing a message before the person is told of it.
const PATIENCE_MS: i64 = 2_000;

/// The conversations that the person is to be told of.
#[derive(Debug, Default)]
pub(super) struct ElsewhereHints {
    /// The conversations, each with the time at which the person is told.
    due: BTreeMap<String, i64>,
    /// The conversations that the person was told of, and of which something is left since.
    told: BTreeSet<String>,
}

impl ElsewhereHints {
    /// Notes messages of other conversations.
    pub(super) fn note(&mut self, messages: &[StoredMessage], now_ms: i64) {
        for message in messages {
            let conversation = &message.content.conversation;
            if !message.content.outgoing && !self.told.contains(conversation) {
                let due_ms = now_ms.saturating_add(PATIENCE_MS);
                self.due.entry(conversation.clone()).or_insert(due_ms);
            }
        }
    }

    /// Returns the time at which the person is told of something.
    pub(super) fn due_ms(&self) -> Option<i64> {
        self.due.values().min().copied()
    }

    /// Takes the conversations that are due.
    fn take_due(&mut self, now_ms: i64) -> Vec<String> {
        let due = self.due.extract_if(.., |_, due_ms| *due_ms <= now_ms);
        due.map(|(conversation, _)| conversation).collect()
    }
}

impl MailboxListener<'_> {
    /// Leaves messages of other conversations to other processes. The person is told of them, and was
    /// told already if the conversation has older ones that no process has shown.
    pub(super) fn leave_elsewhere(&self, messages: &[StoredMessage]) -> Result<(), DeviceStoreError> {
        for message in messages {
            let conversation = &message.content.conversation;
            if self.elsewhere.borrow().told.contains(conversation)
                && !self.client.has_left_messages(conversation)?
            {
                self.elsewhere.borrow_mut().told.remove(conversation);
            }
            self.client.leave_message(message)?;
        }
        let now_ms = self.context.environment.now_ms();
        self.elsewhere.borrow_mut().note(messages, now_ms);
        Ok(())
    }

    /// Tells the person that something was written in other conversations that no process has shown,
    /// once until it is shown.
    pub(super) fn hint_elsewhere(&self) -> Result<(), DeviceStoreError> {
        let due = self.elsewhere.borrow_mut().take_due(self.context.environment.now_ms());
        for id in due {
            if self.client.has_left_messages(&id)? {
                let called = conversation(self.client, &id);
                let what = match is_group(&id) {
                    true => format!("There is a message in the group {called}"),
                    false => format!("{called} wrote to you"),
                };
                self.context.out.remark(&format!("  {what}: eko listen"));
                self.elsewhere.borrow_mut().told.insert(id);
            }
        }
        Ok(())
    }
}
