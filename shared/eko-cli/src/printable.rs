//! Text that comes from other people and servers, made harmless for a terminal.

use serde_json::Value;

/// Returns the text with each character that could command a terminal replaced by `U+FFFD`.
///
/// Replaced are control characters except the line feed and the tab, the line and paragraph
/// separators, and Unicode's controls of the reading direction. A carriage return before a line
/// feed is removed.
pub fn printable(text: &str) -> String {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || is_separator_or_direction(c));
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| if harmless(c) { c } else { char::REPLACEMENT_CHARACTER })
        .collect()
}

/// Returns the value as JSON on one line, in which each character that [`printable`] replaces is
/// escaped. A JSON reader gets the original text.
pub fn printable_json(object: &Value) -> String {
    let mut line = String::new();
    for c in object.to_string().chars() {
        match printable(c.encode_utf8(&mut [0; 4])) == c.to_string() {
            true => line.push(c),
            // JSON has such characters within strings only, and each of them is one UTF-16 unit.
            false => line.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    line
}

/// True for the line and paragraph separators, and for the characters that set the direction of the
/// text after them (Unicode Standard Annex 9).
fn is_separator_or_direction(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    #[test]
    fn json_says_all_and_commands_no_terminal() {
        let object = json!({ "text": "a\u{1b}[2J\u{9b}2J\u{202e}\u{7f}\r\n\u{fffd} é世👩" });
        let line = printable_json(&object);
        assert_eq!(printable(&line), line);
        assert!(!line.contains('\n') && line.contains("é世👩"));
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), object);
    }
}
