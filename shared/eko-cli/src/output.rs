//! What a command says: results on standard output, the rest on standard error.

use std::io::{self, Write};

use serde_json::Value;

use crate::failure::Failure;
use crate::printable::printable;

/// How things are said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Output {
    /// Results as JSON, one object a line.
    pub json: bool,
    /// Nothing but results and failures.
    pub quiet: bool,
}

impl Output {
    /// Says a result: the text to a person, the object to a script.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn result(self, text: &str, object: &Value) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let said = if self.json { object.to_string() } else { printable(text) };
        Ok(written(writeln!(out, "{said}").and_then(|()| out.flush()))?)
    }

    /// Says something beside the result, unless it is to be quiet.
    pub fn remark(self, text: &str) {
        if !self.quiet {
            self.prompt(text);
        }
    }

    /// Says what the person must see to go on, such as an address to open.
    pub fn prompt(self, text: &str) {
        // Where standard error is closed, nobody listens.
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
    }
}

/// What was written. Whoever reads may stop reading, as `head` does: the command then ends without a word.
fn written(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => done,
    }
}
