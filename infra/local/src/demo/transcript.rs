//! The transcript that the demo prints. It also knows the place of a failure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use eko_client::Exchange;
use http::StatusCode;

const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

/// The length above which a path segment is cut. The first digits of an id are enough for a reader.
const SEGMENT_CHARS: usize = 24;

/// The width of a line, without its indent.
const LINE_CHARS: usize = 94;

/// The number of characters that are shown of an id.
const SHORT_CHARS: usize = 8;

/// The transcript of one run. Clones are cheap and share it.
#[derive(Clone)]
pub(super) struct Transcript(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    colour: bool,
    scenes: u32,
    requests: u32,
    step: String,
    /// The requests that are not printed yet. Equal requests in a row become one line.
    unprinted: Vec<RequestLine>,
    /// The numbers of messages that came, by device and way.
    arrivals: BTreeMap<&'static str, BTreeMap<MessageWay, u32>>,
    last: Option<String>,
}

/// The way by which a message came to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MessageWay {
    /// On the socket of the device.
    Socket,
    /// The device was woken by a push, and fetched.
    Push,
    /// The device fetched.
    Fetch,
}

/// A request, and the number of times that it was sent in a row.
struct RequestLine {
    request: String,
    status: Option<StatusCode>,
    times: u32,
}

impl Transcript {
    /// Makes a transcript on standard output. It is coloured on a terminal, unless `NO_COLOR` is
    /// set (<https://no-color.org>).
    pub(super) fn to_stdout() -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = std::io::stdout().is_terminal() && !is_unwanted;
        Self(Arc::new(Mutex::new(Inner { colour, ..Inner::default() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a text before the first scene, and the requests that were sent for it.
    pub(super) fn say(&self, text: &str) {
        print(text);
        self.inner().flush();
    }

    /// Begins a scene.
    pub(super) fn scene(&self, title: &str) {
        let mut inner = self.inner();
        inner.scenes = inner.scenes.saturating_add(1);
        let title = format!("{}  {title}", inner.scenes);
        print(&format!("\n{}", inner.paint(BOLD, &title)));
    }

    /// Begins a step, which is described by a sentence.
    pub(super) fn step(&self, text: &str) {
        let mut inner = self.inner();
        inner.flush();
        inner.step = text.to_owned();
        print(&format!("\n   {text}"));
    }

    /// Ends a step: prints its requests, then its result.
    pub(super) fn means(&self, text: &str) {
        self.inner().flush();
        for line in text.lines().flat_map(wrapped) {
            print(&format!("      {line}"));
        }
    }

    /// Records a request and its answer, or the reason for which there was none.
    pub(super) fn record(&self, method: &str, path: &str, answer: Result<&Exchange, String>) {
        let mut inner = self.inner();
        inner.requests = inner.requests.saturating_add(1);
        let request = format!("{method} {}", short_path(path));
        let status = answer.as_ref().ok().map(|answer| answer.status);
        inner.last = Some(match &answer {
            Ok(answer) => format!("{request} → {}\n{}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(reason) => format!("{request} → no answer: {reason}"),
        });
        match inner.unprinted.last_mut().filter(|line| line.request == request && line.status == status) {
            Some(line) => line.times = line.times.saturating_add(1),
            None => inner.unprinted.push(RequestLine { request, status, times: 1 }),
        }
    }

    /// Counts a message that has come to a device.
    pub(super) fn note_arrival(&self, label: &'static str, way: MessageWay) {
        let mut inner = self.inner();
        let count = inner.arrivals.entry(label).or_default().entry(way).or_default();
        *count = count.saturating_add(1);
    }

    /// Prints by which way the messages came to each device.
    pub(super) fn ways(&self) {
        let arrivals = self.inner().arrivals.clone();
        for (label, ways) in arrivals {
            let ways: Vec<_> = ways.iter().map(|(way, count)| format!("{count} {}", way.words())).collect();
            self.means(&format!("{label}: {}", ways.join(", ")));
        }
    }

    /// Returns an error with its place and the last answer.
    pub(super) fn failure(&self, error: anyhow::Error) -> anyhow::Error {
        let mut inner = self.inner();
        if inner.scenes == 0 {
            return error;
        }
        inner.flush();
        print(&format!("      {}", inner.paint(RED, "not as it must be")));
        let mut place = format!("scene {}, step “{}”", inner.scenes, inner.step);
        if let Some(last) = &inner.last {
            let _ = write!(place, "\nthe last answer was {last}\n");
        }
        error.context(anyhow!(place))
    }

    /// Prints the last line.
    pub(super) fn summary(&self, took: Duration) {
        let inner = self.inner();
        let text = format!("{} requests, all as expected, in {} ms", inner.requests, took.as_millis());
        print(&format!("\n{}", inner.paint(GREEN, &text)));
    }
}

impl MessageWay {
    /// Returns the way in words that follow a number of messages.
    fn words(self) -> &'static str {
        match self {
            Self::Socket => "on its socket",
            Self::Push => "fetched after a push",
            Self::Fetch => "fetched",
        }
    }
}

impl Inner {
    /// Prints the requests that are not printed yet.
    fn flush(&mut self) {
        for line in std::mem::take(&mut self.unprinted) {
            let status = match line.status {
                Some(status) if status.is_success() && status != StatusCode::MULTI_STATUS => {
                    self.paint(GREEN, status.as_str())
                }
                Some(status) => self.paint(YELLOW, status.as_str()),
                None => self.paint(RED, "no answer"),
            };
            let times = if line.times > 1 { format!("  ({} times)", line.times) } else { String::new() };
            print(&format!("      {} → {status}{times}", line.request));
        }
    }

    /// Colours a text, if the transcript is coloured.
    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Cuts an id or a hash to its first digits.
pub(super) fn short(id: &str) -> String {
    match id.char_indices().nth(SHORT_CHARS) {
        Some((end, _)) => format!("{}…", id.get(..end).unwrap_or_default()),
        None => id.to_owned(),
    }
}

/// Cuts the long segments of a path.
fn short_path(path: &str) -> String {
    let cut = |segment: &str| {
        if segment.chars().count() > SEGMENT_CHARS { short(segment) } else { segment.to_owned() }
    };
    path.split('/').map(cut).collect::<Vec<_>>().join("/")
}

/// Wraps a paragraph.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count().saturating_add(word.chars().count()) < LINE_CHARS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Prints a line. Ignores an error, so that the demo can be piped into `head`.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_and_words_are_not() {
        let id = "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";
        assert_eq!(short(id), "0f3c9b1e…");
        assert_eq!(short("0f3c9b1e"), "0f3c9b1e");
        assert_eq!(short_path(&format!("/user/bob/device/{id}")), "/user/bob/device/0f3c9b1e…");
        assert_eq!(short_path("/.well-known/ecp"), "/.well-known/ecp");
    }

    #[test]
    fn long_paragraphs_are_wrapped_between_words() {
        let text = "word ".repeat(40);
        let lines = wrapped(text.trim_end());
        assert!(lines.iter().all(|line| line.len() <= LINE_CHARS));
        assert_eq!(lines.join(" "), text.trim_end());
        assert_eq!(wrapped("short"), ["short"]);
    }
}
