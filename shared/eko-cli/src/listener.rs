//! The loop of `eko listen` and `eko chat`: it shows what comes, and sends what is typed.
//!
//! Of several processes for one account one reads the mailbox. The others follow the store, and one of
//! them takes the reading over when the first one ends. Every one of them shows a message once.

mod elsewhere;
mod following;
mod mailbox_lock;
mod reading;
mod sending;
mod stranger;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use eko_client::messenger::{
    GroupEvent, MessengerError, Notice, ReceivedBatch, SentActivity, Severity, StoreView,
};
use eko_client::store::{EnvelopeState, StoredMessage};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::context::{Context, HttpMessenger};
use crate::failure::{CommandFailure, Exit};
use crate::home::AccountFolder;
use crate::interruption::{END_TIME, Interruption};
use crate::people::Correspondent;
use crate::screen::{Screen, TypedInput};
use crate::show;
use elsewhere::ElsewhereHints;
use mailbox_lock::MailboxLock;
use reading::MailboxReader;
use sending::LineSender;

/// The time in which the mailbox must have been read where the input of a chat ends before anything was typed.
const LOOK_TIME: Duration = Duration::from_secs(10);

/// The time in which the mailbox of a device that is to be replaced must have been read.
const LAST_LOOK_TIME: Duration = Duration::from_secs(30);

/// The beginning of a failure to read the mailbox, where the rest was done.
const UNREAD: &str = "the mailbox was not read, so something may be missing: ";

/// A process that shows what comes for an account, and reads the mailbox unless another one does.
pub(crate) struct MailboxListener<'a> {
    context: &'a Context,
    client: &'a HttpMessenger,
    longest_pause: Duration,
    lock: PathBuf,
    /// The only conversation that is shown, if not all are.
    conversation: Option<String>,
    view: RefCell<StoreView>,
    /// The ids of the messages of a stranger that were shown as a request.
    requested: RefCell<BTreeSet<String>>,
    elsewhere: RefCell<ElsewhereHints>,
    /// The messages of this process whose states it tells while another one reads the mailbox.
    followed: RefCell<Vec<SentActivity>>,
    /// True once the person was told that the clock is wrong.
    is_clock_told: Cell<bool>,
    /// Wakes the reading when something was sent.
    sent: Notify,
    /// Told once the mailbox was read, or the store in which another process puts what it reads.
    looked: Notify,
    /// Told once the first look into the mailbox has ended, whatever has come of it.
    tried_to_look: Notify,
    /// The reason for which a look into the mailbox has failed, if it was not read since.
    unread: RefCell<Option<CommandFailure>>,
}

/// The lines that a person types, and their recipient.
pub(crate) struct TypedText {
    /// The acts of the person, who has ended the input when this channel is closed.
    pub(crate) acts: UnboundedReceiver<TypedInput>,
    /// The recipient.
    pub(crate) to: Correspondent,
}

impl<'a> MailboxListener<'a> {
    /// Returns the listener of an account, which shows only `conversation` if one is given. While there
    /// is no socket, the pause between two looks into the mailbox grows up to `longest_pause`.
    pub(crate) fn new(
        context: &'a Context,
        account: &AccountFolder,
        client: &'a HttpMessenger,
        longest_pause: Duration,
        conversation: Option<String>,
    ) -> Self {
        Self {
            context,
            client,
            longest_pause,
            lock: MailboxLock::path(account),
            view: RefCell::new(StoreView::of(conversation.clone())),
            conversation,
            requested: RefCell::default(),
            elsewhere: RefCell::default(),
            followed: RefCell::default(),
            is_clock_told: Cell::default(),
            sent: Notify::new(),
            looked: Notify::new(),
            tried_to_look: Notify::new(),
            unread: RefCell::default(),
        }
    }

    /// Shows what is in the mailbox, and ends when no message waits for another one any more. If another
    /// process reads the mailbox, it shows what that one has put into the store.
    pub(crate) async fn once(&self) -> Result<(), CommandFailure> {
        match mailbox_lock::lock_or_reader(&self.lock, &self.context.environment).await {
            Ok(Some(lock)) => lock.alive(&self.context.environment, self.look_once()).await,
            reader => {
                self.show_new()?;
                reader.map(drop)
            }
        }
    }

