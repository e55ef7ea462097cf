//! The sending of typed lines. Each is kept as soon as it is ended, and sent after those before it, while
//! the person goes on typing and messages come. The first one is kept once the mailbox was read.

mod ending;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use eko_client::messenger::{MessageDraft, MessengerError, SentActivity};
use eko_client::store::{EnvelopeState, OutboxEnvelope};
use futures_util::future::{Either, select};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use super::MailboxListener;
use crate::clock;
use crate::delivery::DeliverySummary;
use crate::failure::{CommandFailure, Exit};
use crate::people::Correspondent;
use crate::screen::TypedInput;
use crate::show;

/// The time for which the first line waits until the mailbox was read: what waits there was written before it.
const LOOK_FIRST: Duration = Duration::from_secs(2);
/// The time after which a line that is being sent is said to wait.
const LATE: Duration = Duration::from_secs(2);
/// The time for which a line is waited for after the person has ended the input.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// The number of lines that wait of which each is named.
const LINES_NAMED: usize = 5;
/// The time for which lines are gathered that wait for the same.
const GATHERED: Duration = Duration::from_millis(500);

/// The pause between two looks at a message that is being sent already.
const UNDER_WAY: Duration = Duration::from_millis(50);

/// The sending of what one person types to one recipient.
pub(super) struct LineSender<'l, 'a> {
    listener: &'l MailboxListener<'a>,
    to: Correspondent,
    /// The line that is being kept.
    putting: RefCell<Option<String>>,
    /// The lines that are kept and not yet tried, the first of which is being sent.
    untried: RefCell<VecDeque<PutLine>>,
    /// True if the line that is being sent was said to wait.
    is_late: Cell<bool>,
    /// The time for which the first line has waited for the mailbox to be read, until it is sent.
    waited: Cell<Duration>,
    /// True once the person has ended the input.
    is_ended: Cell<bool>,
    /// True once a line was tried.
    has_tried: Cell<bool>,
    /// False if the person has deleted what they were writing.
    is_writing: Cell<bool>,
    /// The ids of the messages that were not sent at once.
    kept: RefCell<Vec<String>>,
    /// The ids of the messages that are held back from somebody.
    held_back: RefCell<Vec<String>>,
    /// The kind of the last failure of a line that is kept, and not sent later.
    failed: Cell<Option<Exit>>,
    /// The last failure of a line that is not kept.
    not_kept: RefCell<Option<CommandFailure>>,
    /// The beginnings of the lines that could not be kept at the end, with the reasons.
    refused: RefCell<Vec<(String, MessengerError)>>,
    /// The beginnings of the lines that are lost, since there was no time to keep them.
    lost: RefCell<VecDeque<String>>,
}

/// A line that is kept as a message.
#[derive(Clone)]
struct PutLine {
    id: String,
    excerpt: String,
}

/// Lines that wait for the same.
struct WaitingLines {
    lines: Vec<PutLine>,
    why: String,
    until_ms: i64,
}

impl<'l, 'a> LineSender<'l, 'a> {
    pub(super) fn new(listener: &'l MailboxListener<'a>, to: Correspondent) -> Self {
        Self {
            listener,
            to,
            putting: RefCell::default(),
            untried: RefCell::default(),
            is_late: Cell::new(false),
            waited: Cell::default(),
            is_ended: Cell::new(false),
            has_tried: Cell::new(false),
            is_writing: Cell::new(false),
            kept: RefCell::default(),
            held_back: RefCell::default(),
            failed: Cell::new(None),
            not_kept: RefCell::default(),
            refused: RefCell::default(),
            lost: RefCell::default(),
        }
    }

    /// True if nothing was typed that was tried.
    pub(super) fn has_sent_nothing(&self) -> bool {
        !self.has_tried.get()
    }

    /// Sends what is typed, until the person ends the input and everything was tried.
    pub(super) async fn send_all(&self, acts: &mut UnboundedReceiver<TypedInput>) {
        let (put, to_send) = unbounded_channel();
        let writing = Notify::new();
        let sending = async { tokio::join!(self.keep_lines(acts, put, &writing), self.send_lines(to_send)) };
        tokio::select! {
            _ = sending => {}
            () = self.tell_writing(&writing) => {}
        }
    }

