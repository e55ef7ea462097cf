//! The names of types: bare participles, names that several types have, and nested `Option`s.

use std::collections::BTreeMap;

use super::source::{Location, SourceFile};

/// Keywords that declare a type.
const KEYWORDS: [&str; 5] = ["struct", "enum", "union", "trait", "type"];

/// Participles that do not end in `-ed`, `-en` or `-ing`. Words that are nouns too are left out,
/// such as `Set` and `Run`.
const IRREGULAR: &[&str] = &[
    "Begun", "Borne", "Bought", "Bound", "Brought", "Built", "Caught", "Dealt", "Done", "Drawn", "Drunk",
    "Felt", "Flown", "Fought", "Found", "Gone", "Grown", "Heard", "Held", "Hung", "Kept", "Known", "Laid",
    "Left", "Lent", "Lost", "Made", "Meant", "Met", "Paid", "Said", "Seen", "Sent", "Shot", "Shown", "Sold",
    "Sought", "Spent", "Stood", "Stuck", "Sung", "Sworn", "Taught", "Thrown", "Told", "Torn", "Won", "Worn",
];

/// Words that end like participles and are nouns or numbers.
const NOUNS: &[&str] = &[
    "Alien",
    "Binding",
    "Building",
    "Burden",
    "Children",
    "Citizen",
    "Creed",
    "Deed",
    "Dozen",
    "Encoding",
    "Feed",
    "Garden",
    "Heading",
    "Heaven",
    "Hundred",
    "Hyphen",
    "Kindred",
    "Kitchen",
    "Linen",
    "Listen",
    "Listing",
    "Maiden",
    "Mapping",
    "Meaning",
    "Messaging",
    "Need",
    "Omen",
    "Oven",
    "Oxygen",
    "Screen",
    "Seed",
    "Setting",
    "Siren",
    "Specimen",
    "Speed",
    "String",
    "Thing",
    "Timing",
    "Token",
    "Warden",
    "Warning",
    "Weed",
];

/// Names that each crate, binary or module may have once of its own.
const SHAREABLE: [&str; 4] = ["Cli", "Command", "Error", "Inner"];

/// A type that the project declares.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) name: String,
    pub(super) location: Location,
}

impl Declaration {
    /// True if the name is a participle and nothing else, such as `Asked` or `Known`.
    ///
    /// A participle is a word in the list of irregular ones, or one that ends in `-ed`, `-en` or
    /// `-ing` and is not in the list of nouns. `Un` may stand before it.
    pub(super) fn is_bare_participle(&self) -> bool {
        let name = self.name.as_str();
        let mut letters = name.chars();
        let is_one_word =
            letters.next().is_some_and(|c| c.is_ascii_uppercase()) && letters.all(|c| c.is_ascii_lowercase());
        if !is_one_word || NOUNS.contains(&name) {
            return false;
        }
        let is_irregular = |name: &str| IRREGULAR.iter().any(|word| word.eq_ignore_ascii_case(name));
        let is_regular = name.len() > 3 && ["ed", "en", "ing"].iter().any(|ending| name.ends_with(ending));
        is_regular || is_irregular(name) || name.strip_prefix("Un").is_some_and(is_irregular)
    }
}

/// Returns the types that a Rust file declares, those in functions and macros included. Associated
/// types are left out: their trait names them.
pub(super) fn declarations(file: &SourceFile) -> Vec<Declaration> {
    let mut found = Vec::new();
    // One entry for each open brace: true if it is the body of an `impl` or of a trait.
    let mut bodies: Vec<bool> = Vec::new();
    // The words since the last brace or semicolon.
    let mut head: Vec<&str> = Vec::new();
    for (index, line) in file.lexed.iter().enumerate() {
        for word in words(&line.code) {
            match word {
                "{" => {
                    bodies.push(is_body_of_associated_items(&head));
                    head.clear();
                }
                "}" => {
                    bodies.pop();
                    head.clear();
                }
                ";" => head.clear(),
                name => {
                    let keyword = head.last().copied().unwrap_or_default();
                    let is_type = KEYWORDS.contains(&keyword) && starts_with_capital(name);
                    let is_associated = keyword == "type" && bodies.last() == Some(&true);
                    if is_type && !is_associated {
                        found.push(Declaration { name: name.to_owned(), location: file.at(index) });
                    }
                    head.push(name);
                }
            }
        }
    }
    found
}

