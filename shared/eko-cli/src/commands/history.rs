//! `eko history`: shows the messages of the past.

use clap::Args;
use eko_client::store::{AwaitedMessage, AwaitedReason};
use serde_json::json;

use crate::context::Context;
use crate::delivery;
use crate::failure::{CommandFailure, Exit};
use crate::people::{Correspondent, bare_id, ended_group};
use crate::show;

const MORE: &str = "\
Under each message that this device has sent stands what became of it: it is sent when their server has it, and delivered when one of \
their devices has said so. It is read when their program says so, as `eko` does unless eko privacy forbids it. Messages that were sent and never came are named where they are missing. A message that could not be decrypted has a line in its place until its sender's program has sent it again, and so have those of a stranger that were not kept.

`eko listen` reads the mailbox. This command shows what is on this device. What was said in a group that a \
reset of your account has ended stays, under the group's name.

With --json each message that you have sent has `envelopes`, one for each recipient, with its `state`: to-send \
(it waits on this device), queued (it waits at your server), accepted (sent), delivered, failed, or refused (held back, since \
the recipient's devices are not trusted). `read` is true once they have read it.

Examples:
  eko history
  eko history @bob -n 10
  eko history @bob --ids
  eko history --group Friday";

/// The state of a message whose device is no more.
const OF_FORMER: &str = "sent by a former device of yours; what became of it is not known any more";
/// The state of a message that a former device has left, before this one has looked into its mailbox.
const UNSENT: &str = "waiting; eko listen sends it, or the next eko send";

/// The same while this device waits for its approval.
const UNAPPROVED: &str =
    "waiting until another of your devices has approved this one; eko listen sends it then";

/// The options of `eko history`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct HistoryArgs {
    /// The person: @bob, @bob@chat.example; or with --group the name of a group [default:
    /// everybody]
    #[arg(value_name = "WITH")]
    with: Option<String>,
    /// WITH is a group
    #[arg(long, short, requires = "with")]
    group: bool,
    /// The number of messages, counted from the last
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50)]
    last: u32,
    /// Show the id of each message, which eko resend, eko discard, eko report and eko attachments save take
    #[arg(long)]
    ids: bool,
}

impl HistoryArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.reading_client()?;
        let conversation = match &self.with {
            Some(with) => {
                let id = match Correspondent::find(&client, with, self.group).await {
                    Ok(found) => found.conversation(),
                    // What was said in a group is kept though a reset has ended it.
                    Err(failure) if self.group => ended_group(&client, with).ok_or(failure)?.0,
                    Err(failure) => return Err(failure),
                };
                // Nobody is asked whether there is such a person.
                if !self.group && client.history(Some(&id), 1)?.is_empty() && !client.people()?.contains(&id)
                {
                    let what = format!("there is nobody here called {with}");
                    return Err(CommandFailure::new(what).next("eko history").exit(Exit::Usage));
                }
                Some(id)
            }
            None => None,
        };
        let (own, taken_over) = (client.device().address(), client.taken_over()?);
        let former = client.former_devices()?;
        let waits = client.joining_code()?.is_some() && client.device_end()?.is_none();
        let messages = client.history(conversation.as_deref(), self.last)?;
        let mut awaited = client.awaited(conversation.as_deref())?;
        let is_cut = u32::try_from(messages.len()).is_ok_and(|count| count >= self.last);
        let first = messages.first().filter(|_| is_cut).map_or(i64::MIN, |message| message.position);
        awaited.retain(|awaited| awaited.position > first);
        let now_ms = context.environment.now_ms();
        let show_awaited = |place: &[&AwaitedMessage]| {
            let is_same = |a: &&AwaitedMessage, b: &&AwaitedMessage| {
                a.why == AwaitedReason::NotKept && line_of(a, now_ms) == line_of(b, now_ms)
            };
            for line in place.chunk_by(is_same) {
                let is_missing = line.iter().all(|awaited| awaited.is_missing(now_ms));
                if !context.out.json {
                    context.out.result(&show::awaited(&client, line, is_missing), &json!({}))?;
                    continue;
                }
                for awaited in line {
                    context.out.result("", &show::awaited_object(awaited, is_missing))?;
                }
            }
            Ok::<_, CommandFailure>(())
        };
        let mut awaited = awaited.iter().peekable();
        for message in messages {
            let before = || awaited.next_if(|awaited| awaited.position < message.position);
            show_awaited(&std::iter::from_fn(before).collect::<Vec<_>>())?;
            let (mut text, mut object) = (show::message(&client, &message), show::message_object(&message));
            if message.content.outgoing {
                let sent = client.sent(&message.content.id)?;
                let is_known = message.content.device == own || !sent.envelopes.is_empty();
                let states = match taken_over.get(&message.content.id) {
                    Some(_) if waits => Some(UNAPPROVED.to_owned()),
                    Some(_) => Some(UNSENT.to_owned()),
                    None if is_known => delivery::states(&client, &sent),
                    None if former.contains(&message.content.device) => Some(OF_FORMER.to_owned()),
                    None => Some("sent by another device of yours, which knows what became of it".to_owned()),
                };
                text.extend(states.map(|states| format!("\n    {states}")));
                let due = taken_over.get(&message.content.id).into_iter().flatten();
                let due = due.map(|to| show::due_object(&message.content.id, to));
                object["envelopes"] =
                    due.chain(sent.envelopes.iter().map(|it| show::sent_object(&client, it))).collect();
            }
            let content = &message.content;
            if self.ids {
                text.push_str(&format!("\n    id {}", bare_id(&content.id)));
            }
            if !content.outgoing {
                let reporter = client.reporter_of(&content.actor, &content.id)?;
                let can_report = reporter.as_ref().is_some_and(|reporter| *reporter == client.me().actor());
                object["reportable"] = json!(can_report);
                if self.ids && !can_report {
                    let by_whom = if reporter.is_some() { " by this account" } else { "" };
                    text.push_str(&format!(", which cannot be reported{by_whom}"));
                }
            }
            context.out.result(&text, &object)?;
        }
        show_awaited(&awaited.collect::<Vec<_>>())
    }
}

/// Returns what messages have in common that are awaited and stand in one line.
fn line_of(awaited: &AwaitedMessage, now_ms: i64) -> (&str, AwaitedReason, bool) {
    (&awaited.actor, awaited.why, awaited.is_missing(now_ms))
}
