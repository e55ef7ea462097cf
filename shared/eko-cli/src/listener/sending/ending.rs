//! The end of a chat: what was typed is kept as far as there is time, and the person is told what became of
//! each line.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use eko_client::messenger::{MessengerError, Person, SentActivity};
use eko_client::store::EnvelopeState;
use tokio::sync::mpsc::UnboundedReceiver;

use super::LineSender;
use crate::delivery::{DeliverySummary, kept, verify_each};
use crate::failure::{CommandFailure, Exit};
use crate::people::named;
use crate::screen::TypedInput;
use crate::show;

impl LineSender<'_, '_> {
    /// Keeps the lines that were ended and not kept when the chat ends. They are sent later. [`Self::outcome`] tells
    /// what became of each, also if the time ends before all are kept.
    pub(in crate::listener) async fn keep_the_rest(&self, acts: &mut UnboundedReceiver<TypedInput>) {
        // They are kept already, however long the others take.
        let untried = std::mem::take(&mut *self.untried.borrow_mut());
        self.kept.borrow_mut().extend(untried.into_iter().map(|line| line.id));
        let mut rest: VecDeque<String> = self.putting.take().into_iter().collect();
        while let Ok(act) = acts.try_recv() {
            if let TypedInput::Line(text) = act {
                rest.push_back(text);
            }
        }
        keep_each(rest, async |text| self.put(text).await, &self.kept, &self.lost, &self.refused).await;
    }

    /// Returns the people from whom a message is held back or will be, as far as this device knows.
    fn holders(&self, sent: &SentActivity) -> Result<BTreeSet<String>, CommandFailure> {
        let client = self.listener.client;
        let mut from = BTreeSet::new();
        for envelope in &sent.envelopes {
            let Some(person) = Person::of(&envelope.recipient).filter(|person| *person != client.me()) else {
                continue;
            };
            let is_held = match envelope.state {
                EnvelopeState::Refused => true,
                EnvelopeState::ToSend => client.holds_back_from(&person)?,
                _ => false,
            };
            from.extend(is_held.then(|| named(client, &envelope.recipient)));
        }
        Ok(from)
    }

    /// Returns the failure that lines are held back from somebody, and the one that lines wait, as far as that
    /// is so.
    fn still_kept(&self) -> Result<[Option<CommandFailure>; 2], CommandFailure> {
        let (client, mut from) = (self.listener.client, BTreeSet::new());
        let (mut held, mut waiting, mut exit) = (0, 0, Exit::NotTrusted);
        for id in self.held_back.borrow().iter().chain(self.kept.borrow().iter()) {
            let sent = client.sent(id)?;
            let holders = self.holders(&sent)?;
            if !holders.is_empty() {
                held += 1;
                from.extend(holders);
                let reaches_anybody = DeliverySummary::of(client, &sent).reaches_anybody();
                exit = if reaches_anybody { Exit::Partly } else { exit };
            } else if sent.state(&client.me()) == EnvelopeState::ToSend {
                waiting += 1;
            }
        }
        let held = (held > 0).then(|| {
            let (what, them) = match held {
                1 => ("a message is".to_owned(), "it"),
                count => (format!("{count} messages are"), "them"),
            };
            let names = from.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let what =
                format!("{what} held back from {names}; eko sends {them} by itself once that is settled");
            CommandFailure::new(what).next(verify_each(from.iter().map(String::as_str))).exit(exit)
        });
        let waiting = (waiting > 0).then(|| {
            let what = match waiting {
                1 => "a message waits to be sent".to_owned(),
                count => format!("{count} messages wait to be sent"),
            };
            CommandFailure::new(what).next(kept(client)).exit(Exit::TryLater)
        });
        Ok([held, waiting])
    }

