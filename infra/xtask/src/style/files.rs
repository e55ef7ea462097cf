//! Files as a whole: those without a module doc comment, and long ones.

use super::source::{Language, SourceFile};

/// The number of lines above which a file is long.
pub(super) const LONG: usize = 350;

/// True if a Rust file has no module doc comment (`//!`) above its first item.
pub(super) fn lacks_module_doc(file: &SourceFile) -> bool {
    let mut before_code = file.lexed.iter().take_while(|line| {
        let code = line.code.trim();
        code.is_empty() || code.starts_with("#!")
    });
    let has_doc = before_code.any(|line| line.comment.as_deref().is_some_and(|text| text.starts_with("//!")));
    file.language == Language::Rust && !has_doc
}

/// True if a program has more than [`LONG`] lines.
pub(super) fn is_long(file: &SourceFile) -> bool {
    file.language != Language::Markdown && file.lines.len() > LONG
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_doc_stands_above_the_first_item() {
        for (text, lacks) in [
            ("//! Doc.\nmod a;", false),
            ("#![expect(x, reason = \"y\")]\n\n//! Doc.\n", false),
            ("mod a;\n//! No.", true),
            ("/// Of the item.\nmod a;", true),
            ("", true),
        ] {
            assert_eq!(lacks_module_doc(&SourceFile::new("a.rs", Language::Rust, text)), lacks, "{text}");
        }
    }
}
