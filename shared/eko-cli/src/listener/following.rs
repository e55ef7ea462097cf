//! A process beside the one that reads the mailbox: it shows what that one puts into the store.

use eko_client::messenger::{Notice, SentActivity};
use eko_client::store::{EnvelopeState, OutboxEnvelope};

use super::MailboxListener;
use crate::failure::CommandFailure;

impl MailboxListener<'_> {
    /// Tells from now on what becomes of a message of this process, while another one reads the mailbox.
    pub(super) fn follow(&self, sent: &SentActivity) {
        let is_open = |envelope: &OutboxEnvelope| !envelope.seen;
        if sent.envelopes.iter().any(is_open) {
            self.followed.borrow_mut().push(sent.clone());
        }
    }

    /// Forgets what was followed, because this process reads the mailbox now, and hears of it there.
    pub(super) fn follow_none(&self) {
        self.followed.borrow_mut().clear();
    }

    /// Tells what has become of the messages of this process.
    pub(super) fn show_states(&self) -> Result<(), CommandFailure> {
        let mut followed = std::mem::take(&mut *self.followed.borrow_mut());
        let mut notices = Vec::new();
        for before in &mut followed {
            let now = self.client.sent(&before.id)?;
            for (was, is) in before.envelopes.iter().zip(&now.envelopes) {
                if is.seen && !was.seen {
                    notices.push(Notice::Read {
                        actor: is.recipient.clone(),
                        id: is.message.clone(),
                        before: 0,
                    });
                } else if is.state != was.state && is.state != EnvelopeState::ToSend {
                    notices.push(Notice::Settled(is.clone()));
                }
            }
            *before = now;
        }
        // What was read, and what failed, has come to its end.
        let own = self.client.me().actor();
        let is_open = |envelope: &OutboxEnvelope| {
            envelope.recipient != own
                && !envelope.seen
                && !matches!(envelope.state, EnvelopeState::Failed | EnvelopeState::Refused)
        };
        followed.retain(|sent| sent.envelopes.iter().any(is_open));
        self.followed.borrow_mut().append(&mut followed);
        self.show_notices(&notices)
    }
}