    async fn look_once(&self) -> Result<(), CommandFailure> {
        let received = self.receive().await;
        if let Ok(received) = &received {
            // How the user has come into a group is told before what is said there.
            self.show_notices(&of_entries(&received.notices, true))?;
        }
        self.show_new()?;
        let mut received = received?;
        self.show_notices(&of_entries(&received.notices, false))?;
        while let Some(ms) = received.look_again_ms {
            sleep(self.time_until(ms)).await;
            received = ReceivedBatch::default();
            self.client.place(&mut received)?;
            self.show_new()?;
        }
        self.tell_waiting()
    }

    /// Says how many messages of this device wait for another attempt, if any do.
    fn tell_waiting(&self) -> Result<(), CommandFailure> {
        let Some(waiting) = self.client.waiting_messages()? else { return Ok(()) };
        let (what, them) = match waiting.count {
            1 => ("1 message waits".to_owned(), "it"),
            count => (format!("{count} messages wait"), "them"),
        };
        let until = show::clock_with_seconds(waiting.due_ms);
        self.context.out.remark(&format!(
            "  {what} until {until}; eko listen sends {them} then, and eko history says why"
        ));
        Ok(())
    }

    /// Shows what comes and sends what is typed, until the person ends it. Who is writing is shown on
    /// the `screen`.
    pub(crate) async fn until_the_end(
        &self,
        mut typed: Option<TypedText>,
        screen: Option<Screen>,
    ) -> Result<(), CommandFailure> {
        let mut interruption = Interruption::heard()?;
        let mut reader: Option<MailboxReader<'_>> = None;
        let is_typed = typed.is_some();
        let sender = typed.as_ref().map(|typed| LineSender::new(self, typed.to.clone()));
        let sending = async {
            match (&sender, &mut typed) {
                (Some(sender), Some(typed)) => {
                    sender.send_all(&mut typed.acts).await;
                    match sender.has_sent_nothing() {
                        // Whoever types nothing wants to see what there is.
                        true => self.looked_in_time().await,
                        false => Ok(()),
                    }
                }
                _ => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = self.read(&mut reader, is_typed, screen.as_ref()) => ended,
            ended = sending => ended,
            // Whatever is under way goes on with the next command, as after a crash.
            () = interruption.happened() => Ok(()),
        };
        if let (Some(sender), Some(typed)) = (&sender, &mut typed) {
            let _ = timeout(END_TIME, sender.keep_the_rest(&mut typed.acts)).await;
        }
        if let Some(reader) = reader {
            // What cannot be said at once is not said.
            let _ = timeout(END_TIME, reader.end()).await;
        }
        drop(screen);
        let kept = sender.as_ref().map_or(Ok(()), LineSender::outcome);
        ended.and(kept)
    }

    /// Waits until the mailbox was read once.
    ///
    /// # Errors
    /// No attempt has succeeded in time.
    async fn looked_in_time(&self) -> Result<(), CommandFailure> {
        match timeout(LOOK_TIME, self.looked.notified()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(not_in_time(self.unread.take())),
        }
    }

    fn note_looked(&self) {
        self.looked.notify_one();
        self.tried_to_look.notify_one();
    }

    fn take_lock(&self) -> Result<Option<MailboxLock>, CommandFailure> {
        MailboxLock::take(&self.lock, self.context.environment.now_ms())
    }

    async fn receive(&self) -> Result<ReceivedBatch, MessengerError> {
        let received = self.client.receive().await;
        self.tell_clock();
        received
    }

    /// Says once that the clock of this machine differs from the server's.
    fn tell_clock(&self) {
        if !self.is_clock_told.get()
            && let Some(warning) = clock::warning(self.client)
        {
            self.is_clock_told.set(true);
            self.context.out.prompt(&warning);
        }
    }

    /// Reads the mailbox, and shows notices on standard error. Messages stay for `eko listen`. Nobody is
    /// told of requests and invitations, since the caller lists them.
    async fn look(&self) -> Result<(), CommandFailure> {
        let received = match self.receive().await {
            Ok(received) => received,
            // The command fails with it, after what is kept.
            Err(error) if error.is_end() => return Ok(()),
            Err(error) => {
                self.say_unread(error.into());
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

    /// Reads the mailbox to the end, and shows notices on standard error.
    async fn look_for_the_last_time(&self) -> Result<(), CommandFailure> {
        let mut received = match self.receive().await {
            Ok(received) => received,
            // Nothing comes for such a device, or nothing that waits can be read any more.
            Err(error)
                if error.is_end() || matches!(error, MessengerError::Pending | MessengerError::Forgotten) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for notice in &received.notices {
            tell(self.context, self.client, notice)?;
        }
        while let Some(ms) = received.look_again_ms {
            sleep(self.time_until(ms)).await;
            received = ReceivedBatch::default();
            self.client.place(&mut received)?;
        }
        match Box::pin(self.client.is_mailbox_empty()).await? {
            true => Ok(()),
            false => Err(CommandFailure::new("some of it cannot be read now")),
        }
    }

    fn say_unread(&self, failure: CommandFailure) {
        let unread = failure.led_by(UNREAD);
        self.context.out.failure(&self.context.explained(unread));
    }

    /// Shows the messages that are new in the store, and returns them. Those of other conversations are
    /// left for another process.
    fn show_new(&self) -> Result<Vec<StoredMessage>, CommandFailure> {
        self.show_request()?;
        let new = self.client.look_into_store(&mut self.view.borrow_mut())?;
        for message in &new.shown {
            if !self.was_requested(message) {
                let (text, object) = (show::message(self.client, message), show::message_object(message));
                self.context.out.result(&text, &object)?;
            }
            self.client.note_message_shown(message)?;
        }
        self.leave_elsewhere(&new.elsewhere)?;
        Ok(new.shown)
    }

    fn show_notices(&self, notices: &[Notice]) -> Result<(), CommandFailure> {
        let out = self.context.out;
        for notice in notices {
            if out.json {
                out.line(&show::notice_object(self.client, notice))?;
                self.client.note_told(notice)?;
            } else if self.is_of_shown_request(notice) || self.is_read_too(notice, notices)? {
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

/// Returns the failure of a chat whose mailbox was not read in time. `unread` is the reason, if it is known.
fn not_in_time(unread: Option<CommandFailure>) -> CommandFailure {
    let unread = unread.unwrap_or_else(|| {
        let what = format!("it was not read to its end within {} seconds", LOOK_TIME.as_secs());
        CommandFailure::new(what).next("try again later").exit(Exit::TryLater)
    });
    unread.led_by(UNREAD)
}

/// Returns the notices that say how the user has come into groups, or the others.
fn of_entries(notices: &[Notice], are_entries: bool) -> Vec<Notice> {
    let is_entry = |notice: &&Notice| {
        matches!(notice, Notice::Group { event: GroupEvent::Invited | GroupEvent::Joined, .. })
    };
    notices.iter().filter(|notice| is_entry(notice) == are_entries).cloned().collect()
}

/// Reads the mailbox for a command that lists requests or invitations. If another process listens for
/// the account, that one has read it. A mailbox that cannot be read is no failure, because what came
/// before can be listed all the same.
///
/// # Errors
/// The store cannot be written.
pub(crate) async fn look(
    context: &Context,
    account: &AccountFolder,
    client: &HttpMessenger,
) -> Result<(), CommandFailure> {
    let listener = MailboxListener::new(context, account, client, Duration::ZERO, None);
    match mailbox_lock::lock_or_reader(&listener.lock, &context.environment).await {
        Ok(Some(lock)) => lock.alive(&context.environment, listener.look()).await,
        Ok(None) => Ok(()),
        Err(failure) => {
            listener.say_unread(failure);
            Ok(())
        }
    }
}

/// Reads the mailbox of a device that is to be replaced into its store, to the end.
///
/// # Errors
/// It was not read to the end: the server does not answer in time, or another process has the mailbox.
pub(crate) async fn look_for_the_last_time(
    context: &Context,
    account: &AccountFolder,
    client: &HttpMessenger,
) -> Result<(), CommandFailure> {
    let listener = MailboxListener::new(context, account, client, Duration::ZERO, None);
    let Some(lock) = listener.take_lock()? else {
        return Err(CommandFailure::new("another eko on this machine reads it"));
    };
    let look = lock.alive(&context.environment, listener.look_for_the_last_time());
    let slow = |_| CommandFailure::new(format!("{} does not answer in time", client.device().origin()));
    timeout(LAST_LOOK_TIME, look).await.map_err(slow)?
}

/// Takes the lock of an account's mailbox, which lasts as long as the value, or returns `None` if another
/// process has it.
///
/// # Errors
/// The lock file cannot be opened.
pub(crate) fn lock(
    context: &Context,
    account: &AccountFolder,
) -> Result<Option<MailboxLock>, CommandFailure> {
    MailboxLock::take(&MailboxLock::path(account), context.environment.now_ms())
}

/// Shows a notice on standard error, and records that it was shown.
pub(crate) fn tell(context: &Context, client: &HttpMessenger, notice: &Notice) -> Result<(), CommandFailure> {
    let out = context.out;
    if out.json {
        out.aside(&show::notice_object(client, notice));
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
