//! The first words of doc comments.
//!
//! A doc comment that opens with a question word or a pronoun does not name its subject. A reader
//! who does not know the answer yet cannot understand it.

use super::source::{Location, SourceFile};

/// Words that do not name a subject.
const RIDDLES: [&str; 12] =
    ["how", "it", "its", "that", "what", "when", "where", "whether", "who", "whom", "whose", "why"];

/// Openings of two words that point elsewhere.
const REFERENCES: [[&str; 2]; 2] = [["as", "there"], ["the", "same"]];

/// A contiguous block of `///` or `//!` lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DocComment {
    /// The line where the block begins.
    pub(super) location: Location,
    /// The first line of the block that has text.
    pub(super) opening: String,
}

impl DocComment {
    /// True if the comment opens with a word that does not name its subject.
    pub(super) fn is_riddle(&self) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = self.opening.split(|c: char| !is_part(c)).filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default().to_lowercase();
        let second = words.next().unwrap_or_default().to_lowercase();
        RIDDLES.contains(&first.as_str()) || REFERENCES.contains(&[first.as_str(), second.as_str()])
    }
}

/// Returns the doc comments of a Rust file.
pub(super) fn doc_comments(file: &SourceFile) -> Vec<DocComment> {
    let mut comments: Vec<DocComment> = Vec::new();
    let mut last: Option<&str> = None;
    for (index, line) in file.lexed.iter().enumerate() {
        let text = line.comment.as_deref().filter(|_| line.code.trim().is_empty());
        let marker = text.and_then(marker);
        if let (Some(text), Some(marker)) = (text, marker) {
            if last != Some(marker) {
                comments.push(DocComment { location: file.at(index), opening: String::new() });
            }
            let content = text.strip_prefix(marker).unwrap_or_default().trim();
            if let Some(comment) = comments.last_mut().filter(|comment| comment.opening.is_empty()) {
                comment.opening.push_str(content);
            }
        }
        last = marker;
    }
    comments
}

/// Returns the marker of a doc comment: `///` or `//!`. A line of four slashes is no doc comment.
pub(super) fn marker(comment: &str) -> Option<&'static str> {
    if comment.starts_with("//!") {
        Some("//!")
    } else if comment.starts_with("///") && !comment.starts_with("////") {
        Some("///")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Language;
    use super::*;

    fn comment(opening: &str) -> DocComment {
        DocComment { location: Location { path: "a.rs".into(), line: 1 }, opening: opening.to_owned() }
    }

    #[test]
    fn riddles_are_told_from_sentences_with_a_subject() {
        for riddle in [
            "What it is.",
            "Whose.",
            "It is.",
            "It's so.",
            "**Where** it is.",
            "As there.",
            "The same, for it.",
        ] {
            assert!(comment(riddle).is_riddle(), "{riddle}");
        }
        for sentence in ["Returns it.", "The actor.", "As the RFC says.", "Items.", "Thatched."] {
            assert!(!comment(sentence).is_riddle(), "{sentence}");
        }
    }

    #[test]
    fn a_block_is_one_comment() {
        let text = "//! A module.\n//! It has more.\n\n/// A type.\n///\n/// What else.\nstruct A {\n    /// A field.\n    a: u8, // not this\n    //// nor this\n}\nconst B: &str = \"\n/// nor this\";\n";
        let file = SourceFile::new("a.rs", Language::Rust, text);
        let openings: Vec<_> = doc_comments(&file).into_iter().map(|comment| comment.opening).collect();
        assert_eq!(openings, ["A module.", "A type.", "A field."]);
        assert_eq!(doc_comments(&file)[1].location.line, 4);
    }
}