    /// Keeps each line as a message, in the order in which they were typed.
    async fn keep_lines(
        &self,
        acts: &mut UnboundedReceiver<TypedInput>,
        put: UnboundedSender<PutLine>,
        writing: &Notify,
    ) {
        while let Some(act) = acts.recv().await {
            match act {
                TypedInput::Writing | TypedInput::Emptied => {
                    self.is_writing.set(act == TypedInput::Writing);
                    writing.notify_one();
                }
                TypedInput::Line(text) => {
                    let excerpt = show::excerpt_of(&text);
                    *self.putting.borrow_mut() = Some(text.clone());
                    if !self.has_tried.replace(true) {
                        self.look_first().await;
                    }
                    let id = self.watched(self.put(text), &excerpt).await;
                    *self.putting.borrow_mut() = None;
                    match id {
                        Ok(Some(id)) => {
                            let line = PutLine { id, excerpt };
                            if self.is_late.get() {
                                self.say_waiting(std::slice::from_ref(&line.excerpt));
                            }
                            self.untried.borrow_mut().push_back(line.clone());
                            // The other half lasts as long as this one.
                            let _ = put.send(line);
                        }
                        Ok(None) => {}
                        Err(error) => {
                            let failure = CommandFailure::from(error).not_kept();
                            self.tell(&failure);
                            *self.not_kept.borrow_mut() = Some(failure);
                        }
                    }
                }
            }
        }
        self.is_ended.set(true);
    }

    /// Waits until the mailbox was read for the first time, or could not be read, and no longer than
    /// [`LOOK_FIRST`]: an answer stands after the question that waits there.
    async fn look_first(&self) {
        let began = Instant::now();
        let _ = timeout(LOOK_FIRST, self.listener.tried_to_look.notified()).await;
        self.waited.set(began.elapsed());
    }

