//! The layers around every router. They add to an answer its request id, the body of a problem, and
//! the headers of CORS, and write one log line for each problem.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use eko_protocol::excerpt::excerpt;
use eko_protocol::limits::MAX_REASON_BYTES;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::cors::{Any, CorsLayer};

use crate::respond;
use crate::{AppState, Problem};

/// The header of an answer that carries the request's id. The log has the same id.
pub const REQUEST_ID: &str = "x-request-id";

/// Puts the layers around a router that has its state. The router may be one function's, as in
/// Lambda, or several merged, as in local mode and tests.
pub fn finish(router: Router, state: AppState) -> Router {
    // Any web page may call: a token is sent in a header by the page's own code, never as a cookie.
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

/// Gives the request an id, and each problem its `application/problem+json` body and a log line.
async fn problems(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let id = state.random_uuid();
    let method = request.method().clone();
    let path = excerpt(request.uri().path(), MAX_REASON_BYTES).to_owned();
    let mut response = next.run(request).await;
    if let Some(problem) = problem_of(&response) {
        let slug = problem.kind().slug;
        problem.log(&id, method.as_str(), &path);
        let body = problem.body(&state.origin().problem(slug), &id);
        response = respond::document(problem.status(), "application/problem+json", &body);
        for (name, value) in problem.headers() {
            response.headers_mut().insert(name, value);
        }
        if method == Method::HEAD {
            // An answer to HEAD has no body, and the length of the one that GET has (RFC 9110,
            // sections 8.6 and 9.3.2).
            let length = HeaderValue::from(body.to_string().len());
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
            *response.body_mut() = Body::empty();
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Returns the problem of a response: the one that a handler left in the extensions, or the one for
/// the router's own 404 and 405.
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
