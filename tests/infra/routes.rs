//! The routes: those in the code are the ones in the table of `docs/protocol.md`, of the local
//! server, and under `cargo lambda watch`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use eko_client::{Body, Exchange};
use eko_testkit::World;
use http::{Method, StatusCode, header};
use serde_json::Value;

use crate::code::{FunctionRoute, functions, routes};
use crate::{read, root};

/// The methods that the local server is asked by. OPTIONS is CORS's, which answers it everywhere.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE];

#[test]
fn watch_routes_what_the_code_routes() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let router = metadata["metadata"]["lambda"]["watch"]["router"].as_object().unwrap();
    let mut watched = BTreeSet::new();
    for (path, entries) in router {
        for entry in entries.as_array().unwrap() {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let route =
                FunctionRoute { path: path.clone(), method: text("method"), function: text("function") };
            assert!(watched.insert(route), "{path} is there twice");
        }
    }
    assert_eq!(watched, routes());
}

#[test]
fn the_table_of_the_protocol_has_what_the_code_routes() {
    let protocol = read("docs/protocol.md");
    let told = table(&protocol, "2. Endpoints");
    // The page says once that HEAD is answered where GET is.
    let built: BTreeSet<String> = routes()
        .iter()
        .filter(|route| route.method != "HEAD")
        .map(|route| format!("{} {}", route.method, nameless(&route.path)))
        .collect();
    assert_eq!(told, built);
}

/// Returns the routes in the first table of a section, `METHOD /path` each, with parameters that
/// have no name and without queries.
fn table(protocol: &str, section: &str) -> BTreeSet<String> {
    let (_, section) = protocol.split_once(&format!("\n## {section}\n")).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let mut told = BTreeSet::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cell = row.split('|').nth(1).unwrap();
        let mut methods = "";
        // Between backticks is a path, before it its methods, or those of the path before.
        for (index, part) in cell.split('`').enumerate() {
            let part = part.trim_matches([' ', ',']);
            if index % 2 == 0 {
                methods = if part.is_empty() { methods } else { part };
                continue;
            }
            let path = nameless(part.split('?').next().unwrap());
            for method in methods.split('/') {
                assert!(told.insert(format!("{method} {path}")), "{method} {path} is there twice");
            }
        }
    }
    told
}

/// A path whose parameters have no names: the document's are for readers.
fn nameless(path: &str) -> String {
    let mut depth = 0;
    let keep = |character: &char| {
        depth -= i32::from(*character == '}');
        let keep = depth == 0;
        depth += i32::from(*character == '{');
        keep
    };
    path.chars().filter(keep).collect()
}

/// A path with something in the place of its parameters that there is not.
fn example(path: &str) -> String {
    nameless(path).replace("{}", "nobody")
}

#[tokio::test]
async fn the_local_server_routes_what_the_code_routes() {
    let world = World::new().await;
    let mut due: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in routes() {
        due.entry(route.path).or_default().insert(route.method);
    }
    for (path, methods) in due {
        for method in METHODS {
            let answer = ask(&world, &method, &path).await;
            if methods.contains(method.as_str()) {
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                let unknown = answer.problem().is_some_and(|problem| problem.detail == "no such path");
                assert!(!unknown, "{method} {path} is not routed");
                continue;
            }
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            let allowed: BTreeSet<String> =
                answer.headers[header::ALLOW].to_str().unwrap().split(',').map(str::to_owned).collect();
            assert_eq!(allowed, methods, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_built_yet_is_not_routed() {
    let world = World::new().await;
    for row in table(&read("docs/protocol.md"), "13. Not built yet") {
        let (method, path) = row.split_once(' ').unwrap();
        let answer = ask(&world, &method.parse().unwrap(), path).await;
        match answer.status {
            StatusCode::METHOD_NOT_ALLOWED => {}
            _ => assert_eq!(answer.problem().unwrap().detail, "no such path", "{row}"),
        }
    }
}

/// Asks for a path of which there is nothing, without a token and a body.
async fn ask(world: &World, method: &Method, path: &str) -> Exchange {
    let url = format!("{}{}", world.state.origin(), example(path));
    Exchange::send(&world.transport(), method.clone(), &url, Body::Empty, None).await.unwrap()
}

#[test]
fn functions_without_routes_are_those_of_queues_and_sockets() {
    let routed: BTreeSet<String> = routes().into_iter().map(|route| route.function).collect();
    let queued: Vec<String> = functions().difference(&routed).cloned().collect();
    assert_eq!(queued, ["deliver", "federate", "push", "socket"]);
}
