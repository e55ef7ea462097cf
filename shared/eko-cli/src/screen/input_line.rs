//! The line that a person types: its text, the place of the cursor, and the part that is visible.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// The sign that is shown in the place of a line feed.
const LINE_FEED: &str = "⏎";

/// A line under the keys of a person.
#[derive(Debug, Default)]
pub(super) struct InputLine {
    before: String,
    after: String,
}

/// The effect of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyEffect {
    /// The text is the same.
    Unchanged,
    /// The text has changed.
    Changed,
    /// The person has ended the line, which is empty now.
    Entered(String),
    /// The person ends the input.
    Ended,
}

impl InputLine {
    /// Takes what the terminal has told.
    pub(super) fn take(&mut self, event: Event) -> KeyEffect {
        match event {
            Event::Key(KeyEvent {
                code,
                modifiers,
                kind: KeyEventKind::Press | KeyEventKind::Repeat,
                ..
            }) => self.press(code, modifiers),
            Event::Paste(text) => {
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                self.insert(text.trim_end_matches('\n'))
            }
            _ => KeyEffect::Unchanged,
        }
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> KeyEffect {
        let is_control = modifiers.contains(KeyModifiers::CONTROL);
        match code {
            KeyCode::Enter => {
                let rest = std::mem::take(&mut self.after);
                return KeyEffect::Entered(std::mem::take(&mut self.before) + &rest);
            }
            KeyCode::Char('d') if is_control && self.is_empty() => return KeyEffect::Ended,
            KeyCode::Char('d') if is_control => drop(take_first(&mut self.after)),
            KeyCode::Char('h') if is_control => drop(take_last(&mut self.before)),
            KeyCode::Char('u') if is_control => self.before.clear(),
            KeyCode::Char('k') if is_control => self.after.clear(),
            KeyCode::Char('w') if is_control => {
                let kept = self.before.trim_end().rfind(char::is_whitespace);
                let kept = kept.and_then(|at| self.before.char_indices().find(|(index, _)| *index > at));
                self.before.truncate(kept.map_or(0, |(index, _)| index));
            }
            KeyCode::Char('a') if is_control => self.go_home(),
            KeyCode::Char('e') if is_control => self.go_to_end(),
            KeyCode::Char(c) if !is_control && !modifiers.contains(KeyModifiers::ALT) => {
                return self.insert(c.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Tab => return self.insert("\t"),
            KeyCode::Backspace => drop(take_last(&mut self.before)),
            KeyCode::Delete => drop(take_first(&mut self.after)),
            KeyCode::Left => self.after.insert_str(0, &take_last(&mut self.before)),
            KeyCode::Right => self.before.push_str(&take_first(&mut self.after)),
            KeyCode::Home => self.go_home(),
            KeyCode::End => self.go_to_end(),
            _ => {}
        }
        KeyEffect::Unchanged
    }

    fn insert(&mut self, text: &str) -> KeyEffect {
        self.before.push_str(text);
        if text.is_empty() { KeyEffect::Unchanged } else { KeyEffect::Changed }
    }

    fn go_home(&mut self) {
        self.after.insert_str(0, &std::mem::take(&mut self.before));
    }

    fn go_to_end(&mut self) {
        self.before.push_str(&std::mem::take(&mut self.after));
    }

    /// True if nothing was typed.
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Returns the parts before and after the cursor that fit into so many columns. The end of the part
    /// before the cursor is visible in any case.
    pub(super) fn visible(&self, columns: usize) -> (String, String) {
        let (mut before, mut left) = (Vec::new(), columns);
        for cluster in self.before.graphemes(true).rev().map(shown) {
            let Some(rest) = left.checked_sub(cluster.width()) else { break };
            left = rest;
            before.push(cluster);
        }
        let mut after = String::new();
        for cluster in self.after.graphemes(true).map(shown) {
            let Some(rest) = left.checked_sub(cluster.width()) else { break };
            left = rest;
            after.push_str(&cluster);
        }
        (before.into_iter().rev().collect(), after)
    }
}

/// Returns what is shown for a character: it commands no terminal, and fills the columns of its width.
fn shown(cluster: &str) -> String {
    match cluster {
        "\n" => LINE_FEED.to_owned(),
        "\t" => " ".to_owned(),
        _ => crate::printable::printable(cluster),
    }
}

fn take_last(text: &mut String) -> String {
    let start = text.grapheme_indices(true).next_back().map_or(0, |(start, _)| start);
    text.split_off(start)
}

fn take_first(text: &mut String) -> String {
    let end = text.graphemes(true).next().map_or(0, str::len);
    let rest = text.split_off(end);
    std::mem::replace(text, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(line: &mut InputLine, code: KeyCode) -> KeyEffect {
        line.take(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn control(line: &mut InputLine, c: char) -> KeyEffect {
        line.take(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)))
    }

    fn typed(text: &str) -> InputLine {
        let mut line = InputLine::default();
        for c in text.chars() {
            assert_eq!(press(&mut line, KeyCode::Char(c)), KeyEffect::Changed);
        }
        line
    }

    #[test]
    fn a_line_is_edited_by_whole_characters() {
        let mut line = typed("Grüße 👩‍👩‍👧e\u{301}!");
        for key in [KeyCode::Left, KeyCode::Backspace, KeyCode::Backspace, KeyCode::Home, KeyCode::Delete] {
            assert_eq!(press(&mut line, key), KeyEffect::Unchanged);
        }
        press(&mut line, KeyCode::Char('g'));
        assert_eq!(press(&mut line, KeyCode::Enter), KeyEffect::Entered("grüße !".to_owned()));
        assert!(line.is_empty());
        for key in [KeyCode::Left, KeyCode::Right, KeyCode::Backspace, KeyCode::Delete, KeyCode::F(1)] {
            assert_eq!(press(&mut line, key), KeyEffect::Unchanged);
        }
        assert_eq!(press(&mut line, KeyCode::Enter), KeyEffect::Entered(String::new()));
    }

    #[test]
    fn the_keys_of_a_shell_do_what_they_do_there() {
        let mut line = typed("one two  three");
        control(&mut line, 'w');
        assert_eq!(line.visible(40).0, "one two  ");
        control(&mut line, 'w');
        assert_eq!(line.visible(40).0, "one ");
        control(&mut line, 'a');
        press(&mut line, KeyCode::Right);
        control(&mut line, 'k');
        assert_eq!(line.visible(40), ("o".to_owned(), String::new()));
        assert_eq!(control(&mut line, 'd'), KeyEffect::Unchanged, "there is a text");
        control(&mut line, 'u');
        assert_eq!(control(&mut line, 'x'), KeyEffect::Unchanged);
        assert_eq!(control(&mut line, 'd'), KeyEffect::Ended);
    }

    #[test]
    fn what_is_pasted_is_one_message() {
        let mut line = typed("a");
        assert_eq!(line.take(Event::Paste("b\r\nc\rd\n".to_owned())), KeyEffect::Changed);
        assert_eq!(line.visible(40).0, "ab⏎c⏎d");
        assert_eq!(press(&mut line, KeyCode::Enter), KeyEffect::Entered("ab\nc\nd".to_owned()));
    }

    #[test]
    fn the_text_at_the_cursor_is_visible_and_commands_nothing() {
        let mut line = typed("世界 and more");
        assert_eq!(line.visible(8), ("and more".to_owned(), String::new()));
        press(&mut line, KeyCode::Home);
        assert_eq!(line.visible(3), (String::new(), "世".to_owned()));
        press(&mut line, KeyCode::Right);
        assert_eq!(line.visible(4), ("世".to_owned(), "界".to_owned()));
        assert_eq!(line.visible(0), (String::new(), String::new()));
        line.take(Event::Paste("\u{1b}[2J\u{202e}".to_owned()));
        assert!(line.visible(40).0.ends_with("\u{fffd}[2J\u{fffd}"));
    }
}
