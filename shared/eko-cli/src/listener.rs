//! The loop of `eko listen` and `eko chat`: it takes what comes on the socket or reads the mailbox,
//! shows what came, and sends what is typed.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::IsTerminal as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use eko_client::messenger::{GroupEvent, MessageDraft, MessengerError, Notice, ReceivedBatch, Severity};
use eko_client::store::EnvelopeState;
use eko_client::{ClientError, TransportError};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use crate::context::{Context, HttpFeed, HttpMessenger};
use crate::delivery::{DeliverySummary, KEPT};
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;
use crate::interruption::{END_TIME, Interruption};
use crate::joining;
use crate::people::Correspondent;
use crate::screen::{Screen, TypedInput};
use crate::show;
use crate::writers::CurrentWriters;

/// The one process that reads an account's mailbox.
pub(crate) struct MailboxListener<'a> {
    context: &'a Context,
    client: &'a HttpMessenger,
    longest_pause: Duration,
    /// The lock of the file `listening`, which lasts as long as the listener.
    _lock: File,
}

/// The lines that a person types, and their recipient.
pub(crate) struct TypedText {
    /// The acts of the person, who has ended the input when this channel is closed.
    pub(crate) acts: UnboundedReceiver<TypedInput>,
    /// The recipient.
    pub(crate) to: Correspondent,
}

/// The outcome of typed lines that were not sent.
#[derive(Default)]
struct TypedLines {
    /// The ids of the messages that are kept, and sent later.
    kept: Vec<String>,
    /// The kind of the last failure of a line that is not sent later.
    failed: Option<Exit>,
}

/// The reason why the loop goes on.
enum ListenerEvent<'t> {
    /// Something has come, or is due.
    Look,
    /// The person has typed something.
    Typed { act: TypedInput, to: &'t Correspondent },
    /// The person ends the loop.
    End,
}

