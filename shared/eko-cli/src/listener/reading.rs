//! The reading: the one process that has the lock takes what comes on the socket or looks into the
//! mailbox, and the others follow the store.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::Duration;

use eko_client::messenger::{MessengerError, ReceivedBatch};
use eko_client::store::StoredMessage;
use eko_client::{ClientError, TransportError};
use tokio::time::{sleep, timeout};

use super::MailboxListener;
use super::mailbox_lock::{MailboxLock, ReaderWatch};
use crate::context::HttpFeed;
use crate::failure::CommandFailure;
use crate::joining;
use crate::screen::Screen;
use crate::show;
use crate::writers::CurrentWriters;

/// The pause between two looks into the store while another process reads the mailbox.
const FOLLOWING_PAUSE: Duration = Duration::from_millis(300);

/// The pause between two looks for messages of other processes that are to be sent.
const UNSENT_PAUSE: Duration = Duration::from_secs(1);

/// The reading of the mailbox.
pub(super) struct MailboxReader<'m> {
    feed: HttpFeed<'m>,
    /// The lock, which is held until the feed has ended.
    lock: MailboxLock,
}

impl MailboxReader<'_> {
    /// Ends the reading.
    pub(super) async fn end(self) {
        self.feed.end().await;
    }
}

impl<'a> MailboxListener<'a> {
    /// Shows what comes, until it cannot go on. `reader` is set while this process reads the mailbox.
    pub(super) async fn read(
        &self,
        reader: &mut Option<MailboxReader<'a>>,
        is_typed: bool,
        screen: Option<&Screen>,
    ) -> Result<(), CommandFailure> {
        if is_typed && self.client.device().tokens().is_none() {
            // What is typed is kept, and nothing can come.
            self.note_looked();
            return std::future::pending().await;
        }
        // What a program reads was read by nobody yet.
        let is_read = is_typed || (!self.context.out.json && std::io::stdout().is_terminal());
        let (mut is_follower, mut watch) = (false, ReaderWatch::default());
        let lock = loop {
            if let Some(lock) = self.take_lock()? {
                break lock;
            }
            if !std::mem::replace(&mut is_follower, true) {
                self.context.out.detail("following: another eko on this machine reads the mailbox");
            }
            self.show_and_read(is_read)?;
            self.show_states()?;
            self.note_looked();
            let now_ms = self.context.environment.now_ms();
            if let Some(failure) = watch.look(&self.lock, now_ms, FOLLOWING_PAUSE) {
                self.context.out.failure(&failure);
            }
            sleep(FOLLOWING_PAUSE).await;
        };
        // The other process may have left something since the last look, and hears of it no more.
        self.show_states()?;
        self.follow_none();
        let longest_pause_ms = i64::try_from(self.longest_pause.as_millis()).unwrap_or(i64::MAX);
        let feed = self.client.live_feed(longest_pause_ms);
        let MailboxReader { feed, lock } = reader.insert(MailboxReader { feed, lock });
        lock.alive(&self.context.environment, self.read_mailbox(feed, is_read, screen)).await
    }

