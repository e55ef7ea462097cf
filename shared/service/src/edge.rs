//! What is around every router: request ids, problem bodies, CORS, one log line for what went wrong.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::cors::{Any, CorsLayer};

use crate::problem::Loudness;
use crate::respond;
use crate::{AppState, Problem};

/// Header that carries the request's id, in the answer and in the log.
pub const REQUEST_ID: &str = "x-request-id";

/// Finishes a function's router, or several merged, that have their states already: the same edge in Lambda,
/// locally and in tests.
pub fn finish(router: Router, state: AppState) -> Router {
    // Tokens travel in a header and there are no cookies: any origin may call.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT])
        .expose_headers([
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            HeaderName::from_static(REQUEST_ID),
        ]);
    router.layer(middleware::from_fn_with_state(state, problems)).layer(cors)
}

/// Gives the request an id, and every error its `application/problem+json` body.
async fn problems(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let id = state.random_uuid();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(problem) = problem_of(&response) {
        let (slug, _) = problem.kind();
        match (problem.loudness(), &problem) {
            (Loudness::Error, Problem::Unavailable(detail)) => {
                tracing::error!(request = id, %method, path, problem = slug, detail, "unavailable");
            }
            _ => tracing::debug!(request = id, %method, path, problem = slug, "refused"),
        }
        let body = problem.body(&state.origin().problem(slug), &id);
        response = respond::document(problem.status(), "application/problem+json", &body);
        if let Some((name, value)) = problem.headers() {
            response.headers_mut().insert(name, value);
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The problem that a handler left in the response, or the one that the router's own 404 or 405 means.
fn problem_of(response: &Response) -> Option<Problem> {
    if let Some(problem) = response.extensions().get::<Problem>() {
        return Some(problem.clone());
    }
    match response.status() {
        StatusCode::NOT_FOUND => Some(Problem::NotFound("path")),
        StatusCode::METHOD_NOT_ALLOWED => {
            Some(Problem::MethodNotAllowed(response.headers().get(header::ALLOW).cloned()))
        }
        _ => None,
    }
}
