//! The lifetime of each kind of item: `docs/operate.md` states it for every kind that the store has, and
//! the items that functions have written end by then. Nothing else deletes what has ended.

use std::collections::BTreeSet;

use eko_testkit::World;

use crate::read;

/// The time for which the items of a kind are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    /// True if an item may have no end of its own: its account has one, or it stays for good.
    may_stay: bool,
    /// The longest time to live of an item that has one, in seconds.
    ends_s: Option<i64>,
}

impl Kept {
    /// Reads a time as the page has it: `with the account`, `for good`, `60 days`, or two of these with
    /// `or` between them.
    fn parse(text: &str) -> Self {
        let mut kept = Self { may_stay: false, ends_s: None };
        for one in text.split(", or ") {
            match one.split_once(' ').and_then(|(number, unit)| Some((number.parse::<i64>().ok()?, unit))) {
                None => {
                    assert!(["with the account", "for good"].contains(&one), "{text}");
                    kept.may_stay = true;
                }
                Some((number, unit)) => {
                    let seconds = match unit {
                        "minutes" => 60,
                        "hours" => 3_600,
                        "days" => 86_400,
                        other => panic!("{other} is no unit"),
                    };
                    kept.ends_s = Some(number * seconds);
                }
            }
        }
        kept
    }
}

/// Returns the cells of the rows of a table of Markdown whose first cell begins with a partition key.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().map(|line| line.trim_start_matches("//!").trim());
    let rows = lines.filter(|line| line.starts_with("| `") && line.contains("#"));
    let cell = |cell: &str| cell.trim().replace('`', "");
    rows.map(|line| line.trim_matches('|').split('|').map(cell).collect()).collect()
}

/// The kinds of items as `docs/operate.md` lists them: partition key, sort key, time.
fn kinds() -> Vec<(String, String, Kept)> {
    let page = read("docs/operate.md");
    let (_, section) = page.split_once("\n## What is kept, and how long\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let kinds = rows(section).into_iter().map(|row| {
        assert!(!row[3].is_empty(), "{row:?} has no reason");
        (row[0].clone(), row[1].clone(), Kept::parse(&row[2]))
    });
    kinds.collect()
}

#[test]
fn every_kind_of_item_has_its_time() {
    let stored = rows(&read("shared/store/src/key.rs"));
    let stored: BTreeSet<(String, String)> =
        stored.into_iter().map(|r| (r[0].clone(), r[1].clone())).collect();
    let told: BTreeSet<(String, String)> = kinds().into_iter().map(|(pk, sk, _)| (pk, sk)).collect();
    assert_eq!(told, stored);
}

/// Returns the number of bytes of a pattern's fixed parts if a key has it, such as `P#{message}`.
fn fits(pattern: &str, key: &str) -> Option<usize> {
    let mut rest = key;
    let mut fixed = 0;
    for (index, part) in pattern.split('{').enumerate() {
        let text = if index == 0 { part } else { part.split_once('}')?.1 };
        let at = if index == 0 { rest.starts_with(text).then_some(0)? } else { rest.find(text)? };
        rest = &rest[at + text.len()..];
        fixed += text.len();
    }
    (rest.is_empty() || pattern.ends_with('}')).then_some(fixed)
}

/// Asserts that the items of a server end when the page says so.
pub(crate) async fn check(world: &World) {
    let kinds = kinds();
    let now_s = world.now_ms() / 1_000;
    for ((pk, sk), ttl) in world.times_to_live().await {
        let of = kinds.iter().filter_map(|(p, s, kept)| Some((fits(p, &pk)? + fits(s, &sk)?, kept)));
        let (_, kept) = of.max_by_key(|(fixed, _)| *fixed).unwrap_or_else(|| panic!("{pk} {sk} is no kind"));
        match ttl {
            None => assert!(kept.may_stay, "{pk} {sk} never ends"),
            Some(ttl) => {
                let longest = kept.ends_s.unwrap_or_else(|| panic!("{pk} {sk} ends"));
                assert!(ttl - now_s <= longest, "{pk} {sk} ends in {} s", ttl - now_s);
            }
        }
    }
}
