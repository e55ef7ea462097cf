//! `cargo xtask style`: a report on names, comments and duplicates, as figures with their targets.
//!
//! The command succeeds whatever the figures are. The submodules have the rules and their
//! exceptions.

mod duplicates;
mod files;
mod lexer;
mod openings;
mod prose;
mod source;
mod types;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use duplicates::{DuplicateRun, duplicate_runs};
use openings::{DocComment, doc_comments};
use source::{Language, SourceFile};
use types::{Declaration, declarations, homonyms, nested_options};

/// A figure of the report.
struct Figure {
    name: &'static str,
    value: Value,
    /// The bound that the value should keep, as text. Empty if there is none.
    target: &'static str,
    /// The places that were counted.
    findings: Vec<String>,
}

/// The value of a figure.
#[derive(Clone, Copy)]
enum Value {
    /// The number of findings.
    Count(usize),
    /// The findings as a share of all things that were looked at.
    Share { part: usize, whole: usize },
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match *self {
            Self::Count(count) => count.to_string(),
            Self::Share { part, whole } => {
                format!("{:.1} % ({part} of {whole})", 100.0 * part as f64 / whole.max(1) as f64)
            }
        };
        f.pad(&text)
    }
}

/// Prints the report on the files under the given paths, or on all files.
///
/// # Errors
/// A file of the repository cannot be read.
pub(crate) fn run(paths: &[String], list: bool) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = source::read_all(&root)?;
    let selection = Selection(paths.iter().map(|path| path.trim_end_matches('/')).collect());
    let selected: Vec<&SourceFile> = files.iter().filter(|file| selection.has(&file.path)).collect();

    let figures = figures(&files, &selected, &selection);
    let mut report = format!("{:<46}{:<24}target\n", "", "now");
    for figure in &figures {
        report.push_str(&format!("{:<46}{:<24}{}\n", figure.name, figure.value, figure.target));
    }
    report.push_str("\nDoc comments that open without their subject, by crate\n");
    for (folder, value) in openings_by_crate(&selected) {
        report.push_str(&format!("{folder:<46}{value}\n"));
    }
    if list {
        for figure in figures.iter().filter(|figure| !figure.findings.is_empty()) {
            report.push_str(&format!("\n== {}: {}\n", figure.name, figure.value));
            for finding in &figure.findings {
                report.push_str(&format!("{finding}\n"));
            }
        }
    }
    // An error is ignored, so that the report can be piped into `head`.
    let _ = std::io::stdout().write_all(report.as_bytes());
    Ok(())
}

/// The paths that the report is about. All files, if there are none.
struct Selection<'a>(Vec<&'a str>);

impl Selection<'_> {
    fn has(&self, path: &str) -> bool {
        let is_under = |folder: &&str| {
            path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.is_empty() || self.0.iter().any(is_under)
    }
}

fn figures(all: &[SourceFile], selected: &[&SourceFile], selection: &Selection<'_>) -> Vec<Figure> {
    let comments: Vec<DocComment> = selected.iter().flat_map(|file| doc_comments(file)).collect();
    let declared: Vec<Declaration> = selected.iter().flat_map(|file| declarations(file)).collect();
    let everywhere: Vec<Declaration> = all.iter().flat_map(declarations).collect();

    let riddles: Vec<String> =
        comments.iter().filter(|comment| comment.is_riddle()).map(listed_comment).collect();
    let participles: Vec<String> = declared
        .iter()
        .filter(|declaration| declaration.is_bare_participle())
        .map(|declaration| format!("{}  {}", declaration.location, declaration.name))
        .collect();
    let runs = duplicate_runs(all).into_iter();
    let runs = runs.filter(|run| run.places.iter().any(|span| selection.has(&span.path)));
    let shared_names = homonyms(&everywhere).into_iter();
    let shared_names = shared_names.filter(|(_, places)| places.iter().any(|at| selection.has(&at.path)));

    let share = |name, part: Vec<String>, whole, target| Figure {
        name,
        value: Value::Share { part: part.len(), whole },
        target,
        findings: part,
    };
    let count = |name, findings: Vec<String>, target| Figure {
        name,
        value: Value::Count(findings.len()),
        target,
        findings,
    };
    let paths = |is_counted: fn(&SourceFile) -> bool| -> Vec<String> {
        let counted = selected.iter().filter(|file| is_counted(file));
        counted.map(|file| format!("{} ({} lines)", file.path, file.lines.len())).collect()
    };
    let wide = |is_markdown: bool| -> Vec<String> {
        let files = selected.iter().filter(|file| (file.language == Language::Markdown) == is_markdown);
        files.flat_map(|file| prose::wide_lines(file)).map(|location| location.to_string()).collect()
    };
    vec![
        share("doc comments that open without their subject", riddles, comments.len(), "< 6 %"),
        share("types named by a bare participle", participles, declared.len(), "< 2 %"),
        count(
            "Rust files without a module doc comment",
            paths(|f| f.language == Language::Rust && files::lacks_module_doc(f)),
            "0",
        ),
        count("runs of six or more equal lines", runs.map(|run| listed_run(&run)).collect(), "< 10"),
        count(
            "names that several types have",
            shared_names
                .map(|(name, places)| {
                    let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                    format!("{name}  {}", places.join(" "))
                })
                .collect(),
            "",
        ),
        count("comment lines over 100 columns", wide(false), "0"),
        count("Markdown lines over 100 columns", wide(true), "0"),
        count("test files over 350 lines", paths(|file| file.is_test() && files::is_long(file)), "0"),
        count("other files over 350 lines", paths(|file| !file.is_test() && files::is_long(file)), "few"),
        count(
            "Option<Option<…>> and Result<Result<…>>",
            selected.iter().flat_map(|file| nested_options(file)).map(|at| at.to_string()).collect(),
            "0",
        ),
    ]
}

/// Returns the share of comments that open without their subject, of each crate in the order of its
/// folder.
fn openings_by_crate<'a>(files: &[&'a SourceFile]) -> BTreeMap<&'a str, Value> {
    let mut crates: BTreeMap<&str, Value> = BTreeMap::new();
    for file in files {
        for comment in doc_comments(file) {
            let value = crates.entry(file.crate_folder()).or_insert(Value::Share { part: 0, whole: 0 });
            if let Value::Share { part, whole } = value {
                *part += usize::from(comment.is_riddle());
                *whole += 1;
            }
        }
    }
    crates
}

fn listed_comment(comment: &DocComment) -> String {
    format!("{}  {}", comment.location, comment.opening)
}

fn listed_run(run: &DuplicateRun) -> String {
    let places: Vec<String> =
        run.places.iter().map(|span| format!("{}:{}-{}", span.path, span.first, span.last)).collect();
    format!("{} lines  {}", run.length, places.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_has_what_is_under_its_paths() {
        let selection = Selection(vec!["shared/client"]);
        assert!(selection.has("shared/client/src/lib.rs"));
        assert!(selection.has("shared/client"));
        assert!(!selection.has("shared/client2/src/lib.rs"));
        assert!(Selection(Vec::new()).has("README.md"));
    }

    #[test]
    fn shares_are_in_per_cent() {
        assert_eq!(Value::Share { part: 1, whole: 8 }.to_string(), "12.5 % (1 of 8)");
        assert_eq!(Value::Share { part: 0, whole: 0 }.to_string(), "0.0 % (0 of 0)");
    }

    /// The report must read this repository, whatever is in it.
    #[test]
    fn the_report_runs() {
        run(&["infra".to_owned()], true).unwrap();
    }
}
