//! The line that a person types: its text, the place of the cursor, and the part that is visible. The
//! lines before it come back with Up and Down, and Tab completes names.

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
    /// The former lines, oldest first.
    former: Vec<String>,
    /// The number of the former line that is shown, while one is.
    recalled: Option<usize>,
    /// The line that was being typed when a former one was recalled.
    draft: String,
    /// The names that Tab completes, each with its `@`.
    names: Vec<String>,
}

/// The effect of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyEffect {
    /// The text is the same.
    Unchanged,
    /// The text has changed.
    Changed,
    /// The person has deleted the whole text.
    Emptied,
    /// The person has ended the line, which is empty now.
    Entered(String),
    /// The word at the cursor is the beginning of several names.
    Choices(Vec<String>),
    /// The person ends the input.
    Ended,
}

impl InputLine {
    /// Returns an empty line after these former ones.
    pub(super) fn after(former: Vec<String>, names: Vec<String>) -> Self {
        Self { former, names, ..Self::default() }
    }

    /// Takes what the terminal has told.
    pub(super) fn take(&mut self, event: Event) -> KeyEffect {
        let was_empty = self.is_empty();
        match self.apply(event) {
            KeyEffect::Unchanged if !was_empty && self.is_empty() => KeyEffect::Emptied,
            effect => effect,
        }
    }

    fn apply(&mut self, event: Event) -> KeyEffect {
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
                let text = self.replace(String::new());
                self.recalled = None;
                if !text.trim().is_empty() && self.former.last() != Some(&text) {
                    self.former.push(text.clone());
                }
                return KeyEffect::Entered(text);
            }
            KeyCode::Up => self.recall_earlier(),
            KeyCode::Down => self.recall_later(),
            KeyCode::Char('p') if is_control => self.recall_earlier(),
            KeyCode::Char('n') if is_control => self.recall_later(),
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
            KeyCode::Tab => return self.complete(),
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

    /// Puts a text in the place of the line, and returns the former one.
    fn replace(&mut self, text: String) -> String {
        let rest = std::mem::take(&mut self.after);
        std::mem::replace(&mut self.before, text) + &rest
    }

    fn recall_earlier(&mut self) {
        let at = self.recalled.unwrap_or(self.former.len());
        let Some(earlier) = at.checked_sub(1) else { return };
        let Some(text) = self.former.get(earlier).cloned() else { return };
        let shown = self.replace(text);
        if self.recalled.replace(earlier).is_none() {
            self.draft = shown;
        }
    }

    fn recall_later(&mut self) {
        let Some(later) = self.recalled.map(|at| at.saturating_add(1)) else { return };
        let (text, recalled) = match self.former.get(later) {
            Some(text) => (text.clone(), Some(later)),
            None => (std::mem::take(&mut self.draft), None),
        };
        self.replace(text);
        self.recalled = recalled;
    }

    /// Completes the name before the cursor as far as it is unique. Before anything else it inserts a
    /// tab.
    fn complete(&mut self) -> KeyEffect {
        let start = self.before.rfind(char::is_whitespace).map_or(0, |at| {
            at.saturating_add(
                self.before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8),
            )
        });
        let word = self.before.get(start..).unwrap_or_default().to_owned();
        if !word.starts_with('@') {
            return self.insert("\t");
        }
        let found: Vec<String> = self.names.iter().filter(|name| name.starts_with(&word)).cloned().collect();
        let Some(mut common) = found.first().cloned() else { return KeyEffect::Unchanged };
        for name in &found {
            while !name.starts_with(&common) {
                common.pop();
            }
        }
        let rest = common.get(word.len()..).unwrap_or_default().to_owned();
        match (rest.is_empty(), found.len()) {
            (true, 2..) => KeyEffect::Choices(found),
            _ => self.insert(&rest),
        }
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
        assert_eq!(control(&mut line, 'u'), KeyEffect::Emptied);
        assert_eq!(control(&mut line, 'x'), KeyEffect::Unchanged);
        assert_eq!(control(&mut line, 'd'), KeyEffect::Ended);
    }

    #[test]
    fn former_lines_come_back_and_the_draft_is_kept() {
        let mut line = InputLine::after(vec!["older".to_owned(), "old".to_owned()], Vec::new());
        line.take(Event::Paste("dra".to_owned()));
        press(&mut line, KeyCode::Up);
        assert_eq!(line.visible(40).0, "old");
        press(&mut line, KeyCode::Up);
        press(&mut line, KeyCode::Up);
        assert_eq!(line.visible(40).0, "older");
        press(&mut line, KeyCode::Down);
        press(&mut line, KeyCode::Down);
        press(&mut line, KeyCode::Down);
        press(&mut line, KeyCode::Char('f'));
        assert_eq!(press(&mut line, KeyCode::Enter), KeyEffect::Entered("draf".to_owned()));
        press(&mut line, KeyCode::Up);
        assert_eq!(press(&mut line, KeyCode::Enter), KeyEffect::Entered("draf".to_owned()));
        press(&mut line, KeyCode::Up);
        press(&mut line, KeyCode::Up);
        assert_eq!(line.visible(40).0, "old", "the same line is kept once");
    }

    #[test]
    fn names_are_completed_as_far_as_they_are_unique() {
        let names = ["@bob", "@bobby@b.example", "@carol"].map(str::to_owned).to_vec();
        let mut line = InputLine::after(Vec::new(), names);
        line.take(Event::Paste("ask @c".to_owned()));
        assert_eq!(press(&mut line, KeyCode::Tab), KeyEffect::Changed);
        assert_eq!(line.visible(40).0, "ask @carol");
        assert_eq!(press(&mut line, KeyCode::Tab), KeyEffect::Unchanged);
        control(&mut line, 'u');
        line.take(Event::Paste("@b".to_owned()));
        assert_eq!(press(&mut line, KeyCode::Tab), KeyEffect::Changed);
        let both = ["@bob", "@bobby@b.example"].map(str::to_owned).to_vec();
        assert_eq!(press(&mut line, KeyCode::Tab), KeyEffect::Choices(both));
        line.take(Event::Paste("b".to_owned()));
        press(&mut line, KeyCode::Tab);
        assert_eq!(line.visible(40).0, "@bobby@b.example");
        line.take(Event::Paste(" @x".to_owned()));
        assert_eq!(press(&mut line, KeyCode::Tab), KeyEffect::Unchanged);
        line.take(Event::Paste(" a".to_owned()));
        assert_eq!(press(&mut line, KeyCode::Tab), KeyEffect::Changed, "a tab");
    }

    #[test]
    fn a_text_that_is_deleted_is_told() {
        let mut line = typed("ab");
        assert_eq!(press(&mut line, KeyCode::Backspace), KeyEffect::Unchanged);
        assert_eq!(press(&mut line, KeyCode::Backspace), KeyEffect::Emptied);
        assert_eq!(press(&mut line, KeyCode::Backspace), KeyEffect::Unchanged);
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
