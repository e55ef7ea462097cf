//! The error of every command: one line for what went wrong, and one for what to do next.

mod file;
mod library;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::counted::span;
use crate::printable::{printable, printable_json};

pub(crate) use file::FileUse;
pub(crate) use library::next_of_moved;

/// The sign-in of the account that a command is about, in what to do next. [`CommandFailure::for_account`]
/// puts the account's handle in the place of the name.
const LOGIN: &str = "eko login NAME";

/// The words for an account's store, in a failure. [`CommandFailure::for_store`] puts its path in their
/// place.
const STORE: &str = "the device's store";

/// The shortest wait of which the end is named, in seconds.
const LONG_S: u64 = 120;

/// The kind of a failure, and with it the exit code. `eko --help` lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Code 1: the command failed.
    Failed,
    /// Code 2: the command line or the input makes no sense, or there is nothing of what it names. clap uses the
    /// same code.
    Usage,
    /// Code 3: someone's devices or keys cannot be trusted; nothing was sent to anybody.
    NotTrusted,
    /// Code 4: a server is out of reach or asks to wait. The command may work later, or `eko listen`
    /// sends the rest.
    TryLater,
    /// Code 5: something was sent to some recipients, and not to others.
    Partly,
    /// Code 6: a server is out of reach or asks to wait, and what was to be sent is not kept.
    NotKept,
}

impl Exit {
    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotTrusted => 3,
            Self::TryLater => 4,
            Self::Partly => 5,
            Self::NotKept => 6,
        }
    }

    /// Returns the word for this kind in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotTrusted => "not-trusted",
            Self::TryLater => "try-later",
            Self::Partly => "partly",
            Self::NotKept => "not-kept",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The error of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFailure {
    what: String,
    next: Option<String>,
    /// The number of seconds after which the next step can be done, 0 if it is not known; `None` if it can be
    /// done at once.
    wait_s: Option<u64>,
    exit: Exit,
}

