//! `eko send`: sends one message to a person or a group.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use eko_client::attachment::{self, Attachment, AttachmentError, INLINE_MAX, OVERHEAD};
use eko_client::messenger::{MessageDraft, MessengerError, Person, SentActivity};
use eko_client::store::EnvelopeState;
use serde_json::json;
use tokio::time::timeout;

use super::attachments::{media_type, read_sealed};
use crate::context::{Context, HttpMessenger};
use crate::counted::span;
use crate::delivery::{DeliverySummary, WAIT_S, wait_for};
use crate::failure::{CommandFailure, Exit, FileUse};
use crate::people::{Correspondent, named};
use crate::progress::ProgressLine;
use crate::show::{full_note, sent_object, word};

/// The longest text that standard input may contain. It is about as long as fits into a message.
const MAX_TEXT_BYTES: u64 = 80 << 10;

/// The time that the only attempt has with `--wait 0`.
const ONE_ATTEMPT: Duration = Duration::from_secs(5);

const MORE: &str = "\
Examples:
  eko send @bob Hello, Bob
  eko send @bob@chat.example 'Have a look' --attach photo.jpg
  git log -1 | eko send @bob -
  eko send --group Friday 'When shall we three meet again?'

A file of up to 48 KiB is sent within the message. A larger file is encrypted by `eko attachments \
seal`. You upload the result wherever you like, and send its description with --attached.

If it cannot be sent within --wait, it is kept, and the failure says so, and until when it waits. With \
--wait 0 it is tried once, for 5 seconds at most.";

/// The options of `eko send`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct SendArgs {
    /// The recipient: @bob, @bob@chat.example; or with --group the name of a group
    #[arg(value_name = "TO")]
    to: String,
    /// The text; - reads it from standard input
    #[arg(value_name = "TEXT", required_unless_present_any = ["attach", "attached"])]
    text: Vec<String>,
    /// TO is a group
    #[arg(long, short)]
    group: bool,
    /// A file to send along; may be given several times
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// The description of a larger file, from `eko attachments seal`; may be given several times
    #[arg(long, value_name = "FILE.json")]
    attached: Vec<PathBuf>,
    /// The time to go on trying if a server is out of reach, gives no answer or asks to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = WAIT_S)]
    wait: u64,
}

impl SendArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.client()?;
        let progress = ProgressLine::new(context.out);
        let stepping = progress.clone();
        let client = client.watched(move |step| stepping.step(step));
        let draft = MessageDraft { text: self.text()?, attachments: self.attachments(context)? };
        let patience = match self.wait {
            0 => ONE_ATTEMPT,
            wait => Duration::from_secs(wait),
        };
        let began = Instant::now();
        let left = || patience.saturating_sub(began.elapsed());
        let unanswered = format!("there was no answer within {}", span(patience.as_secs()));
        let keeping = timeout(patience, Box::pin(self.keep(context, &client, draft, patience / 2))).await;
        let (whom, id) = keeping
            .unwrap_or_else(|_| {
                Err(CommandFailure::new(&unanswered).next("try again later").exit(Exit::TryLater))
            })
            .map_err(CommandFailure::not_kept)?;
        let sending = async {
            let sent = client.send_message(&id).await?;
            wait_for(&client, &progress, sent, left().as_secs().min(self.wait)).await
        };
        let sent = match timeout(left(), Box::pin(sending)).await {
            Ok(sent) => sent?,
            // What is under way is given up. It is tried again, under the same id.
            Err(_) => client.sent(&id)?,
        };
        progress.done();
        tell(context, &client, &sent, &whom, &unanswered)
    }

    /// Finds the recipient, keeps the message, and returns its id. The recipient's server has `patience` to say
    /// that nothing speaks against them: each attempt to send asks it again.
    async fn keep(
        &self,
        context: &Context,
        client: &HttpMessenger,
        draft: MessageDraft,
        patience: Duration,
    ) -> Result<(Correspondent, String), CommandFailure> {
        client.require_not_ended().await?;
        context.require_not_moved(client)?;
        let whom = Correspondent::find_addressee(client, &self.to, self.group).await?;
        let id = match &whom {
            Correspondent::Person(person) => {
                match timeout(patience, client.check_addressee(person)).await {
                    // A message to somebody who is known is held back until that is settled.
                    Err(_) | Ok(Err(MessengerError::Distrust { .. })) => {}
                    Ok(checked) => checked?,
                }
                client.put_message(person, draft).await?
            }
            Correspondent::Group(group) => client.put_group_message(group.state.id(), draft).await?,
        };
        Ok((whom, id))
    }

    fn text(&self) -> Result<String, CommandFailure> {
        if self.text != ["-"] {
            let text = self.text.join(" ");
            let has_files = !self.attach.is_empty() || !self.attached.is_empty();
            return match text.trim().is_empty() && !has_files {
                true => Err(CommandFailure::new("there is nothing to say")
                    .next("eko send TO TEXT")
                    .exit(Exit::Usage)),
                false => Ok(text),
            };
        }
        let mut text = String::new();
        std::io::stdin().lock().take(MAX_TEXT_BYTES + 1).read_to_string(&mut text)?;
        match text.trim_end_matches('\n') {
            text if text.trim().is_empty() => {
                Err(CommandFailure::new("there is nothing to say on standard input")
                    .next("eko send TO TEXT")
                    .exit(Exit::Usage))
            }
            text if text.len() as u64 > MAX_TEXT_BYTES => {
                Err(CommandFailure::new(format!("a text has {MAX_TEXT_BYTES} bytes at most"))
                    .next("put it into a file, and send that with --attach or --attached")
                    .exit(Exit::Usage))
            }
            text => Ok(text.to_owned()),
        }
    }

    fn attachments(&self, context: &Context) -> Result<Vec<Attachment>, CommandFailure> {
        let within = self.attach.iter().map(|path| {
            let cannot =
                |why: &dyn Display| CommandFailure::new(format!("cannot attach {}: {why}", path.display()));
            let unread = |error| CommandFailure::of_named_file("cannot attach", FileUse::Read, path, &error);
            let bytes = std::fs::read(path).map_err(unread)?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let sealed = attachment::seal(&bytes, &name, media_type(path), &context.environment);
            sealed.and_then(attachment::SealedFile::inline).map_err(|error| match error {
                AttachmentError::NotInline => {
                    let path = path.display();
                    let why = format!(
                        "it has {}, and a file within a message has {} at most",
                        kibibytes(bytes.len().saturating_mul(10).div_ceil(1024)),
                        kibibytes(INLINE_MAX.saturating_sub(OVERHEAD).saturating_mul(10) / 1024)
                    );
                    let next = format!(
                        "eko attachments seal {path} HTTPS-URL, which encrypts it; put {path}.sealed at that address, \
                         and send {path}.json with --attached"
                    );
                    cannot(&why).next(next).exit(Exit::Usage)
                }
                error => cannot(&error).next("attach another file").exit(Exit::Usage),
            })
        });
        within.chain(self.attached.iter().map(|path| read_sealed(path))).collect()
    }
}

