//! Text for a terminal, broken at words.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthStr as _;

/// The indentation of what is broken off a line that has none.
const INDENTATION: usize = 4;
/// The widest line of a help text.
const WIDEST_HELP: usize = 100;
/// The narrowest terminal for which lines are broken.
const NARROWEST: usize = 20;

/// Returns the text with its lines broken at words, so that they fit into so many columns. What is broken
/// off is indented. A word that is too long for a line stays whole.
pub(crate) fn wrapped(text: &str, columns: usize) -> String {
    if columns < NARROWEST {
        return text.to_owned();
    }
    text.split('\n').map(|line| wrapped_line(line, columns)).collect::<Vec<_>>().join("\n")
}

/// Returns the text with its lines broken for what it is written to, if that is a terminal.
pub(crate) fn wrapped_for(text: &str, to: &(impl AsFd + IsTerminal)) -> String {
    let columns = if to.is_terminal() { tcgetwinsize(to).map_or(0, |size| size.ws_col) } else { 0 };
    wrapped(text, usize::from(columns))
}

/// Returns the number of columns of a help text: that of COLUMNS, or that of the terminal, and no more than are
/// easy to read.
pub(crate) fn help_columns() -> usize {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let shown = || tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    named.or_else(shown).unwrap_or(WIDEST_HELP).min(WIDEST_HELP)
}

fn wrapped_line(line: &str, columns: usize) -> String {
    let own = line.len().saturating_sub(line.trim_start_matches(' ').len());
    let indentation = if own == 0 { INDENTATION } else { own.min(columns / 2) };
    let (mut lines, mut row) = (String::new(), String::new());
    for word in line.split_inclusive(' ') {
        if row.width().saturating_add(word.trim_end_matches(' ').width()) > columns && !row.trim().is_empty()
        {
            lines.push_str(row.trim_end_matches(' '));
            lines.push('\n');
            row = " ".repeat(indentation);
        }
        row.push_str(word);
    }
    lines + &row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_words_and_indented() {
        for (text, broken) in [
            ("", ""),
            ("one two three", "one two three"),
            ("12:00  @bob: one two three four", "12:00  @bob: one two\n    three four"),
            ("    one two three four five", "    one two three\n    four five"),
            ("one\ntwo", "one\ntwo"),
            ("see https://a.example/a/long/path there", "see\n    https://a.example/a/long/path\n    there"),
            ("世界 世界 世界 世界 世界", "世界 世界 世界 世界\n    世界"),
        ] {
            assert_eq!(wrapped(text, 20), broken);
        }
        assert_eq!(wrapped("one two three", 5), "one two three", "too narrow for anything");
    }
}
