//! A stranger with whom a person begins to chat: what they wrote is shown, and stays a request until a line is
//! sent to them.

use eko_client::messenger::Notice;
use eko_client::store::StoredMessage;

use super::MailboxListener;
use crate::failure::CommandFailure;
use crate::show;

/// The words below what a stranger wrote, in a chat with them.
const UNACCEPTED: &str = "\
This is a message request. The first line that you send accepts it. Until then they are not told that it has come.";

impl MailboxListener<'_> {
    /// Shows what is new of the request of whom the person chats with, if they are a stranger.
    pub(super) fn show_request(&self) -> Result<(), CommandFailure> {
        let Some(with) = &self.conversation else { return Ok(()) };
        let mut requests = self.client.requests()?.into_iter();
        let Some(request) = requests.find(|request| request.person.actor() == *with) else { return Ok(()) };
        let mut shown = self.requested.borrow_mut();
        let is_first = shown.is_empty();
        let new: Vec<_> =
            request.messages.iter().filter(|message| shown.insert(message.id.clone())).collect();
        if new.is_empty() {
            return Ok(());
        }
        let text = match is_first {
            true => format!("{}\n  {UNACCEPTED}", show::request(self.client, &request)),
            false => {
                let words = new.iter().map(|message| show::words(self.client, message));
                words.collect::<Vec<_>>().join("\n")
            }
        };
        self.context.out.result(&text, &show::request_object(&request))
    }

    /// True if a person has a message in front of them already, since it was shown as a request.
    pub(super) fn was_requested(&self, message: &StoredMessage) -> bool {
        !self.context.out.json && self.requested.borrow().contains(&message.content.id)
    }

    /// True if a notice says that there is a request which this chat shows by itself.
    pub(super) fn is_of_shown_request(&self, notice: &Notice) -> bool {
        matches!(notice, Notice::Request { actor } if Some(actor) == self.conversation.as_ref())
    }
}
