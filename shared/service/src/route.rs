//! The routes of a function, as a constant.
//!
//! Each function declares its routes once, and its router is made of them. `tests/infra` compares
//! the same constant with the template, the protocol's table of endpoints, and the router of `cargo
//! lambda watch`.

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter};

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteMethod {
    /// GET. Its routes also answer HEAD.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

impl RouteMethod {
    /// Returns the method's name in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// One method of one path, and the endpoint behind it. `S` is the state of the function.
#[derive(Debug)]
pub struct Route<S> {
    /// The method.
    pub method: RouteMethod,
    /// The path, as axum reads it: parameters stand in braces.
    pub path: &'static str,
    /// Makes the endpoint for the method's filter: `|method| on(method, handler)`.
    pub endpoint: fn(MethodFilter) -> MethodRouter<S>,
}

impl<S> Route<S> {
    /// Creates a GET route.
    pub const fn get(path: &'static str, endpoint: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self { method: RouteMethod::Get, path, endpoint }
    }

    /// Creates a POST route.
    pub const fn post(path: &'static str, endpoint: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self { method: RouteMethod::Post, path, endpoint }
    }

    /// Creates a PUT route.
    pub const fn put(path: &'static str, endpoint: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self { method: RouteMethod::Put, path, endpoint }
    }

    /// Creates a DELETE route.
    pub const fn delete(path: &'static str, endpoint: fn(MethodFilter) -> MethodRouter<S>) -> Self {
        Self { method: RouteMethod::Delete, path, endpoint }
    }
}

/// Makes the router of a function's routes.
pub fn router<S: Clone + Send + Sync + 'static>(routes: &[Route<S>]) -> Router<S> {
    routes.iter().fold(Router::new(), |router, route| {
        router.route(route.path, (route.endpoint)(route.method.filter()))
    })
}
