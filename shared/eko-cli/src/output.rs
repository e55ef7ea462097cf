//! What a command says: results on standard output, the rest on standard error.

use std::io::{self, IsTerminal as _, Write};

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
        let said = if self.json { one_line(object) } else { printable(text) };
        Ok(written(writeln!(out, "{said}").and_then(|()| out.flush()))?)
    }

    /// Writes an object on a line, whoever reads it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn line(self, object: &Value) -> Result<(), Failure> {
        Self { json: true, ..self }.result("", object)
    }

    /// Shows a picture made here of characters and colours, where a person looks at a terminal.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn picture(self, picture: Option<String>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match picture {
            Some(picture) if !self.json && out.is_terminal() => {
                Ok(written(out.write_all(picture.as_bytes()).and_then(|()| out.flush()))?)
            }
            _ => Ok(()),
        }
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

/// JSON on one line. What would command a terminal is escaped: JSON itself does so with some of it only.
pub(crate) fn one_line(object: &Value) -> String {
    let mut line = String::new();
    for c in object.to_string().chars() {
        match printable(c.encode_utf8(&mut [0; 4])) == c.to_string() {
            true => line.push(c),
            // All of these have one UTF-16 unit, and stand within strings.
            false => line.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    line
}

/// What was written. Whoever reads may stop reading, as `head` does: the command then ends without a word.
fn written(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_says_all_and_commands_no_terminal() {
        let object = json!({ "text": "a\u{1b}[2J\u{9b}2J\u{202e}\u{7f}\r\n\u{fffd} é世👩" });
        let line = one_line(&object);
        assert_eq!(printable(&line), line);
        assert!(!line.contains('\n') && line.contains("é世👩"));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), object);
    }
}
