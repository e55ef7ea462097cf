//! Runs of equal lines that stand in two places.
//!
//! A run is six or more lines that follow each other, in two places of the programs (Rust, Python,
//! JavaScript) under `functions`, `shared`, `infra` and `tests`. Lines are compared without their
//! comments and with single spaces.
//!
//! Boilerplate is passed over as if it were not there:
//!
//! * blank lines and comments,
//! * imports (`use`, `import`, `from`) and modules (`mod`),
//! * attributes (`#[…]`, `#![…]`),
//! * lines of punctuation alone, such as `});`.
//!
//! A run is boilerplate too, and is not reported, if more than half of its lines are thin: they
//! have fewer than twelve letters and digits, such as `Ok(())` or `.unwrap();`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::source::{Language, SourceFile};

/// The fewest lines that are reported.
const FEWEST: usize = 6;

/// A line with fewer letters and digits than this is thin.
const THIN: usize = 12;

/// The folders whose programs are compared.
const FOLDERS: [&str; 4] = ["functions/", "infra/", "shared/", "tests/"];

/// Lines that stand in several places.
#[derive(Debug)]
pub(super) struct DuplicateRun {
    /// The number of lines, boilerplate between them not counted.
    pub(super) length: usize,
    pub(super) places: Vec<Span>,
}

/// The lines of a file from the first of a run to its last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) path: String,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// A line that is compared.
struct ComparedLine {
    /// Equal for equal texts.
    text: usize,
    is_thin: bool,
    /// The line's number in its file, from 1.
    number: usize,
}

/// A place in the compared lines of all files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LinePosition {
    file: usize,
    line: usize,
}

/// Finds the runs that stand in several places, the longest first.
pub(super) fn duplicate_runs(files: &[SourceFile]) -> Vec<DuplicateRun> {
    let mut texts = HashMap::new();
    let compared = |file: &SourceFile| FOLDERS.iter().any(|folder| file.path.starts_with(folder));
    let files: Vec<&SourceFile> =
        files.iter().filter(|file| file.language != Language::Markdown && compared(file)).collect();
    let lines: Vec<Vec<ComparedLine>> = files.iter().map(|file| compared_lines(file, &mut texts)).collect();

    let mut places: BTreeMap<Vec<usize>, BTreeSet<LinePosition>> = BTreeMap::new();
    for positions in windows(&lines).values() {
        for (index, &first) in positions.iter().enumerate() {
            for &second in positions.iter().skip(index + 1) {
                if let Some(run) = longest_run(&lines, first, second) {
                    places.entry(run).or_default().extend([first, second]);
                }
            }
        }
    }

    let span = |position: &LinePosition, length: usize| {
        let file = lines.get(position.file)?;
        let number = |line: usize| file.get(line).map(|line| line.number);
        Some(Span {
            path: files.get(position.file)?.path.clone(),
            first: number(position.line)?,
            last: number(position.line + length - 1)?,
        })
    };
    let mut runs: Vec<DuplicateRun> = places
        .into_iter()
        .map(|(run, places)| DuplicateRun {
            length: run.len(),
            places: places.iter().filter_map(|position| span(position, run.len())).collect(),
        })
        .collect();
    runs.sort_by(|a, b| b.length.cmp(&a.length).then_with(|| a.places.cmp(&b.places)));
    runs
}

/// Returns the positions of every text of [`FEWEST`] lines.
fn windows(lines: &[Vec<ComparedLine>]) -> BTreeMap<Vec<usize>, Vec<LinePosition>> {
    let mut windows: BTreeMap<Vec<usize>, Vec<LinePosition>> = BTreeMap::new();
    for (file, lines) in lines.iter().enumerate() {
        for (line, window) in lines.windows(FEWEST).enumerate() {
            let texts = window.iter().map(|line| line.text).collect();
            windows.entry(texts).or_default().push(LinePosition { file, line });
        }
    }
    windows
}

/// Returns the texts of the run that begins at both positions.
///
/// The run ends where its two copies would overlap. Returns `None` if a longer run contains it, if
/// it has fewer than [`FEWEST`] lines, or if most of its lines are thin.
fn longest_run(lines: &[Vec<ComparedLine>], first: LinePosition, second: LinePosition) -> Option<Vec<usize>> {
    let line = |position: LinePosition, offset: usize| lines.get(position.file)?.get(position.line + offset);
    let before = |position: LinePosition| lines.get(position.file)?.get(position.line.checked_sub(1)?);
    if let (Some(a), Some(b)) = (before(first), before(second))
        && a.text == b.text
    {
        return None;
    }
    let most = if first.file == second.file { second.line - first.line } else { usize::MAX };
    let run: Vec<&ComparedLine> = (0..most)
        .map_while(|offset| {
            let (a, b) = (line(first, offset)?, line(second, offset)?);
            (a.text == b.text).then_some(a)
        })
        .collect();
    let thin = run.iter().filter(|line| line.is_thin).count();
    let is_reported = run.len() >= FEWEST && thin * 2 <= run.len();
    is_reported.then(|| run.into_iter().map(|line| line.text).collect())
}

