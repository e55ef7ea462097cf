//! Answers of the server as one line, for comparisons.

use eko_client::{ClientError, Exchange, ProblemDetails};
use http::header;

/// Returns a refusal in one line: status, kind, and the pointer as a URI fragment if there is one,
/// as in `422 invalid #/object/to`. Any other answer becomes one line too, for a failing test to
/// show.
///
/// # Panics
/// The answer is an error and breaks section 2 of `docs/protocol.md`: its media type is another,
/// its type is not under `ORIGIN/problems/`, its body has another status or request id than its
/// head, or a 401, 405, 429 or 503 lacks its header.
pub fn refusal(answer: &Exchange) -> String {
    let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    if answer.status.is_success() {
        return format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body));
    }
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(header(header::CONTENT_TYPE), Some("application/problem+json"), "{} {body}", answer.status);
    let problem = answer.problem().unwrap_or_else(|| panic!("no problem: {body}"));
    assert_eq!(problem.status, answer.status.as_u16(), "{body}");
    assert_eq!(problem.type_url, format!("https://eko.example/problems/{}", problem.slug()));
    assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{body}");
    let id = header(header::HeaderName::from_static("x-request-id")).expect("a request id");
    assert_eq!(problem.instance, Some(format!("urn:uuid:{id}")));
    let required = match problem.status {
        401 => Some(header::WWW_AUTHENTICATE),
        405 => Some(header::ALLOW),
        429 | 503 => Some(header::RETRY_AFTER),
        _ => None,
    };
    assert!(required.is_none_or(|name| answer.headers.contains_key(name)), "a header is missing: {body}");
    in_one_line(&problem)
}

/// Returns the refusal of a call of the client library, as [`refusal`] does.
///
/// # Panics
/// The call succeeded, or failed without a problem document.
pub fn refused<T>(result: Result<T, ClientError>) -> String {
    match result {
        Ok(_) => panic!("was not refused"),
        Err(error) => in_one_line(error.problem().unwrap_or_else(|| panic!("no problem: {error}"))),
    }
}

fn in_one_line(problem: &ProblemDetails) -> String {
    let pointer = problem.pointer.as_ref().map(|pointer| format!(" #{pointer}")).unwrap_or_default();
    format!("{} {}{pointer}", problem.status, problem.slug())
}
