//! Standard output and standard error: results go to the one, everything else to the other.

use std::io::{self, IsTerminal as _, Write};

use serde_json::{Value, json};

use crate::failure::CommandFailure;
use crate::printable::{printable, printable_json};
use crate::screen::above;
use crate::wrapped::wrapped_for;

/// The form in which a command writes its output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Output {
    /// True if results are written as JSON, one object per line.
    pub json: bool,
    /// True if nothing but results and failures is written.
    pub quiet: bool,
    /// True if it is also written how the command goes about it.
    pub verbose: bool,
}

impl Output {
    /// Writes one result: `text` for a person, or `object` if [`Output::json`] is set.
    ///
    /// # Errors
    /// Standard output cannot be written. A closed pipe is no error: it ends the process with code
    /// 0.
    pub fn result(self, text: &str, object: &Value) -> Result<(), CommandFailure> {
        match self.json {
            true => self.line(object),
            false => write_line(&wrapped_for(&printable(text), &io::stdout())),
        }
    }

    /// Writes an object on one line, also if [`Output::json`] is not set.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn line(self, object: &Value) -> Result<(), CommandFailure> {
        write_line(&printable_json(object))
    }

    /// Writes a picture of characters and terminal colours, if standard output is a terminal and
    /// JSON is not asked for. The picture must come from this program, since it is not made
    /// printable.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn picture(self, picture: &str) -> Result<(), CommandFailure> {
        let mut out = io::stdout().lock();
        if self.json || !out.is_terminal() {
            return Ok(());
        }
        Ok(end_on_closed_pipe(out.write_all(picture.as_bytes()).and_then(|()| out.flush()))?)
    }

    /// Writes a line beside the result to standard error, unless [`Output::quiet`] is set.
    pub fn remark(self, text: &str) {
        if !self.quiet {
            self.prompt(text);
        }
    }

    /// Writes a line about how the command goes about it, if [`Output::verbose`] is set.
    pub(crate) fn detail(self, text: &str) {
        if self.verbose {
            self.prompt(text);
        }
    }

    /// Writes a line to standard error that the person must see in any case, such as a warning or
    /// an address to open.
    /// With [`Output::json`] it is an object with the member `said`.
    pub fn prompt(self, text: &str) {
        // If standard error is closed, there is nobody to write to.
        let _ = above(|| match self.json {
            true => writeln!(io::stderr().lock(), "{}", printable_json(&json!({ "said": text }))),
            false => {
                let text = wrapped_for(&printable(text), &io::stderr());
                writeln!(io::stderr().lock(), "{text}")
            }
        });
    }

    /// Writes an object on one line of standard error.
    pub(crate) fn aside(self, object: &Value) {
        let _ = above(|| writeln!(io::stderr().lock(), "{}", printable_json(object)));
    }

    /// Writes a failure to standard error that does not end the command.
    pub(crate) fn failure(self, failure: &CommandFailure) {
        let _ = above(|| write_failure(failure, self.json));
    }
}

/// Writes a failure to standard error, with lines that fit on a terminal.
///
/// # Errors
/// Standard error cannot be written.
pub(crate) fn write_failure(failure: &CommandFailure, json: bool) -> io::Result<()> {
    let mut text = Vec::new();
    failure.write(json, &mut text)?;
    let text = String::from_utf8_lossy(&text);
    let text = if json { text.into_owned() } else { wrapped_for(&text, &io::stderr()) };
    io::stderr().lock().write_all(text.as_bytes())
}

fn write_line(line: &str) -> Result<(), CommandFailure> {
    let written = above(|| {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    });
    Ok(end_on_closed_pipe(written)?)
}

/// Passes on the result of a write, but ends the process with code 0 if the reader has closed the
/// pipe, as `head` does.
pub(crate) fn end_on_closed_pipe(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written,
    }
}
