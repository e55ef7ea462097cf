//! Questions to the person at the terminal, and long numbers that a person types and compares.

use std::io::{BufRead, IsTerminal as _};

use crate::context::Context;
use crate::failure::{CommandFailure, Exit};

/// The groups of digits per line of a number that is shown.
const GROUPS_PER_LINE: usize = 4;

/// The longest number that is read, with all spaces.
const MAX_NUMBER_BYTES: u64 = 4 << 10;

/// Asks the person, and succeeds if the answer is `yes`. `instead` is the command that a script
/// runs in place of the answer.
///
/// # Errors
/// [`Exit::Usage`] if standard input is no terminal; [`Exit::Failed`] if the answer is another one.
pub(crate) fn yes(context: &Context, question: &str, instead: &str) -> Result<(), CommandFailure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let asked = question.lines().last().unwrap_or(question);
        let what = format!("this asks before it goes on, and standard input is no terminal: {asked}");
        return Err(CommandFailure::new(what).next(instead).exit(Exit::Usage));
    }
    context.out.prompt(&format!("{question}\nType yes if so:"));
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(CommandFailure::new("the answer was not yes: nothing was changed")
            .next("answer yes, or add --yes")),
    }
}

/// Asks the person for a number of this many digits, or reads it from standard input if that is no
/// terminal. Reads on over several lines until the digits are there, because a number may be pasted
/// as it is wrapped, and what is not read here goes to the shell. An empty line ends the input.
///
/// # Errors
/// Standard input cannot be read.
pub(crate) fn number(context: &Context, question: &str, digits: usize) -> Result<String, CommandFailure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        context.out.prompt(question);
    }
    read_number(stdin.lock(), digits)
}

fn read_number(input: impl BufRead, digits: usize) -> Result<String, CommandFailure> {
    let (mut input, mut typed) = (input.take(MAX_NUMBER_BYTES), String::new());
    // A wrong character counts as a digit: the number is complete, and is refused as a whole.
    while typed.chars().filter(|c| !c.is_whitespace() && *c != '-').count() < digits {
        let mut line = String::new();
        input.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        typed.push_str(&line);
    }
    Ok(typed)
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
    fn a_number_is_read_over_several_lines_and_nothing_after_it() {
        for (input, read, left) in [
            ("12345 67890\nls\n", "12345 67890\n", "ls\n"),
            ("    12345\n    67890\nls\n", "    12345\n    67890\n", "ls\n"),
            ("12345\n67890", "12345\n67890", ""),
            ("12345\n\nls\n", "12345\n", "ls\n"),
            ("1234o\n6789o\nls\n", "1234o\n6789o\n", "ls\n"),
            ("12345", "12345", ""),
            ("", "", ""),
        ] {
            let mut all = input.as_bytes();
            assert_eq!(read_number(&mut all, 10).unwrap(), read, "{input:?}");
            assert_eq!(all, left.as_bytes(), "{input:?}");
        }
    }

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
