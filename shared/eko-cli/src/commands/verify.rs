//! `eko verify`: safety numbers, and how far someone's devices are trusted.

mod scanned;
mod shown;

pub(super) use shown::word as trust_word;

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use eko_client::messenger::{Person, Trust, Verification};
use serde_json::Value;

use crate::ask;
use crate::context::{Client, Context};
use crate::failure::{Exit, Failure};
use crate::people::{named, person};
use crate::who::Who;

const MORE: &str = "\
The number is the same on both sides, if no server is between you that gives out keys of its own. Compare it by another
way than this one: face to face, or by a call in which you know each other's voices.

When someone has lost all their devices and begun anew, nothing is sent to them until you have compared the new number
(--confirm), or said that you take the new devices as they are (--accept).

Examples:
  eko verify @bob
  eko verify @bob --confirm
  eko verify @bob --confirm --number '34021 77651 …'
  eko verify @bob --scanned code.hex

Exit code 3: there is an alarm, a reset that you have not settled, or numbers that differ.";

/// What clap reads.
#[derive(Debug, Args)]
#[command(after_help = MORE, group = ArgGroup::new("action").args(["confirm", "accept", "forget", "scanned"]))]
pub(crate) struct Verify {
    /// Who: @bob, @bob@chat.example
    #[arg(value_name = "WHO")]
    who: Who,
    /// You have compared the numbers, and they are the same
    #[arg(long)]
    confirm: bool,
    /// The number that they see, in place of your answer: it must be the same
    #[arg(long, value_name = "DIGITS", requires = "confirm")]
    number: Option<String>,
    /// What their QR code holds, as hex or base64 in a file or on standard input (-): compared, and confirmed if right
    #[arg(long, value_name = "FILE")]
    scanned: Option<PathBuf>,
    /// Take their devices as theirs after a reset, without comparing
    #[arg(long)]
    accept: bool,
    /// Forget what is known of their devices: what their server shows next is taken as theirs
    #[arg(long)]
    forget: bool,
    /// Do not ask
    #[arg(long, requires = "forget")]
    yes: bool,
    /// Draw no QR code
    #[arg(long)]
    no_qr: bool,
}

impl Verify {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (_, client) = context.client()?;
        let person = person(&client, &self.who).await?;
        let who = named(&client, &person.actor());
        if self.forget {
            return self.forget(context, &client, &person, &who);
        }
        let own = person == client.me();
        if own && (self.confirm || self.scanned.is_some()) {
            return Err(Failure::new(format!("{who} is you")).next("eko devices").exit(Exit::Usage));
        }
        let seen = client.verification(&person).await?;
        if self.confirm || self.scanned.is_some() {
            self.compare(context, &seen, &who)?;
            client.mark_verified(&person, &seen)?;
            let text = format!("{who} is verified: the numbers are the same.");
            return tell(context, &client, &person, &text);
        }
        if self.accept {
            client.accept(&person, &seen)?;
            let text = format!("The devices of {who} are taken as theirs. The numbers were not compared.");
            return tell(context, &client, &person, &text);
        }
        let text = shown::text(&who, &seen, own);
        context.out.result(&text, &shown::object(&person, &seen))?;
        if !own && !self.no_qr {
            context.out.picture(crate::qr::drawn(&seen.number.scannable))?;
        }
        if !own && seen.trust != Trust::Verified {
            context.out.remark(&format!("Does {who} see the same number? eko verify {who} --confirm"));
        }
        alarm(&who, &seen, own)
    }

    /// Whether the other side has the same number, by what was typed, scanned or answered.
    fn compare(&self, context: &Context, seen: &Verification, who: &str) -> Result<(), Failure> {
        let same = match (&self.scanned, &self.number) {
            (Some(file), _) => seen.number.matches(&scanned::read(file)?),
            (None, Some(number)) => ask::is_number(number, &seen.number.digits),
            (None, None) => {
                let number = ask::lines(&seen.number.digits, 4);
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
        Err(Failure::new(what).next(format!("eko verify {who}, and compare again")).exit(Exit::NotTrusted))
    }

    fn forget(&self, context: &Context, client: &Client, person: &Person, who: &str) -> Result<(), Failure> {
        if !self.yes {
            let question = format!(
                "What their server shows of the devices of {who} next, is taken as theirs, whoever made it.\n\
                 That is right after their server has lost its data, and what an attacker wants otherwise. Forget them?"
            );
            ask::yes(context, &question, &format!("eko verify {who} --forget --yes"))?;
        }
        client.forget(person)?;
        let text = format!("What was known of the devices of {who} is forgotten.");
        context.out.result(&text, &shown::forgotten(person))
    }
}

fn tell(context: &Context, client: &Client, person: &Person, text: &str) -> Result<(), Failure> {
    let object = client.verification_kept(person)?.map_or(Value::Null, |kept| shown::object(person, &kept));
    context.out.result(text, &object)
}

/// What makes the command end with 3.
fn alarm(who: &str, seen: &Verification, own: bool) -> Result<(), Failure> {
    let compare = if own {
        "eko devices"
    } else {
        &format!("eko verify {who} --confirm, once you have compared; or --accept")
    };
    let failure = |what: String| Failure::new(what).next(compare).exit(Exit::NotTrusted);
    match (&seen.alarm, seen.trust) {
        (Some(alarm), _) => Err(failure(format!("{who}: {}", alarm.why))),
        (None, Trust::Reset) => {
            Err(failure(format!("nothing is sent to {who}: all their devices were replaced at once")))
        }
        (None, Trust::FirstUse | Trust::Verified) => Ok(()),
    }
}
