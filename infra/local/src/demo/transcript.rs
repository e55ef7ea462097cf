//! What the demo prints, and what it knows when it fails.

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

/// Path segments that are longer are cut: ids tell a person nothing beyond their first digits.
const SEGMENT_CHARS: usize = 24;
/// Where text is wrapped, less the indent.
const LINE_CHARS: usize = 94;
/// As many characters of an id are shown.
const SHORT_CHARS: usize = 8;

/// The transcript of one run; cheap to clone.
#[derive(Clone)]
pub(super) struct Transcript(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    colour: bool,
    scenes: u32,
    requests: u32,
    step: String,
    /// Requests that are not printed yet: lines that repeat, as a poll's, become one.
    unprinted: Vec<Line>,
    last: Option<String>,
}

struct Line {
    request: String,
    status: Option<StatusCode>,
    times: u32,
}

impl Transcript {
    /// In colour where somebody looks on, unless they said no (<https://no-color.org>).
    pub(super) fn to_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = std::io::stdout().is_terminal() && !refused;
        Self(Arc::new(Mutex::new(Inner { colour, ..Inner::default() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something before the first scene, and the requests that it is known from.
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

    /// Begins a step: who does what.
    pub(super) fn step(&self, text: &str) {
        let mut inner = self.inner();
        inner.flush();
        inner.step = text.to_owned();
        print(&format!("\n   {text}"));
    }

    /// Ends a step, after its requests: what came of it.
    pub(super) fn means(&self, text: &str) {
        self.inner().flush();
        for line in text.lines().flat_map(wrapped) {
            print(&format!("      {line}"));
        }
    }

    /// Counts a request and its answer, or that there was none.
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
            None => inner.unprinted.push(Line { request, status, times: 1 }),
        }
    }

    /// The error, with the place where it happened and the last answer.
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

    /// The one line at the end.
    pub(super) fn summary(&self, took: Duration) {
        let inner = self.inner();
        let text = format!("{} requests, all as expected, in {} ms", inner.requests, took.as_millis());
        print(&format!("\n{}", inner.paint(GREEN, &text)));
    }
}

impl Inner {
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

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The first digits of an id or a hash.
pub(super) fn short(id: &str) -> String {
    match id.char_indices().nth(SHORT_CHARS) {
        Some((end, _)) => format!("{}…", id.get(..end).unwrap_or_default()),
        None => id.to_owned(),
    }
}

fn short_path(path: &str) -> String {
    let cut = |segment: &str| {
        if segment.chars().count() > SEGMENT_CHARS { short(segment) } else { segment.to_owned() }
    };
    path.split('/').map(cut).collect::<Vec<_>>().join("/")
}

/// The lines of a paragraph.
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

/// A reader that has gone away, as `head`, is no failure of the demo.
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
