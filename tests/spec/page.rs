//! The page: its examples by their titles, and its tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The page's path in the repository.
const PAGE: &str = "docs/protocol.md";

/// A fenced block of the page that is an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExampleBlock {
    /// The language that the fence names, `http` or `json`.
    pub(crate) language: String,
    /// The lines between the fences, without the fence's indentation.
    pub(crate) text: String,
}

/// Returns a path below the repository's root.
pub(crate) fn path(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Reads the page.
pub(crate) fn read() -> String {
    std::fs::read_to_string(path(PAGE)).unwrap()
}

/// Writes the page.
pub(crate) fn write(page: &str) {
    std::fs::write(path(PAGE), page).unwrap();
}

/// Returns the examples of a page by their titles.
///
/// # Panics
/// A block in `http` or `json` has no title, or two have the same.
pub(crate) fn blocks(page: &str) -> BTreeMap<String, ExampleBlock> {
    let mut blocks = BTreeMap::new();
    walk(page, |title, block| {
        assert!(blocks.insert(title.to_owned(), block.clone()).is_none(), "two examples are called {title}");
        None
    });
    blocks
}

/// Returns the page with the text of every example replaced by that of `made`; one that is not made
/// stays.
pub(crate) fn with_blocks(page: &str, made: &BTreeMap<String, ExampleBlock>) -> String {
    walk(page, |title, _| made.get(title).cloned())
}

/// Calls `visit` with the title and the content of every example, and returns the page with those
/// contents that it returns.
fn walk(page: &str, mut visit: impl FnMut(&str, &ExampleBlock) -> Option<ExampleBlock>) -> String {
    let mut written = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some(info) = line.trim_start().strip_prefix("```") else {
            writeln!(written, "{line}").unwrap();
            continue;
        };
        let inner: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
        let text: Vec<&str> = inner.iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
        let (language, title) = info.split_once(' ').unwrap_or((info, ""));
        let block = ExampleBlock { language: language.to_owned(), text: text.join("\n") };
        let mut shown = block.clone();
        if ["http", "json"].contains(&language) {
            let title = title.strip_prefix("title=\"").and_then(|title| title.strip_suffix('"'));
            let title = title.unwrap_or_else(|| panic!("an example has no title: {line}"));
            shown = visit(title, &block).unwrap_or(block);
        }
        let fence = &line[..indent];
        writeln!(
            written,
            "{fence}```{}",
            if title.is_empty() { info.to_owned() } else { format!("{} {title}", shown.language) }
        )
        .unwrap();
        for line in shown.text.lines() {
            writeln!(written, "{}", format!("{fence}{line}").trim_end()).unwrap();
        }
        writeln!(written, "{fence}```").unwrap();
    }
    written
}

/// Returns the cells of the first table after a line that contains `after`, without its head.
///
/// # Panics
/// There is no such line.
pub(crate) fn table(page: &str, after: &str) -> Vec<Vec<String>> {
    let (_, rest) = page.split_once(after).unwrap_or_else(|| panic!("the page does not say: {after}"));
    let rows = rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.take_while(|row| row.starts_with('|')).map(cells).collect()
}

#[test]
fn examples_are_read_and_written() {
    let page = "a\n\n  ```json title=\"one\"\n  {}\n  ```\n\n```sh\nx\n```\n";
    let blocks = blocks(page);
    assert_eq!(blocks["one"], ExampleBlock { language: "json".to_owned(), text: "{}".to_owned() });
    assert_eq!(with_blocks(page, &blocks), page);
    let other = ExampleBlock { language: "json".to_owned(), text: "{\n  1\n}".to_owned() };
    let written = with_blocks(page, &BTreeMap::from([("one".to_owned(), other.clone())]));
    assert_eq!(written, "a\n\n  ```json title=\"one\"\n  {\n    1\n  }\n  ```\n\n```sh\nx\n```\n");
}
