//! `eko verify`: shows and compares safety numbers, and sets how far someone's devices are trusted.

mod scanned;
mod shown;

pub(super) use shown::word as trust_word;

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use eko_client::messenger::{MessageRequest, MessengerError, Person, Trust, Verification};
use eko_client::store::EnvelopeState;
use serde_json::Value;

use crate::ask;
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::partial_handle::PartialHandle;
use crate::people::{named, person, quoted};
use crate::qr;

const MORE: &str = "\
Both sides see the same number, unless a server between you gives out keys of its own. Compare the \
number by another way than Eko: face to face, or in a call in which you know each other's voices.

If someone has lost all their devices and begun anew, nothing is sent to them until you have compared \
the new number (--confirm), or have accepted the new devices without comparing (--accept). What was held back \
is then sent by itself, in its order; so it is after --forget. Both of the former make WHO a contact of yours, \
which accepts their message request, if there is one.

Examples:
  eko verify @bob
  eko verify @bob --confirm
  eko verify @bob --confirm --number '34021 77651 …'
  eko verify @bob --scanned code.hex

Exit code 3: there is an alarm, a reset that you have neither confirmed nor accepted, or the numbers \
differ. With --confirm and --scanned: their server contradicts the devices that you have compared.";

/// The options of `eko verify`.
#[derive(Debug, Args)]
#[command(after_help = MORE, group = ArgGroup::new("action").args(["confirm", "accept", "forget", "scanned"]))]
pub(crate) struct VerifyArgs {
    /// The person: @bob, @bob@chat.example
    #[arg(value_name = "WHO")]
    who: PartialHandle,
    /// Mark the person as verified: you have compared the numbers, and they are the same
    #[arg(long)]
    confirm: bool,
    /// The number that the other side sees; it is compared in place of asking you
    #[arg(long, value_name = "DIGITS", requires = "confirm")]
    number: Option<String>,
    /// The content of their QR code, as hex or base64 in a file or on standard input (-); it is
    /// compared, and if it is right the person is marked as verified
    #[arg(long, value_name = "FILE")]
    scanned: Option<PathBuf>,
    /// Accept their devices after a reset, without comparing the numbers
    #[arg(long)]
    accept: bool,
    /// Forget what is known of their devices, and trust what their server shows next
    #[arg(long)]
    forget: bool,
    /// Do not ask: with --confirm you say by this that you have compared the numbers, with --forget that
    /// you mean it
    #[arg(long, requires = "action")]
    yes: bool,
    /// Draw no QR code
    #[arg(long)]
    no_qr: bool,
}

impl VerifyArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        let (_, client) = context.active_client().await?;
        let person = client.whereabouts(&person(&client, &self.who).await?)?;
        let who = named(&client, &person.actor());
        let own = person == client.me();
        if own && (self.confirm || self.scanned.is_some() || self.forget) {
            return Err(CommandFailure::new(format!("{who} is you")).next("eko devices").exit(Exit::Usage));
        }
        if self.forget {
            return self.forget(context, &client, &person, &who).await;
        }
        let seen = client.verification(&person).await?;
        if let Some(end) = client.device_end()? {
            // The number is made of the own list, too, and nobody sees it as this device has it.
            return Err(MessengerError::from(end).into());
        }
        let request = accepted_request(&client, &person, &who)?;
        if self.confirm || self.scanned.is_some() {
            if let Some(warning) = shown::alarm(&seen, own) {
                context.out.prompt(&warning);
            }
            self.compare(context, &seen, &who)?;
            client.mark_verified(&person, &seen)?;
            let text = format!("{who} is verified: the numbers are the same.{request}");
            tell(context, &client, &person, &text)?;
            send_what_waits(context, &client, &person, &who).await?;
            return still_contradicted(&who, &seen);
        }
        if self.accept {
            client.accept(&person, &seen)?;
            let which = match seen.trust {
                Trust::Reset => format!("The devices that have replaced all former ones of {who}"),
                Trust::FirstUse | Trust::Accepted | Trust::Verified => format!("The devices of {who}"),
            };
            let text = format!("{which} are taken as theirs. The numbers were not compared.{request}");
            tell(context, &client, &person, &text)?;
            return send_what_waits(context, &client, &person, &who).await;
        }
        let title = client.profile(&person.actor())?.name;
        let title = title
            .map(|title| format!("\n{who} calls themselves {}, which nobody has verified.", quoted(&title)));
        let text = format!("{}{}", shown::text(&who, &seen, own), title.unwrap_or_default());
        context.out.result(&text, &shown::object(&person, &seen))?;
        if !own
            && !self.no_qr
            && let Some(code) = qr::drawn(&seen.number.scannable)
        {
            context.out.picture(&code)?;
        }
        if !own && shown::is_to_be_compared(&seen) {
            context.out.remark(&format!("Does {who} see the same number? eko verify {who} --confirm"));
        }
        alarm(&who, &seen, own)
    }

    /// Succeeds if the other side has the same number: as it was scanned, typed, or answered by the
    /// person.
    fn compare(&self, context: &Context, seen: &Verification, who: &str) -> Result<(), CommandFailure> {
        let same = match (&self.scanned, &self.number) {
            (Some(file), _) => seen.number.matches(&scanned::read(file)?),
            (None, Some(number)) => ask::is_number(number, &seen.number.digits),
            (None, None) => {
                if self.yes {
                    return Ok(());
                }
                let number = ask::lines(&seen.number.digits);
                let question =
                    format!("Your safety number with {who} is\n{number}\nDoes {who} see the same digits?");
                return ask::yes(context, &question, &format!("eko verify {who} --confirm --number DIGITS"));
            }
        };
        if same {
            return Ok(());
        }
        let what =
            format!("that is not your safety number with {who}: somebody may be between you, or it is older");
        Err(CommandFailure::new(what)
            .next(format!("eko verify {who}, and compare again"))
            .exit(Exit::NotTrusted))
    }

    async fn forget(
        &self,
        context: &Context,
        client: &HttpMessenger,
        person: &Person,
        who: &str,
    ) -> Result<(), CommandFailure> {
        if !self.yes {
            let question = format!(
                "The devices that the server of {who} shows next are trusted, whoever made them.\n\
                 That is right if the server has lost its data. Otherwise it is what an attacker wants.\n\
                 Forget the devices of {who}?"
            );
            ask::yes(context, &question, &format!("eko verify {who} --forget --yes"))?;
        }
        client.forget(person)?;
        let text = format!("What was known of the devices of {who} is forgotten.");
        context.out.result(&text, &shown::forgotten(person))?;
        send_what_waits(context, client, person, who).await
    }
}

