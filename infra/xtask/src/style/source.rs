//! The files that the report reads.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::lexer::{LexedLine, lex};

/// Folders that hold nothing that this project wrote.
const SKIPPED_FOLDERS: [&str; 5] = ["target", "node_modules", "data", "__pycache__", "snapshots"];

/// Languages that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    Python,
    JavaScript,
    Markdown,
}

/// A text file of the repository.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// The path from the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) language: Language,
    pub(super) lines: Vec<String>,
    /// The lines as the lexer separates them. Empty for other languages than Rust.
    pub(super) lexed: Vec<LexedLine>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Location {
    pub(super) path: String,
    /// The number of the line, from 1.
    pub(super) line: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

impl SourceFile {
    /// Makes a file from its path and text.
    pub(super) fn new(path: &str, language: Language, text: &str) -> Self {
        let lexed = if language == Language::Rust { lex(text) } else { Vec::new() };
        Self { path: path.to_owned(), language, lines: text.lines().map(str::to_owned).collect(), lexed }
    }

    /// Returns the location of the line with an index from 0.
    pub(super) fn at(&self, index: usize) -> Location {
        Location { path: self.path.clone(), line: index + 1 }
    }

    /// Returns the folder of the crate that the file is in, such as `shared/client`, or `-` outside
    /// of all crates.
    pub(super) fn crate_folder(&self) -> &str {
        let mut folders = self.path.match_indices('/').map(|(at, _)| at);
        let first = folders.next().map_or("", |at| self.path.get(..at).unwrap_or_default());
        let second = folders.next().and_then(|at| self.path.get(..at));
        match (first, second) {
            ("functions" | "infra" | "shared", Some(folder)) => folder,
            ("tests", Some("tests/bench")) => "tests/bench",
            ("tests", _) => "tests",
            _ => "-",
        }
    }

    /// True if the file holds tests only.
    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || format!("/{}", self.path).contains("/tests/")
    }
}

/// Reads all files of the repository that the report covers, in the order of their paths.
///
/// # Errors
/// A folder or a file cannot be read.
pub(super) fn read_all(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    read_folder(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !SKIPPED_FOLDERS.contains(&name.as_ref()) {
                read_folder(root, &path, files)?;
            }
            continue;
        }
        let language = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => Language::Rust,
            Some("py") => Language::Python,
            Some("mjs") => Language::JavaScript,
            Some("md") => Language::Markdown,
            _ => continue,
        };
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        files.push(SourceFile::new(&relative, language, &text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_crate_of_its_folder() {
        for (path, folder) in [
            ("shared/client/src/store.rs", "shared/client"),
            ("infra/by_hand.py", "-"),
            ("tests/whole/main.rs", "tests"),
            ("tests/bench/src/main.rs", "tests/bench"),
            ("README.md", "-"),
        ] {
            assert_eq!(SourceFile::new(path, Language::Markdown, "").crate_folder(), folder, "{path}");
        }
    }

    #[test]
    fn tests_are_known_by_their_path() {
        for (path, is_test) in [
            ("tests/whole/main.rs", true),
            ("shared/client/src/store/tests.rs", true),
            ("shared/client/src/store/tests/any.rs", true),
            ("shared/testkit/src/lib.rs", false),
        ] {
            assert_eq!(SourceFile::new(path, Language::Rust, "").is_test(), is_test, "{path}");
        }
    }
}