impl<'a> MailboxListener<'a> {
    /// Locks the account for reading. While there is no socket, the pause between two looks into the
    /// mailbox grows up to `longest_pause`.
    ///
    /// # Errors
    /// [`Exit::TryLater`] if another process listens for the account; the lock file cannot be
    /// opened.
    pub(crate) fn begin(
        context: &'a Context,
        account: &AccountFolder,
        client: &'a HttpMessenger,
        longest_pause: Duration,
    ) -> Result<Self, CommandFailure> {
        let path = account.path().join("listening");
        let cannot =
            |error: std::io::Error| CommandFailure::new(format!("cannot open {}: {error}", path.display()));
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { context, client, longest_pause, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let what = format!("another eko on this machine listens for {} already", account.handle);
                Err(CommandFailure::new(what).next("end that one first").exit(Exit::TryLater))
            }
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// Shows what is in the mailbox, and ends when no message waits for another one any more.
    pub(crate) async fn once(&self) -> Result<(), CommandFailure> {
        let mut received = self.receive().await?;
        self.show(&received)?;
        while let Some(ms) = received.look_again_ms {
            sleep(self.time_until(ms)).await;
            received = ReceivedBatch::default();
            self.client.place(&mut received)?;
            self.show(&received)?;
        }
        Ok(())
    }

    /// Shows what comes and sends what is typed, until the person ends it. Who is writing is shown on
    /// the `screen`.
    pub(crate) async fn until_the_end(
        &self,
        typed: Option<TypedText>,
        screen: Option<Screen>,
    ) -> Result<(), CommandFailure> {
        let longest_pause_ms = i64::try_from(self.longest_pause.as_millis()).unwrap_or(i64::MAX);
        let mut feed = self.client.live_feed(longest_pause_ms);
        let mut interruption = Interruption::heard()?;
        let mut lines = TypedLines::default();
        let ended = tokio::select! {
            ended = self.follow(&mut feed, typed, screen.as_ref(), &mut lines) => ended,
            // Whatever is under way goes on with the next command, as after a crash.
            () = interruption.happened() => Ok(()),
        };
        // What cannot be said at once is not said.
        let _ = timeout(END_TIME, feed.end()).await;
        ended?;
        self.outcome(&lines)
    }

    /// Fails if something that was typed was not sent.
    fn outcome(&self, lines: &TypedLines) -> Result<(), CommandFailure> {
        if let Some(exit) = lines.failed {
            return Err(CommandFailure::new("not everything that you wrote was sent").exit(exit));
        }
        let mut waiting: usize = 0;
        for id in &lines.kept {
            let state = self.client.sent(id)?.state(&self.client.me());
            waiting = waiting.saturating_add(usize::from(state == EnvelopeState::ToSend));
        }
        match waiting {
            0 => Ok(()),
            1 => Err(CommandFailure::new("a message waits to be sent")),
            count => Err(CommandFailure::new(format!("{count} messages wait to be sent"))),
        }
        .map_err(|failure| failure.next(KEPT).exit(Exit::TryLater))
    }

    async fn follow(
        &self,
        feed: &mut HttpFeed<'_>,
        mut typed: Option<TypedText>,
        screen: Option<&Screen>,
        lines: &mut TypedLines,
    ) -> Result<(), CommandFailure> {
        let (mut told, mut mode) = (BTreeSet::new(), None);
        let (mut writers, mut waits) = (CurrentWriters::default(), false);
        // What a program reads was read by nobody yet.
        let is_read = typed.is_some() || (!self.context.out.json && std::io::stdout().is_terminal());
        loop {
            let (mut again, mut batch) = (None, ReceivedBatch::default());
            let looked = self.note_end(feed.advance().await).await;
            if mode.as_ref() != Some(feed.mode()) {
                self.context.out.detail(&feed.mode().to_string());
                mode = Some(feed.mode().clone());
            }
            match looked {
                Ok(received) => {
                    if std::mem::take(&mut waits) {
                        let approved = "This device is approved, and receives what is sent from now on.";
                        self.context.out.remark(approved);
                        told.clear();
                    }
                    if !told.is_empty() && feed.is_in_touch() {
                        self.context.out.remark("The server is there again.");
                        told.clear();
                    }
                    again = received.look_again_ms;
                    self.show(&received)?;
                    if is_read {
                        self.client.put_reading(&received.messages)?;
                    }
                    batch = received;
                }
                Err(MessengerError::Pending) => {
                    if !std::mem::replace(&mut waits, true)
                        && let Some(code) = self.client.joining_code()?
                    {
                        self.context.out.remark(&joining::text(self.client, &code));
                    }
                }
                Err(error) => self.report(error, &mut told)?,
            }
            writers.note(self.client, &batch, self.context.environment.now_ms());
            if let Some(screen) = screen {
                screen.show_status(&writers.text());
            }
            let due = [Some(feed.due_ms()), again, self.client.next_due_ms()?, writers.due_ms()];
            let due_ms = due.into_iter().flatten().min().unwrap_or(i64::MIN);
            match wait_for_event(self.time_until(due_ms), feed, typed.as_mut()).await {
                ListenerEvent::Look => {}
                ListenerEvent::Typed { act: TypedInput::Line(text), to } => {
                    self.send(text, to, lines).await;
                    feed.expect_answer();
                }
                ListenerEvent::Typed { act: TypedInput::Writing, to } => {
                    // If it cannot be told, the message that follows says why.
                    let _ = self.client.send_typing(&to.conversation()).await;
                }
                ListenerEvent::End => return Ok(()),
            }
        }
    }

    async fn receive(&self) -> Result<ReceivedBatch, MessengerError> {
        self.note_end(self.client.receive().await).await
    }

    /// Reads the own chain if the server has said that this device was revoked, so that `eko whoami`
    /// knows it.
    async fn note_end(
        &self,
        received: Result<ReceivedBatch, MessengerError>,
    ) -> Result<ReceivedBatch, MessengerError> {
        if matches!(received, Err(MessengerError::Revoked)) {
            // The failure of the look into the mailbox is what the person is told.
            let _ = self.client.verification(&self.client.me()).await;
        }
        received
    }

    /// Reports an error after which the loop tries again, because another attempt may succeed. Writes
    /// the error unless its text is in `told`, and adds the text.
    ///
    /// # Errors
    /// Any other error, as a failure of the command.
    fn report(&self, error: MessengerError, told: &mut BTreeSet<String>) -> Result<(), CommandFailure> {
        let is_passing = error.retry_after_s().is_some();
        let server = self.client.device().origin();
        let known = match &error {
            MessengerError::Client(ClientError::Transport(TransportError::Connect(_))) => "is out of reach",
            MessengerError::Client(ClientError::Transport(_)) => "does not answer",
            _ => "",
        };
        let failure = CommandFailure::from(error);
        if !is_passing {
            return Err(failure);
        }
        let why = match known {
            "" => format!("{server}: {failure}"),
            known => format!("{server} {known}"),
        };
        if told.insert(why.clone()) {
            self.context.out.remark(&format!("{why}; trying again"));
        }
        Ok(())
    }

    /// Sends a typed line. A failure is written, and does not end the loop.
    async fn send(&self, line: String, to: &Correspondent, lines: &mut TypedLines) {
        if line.trim().is_empty() {
            return;
        }
        let draft = MessageDraft { text: line, attachments: Vec::new() };
        let sent = match to {
            Correspondent::Person(person) => self.client.send(person, draft).await,
            Correspondent::Group(group) => self.client.send_to_group(group.state.id(), draft).await,
        };
        let out = self.context.out;
        let failure = match sent {
            Ok(sent) => {
                let delivery = DeliverySummary::of(self.client, &sent);
                if let Some(warning) = delivery.copy_warning() {
                    out.prompt(&warning);
                }
                match delivery.failure("") {
                    None => return,
                    Some(failure) if delivery.state == EnvelopeState::ToSend => {
                        out.prompt(&format!("  {failure}; it is kept, and sent by itself"));
                        return lines.kept.push(sent.id);
                    }
                    Some(failure) => failure,
                }
            }
            Err(error) => CommandFailure::from(error),
        };
        out.failure(&self.context.explained(failure.clone()));
        lines.failed = Some(failure.ends_with());
    }

    /// Reads the mailbox, and shows notices on standard error. Messages stay for `eko listen`. Nobody is
    /// told of requests and invitations, since the caller lists them.
    async fn look(&self) -> Result<(), CommandFailure> {
        let received = match self.receive().await {
            Ok(received) => received,
            Err(error) => {
                let failure = CommandFailure::from(error);
                self.context
                    .out
                    .prompt(&format!("The mailbox was not read, so something may be missing: {failure}"));
                return Ok(());
            }
        };
        for notice in &received.notices {
            let is_listed = match notice {
                Notice::Request { .. } => true,
                Notice::Group { event, .. } => *event == GroupEvent::Invited,
                _ => false,
            };
            if !is_listed {
                tell(self.context, self.client, notice)?;
            }
        }
        if !received.messages.is_empty() {
            self.context.out.remark("There are new messages: eko listen");
        }
        Ok(())
    }

    fn show(&self, received: &ReceivedBatch) -> Result<(), CommandFailure> {
        let out = self.context.out;
        for message in &received.messages {
            out.result(&show::message(self.client, message), &show::message_object(message))?;
            self.client.note_shown(message.position)?;
        }
        for notice in &received.notices {
            if out.json {
                out.line(&show::notice_object(notice))?;
                self.client.note_told(notice)?;
            } else if self.is_read_too(notice, &received.notices)? {
                self.client.note_told(notice)?;
            } else {
                tell(self.context, self.client, notice)?;
            }
        }
        Ok(())
    }

    /// True if a notice says that somebody has a message, and another one that they have read it.
    fn is_read_too(&self, notice: &Notice, notices: &[Notice]) -> Result<bool, CommandFailure> {
        let Notice::Settled(envelope) = notice else { return Ok(false) };
        let reads =
            |other: &Notice| matches!(other, Notice::Read { actor, .. } if *actor == envelope.recipient);
        if envelope.state != EnvelopeState::Delivered || !notices.iter().any(reads) {
            return Ok(false);
        }
        let sent = self.client.sent(&envelope.message)?;
        Ok(sent.envelopes.iter().any(|now| now.id == envelope.id && now.seen))
    }

    fn time_until(&self, ms: i64) -> Duration {
        let left = ms.saturating_sub(self.context.environment.now_ms());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

/// Reads the mailbox for a command that lists requests or invitations. If another process listens for
/// the account, that one has read it. A mailbox that cannot be read is no failure, because what came
/// before can be listed all the same.
///
/// # Errors
/// The lock file cannot be opened, or the store cannot be written.
pub(crate) async fn look(
    context: &Context,
    account: &AccountFolder,
    client: &HttpMessenger,
) -> Result<(), CommandFailure> {
    match MailboxListener::begin(context, account, client, Duration::ZERO) {
        Ok(listener) => listener.look().await,
        Err(failure) if failure.ends_with() == Exit::TryLater => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Shows a notice on standard error, and records that it was shown.
pub(crate) fn tell(context: &Context, client: &HttpMessenger, notice: &Notice) -> Result<(), CommandFailure> {
    let out = context.out;
    if out.json {
        out.aside(&show::notice_object(notice));
    } else if matches!(notice, Notice::Typing { .. }) {
        // Only the screen shows that, which forgets it again.
    } else if let Some(line) = show::notice(client, notice) {
        match notice.severity() {
            Severity::Warning | Severity::Attention => out.prompt(&format!("  {line}")),
            Severity::News => out.remark(&format!("  {line}")),
        }
    }
    Ok(client.note_told(notice)?)
}

/// Waits for the next event, `wait` at most.
async fn wait_for_event<'t>(
    wait: Duration,
    feed: &mut HttpFeed<'_>,
    typed: Option<&'t mut TypedText>,
) -> ListenerEvent<'t> {
    let typed = async move {
        match typed {
            Some(TypedText { acts, to }) => match acts.recv().await {
                Some(act) => ListenerEvent::Typed { act, to },
                None => ListenerEvent::End,
            },
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        event = typed => event,
        () = feed.arrival() => ListenerEvent::Look,
        () = sleep(wait) => ListenerEvent::Look,
    }
}