/// Returns the identifiers of a line of code, and `{`, `}`, `;`, `#` and brackets by themselves.
fn words(code: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = code;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !is_part(c) && !"{};#[]".contains(c));
        let first = rest.chars().next()?;
        let end =
            if is_part(first) { rest.find(|c| !is_part(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(word)
    })
}

/// True if the words before a brace begin an `impl` or a trait, after attributes, visibility and
/// `unsafe`.
fn is_body_of_associated_items(head: &[&str]) -> bool {
    let mut depth = 0_usize;
    for word in head {
        match *word {
            "[" => depth += 1,
            "]" => depth = depth.saturating_sub(1),
            "#" | "pub" | "crate" | "super" | "in" | "self" | "unsafe" => {}
            _ if depth > 0 => {}
            word => return word == "impl" || word == "trait",
        }
    }
    false
}

fn starts_with_capital(name: &str) -> bool {
    name.chars().next().is_some_and(char::is_uppercase)
}

/// Returns the names that several types have, with their places. Names that may be repeated are
/// left out.
pub(super) fn homonyms(declarations: &[Declaration]) -> BTreeMap<&str, Vec<&Location>> {
    let mut places: BTreeMap<&str, Vec<&Location>> = BTreeMap::new();
    for declaration in declarations {
        if !SHAREABLE.contains(&declaration.name.as_str()) {
            places.entry(&declaration.name).or_default().push(&declaration.location);
        }
    }
    places.retain(|_, places| places.len() > 1);
    places
}

/// Returns the lines of a Rust file that have an `Option` of an `Option`, or a `Result` of a
/// `Result`.
pub(super) fn nested_options(file: &SourceFile) -> Vec<Location> {
    let nests = |code: &str| {
        let code: String = code.split_whitespace().collect();
        code.contains("Option<Option<") || code.contains("Result<Result<")
    };
    let lines = file.lexed.iter().enumerate();
    lines.filter(|(_, line)| nests(&line.code)).map(|(index, _)| file.at(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::Language;
    use super::*;

    fn declared(text: &str) -> Vec<Declaration> {
        declarations(&SourceFile::new("a.rs", Language::Rust, text))
    }

    fn names(text: &str) -> Vec<String> {
        declared(text).into_iter().map(|declaration| declaration.name).collect()
    }

    #[test]
    fn every_kind_of_type_is_found() {
        let text = "pub struct A;\nenum B { C }\n#[derive(Debug)]\npub(crate) trait D {}\ntype E<T> = Vec<T>;\nfn f() { struct G(u8); }\nunion H { a: u8 }";
        assert_eq!(names(text), ["A", "B", "D", "E", "G", "H"]);
    }

    #[test]
    fn associated_types_are_not_declarations() {
        let text = "impl Iterator for A {\n    type Item = u8;\n    fn next() {}\n}\n#[x] pub trait T { type Out; fn f() { struct Own; } }\nfn f() -> impl Fn() { type Local = u8; }";
        assert_eq!(names(text), ["T", "Own", "Local"]);
    }

    #[test]
    fn texts_and_comments_declare_nothing() {
        assert!(names("// struct A;\nlet a = \"struct B\"; /* enum C */").is_empty());
    }

    #[test]
    fn bare_participles_are_told_from_nouns() {
        let is_bare =
            |name: &str| declared(&format!("struct {name};")).iter().all(Declaration::is_bare_participle);
        for name in
            ["Asked", "Known", "Taken", "Held", "Sent", "Unsent", "Unknown", "Given", "Refused", "Sending"]
        {
            assert!(is_bare(name), "{name}");
        }
        for name in [
            "Token",
            "Seed",
            "Setting",
            "String",
            "Thing",
            "Timing",
            "Warning",
            "KnownDevice",
            "SendOutcome",
            "Set",
            "Bed",
            "Screen",
            "Mailbox",
            "Mapping",
        ] {
            assert!(!is_bare(name), "{name}");
        }
    }

    #[test]
    fn homonyms_have_two_places() {
        let all =
            declared("struct A;\nmod m { struct A; }\nstruct B;\nstruct Error;\nmod n { struct Error; }");
        assert_eq!(homonyms(&all).keys().copied().collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn nested_options_are_found() {
        let text = "fn a() -> Option< Option<u8>> {}\nfn b() -> Result<Option<u8>, E> {}\n// Option<Option<u8>>\nfn c() -> io::Result<Result<u8, E>> {}";
        let lines = nested_options(&SourceFile::new("a.rs", Language::Rust, text));
        assert_eq!(lines.iter().map(|location| location.line).collect::<Vec<_>>(), [1, 4]);
    }
}
