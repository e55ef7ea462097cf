//! Text of others on a terminal.

/// The text without what would command a terminal or turn the reading order: control characters but the line feed and
/// the tab, and Unicode's bidirectional controls, each as `U+FFFD`. A carriage return before a line feed goes.
pub fn printable(text: &str) -> String {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || turns(c));
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| if harmless(c) { c } else { char::REPLACEMENT_CHARACTER })
        .collect()
}

/// Whether a character sets the direction of those after it (Unicode Standard Annex 9), or ends a line unseen.
fn turns(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays() {
        for text in ["", "Hello", "Grüße, 世界 👩‍👩‍👧", "שלום", "a\tb\nc", "é\u{301}"] {
            assert_eq!(printable(text), text);
        }
        assert_eq!(printable("a\r\nb"), "a\nb");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        for c in [
            '\u{1b}', '\u{7}', '\u{8}', '\r', '\u{7f}', '\u{9b}', '\u{90}', '\u{202e}', '\u{2066}',
            '\u{2028}',
        ] {
            assert_eq!(printable(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
    }
}