    /// Fails if something that was typed was not sent. What became of other lines than those of the failure is
    /// told before it.
    pub(in crate::listener) fn outcome(&self) -> Result<(), CommandFailure> {
        let unsent = "not everything that you wrote was sent";
        for (excerpts, failure) in alike(self.refused.take()) {
            self.tell(&failure.clone().led_by(&format!("{}: ", excerpts.join(", "))));
            *self.not_kept.borrow_mut() = Some(failure);
        }
        let lost = self.lost.borrow();
        let lost = (!lost.is_empty()).then(|| {
            let lines: Vec<&str> = lost.iter().map(String::as_str).collect();
            let what = format!("not sent and not kept, since there was no time for it: {}", lines.join(", "));
            CommandFailure::new(what).next("eko chat again, and type it once more").exit(Exit::NotKept)
        });
        let failed = self.failed.get().map(|exit| {
            CommandFailure::new(unsent).next("eko history, which says what can be done").exit(exit)
        });
        // The history has nothing of it, so it says nothing of what can be done.
        let not_kept = self.not_kept.take().map(|failure| failure.worded(unsent));
        let mut all = [lost, failed, not_kept].into_iter().chain(self.still_kept()?).flatten();
        let Some(first) = all.next() else { return Ok(()) };
        all.for_each(|failure| self.tell(&failure));
        Err(first)
    }
}

/// Keeps lines as messages, one after the other. `kept` gets the ids, and `refused` the beginnings of those that
/// cannot be kept, with the reasons. `lost` has the beginnings of those that are not tried yet, at any time.
async fn keep_each<E>(
    lines: VecDeque<String>,
    put: impl AsyncFn(String) -> Result<Option<String>, E>,
    kept: &RefCell<Vec<String>>,
    lost: &RefCell<VecDeque<String>>,
    refused: &RefCell<Vec<(String, E)>>,
) {
    *lost.borrow_mut() = lines.iter().map(|text| show::excerpt_of(text)).collect();
    for text in lines {
        let put = put(text).await;
        let excerpt = lost.borrow_mut().pop_front().unwrap_or_default();
        match put {
            Ok(id) => kept.borrow_mut().extend(id),
            Err(error) => refused.borrow_mut().push((excerpt, error)),
        }
    }
}

/// Returns the failures of lines that cannot be kept, each with the beginnings of all lines of which it is true.
fn alike(refused: Vec<(String, MessengerError)>) -> Vec<(Vec<String>, CommandFailure)> {
    let mut all: Vec<(Vec<String>, CommandFailure)> = Vec::new();
    for (excerpt, error) in refused {
        let failure = CommandFailure::from(error).not_kept();
        match all.last_mut().filter(|(_, last)| *last == failure) {
            Some((excerpts, _)) => excerpts.push(excerpt),
            None => all.push((vec![excerpt], failure)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_lines_that_are_lost_are_those_for_which_there_was_no_time() {
        let (kept, lost, refused) = (RefCell::default(), RefCell::default(), RefCell::default());
        let put = async |text: String| match text.as_str() {
            "refused" => Err(()),
            "late" => std::future::pending().await,
            _ => Ok(Some(format!("id of {text}"))),
        };
        let lines = ["one", "refused", "two", "late", "three"].map(str::to_owned).into();
        let done = keep_each(lines, put, &kept, &lost, &refused).now_or_never();
        assert_eq!((done, kept.into_inner()), (None, vec!["id of one".to_owned(), "id of two".to_owned()]));
        assert_eq!(lost.into_inner(), ["late", "three"].map(show::excerpt_of));
        assert_eq!(refused.into_inner(), [(show::excerpt_of("refused"), ())]);
    }

    #[test]
    fn the_lines_that_cannot_be_kept_share_their_reason() {
        let blocked = || MessengerError::Blocked("https://a.example/user/bob".to_owned());
        let refused = [("one", blocked()), ("two", blocked()), ("three", MessengerError::Pending)];
        let alike = alike(refused.map(|(text, error)| (text.to_owned(), error)).into());
        let [(first, why), (second, _)] = &alike[..] else { panic!("{alike:?}") };
        assert_eq!(
            (&first[..], &second[..]),
            (&["one", "two"].map(str::to_owned)[..], &["three".to_owned()][..])
        );
        assert_eq!(
            why.to_string(),
            "you block @bob@a.example, so that no answer would reach you; nothing was sent, and nothing is kept"
        );
    }
}
