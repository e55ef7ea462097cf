//! The words of others in a text for a person.

/// The number of characters that a text has of what somebody else says.
const MOST_CHARS: usize = 300;

/// Returns what a server says as one line, of which the rest is left out if it is long. A server may answer
/// with a page or with anything else.
pub fn brief(said: &str) -> String {
    let words: Vec<&str> = said.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}\u{2026}", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_of_several_lines_becomes_a_short_line() {
        assert_eq!(brief("no such\n  user"), "no such user");
        assert_eq!(brief(&"\u{e4}".repeat(300)), "\u{e4}".repeat(300));
        assert_eq!(brief(&"\u{e4}".repeat(1000)), format!("{}\u{2026}", "\u{e4}".repeat(300)));
    }
}
