//! The readers of documents that others wrote. They read members by `eko_protocol::json` only, which
//! knows the forms that JSON-LD has for one value.

use std::path::Path;

use crate::root;

/// The folders with such readers.
const FOLDERS: [&str; 9] = [
    "shared/protocol/src",
    "shared/federation/src",
    "shared/client/src/attachment",
    "shared/client/src/content",
    "shared/client/src/device",
    "shared/client/src/group",
    "shared/client/src/messenger",
    "shared/client/src/sealed",
    "functions/inbox/src",
];

/// The files and folders that look into a value themselves, because another form would be another
/// document.
const EXACT: [(&str, &str); 5] = [
    ("shared/protocol/src/json/", "decides the forms"),
    ("shared/protocol/src/http_signature/", "reads headers"),
    ("shared/protocol/src/key_package/publication.rs", "the object is signed as it stands"),
    ("shared/client/src/group/known/json.rs", "reads what this client stored"),
    ("shared/client/src/group/control.rs", "measures how deep a control is"),
];

/// The ways to look into a value that know one form.
const ONE_FORM: [&str; 5] = [".get(\"", "as_array", ".pointer(\"", "Value::as_", "Value::Array(items) =>"];

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("/test_");
        if is_test || EXACT.iter().any(|(exact, _)| name.starts_with(exact)) {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let looks_in = |line: &str| ONE_FORM.iter().any(|way| line.contains(way));
        found.extend(lines.filter(|(_, line)| looks_in(line)).map(|(n, line)| format!("{name}:{n}: {line}")));
    }
}

#[test]
fn no_reader_knows_one_form_of_a_member_only() {
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| collect(&root().join(folder), &mut found));
    assert!(found.is_empty(), "read by eko_protocol::json instead:\n{}", found.join("\n"));
    assert!(EXACT.iter().all(|(exact, _)| root().join(exact).exists()));
}