    /// Keeps a line as a message, unless it is empty.
    async fn put(&self, text: String) -> Result<Option<String>, MessengerError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let (client, draft) = (self.listener.client, MessageDraft { text, attachments: Vec::new() });
        match &self.to {
            Correspondent::Person(person) => {
                // The first line accepts a stranger, whose devices are looked at as `eko send` does.
                if client.knows_as_stranger(&person.actor())? {
                    match client.check_addressee(person).await {
                        // A line to somebody who is known is held back until that is settled.
                        Err(MessengerError::Distrust { .. }) => {}
                        checked => checked?,
                    }
                }
                client.put_message(person, draft).await.map(Some)
            }
            Correspondent::Group(group) => client.put_group_message(group.state.id(), draft).await.map(Some),
        }
    }

    /// Sends the lines that are kept, one after the other.
    async fn send_lines(&self, mut lines: UnboundedReceiver<PutLine>) {
        let mut waiting: Option<WaitingLines> = None;
        loop {
            let line = match &waiting {
                None => lines.recv().await,
                Some(_) => match timeout(GATHERED, lines.recv()).await {
                    Ok(line) => line,
                    Err(_) => {
                        self.tell_gathered(waiting.take());
                        continue;
                    }
                },
            };
            let Some(line) = line else { break };
            let sent = {
                let sending = std::pin::pin!(self.watched(self.send(&line.id), ""));
                match select(sending, std::pin::pin!(self.patience_is_over())).await {
                    Either::Left((sent, _)) => sent,
                    Either::Right(_) => break,
                }
            };
            self.is_late.set(false);
            self.untried.borrow_mut().pop_front();
            self.listener.sent.notify_one();
            match sent {
                Ok(sent) => self.note_sent(line, &sent, &mut waiting),
                Err(error) => self.fail(&error.into()),
            }
        }
        self.tell_gathered(waiting);
    }

    /// Sends a message. The reading of this process, or another process, may be sending it already.
    async fn send(&self, id: &str) -> Result<SentActivity, MessengerError> {
        let client = self.listener.client;
        let mut sent = client.send_message(id).await?;
        let mut was_under_way = false;
        loop {
            let now_ms = self.listener.context.environment.now_ms();
            let is_untried = |envelope: &&OutboxEnvelope| {
                envelope.state == EnvelopeState::ToSend && envelope.reason.is_none()
            };
            let due_ms = sent.envelopes.iter().filter(is_untried).map(|envelope| envelope.due_ms).max();
            sent = match due_ms {
                Some(due_ms) if due_ms > now_ms => {
                    was_under_way = true;
                    sleep(UNDER_WAY).await;
                    client.sent(id)?
                }
                // What was before it is sent, or the process that sent it has ended.
                Some(_) if was_under_way => {
                    was_under_way = false;
                    client.send_message(id).await?
                }
                Some(_) | None => return Ok(sent),
            };
        }
    }

    /// Ends when the input has ended long enough ago for the line that is being sent.
    async fn patience_is_over(&self) {
        let step = Duration::from_millis(200);
        let mut left = LAST_PATIENCE;
        while !left.is_zero() {
            sleep(step).await;
            if self.is_ended.get() {
                left = left.saturating_sub(step);
            }
        }
    }

    fn note_sent(&self, line: PutLine, sent: &SentActivity, waiting: &mut Option<WaitingLines>) {
        let delivery = DeliverySummary::of(self.listener.client, sent);
        if let Some(warning) = delivery.copy_warning() {
            self.listener.context.out.prompt(&warning);
        }
        self.listener.follow(sent);
        let Some(failure) = delivery.failure("") else { return };
        if delivery.state == EnvelopeState::Refused {
            self.tell(&failure);
            return self.held_back.borrow_mut().push(line.id);
        }
        if delivery.state != EnvelopeState::ToSend {
            return self.fail(&failure);
        }
        self.kept.borrow_mut().push(line.id.clone());
        let (why, until_ms) = (failure.to_string(), delivery.due_ms);
        match waiting {
            Some(gathered) if gathered.why == why => {
                gathered.lines.push(line);
                gathered.until_ms = gathered.until_ms.max(until_ms);
            }
            _ => self.tell_gathered(waiting.replace(WaitingLines { lines: vec![line], why, until_ms })),
        }
    }

    /// Tells which lines wait, and until when.
    fn tell_gathered(&self, waiting: Option<WaitingLines>) {
        let Some(WaitingLines { lines, why, until_ms }) = waiting else { return };
        let when = match clock::misleads(self.listener.client) {
            true => "once the clock is right".to_owned(),
            false => format!("at {}", show::clock_with_seconds(until_ms)),
        };
        let out = self.listener.context.out;
        match &lines[..] {
            [first, .., last] => out.prompt(&format!(
                "  {}, are {why}; they are kept, and sent by themselves {when}",
                from_to(lines.len(), &first.excerpt, &last.excerpt)
            )),
            _ => out.prompt(&format!("  {why}; it is kept, and sent by itself {when}")),
        }
    }

    /// Waits for something that a line needs, and says that the line waits if that takes long. Without
    /// an `excerpt` it says so of all lines that are kept and untried.
    async fn watched<R>(&self, work: impl Future<Output = R>, excerpt: &str) -> R {
        let mut work = std::pin::pin!(work);
        let waited = if excerpt.is_empty() { self.waited.take() } else { Duration::ZERO };
        if let Ok(done) = timeout(LATE.saturating_sub(waited), &mut work).await {
            return done;
        }
        if excerpt.is_empty() {
            self.is_late.set(true);
            let untried: Vec<_> = self.untried.borrow().iter().map(|line| line.excerpt.clone()).collect();
            self.say_waiting(&untried);
        } else {
            self.say_waiting(&[excerpt.to_owned()]);
        }
        work.await
    }

    fn say_waiting(&self, excerpts: &[String]) {
        self.listener.context.out.remark(&format!("  {}: there is no answer yet", waiting(excerpts)));
    }

    fn tell(&self, failure: &CommandFailure) {
        let context = self.listener.context;
        context.out.failure(&context.explained(failure.clone()));
    }

    fn fail(&self, failure: &CommandFailure) {
        self.tell(failure);
        self.failed.set(Some(failure.ends_with()));
    }

    /// Tells the recipient that the person is writing, or is no more, as often as they are told so.
    async fn tell_writing(&self, writing: &Notify) {
        loop {
            writing.notified().await;
            let (client, conversation) = (self.listener.client, self.to.conversation());
            // If it cannot be told, the message that follows says why.
            let _ = match self.is_writing.get() {
                true => client.send_typing(&conversation).await,
                false => client.end_typing(&conversation).await,
            };
        }
    }
}

/// Returns the words for lines of which all but the first and the last are not named.
fn from_to(count: usize, first: &str, last: &str) -> String {
    format!("{count} lines, from {first} to {last}")
}

/// Returns the words that lines wait, by their beginnings.
fn waiting(excerpts: &[String]) -> String {
    match excerpts {
        [one] => format!("{one} waits"),
        [first, .., last] if excerpts.len() > LINES_NAMED => {
            format!("{}, wait", from_to(excerpts.len(), first, last))
        }
        several => format!("{} wait", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_that_wait_are_named_by_the_first_and_the_last() {
        let lines: Vec<_> = (1..=130).map(|number| format!("n{number}")).collect();
        let said = [1, 2, 130].map(|count| waiting(&lines[..count]));
        assert_eq!(said, ["n1 waits", "n1, n2 wait", "130 lines, from n1 to n130, wait"]);
    }
}
