//! Section 9's tables of attackers: every row names tests, and each of them exists.

use std::collections::BTreeMap;

use crate::page;

/// The folders that the files of the tables are below.
const FOLDERS: [&str; 2] = ["shared/eko-cli/tests", "shared/client/src"];

/// The attackers of the page, who are in both tables.
const ATTACKERS: [&str; 5] = [
    "a removed member, or one who left",
    "a malicious member",
    "a malicious admin",
    "a malicious home server",
    "a stolen device",
];

/// Returns the tests that a cell names, each with its file: `file.rs`: `one`, `two`; `other.rs`: `three`.
fn named(cell: &str) -> Vec<(&str, &str)> {
    let mut file = "";
    let mut tests = Vec::new();
    for word in cell.split('`').skip(1).step_by(2) {
        match word.ends_with(".rs") {
            true => file = word,
            false if file.is_empty() => {}
            false => tests.push((file, word)),
        }
    }
    tests
}

/// True if a source has a test of this name.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_declared = |line: &str| {
        let declared = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        declared.is_some_and(|rest| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
    };
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let place = lines.iter().position(|line| is_declared(line));
    place.is_some_and(|place| {
        lines.iter().take(place).rev().take_while(|line| line.starts_with('#')).any(is_test)
    })
}

#[test]
fn each_test_in_the_tables_of_attackers_exists() {
    let page = page::read();
    let cannot = page::table(&page, "\n### What an attacker can and cannot do in a group\n");
    let can = page::table(&page, "\n| Attacker | Can |\n");
    let mut sources: BTreeMap<&str, String> = BTreeMap::new();
    let mut faults = Vec::new();
    for row in &cannot {
        let [_, what, tests] = row.as_slice() else { panic!("a row of three cells: {row:?}") };
        if named(tests).is_empty() {
            faults.push(format!("no test: {what}"));
        }
    }
    let cells = cannot.iter().map(|row| row[2].as_str()).chain(can.iter().map(|row| row[1].as_str()));
    for (file, test) in cells.flat_map(named) {
        let source = sources.entry(file).or_insert_with(|| {
            let found = FOLDERS.map(|folder| std::fs::read_to_string(page::path(folder).join(file)).ok());
            found.into_iter().flatten().next().unwrap_or_default()
        });
        if !has_test(source, test) {
            faults.push(format!("{file} has no test {test}"));
        }
    }
    for attacker in ATTACKERS {
        for (table, rows) in [("cannot", &cannot), ("can", &can)] {
            if !rows.iter().any(|row| row[0].starts_with(attacker)) {
                faults.push(format!("nothing says what {attacker} {table} do"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(!sources.is_empty());
}

#[test]
fn a_test_is_known_by_its_attribute() {
    let source = "#[test]\nfn one() {}\n\nfn two() {}\n\n#[tokio::test]\nasync fn three() {}\n";
    assert_eq!(["one", "two", "three", "on"].map(|name| has_test(source, name)), [true, false, true, false]);
    assert_eq!(
        named("a `a.rs`: `one`, `two`; `b.rs`: `c`"),
        [("a.rs", "one"), ("a.rs", "two"), ("b.rs", "c")]
    );
    assert_eq!(named("`one`"), []);
}