    async fn read_mailbox(
        &self,
        feed: &mut HttpFeed<'_>,
        is_read: bool,
        screen: Option<&Screen>,
    ) -> Result<(), CommandFailure> {
        let (mut told, mut mode) = (BTreeSet::new(), None);
        let (mut writers, mut waits, mut is_away) = (CurrentWriters::default(), false, false);
        loop {
            let (mut again, mut batch) = (None, ReceivedBatch::default());
            let (looked, mut shown) = self.show_during(feed.advance(), is_read).await?;
            self.tell_clock();
            if mode.as_ref() != Some(feed.mode()) {
                self.context.out.detail(&feed.mode().to_string());
                mode = Some(feed.mode().clone());
            }
            shown.extend(self.show_and_read(is_read)?);
            match looked {
                Ok(received) => {
                    if feed.has_read() {
                        self.unread.take();
                    }
                    if std::mem::take(&mut waits) {
                        let approved = "This device is approved, and receives what is sent from now on.";
                        self.context.out.remark(approved);
                        told.clear();
                    }
                    if !told.is_empty() && feed.is_in_touch() {
                        if std::mem::take(&mut is_away) {
                            self.context.out.remark("The server is there again.");
                        }
                        told.clear();
                    }
                    again = received.look_again_ms;
                    self.show_notices(&received.notices)?;
                    if feed.has_read() && again.is_none() {
                        self.note_looked();
                    }
                    batch = received;
                }
                Err(MessengerError::Pending) => {
                    self.note_looked();
                    if !std::mem::replace(&mut waits, true)
                        && let Some(code) = self.client.joining_code()?
                    {
                        self.context.out.remark(&joining::text(self.client, &code));
                    }
                }
                Err(error) => {
                    self.tried_to_look.notify_one();
                    // A server that refuses what a wrong clock has dated is there.
                    is_away |= !matches!(error, MessengerError::WrongClock(_));
                    self.report(error, feed.due_ms(), &mut told)?;
                }
            }
            self.hint_elsewhere()?;
            writers.note(self.client, &batch, &shown, self.context.environment.now_ms());
            if let Some(screen) = screen {
                screen.show_status(&writers.text());
            }
            let hint_ms = self.elsewhere.borrow().due_ms();
            let due = [Some(feed.due_ms()), again, writers.due_ms(), hint_ms];
            let due_ms = due.into_iter().flatten().min().unwrap_or(i64::MIN);
            tokio::select! {
                () = feed.arrival() => {}
                due = self.until_due(due_ms) => due?,
                () = self.sent.notified() => feed.expect_answer(),
            }
        }
    }

    /// Shows the messages that are new in the store, and notes that they are read if a person reads them.
    fn show_and_read(&self, is_read: bool) -> Result<Vec<StoredMessage>, CommandFailure> {
        let shown = self.show_new()?;
        if is_read {
            self.client.put_reading(&shown)?;
        }
        Ok(shown)
    }

    /// Looks into the mailbox, and shows messages as soon as they are in the store: what follows from
    /// them may wait long for some server. Returns the messages too.
    async fn show_during<R>(
        &self,
        look: impl Future<Output = R>,
        is_read: bool,
    ) -> Result<(R, Vec<StoredMessage>), CommandFailure> {
        let (mut look, mut shown) = (std::pin::pin!(look), Vec::new());
        loop {
            if let Ok(looked) = timeout(FOLLOWING_PAUSE, &mut look).await {
                return Ok((looked, shown));
            }
            shown.extend(self.show_and_read(is_read)?);
        }
    }

    /// Waits until this time, or until a message is to be sent. Another process may put one off meanwhile,
    /// and leaves it to this one.
    async fn until_due(&self, due_ms: i64) -> Result<(), CommandFailure> {
        loop {
            let send_ms = self.client.next_due_ms()?.unwrap_or(i64::MAX);
            let left = self.time_until(due_ms.min(send_ms));
            if left.is_zero() {
                return Ok(());
            }
            sleep(left.min(UNSENT_PAUSE)).await;
        }
    }

    /// Reports an error after which the loop tries again at `due_ms`, because another attempt may succeed. Writes
    /// the error unless its text is in `told`, and adds the text.
    ///
    /// # Errors
    /// Any other error, as a failure of the command.
    fn report(
        &self,
        error: MessengerError,
        due_ms: i64,
        told: &mut BTreeSet<String>,
    ) -> Result<(), CommandFailure> {
        let is_passing = error.retry_after_s().is_some();
        let server = self.client.device().origin();
        let known = match &error {
            MessengerError::Client(ClientError::Transport(TransportError::Connect(_))) => "is out of reach",
            MessengerError::Client(ClientError::Transport(TransportError::CertificateTime { .. })) => "",
            MessengerError::Client(ClientError::Transport(_)) => "does not answer",
            _ => "",
        };
        let failure = CommandFailure::from(error);
        if !is_passing {
            return Err(failure);
        }
        *self.unread.borrow_mut() = Some(failure.clone());
        let why = match known {
            "" => format!("{server}: {failure}"),
            known => format!("{server} {known}"),
        };
        if told.insert(why.clone()) {
            let when = match due_ms > self.context.environment.now_ms() {
                true => format!(" at {}", show::clock_with_seconds(due_ms)),
                false => String::new(),
            };
            self.context.out.remark(&format!("{why}; trying again{when}"));
        }
        Ok(())
    }
}
