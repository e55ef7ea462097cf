//! Questions to the person at the terminal, and long numbers that a person types and compares.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use crate::context::Context;
use crate::failure::{CommandFailure, Exit};

/// The groups of digits per line of a number that is shown.
const GROUPS_PER_LINE: usize = 4;

/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 4 << 10;

/// Asks the person, and succeeds if the answer is `yes`. `instead` is the command that a script
/// runs in place of the answer.
///
/// # Errors
/// [`Exit::Usage`] if standard input is no terminal; [`Exit::Failed`] if the answer is another one.
pub(crate) fn yes(context: &Context, question: &str, instead: &str) -> Result<(), CommandFailure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let what = "this asks before it goes on, and standard input is no terminal";
        return Err(CommandFailure::new(what).next(instead).exit(Exit::Usage));
    }
    context.out.prompt(&format!("{question}\nType yes if so:"));
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(CommandFailure::new("the answer was not yes: nothing was changed")),
    }
}

/// Asks the person for one line, or reads it from standard input if that is no terminal.
///
/// # Errors
/// Standard input cannot be read.
pub(crate) fn line(context: &Context, question: &str) -> Result<String, CommandFailure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        context.out.prompt(question);
    }
    let mut answer = String::new();
    stdin.lock().take(MAX_LINE_BYTES).read_line(&mut answer)?;
    Ok(answer)
}

/// True if the typed number is this number, however its digits are grouped.
pub(crate) fn is_number(typed: &str, number: &str) -> bool {
    let digits = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    digits(typed) == digits(number)
}

/// Returns a number, whose groups of digits are separated by spaces, on indented lines of four
/// groups each.
pub(crate) fn lines(number: &str) -> String {
    let all: Vec<&str> = number.split(' ').collect();
    all.chunks(GROUPS_PER_LINE).map(|line| format!("    {}", line.join(" "))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_whatever_their_groups() {
        for typed in ["12345 67890", "1234567890", " 12 34567890\n", "12345\u{a0}67890"] {
            assert!(is_number(typed, "12345 67890"), "{typed:?}");
        }
        for typed in ["", "12345", "12345 67891", "12345-67890", "012345 67890"] {
            assert!(!is_number(typed, "12345 67890"), "{typed:?}");
        }
        assert_eq!(lines("1 2 3 4 5 6 7 8 9"), "    1 2 3 4\n    5 6 7 8\n    9");
    }
}
