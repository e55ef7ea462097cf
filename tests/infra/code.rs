//! What the functions say of themselves.

use std::collections::BTreeSet;

use crate::{read, root};

/// One method of one path, and the function that answers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) function: String,
}

/// The names of all functions.
pub(crate) fn functions() -> BTreeSet<String> {
    let folders = std::fs::read_dir(root().join("functions")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

/// The routes in the functions' code: `.route("path", get(one).post(other))`, and nothing else may route.
pub(crate) fn routes() -> BTreeSet<Route> {
    assert!(!read("infra/local/src/lib.rs").contains(".route("), "the local server has routes of its own");
    let mut routes = BTreeSet::new();
    for function in functions() {
        let code = read(&format!("functions/{function}/src/lib.rs"));
        for other in [".nest(", ".merge(", ".fallback(", ".route_service(", ".nest_service(", ".method_not_"]
        {
            assert!(!code.contains(other), "{function} routes by {other}, which this test cannot read");
        }
        let mut rest = code.as_str();
        while let Some((_, after)) = rest.split_once(".route(") {
            let (path, after) = after.trim_start().strip_prefix('"').unwrap().split_once('"').unwrap();
            let (methods, after) = methods(after);
            assert!(!methods.is_empty(), "{function} {path}");
            for method in methods {
                routes.insert(Route { path: path.to_owned(), method, function: function.clone() });
            }
            rest = after;
        }
    }
    routes
}

/// The methods up to the parenthesis that closes, and what comes after it.
fn methods(text: &str) -> (Vec<String>, &str) {
    let mut depth = 0;
    let (mut word, mut methods) = (String::new(), Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            ')' if depth == 0 => return (methods, &text[at..]),
            ')' => depth -= 1,
            '(' => {
                if depth == 0 {
                    let known = ["get", "post", "put", "delete"].contains(&word.as_str());
                    assert!(known, "a route by `{word}`, which this test does not know");
                    methods.push(word.to_uppercase());
                }
                depth += 1;
            }
            _ => {}
        }
        match character {
            'a'..='z' | '_' => word.push(character),
            _ => word.clear(),
        }
    }
    panic!("no end of {text}")
}
