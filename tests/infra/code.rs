//! The routes that the functions declare.

use std::collections::BTreeSet;

use eko_service::route::{Route, RouteMethod};

use crate::root;

/// One method of one path, and the function that answers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FunctionRoute {
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) function: String,
}

/// Returns the names of all functions.
pub(crate) fn functions() -> BTreeSet<String> {
    let folders = std::fs::read_dir(root().join("functions")).unwrap();
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

/// Returns the routes of all functions: those that they declare, and HEAD for each GET.
pub(crate) fn routes() -> BTreeSet<FunctionRoute> {
    let mut routes = BTreeSet::new();
    collect(&mut routes, "auth", eko_auth::ROUTES);
    collect(&mut routes, "devices", eko_devices::ROUTES);
    collect(&mut routes, "discovery", eko_discovery::ROUTES);
    collect(&mut routes, "group-state", eko_group_state::ROUTES);
    collect(&mut routes, "inbox", eko_inbox::ROUTES);
    collect(&mut routes, "key-packages", eko_key_packages::ROUTES);
    collect(&mut routes, "outbox", eko_outbox::ROUTES);
    routes
}

fn collect<S>(routes: &mut BTreeSet<FunctionRoute>, function: &str, declared: &[Route<S>]) {
    for route in declared {
        let head = (route.method == RouteMethod::Get).then_some("HEAD");
        for method in std::iter::once(route.method.as_str()).chain(head) {
            let added = routes.insert(FunctionRoute {
                path: route.path.to_owned(),
                method: method.to_owned(),
                function: function.to_owned(),
            });
            assert!(added, "{function} declares {method} {} twice", route.path);
        }
    }
}