/// Returns the lines of a file that are not boilerplate.
fn compared_lines(file: &SourceFile, texts: &mut HashMap<String, usize>) -> Vec<ComparedLine> {
    let mut compared = Vec::new();
    let mut in_import = false;
    for (index, line) in file.lines.iter().enumerate() {
        let code = without_comment(file, index, line);
        let text = code.split_whitespace().collect::<Vec<_>>().join(" ");
        let begins_import = is_import(file.language, &text);
        if in_import || begins_import {
            in_import = match file.language {
                Language::Rust | Language::JavaScript => !text.ends_with(';'),
                _ => (in_import || text.ends_with('(')) && !text.ends_with(')'),
            };
            continue;
        }
        let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
        let is_attribute = text.starts_with("#[") || text.starts_with("#![");
        if letters == 0 || is_attribute {
            continue;
        }
        let next = texts.len();
        let text = *texts.entry(text).or_insert(next);
        compared.push(ComparedLine { text, is_thin: letters < THIN, number: index + 1 });
    }
    compared
}

/// Returns a line up to its comment.
fn without_comment<'a>(file: &SourceFile, index: usize, line: &'a str) -> &'a str {
    match file.language {
        Language::Rust => {
            let Some(lexed) = file.lexed.get(index).filter(|lexed| lexed.comment.is_some()) else {
                return line;
            };
            let end = line.char_indices().nth(lexed.code.chars().count()).map_or(line.len(), |(at, _)| at);
            line.get(..end).unwrap_or(line)
        }
        Language::Python if line.trim_start().starts_with('#') => "",
        Language::JavaScript if line.trim_start().starts_with("//") => "",
        _ => line,
    }
}

fn is_import(language: Language, text: &str) -> bool {
    match language {
        Language::Rust => {
            let text = text.strip_prefix("pub(crate) ").or_else(|| text.strip_prefix("pub ")).unwrap_or(text);
            let text = text.strip_prefix("pub(super) ").unwrap_or(text);
            text.starts_with("use ") || (text.starts_with("mod ") && text.ends_with(';'))
        }
        Language::Python => text.starts_with("import ") || text.starts_with("from "),
        Language::JavaScript => text.starts_with("import "),
        Language::Markdown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six lines that are not boilerplate.
    const RUN: &str = "let first_value = one();\nlet second_value = two();\nlet third_value = three();\nlet fourth_value = four();\nlet fifth_value = five();\nlet sixth_value = six();\n";

    fn runs(texts: &[&str]) -> Vec<(usize, Vec<usize>)> {
        let files: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| SourceFile::new(&format!("shared/{index}.rs"), Language::Rust, text))
            .collect();
        let places = |run: DuplicateRun| (run.length, run.places.iter().map(|span| span.first).collect());
        duplicate_runs(&files).into_iter().map(places).collect()
    }

    #[test]
    fn a_run_is_reported_once_however_many_places_it_has() {
        let other = format!("fn alone() {{}}\n{RUN}");
        assert_eq!(runs(&[RUN, &other, RUN]), [(6, vec![1, 2, 1])]);
        assert_eq!(runs(&[&format!("{RUN}fn between() {{}}\n{RUN}")]), [(6, vec![1, 8])]);
    }

    #[test]
    fn five_lines_are_no_run() {
        let five: String = RUN.lines().take(5).map(|line| format!("{line}\n")).collect();
        assert!(runs(&[&five, &five]).is_empty());
    }

    #[test]
    fn boilerplate_is_passed_over() {
        let spread = RUN.replace(";\n", "; // a comment\n\n#[test]\n});\nuse a::{\n    b,\n};\n");
        assert_eq!(runs(&[RUN, &spread.replace("let ", "   let   ")]), [(6, vec![1, 1])]);
        let imports = "use first::Value;\n".repeat(7);
        assert!(runs(&[&imports, &imports]).is_empty());
    }

    #[test]
    fn mostly_thin_runs_are_boilerplate() {
        let thin = "a(1);\nb(2);\nc(3);\nd(4);\nlet long_enough = 5;\nlet also_long_enough = 6;\n";
        assert!(runs(&[thin, thin]).is_empty());
    }

    #[test]
    fn the_longest_run_is_reported() {
        let longer = format!("{RUN}let seventh_value = seven();\n");
        assert_eq!(runs(&[&longer, &longer]), [(7, vec![1, 1])]);
    }
}