/// Returns a length in words, such as `47.9 KiB`.
fn kibibytes(tenths: usize) -> String {
    format!("{}.{} KiB", tenths / 10, tenths % 10)
}

/// Returns the addition to the result that names the members of a group of whom nothing shows that they
/// have it. It is empty if there are none.
fn not_joined(client: &HttpMessenger, whom: &Correspondent) -> String {
    let Correspondent::Group(group) = whom else { return String::new() };
    let names: Vec<String> = group.unconfirmed.iter().map(|actor| named(client, actor)).collect();
    match &names[..] {
        [] => String::new(),
        names => format!("; not heard of in this group yet: {}", names.join(", ")),
    }
}

/// Returns the names of the servers that are out of reach, so that the own server keeps a message for them.
fn queued_at(sent: &SentActivity) -> String {
    let queued = sent.envelopes.iter().filter(|envelope| envelope.state == EnvelopeState::Queued);
    let people = queued.filter_map(|envelope| Person::of(&envelope.recipient));
    let servers: BTreeSet<String> =
        people.map(|person| format!("the server {}", person.origin.authority())).collect();
    servers.into_iter().collect::<Vec<_>>().join(", ")
}

fn tell(
    context: &Context,
    client: &HttpMessenger,
    sent: &SentActivity,
    whom: &Correspondent,
    unanswered: &str,
) -> Result<(), CommandFailure> {
    let delivery = DeliverySummary::of_untried(client, sent, unanswered);
    for warning in delivery.warnings() {
        context.out.prompt(&warning);
    }
    let queued = format!("sent; {} is out of reach, and your server will try for 48 hours", queued_at(sent));
    let text = match delivery.state {
        EnvelopeState::Delivered | EnvelopeState::Accepted => "sent",
        EnvelopeState::Queued => &queued,
        EnvelopeState::ToSend => "not sent yet",
        _ if delivery.reaches_anybody() => "sent to some",
        EnvelopeState::Failed | EnvelopeState::Refused => "not sent",
    };
    let others = sent.envelopes.iter().filter(|envelope| envelope.recipient != client.me().actor());
    let full = others.map(|envelope| full_note(&named(client, &envelope.recipient), envelope));
    let text = format!("{text}{}{}", full.collect::<String>(), not_joined(client, whom));
    if context.out.json || delivery.is_complete() {
        let envelopes: Vec<_> = sent.envelopes.iter().map(|it| sent_object(client, it)).collect();
        let object = json!({ "id": sent.id, "state": word(delivery.state), "envelopes": envelopes });
        context.out.result(&text, &object)?;
    }
    delivery.last_failure(client, "").map_or(Ok(()), Err)
}