/// Returns the addition to a sentence that a person's request is accepted by what the user does, too. It is
/// empty if there is none.
fn accepted_request(client: &HttpMessenger, person: &Person, who: &str) -> Result<String, CommandFailure> {
    let is_theirs = |request: &MessageRequest| request.person == *person;
    Ok(match client.requests()?.iter().any(is_theirs) {
        true => format!(" Their message request is accepted by this, too: eko history {who}"),
        false => String::new(),
    })
}

fn tell(
    context: &Context,
    client: &HttpMessenger,
    person: &Person,
    text: &str,
) -> Result<(), CommandFailure> {
    let object = client.verification_kept(person)?.map_or(Value::Null, |kept| shown::object(person, &kept));
    context.out.result(text, &object)
}

/// Sends what was held back because of a person's devices, if something was.
async fn send_what_waits(
    context: &Context,
    client: &HttpMessenger,
    person: &Person,
    who: &str,
) -> Result<(), CommandFailure> {
    let waiting = client.unsent_to(person)?;
    if waiting.is_empty() {
        return Ok(());
    }
    // What cannot be sent now is sent later, whatever the reason is.
    let _ = client.flush().await;
    let mut left: usize = 0;
    for envelope in &waiting {
        let sent = client.sent(&envelope.message)?;
        let now = sent.envelopes.iter().find(|now| now.recipient == envelope.recipient);
        let is_sent =
            |state| !matches!(state, EnvelopeState::ToSend | EnvelopeState::Refused | EnvelopeState::Failed);
        left = left.saturating_add(usize::from(now.is_some_and(|now| !is_sent(now.state))));
    }
    context.out.remark(&match left {
        0 => format!("What was held back is sent to {who}."),
        1 => {
            format!("A message waits for {who}: eko listen sends it, and eko history says what became of it.")
        }
        left => format!(
            "{left} messages wait for {who}: eko listen sends them, and eko history says what became of them."
        ),
    });
    Ok(())
}

/// Fails with [`Exit::NotTrusted`] if the server contradicts the devices that the person has just
/// compared: equal numbers prove the devices, and not the server.
fn still_contradicted(who: &str, seen: &Verification) -> Result<(), CommandFailure> {
    let Some(why) = &seen.contradiction else { return Ok(()) };
    let what = format!("{who} is verified, and the contradiction remains: {why}");
    Err(CommandFailure::new(what).next(format!("eko verify {who}, later")).exit(Exit::NotTrusted))
}

/// Fails with [`Exit::NotTrusted`] if there is an alarm, or a reset that the person has not
/// settled.
fn alarm(who: &str, seen: &Verification, own: bool) -> Result<(), CommandFailure> {
    let compare = if own {
        "eko devices; if the list is right: eko verify with your own name and --accept"
    } else {
        &format!("eko verify {who} --confirm, once you have compared; or --accept")
    };
    let lost = format!(
        "ask {who} by another way whether the server has lost its data; if it has: eko verify {who} --forget"
    );
    let failure = |what: String, next: &str| CommandFailure::new(what).next(next).exit(Exit::NotTrusted);
    match (&seen.alarm, seen.trust) {
        (Some(alarm), _) => Err(failure(format!("{who}: {}", alarm.why), if own { compare } else { &lost })),
        (None, Trust::Reset) => {
            let what = format!("nothing is sent to {who}: all their devices were replaced at once");
            Err(failure(what, compare))
        }
        (None, Trust::FirstUse | Trust::Accepted | Trust::Verified) => Ok(()),
    }
}
