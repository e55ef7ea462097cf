//! The people who are writing at this moment, as far as their programs say so.

use std::collections::BTreeMap;

use eko_client::messenger::{Notice, ReceivedBatch, TYPING_PAUSE_MS};
use eko_client::store::StoredMessage;

use crate::context::HttpMessenger;
use crate::show;

/// The time after which somebody who was writing is not shown any more. Programs say it again sooner.
const SHOWN_MS: i64 = TYPING_PAUSE_MS + 5_000;

/// The people who are writing.
#[derive(Default)]
pub(crate) struct CurrentWriters {
    /// The conversations and authors that are shown, each with its end in epoch milliseconds.
    shown: BTreeMap<(String, String), (String, i64)>,
}

impl CurrentWriters {
    /// Notes who writes and whose message has come.
    pub(crate) fn note(
        &mut self,
        client: &HttpMessenger,
        received: &ReceivedBatch,
        shown: &[StoredMessage],
        now_ms: i64,
    ) {
        for notice in &received.notices {
            if let Notice::Typing { actor, conversation } = notice {
                let text = show::notice(client, notice).unwrap_or_default();
                let until_ms = now_ms.saturating_add(SHOWN_MS);
                self.shown.insert((conversation.clone(), actor.clone()), (text, until_ms));
            }
            if let Notice::TypingEnded { actor, conversation } = notice {
                self.shown.remove(&(conversation.clone(), actor.clone()));
            }
        }
        for message in received.messages.iter().chain(shown) {
            let content = &message.content;
            self.shown.remove(&(content.conversation.clone(), content.actor.clone()));
        }
        self.shown.retain(|_, (_, until_ms)| *until_ms > now_ms);
    }

    /// Returns what is shown, which may be nothing.
    pub(crate) fn text(&self) -> String {
        self.shown.values().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Returns the time at which somebody is not shown any more.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        self.shown.values().map(|(_, until_ms)| *until_ms).min()
    }
}
