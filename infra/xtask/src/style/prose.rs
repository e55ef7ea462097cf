//! The width of prose: comment lines and Markdown lines of more than 100 columns.
//!
//! Three kinds of lines may be longer, because they cannot be wrapped: rows of tables, lines of
//! code between fences, and lines that are one word, such as an address.

use super::source::{Language, Location, SourceFile};

/// The widest that a line of prose may be.
const COLUMNS: usize = 100;

/// Returns the comment lines of a program, or the lines of a Markdown page, that are too wide.
pub(super) fn wide_lines(file: &SourceFile) -> Vec<Location> {
    let mut is_fenced = false;
    let mut wide = Vec::new();
    for (index, line) in file.lines.iter().enumerate() {
        let Some(text) = prose(file, index, line) else {
            is_fenced = false;
            continue;
        };
        if text.starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        let is_free = is_fenced || text.starts_with('|') || !text.contains(' ');
        if !is_free && line.chars().count() > COLUMNS {
            wide.push(file.at(index));
        }
    }
    wide
}

/// Returns the prose of a line: all of a line of Markdown, or the text of a line that is a comment
/// and nothing else.
fn prose<'a>(file: &'a SourceFile, index: usize, line: &'a str) -> Option<&'a str> {
    let text = match file.language {
        Language::Markdown => line,
        Language::Rust => {
            let lexed = file.lexed.get(index).filter(|lexed| lexed.code.trim().is_empty())?;
            lexed.comment.as_deref()?.trim_start_matches(['/', '!'])
        }
        Language::Python => line.trim_start().strip_prefix('#')?,
        Language::JavaScript => line.trim_start().strip_prefix("//")?,
    };
    Some(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(language: Language, text: &str) -> Vec<usize> {
        wide_lines(&SourceFile::new("a", language, text)).into_iter().map(|location| location.line).collect()
    }

    #[test]
    fn only_prose_is_measured() {
        let wide = "word ".repeat(21);
        assert_eq!(lines(Language::Rust, &format!("/// {wide}\nlet a = \"{wide}\";\n    // {wide}")), [1, 3]);
        assert_eq!(lines(Language::Markdown, &format!("{wide}\nshort\n- {wide}")), [1, 3]);
        assert_eq!(lines(Language::Python, &format!("# {wide}\na = '{wide}'")), [1]);
    }

    #[test]
    fn tables_fences_and_addresses_may_be_wide() {
        let wide = "word ".repeat(21);
        let address = format!("https://example.org/{}", "a".repeat(100));
        assert!(lines(Language::Markdown, &format!("| {wide} |\n```\n{wide}\n```\n{address}")).is_empty());
        assert!(lines(Language::Rust, &format!("//! ```\n//! {wide}\n//! ```\n//! | {wide} |")).is_empty());
    }
}