impl CommandFailure {
    /// Creates a failure of the kind [`Exit::Failed`]. `what` is one line without a full stop.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), next: None, wait_s: None, exit: Exit::Failed }
    }

    /// Sets the kind.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Sets what to do next: a command, or half a sentence.
    #[must_use]
    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.next = Some(next.to_string());
        self.wait_s = None;
        self
    }

    /// Sets what to do next after so many seconds, or later if the number is 0.
    #[must_use]
    pub(crate) fn next_after(self, next: impl fmt::Display, wait_s: u64) -> Self {
        Self { wait_s: Some(wait_s), ..self.next(next) }
    }

    /// Sets what to do next once the server does not ask to wait any more, if it has said for how long.
    #[must_use]
    pub(crate) fn next_in_time(self, next: impl fmt::Display) -> Self {
        match self.wait_s {
            Some(wait_s) if wait_s > 0 => self.next_after(next, wait_s),
            _ => self,
        }
    }

    /// Sets what to do next where the same can be tried again, now or later.
    #[must_use]
    pub(crate) fn next_again(self, next: impl fmt::Display) -> Self {
        match self.wait_s {
            Some(wait_s) => self.next_after(next, wait_s),
            None => self,
        }
    }

    /// Says that what was to be sent is not kept, so that it must be sent again.
    #[must_use]
    pub(crate) fn not_kept(mut self) -> Self {
        if self.exit != Exit::Usage {
            self.what.push_str("; nothing was sent, and nothing is kept");
        }
        if self.exit == Exit::TryLater {
            self.exit = Exit::NotKept;
        }
        self
    }

    /// Names an account in the next step, where that is a command that begins with [`LOGIN`].
    #[must_use]
    pub(crate) fn for_account(mut self, handle: &str) -> Self {
        let named = format!("eko login {handle}");
        self.next = self.next.map(|next| next.replace(LOGIN, &named));
        self
    }

    /// Names the file of an account's store, where the failure is about it.
    #[must_use]
    pub(crate) fn for_store(mut self, path: &Path) -> Self {
        let path = path.display().to_string();
        self.what = self.what.replace(STORE, &path);
        self.next = self.next.map(|next| next.replace(STORE, &path));
        self
    }

    /// Says something else, with the same next step and of the same kind.
    #[must_use]
    pub(crate) fn worded(self, what: &str) -> Self {
        Self { what: what.to_owned(), ..self }
    }

    /// Begins with other words.
    #[must_use]
    pub(crate) fn led_by(mut self, lead: &str) -> Self {
        self.what.insert_str(0, lead);
        self
    }

    /// Goes on with other words.
    #[must_use]
    pub(crate) fn followed_by(mut self, more: &str) -> Self {
        self.what.push_str(more);
        self
    }

    /// Says until when the next step has to wait. `clock` shows the moment after so many seconds.
    #[must_use]
    pub(crate) fn for_clock(mut self, clock: impl FnOnce(u64) -> String) -> Self {
        if let Some(wait_s @ LONG_S..) = self.wait_s {
            let next = self.next.take().unwrap_or_default();
            self = self.next(format!("{next} at {}, in {}", clock(wait_s), span(wait_s)));
        }
        self
    }

    /// Returns the next step in words.
    fn next_words(&self) -> Option<String> {
        let next = self.next.as_ref()?;
        Some(match self.wait_s {
            None => next.clone(),
            Some(0) => format!("{next} later"),
            Some(wait_s) => format!("{next} in {}", span(wait_s)),
        })
    }

    /// Names a group in the next step, where that is a command of `eko groups`. `typed` is what a person
    /// types for the group.
    #[must_use]
    pub(crate) fn for_group(mut self, typed: &str) -> Self {
        let is_command = |next: &String| next.starts_with("eko groups ");
        let named =
            self.next.as_ref().filter(|next| is_command(next)).map(|next| next.replace("NAME", typed));
        self.next = named.or(self.next);
        self
    }

    /// Returns the kind, which decides the exit code.
    pub fn ends_with(&self) -> Exit {
        self.exit
    }

    /// Writes the failure: two lines for a person, or a JSON object on one line.
    ///
    /// # Errors
    /// `to` cannot be written.
    pub fn write(&self, json: bool, to: &mut impl Write) -> io::Result<()> {
        if json {
            let next = self.next_words();
            let object = json!({ "error": self.what, "kind": self.exit.word(), "next": next });
            return writeln!(to, "{}", printable_json(&object));
        }
        // The text may quote servers and files, so it is made printable.
        writeln!(to, "eko: {}", printable(&self.what).replace('\n', " "))?;
        match self.next_words() {
            Some(next) => writeln!(to, "Next: {}", printable(&next).replace('\n', " ")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for CommandFailure {}

/// Converts an error of standard input or standard output.
impl From<io::Error> for CommandFailure {
    fn from(error: io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::InvalidData => "give text as UTF-8; a file goes with eko send --attach",
            _ => "look where standard input and standard output lead",
        };
        Self::new(error).next(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(failure: &CommandFailure, json: bool) -> String {
        let mut bytes = Vec::new();
        failure.write(json, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn for_a_person_and_for_a_script() {
        let failure =
            CommandFailure::new("there is no account bob here").next("eko login bob").exit(Exit::Usage);
        assert_eq!(written(&failure, false), "eko: there is no account bob here\nNext: eko login bob\n");
        let json: serde_json::Value = serde_json::from_str(&written(&failure, true)).unwrap();
        let due =
            json!({ "error": "there is no account bob here", "kind": "usage", "next": "eko login bob" });
        assert_eq!(json, due);
        assert_eq!(written(&CommandFailure::new("no"), false), "eko: no\n");
    }

    #[test]
    fn what_a_server_says_does_not_reach_the_terminal_raw() {
        let failure = CommandFailure::new("429: \u{1b}[2Jsecond\nline \u{202e}");
        assert_eq!(written(&failure, false), "eko: 429: \u{fffd}[2Jsecond line \u{fffd}\n");
    }
}
