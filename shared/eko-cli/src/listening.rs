//! The loop of `eko listen` and `eko chat`.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use eko_client::messenger::{MessageDraft, MessengerError, Notice, ReceivedBatch, Severity};
use eko_client::store::EnvelopeState;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use crate::context::{Client, Context};
use crate::failure::{Exit, Failure};
use crate::home::Account;
use crate::people::{Whom, named};
use crate::show;

/// The pause after something came.
const SHORT: Duration = Duration::from_secs(1);

/// One process that reads an account's mailbox.
pub(crate) struct Listening<'a> {
    context: &'a Context,
    client: &'a Client,
    longest: Duration,
    /// Held as long as it listens.
    _lock: File,
}

/// What a person types, and to whom it goes.
pub(crate) struct Typed {
    pub(crate) lines: UnboundedReceiver<String>,
    pub(crate) to: Whom,
}

/// What happens next.
enum Next {
    Look,
    Line(String),
    End,
}

impl<'a> Listening<'a> {
    pub(crate) fn begin(
        context: &'a Context,
        account: &Account,
        client: &'a Client,
        longest_s: u64,
    ) -> Result<Self, Failure> {
        let path = account.path().join("listening");
        let cannot = |error: std::io::Error| Failure::new(format!("cannot open {}: {error}", path.display()));
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { context, client, longest: Duration::from_secs(longest_s), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let what = format!("another eko on this machine listens for {} already", account.handle);
                Err(Failure::new(what).next("end that one first").exit(Exit::TryLater))
            }
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// Shows what is there, and what it still waits for.
    pub(crate) async fn once(&self) -> Result<(), Failure> {
        let mut received = self.client.receive().await?;
        self.show(&received)?;
        while let Some(ms) = received.look_again_ms {
            sleep(self.until(ms)).await;
            received = ReceivedBatch::default();
            self.client.place(&mut received)?;
            self.show(&received)?;
        }
        Ok(())
    }

    /// Shows what comes until the person ends it.
    pub(crate) async fn until_the_end(&self, mut typed: Option<Typed>) -> Result<(), Failure> {
        let mut pause = SHORT;
        let mut told = BTreeSet::new();
        loop {
            let mut again = None;
            match self.client.receive().await {
                Ok(received) => {
                    if !told.is_empty() {
                        self.context.out.remark("The server is there again.");
                        told.clear();
                    }
                    let quiet = received.messages.is_empty() && received.notices.is_empty();
                    pause = if quiet { pause.mul_f32(1.5).min(self.longest) } else { SHORT };
                    again = received.look_again_ms;
                    self.show(&received)?;
                }
                Err(error) => {
                    pause = pause.mul_f32(1.5).min(self.longest);
                    self.bear(error, &mut told)?;
                }
            }
            let due = [again, self.client.next_due_ms()?].into_iter().flatten().min();
            let wait = due.map_or(pause, |ms| self.until(ms).min(pause));
            match self.next(wait, typed.as_mut()).await {
                Next::Look => {}
                Next::Line(line) => {
                    if let Some(typed) = &typed {
                        self.say(line, &typed.to).await?;
                        pause = SHORT;
                    }
                }
                Next::End => return Ok(()),
            }
        }
    }

    async fn next(&self, wait: Duration, typed: Option<&mut Typed>) -> Next {
        let line = async {
            match typed {
                Some(typed) => typed.lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            line = line => line.map_or(Next::End, Next::Line),
            () = sleep(wait) => Next::Look,
            _ = tokio::signal::ctrl_c() => Next::End,
        }
    }

    /// Says once what is wrong, where it may pass; ends where it does not.
    fn bear(&self, error: MessengerError, told: &mut BTreeSet<String>) -> Result<(), Failure> {
        let pending = matches!(error, MessengerError::Pending);
        if !pending && error.retry_after_s().is_none() {
            return Err(error.into());
        }
        let why = error.to_string();
        if told.insert(why.clone()) {
            self.context.out.remark(&match pending {
                true => format!("{why}; its fingerprint is\n    {}", self.client.fingerprint()),
                false => format!("{why}; trying again"),
            });
        }
        Ok(())
    }

    async fn say(&self, line: String, to: &Whom) -> Result<(), Failure> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let draft = MessageDraft { text: line, attachments: Vec::new() };
        let sent = match to {
            Whom::Person(person) => self.client.send(person, draft).await,
            Whom::Group(group) => self.client.send_to_group(group.state.id(), draft).await,
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => {
                let failure = Failure::from(error);
                let _ = failure.write(self.context.out.json, &mut std::io::stderr().lock());
                return Ok(());
            }
        };
        for envelope in &sent.envelopes {
            if matches!(
                envelope.state,
                EnvelopeState::Failed | EnvelopeState::Refused | EnvelopeState::ToSend
            ) {
                let who = named(self.client, &envelope.recipient);
                let reason = envelope.reason.as_deref().unwrap_or_default();
                let word = show::word(envelope.state);
                self.context.out.prompt(&format!("  {word}, to {who}: {reason}"));
            }
        }
        Ok(())
    }

    fn show(&self, received: &ReceivedBatch) -> Result<(), Failure> {
        let out = self.context.out;
        for message in &received.messages {
            out.result(&show::message(self.client, message), &show::message_object(message))?;
            self.client.note_shown(message.position)?;
        }
        for notice in &received.notices {
            self.show_notice(notice)?;
        }
        Ok(())
    }

    fn show_notice(&self, notice: &Notice) -> Result<(), Failure> {
        let out = self.context.out;
        if out.json {
            return out.result("", &show::notice_object(notice));
        }
        if let Some(text) = show::notice(self.client, notice) {
            match notice.severity() {
                Severity::Warning => out.prompt(&format!("  {text}")),
                Severity::News => out.remark(&format!("  {text}")),
            }
        }
        Ok(())
    }

    fn until(&self, ms: i64) -> Duration {
        let left = ms.saturating_sub(self.context.environment.now_ms());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}
