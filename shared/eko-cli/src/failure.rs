//! What went wrong, for a person or a script: one line what it is, one line what to do next.

mod library;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use crate::printable::printable;

/// How the command ends, as scripts see it. `eko --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 1: it did not work.
    Failed,
    /// 2: what was asked for makes no sense; what clap ends with too.
    Usage,
    /// 3: someone's devices or keys are not to be trusted; nothing was sent.
    NotTrusted,
    /// 4: it may work later: a server is out of reach, or asks to wait.
    TryLater,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotTrusted => 3,
            Self::TryLater => 4,
        }
    }

    /// The same as a word, in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotTrusted => "not-trusted",
            Self::TryLater => "try-later",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    what: String,
    next: Option<String>,
    exit: Exit,
}

impl Failure {
    /// A failure of the ordinary kind, said in one line without a full stop.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), next: None, exit: Exit::Failed }
    }

    /// The same of another kind.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same with what to do next: a command, or half a sentence.
    #[must_use]
    pub fn next(mut self, next: impl fmt::Display) -> Self {
        self.next = Some(next.to_string());
        self
    }

    /// How the command ends.
    pub fn ends_with(&self) -> Exit {
        self.exit
    }

    /// Writes it: two lines, or an object on one line.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, json: bool, to: &mut impl Write) -> io::Result<()> {
        if json {
            let next = self.next.as_ref();
            let object = json!({ "error": self.what, "kind": self.exit.word(), "next": next });
            return writeln!(to, "{}", crate::output::one_line(&object));
        }
        // What servers and files say may be in it.
        writeln!(to, "eko: {}", printable(&self.what).replace('\n', " "))?;
        match &self.next {
            Some(next) => writeln!(to, "Next: {}", printable(next).replace('\n', " ")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// Standard output or input that fails; see [`crate::output`] for the pipe that is closed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(failure: &Failure, json: bool) -> String {
        let mut bytes = Vec::new();
        failure.write(json, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn for_a_person_and_for_a_script() {
        let failure = Failure::new("there is no account bob here").next("eko login bob").exit(Exit::Usage);
        assert_eq!(written(&failure, false), "eko: there is no account bob here\nNext: eko login bob\n");
        let json: serde_json::Value = serde_json::from_str(&written(&failure, true)).unwrap();
        let due =
            json!({ "error": "there is no account bob here", "kind": "usage", "next": "eko login bob" });
        assert_eq!(json, due);
        assert_eq!(written(&Failure::new("no"), false), "eko: no\n");
    }

    #[test]
    fn what_a_server_says_does_not_reach_the_terminal_raw() {
        let failure = Failure::new("429: \u{1b}[2Jsecond\nline \u{202e}");
        assert_eq!(written(&failure, false), "eko: 429: \u{fffd}[2Jsecond line \u{fffd}\n");
    }
}
