//! `eko resend` and `eko discard`: what becomes of a message that could not be sent, or waits.

use clap::Args;
use eko_client::store::{EnvelopeState, StoredMessage};
use serde_json::json;

use crate::context::{Context, HttpMessenger};
use crate::delivery::{self, DeliverySummary};
use crate::failure::{CommandFailure, Exit};
use crate::people::bare_id;
use crate::progress::ProgressLine;
use crate::show::{self, sent_object, word};

const MORE: &str = "\
`eko history` shows what became of each message, and the letters of its id where something can be done. \
The message is the same one: whoever has it sees it once, and in its former place.

Examples:
  eko history @bob
  eko resend 1b4e28ba";

const MORE_OF_DISCARD: &str = "\
The message stays in the history of this device. What a server has already is not called back.

Examples:
  eko discard 1b4e28ba";

/// The options of `eko resend`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ResendArgs {
    /// The message's id, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
}

/// The options of `eko discard`.
#[derive(Debug, Args)]
#[command(after_help = MORE_OF_DISCARD)]
pub(crate) struct DiscardArgs {
    /// The message's id, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
}

impl ResendArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.acting_client().await?;
        let progress = ProgressLine::new(context.out);
        let stepping = progress.clone();
        let client = client.watched(move |step| stepping.step(step));
        let message = own_message(&client, &self.id)?;
        let sent = client.send_again(&message.content.id).await;
        progress.done();
        let sent = sent?;
        let delivery = DeliverySummary::of(&client, &sent);
        let envelopes: Vec<_> = sent.envelopes.iter().map(|it| sent_object(&client, it)).collect();
        let object = json!({ "id": sent.id, "state": word(delivery.state), "envelopes": envelopes });
        let states = delivery::states(&client, &sent).unwrap_or_default();
        let excerpt = show::excerpt_of(&message.content.text);
        if context.out.json || delivery.is_complete() {
            context.out.result(&format!("{excerpt}: {states}"), &object)?;
        }
        match delivery.last_failure(&client, "") {
            None => Ok(()),
            // The history would only name this command again.
            Some(failure)
                if delivery.state == EnvelopeState::Failed
                    && !delivery.is_to_nobody()
                    && !delivery.is_to_deleted() =>
            {
                Err(failure.next("the same once the reason is gone; nothing is sent by itself"))
            }
            Some(failure) => Err(failure),
        }
    }
}

impl DiscardArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.client()?;
        let message = own_message(&client, &self.id)?;
        let excerpt = show::excerpt_of(&message.content.text);
        let count = client.discard(&message.content.id)?;
        if count == 0 {
            let what = format!("{excerpt} does not wait here, so there is nothing to discard");
            return Err(CommandFailure::new(what)
                .next("eko history, which says what became of it")
                .exit(Exit::Usage));
        }
        let text = format!("{excerpt} is not sent any more.");
        context.out.result(&text, &json!({ "id": message.content.id, "discarded": count }))
    }
}

/// Returns the one message of this device whose id begins with these letters.
fn own_message(client: &HttpMessenger, typed: &str) -> Result<StoredMessage, CommandFailure> {
    let beginning = bare_id(typed);
    let failure = |what: String| CommandFailure::new(what).next("eko history --ids").exit(Exit::Usage);
    if beginning.is_empty() {
        return Err(failure("a message has no empty id".to_owned()));
    }
    let mut found = client.own_messages(beginning)?;
    match (found.pop(), found.len()) {
        (Some(message), 0) => Ok(message),
        (None, _) => {
            Err(failure(format!("this device has written no message whose id begins with {typed:?}")))
        }
        (Some(_), more) => Err(failure(format!(
            "the ids of {} messages begin with {typed:?}: type more letters",
            more.saturating_add(1)
        ))),
    }
}
