//! One HTTP request and its unread answer. Every call is made of it, and tests use it to send what
//! no client would.

use bytes::Bytes;
use eko_protocol::{deletion, json};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::Value;

use crate::{ClientError, ProblemDetails, Transport, TransportError, brief};

/// The media type of every document that a client sends.
const ACTIVITY_JSON: &str = "application/activity+json";
/// The media type of errors.
const PROBLEM_JSON: &str = "application/problem+json";
/// The number of characters of a body that an error keeps.
const KEPT_CHARS: usize = 2000;

/// The body of a request.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// No body.
    Empty,
    /// A document, as `application/activity+json`.
    Json(&'a Value),
    /// Any bytes, under this media type or under none.
    Raw(Option<&'a str>, Bytes),
}

/// The token that a request carries.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    /// No token.
    Nobody,
    /// The device's access token.
    Device,
    /// This token.
    Token(&'a str),
}

/// An unread answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Exchange {
    /// Sends a request to an absolute URL, with a bearer token or without.
    ///
    /// # Errors
    /// [`TransportError::Broken`] if the parts make no valid request; otherwise any
    /// [`TransportError`], if there is no answer.
    pub async fn send(
        transport: &impl Transport,
        method: Method,
        url: &str,
        body: Body<'_>,
        token: Option<&str>,
    ) -> Result<Self, TransportError> {
        let request = request(method, url, body, token)?;
        let (parts, body) = transport.send(request).await?.into_parts();
        Ok(Self { status: parts.status, headers: parts.headers, body })
    }

    /// Reads the body as JSON by the protocol's strict rules.
    ///
    /// # Errors
    /// [`ClientError::Unexpected`] if it is not such JSON.
    pub fn json(&self) -> Result<Value, ClientError> {
        json::parse(&self.body).map_err(|error| self.unexpected(error.to_string()))
    }

    /// Returns the problem, if the answer is one.
    pub fn problem(&self) -> Option<ProblemDetails> {
        let media_type = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if !media_type.starts_with(PROBLEM_JSON) {
            return None;
        }
        let mut problem: ProblemDetails = serde_json::from_slice(&self.body).ok()?;
        problem.shorten();
        problem.retry_after_s = retry_after_s(&self.headers);
        Some(problem)
    }

    /// Returns the answer if it has this status.
    ///
    /// # Errors
    /// [`ClientError::Problem`] or [`ClientError::Unexpected`] if it has another.
    pub fn expect(self, status: StatusCode) -> Result<Self, ClientError> {
        if self.status == status { Ok(self) } else { Err(self.refusal()) }
    }

    /// Returns the answer, unless it is the tombstone of what was at `url`. Any other 410 is an answer like
    /// others that are not due: a proxy may give it for a while.
    ///
    /// # Errors
    /// [`ClientError::Deleted`]
    pub(crate) fn unless_deleted(self, url: &str) -> Result<Self, ClientError> {
        let is_tombstone = |body: &Value| deletion::is_tombstone(body, url);
        match self.status == StatusCode::GONE && json::parse(&self.body).is_ok_and(|b| is_tombstone(&b)) {
            true => Err(ClientError::Deleted(url.to_owned())),
            false => Ok(self),
        }
    }

    /// Returns the error that an answer of another status stands for.
    pub(crate) fn refusal(&self) -> ClientError {
        match self.problem() {
            Some(problem) => ClientError::Problem(Box::new(problem)),
            None => self.unexpected("an answer of another status was due"),
        }
    }

    /// Returns the error for an answer that the protocol does not allow.
    pub(crate) fn unexpected(&self, reason: impl Into<String>) -> ClientError {
        let body = String::from_utf8_lossy(&self.body).chars().take(KEPT_CHARS).collect();
        let (status, reason) = (self.status, brief(&reason.into()));
        ClientError::Unexpected { status, reason, body, retry_after_s: retry_after_s(&self.headers) }
    }
}

/// Returns the number of seconds for which an answer asks to wait, if it does (RFC 9110, section 10.2.3). A
/// date is left out: it would be one of another clock.
pub fn retry_after_s(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn request(
    method: Method,
    url: &str,
    body: Body<'_>,
    token: Option<&str>,
) -> Result<Request<Bytes>, TransportError> {
    let mut builder = Request::builder().method(method).uri(url).header(header::ACCEPT, ACTIVITY_JSON);
    let (media_type, bytes) = match body {
        Body::Empty => (None, Bytes::new()),
        Body::Json(value) => (Some(ACTIVITY_JSON), Bytes::from(value.to_string())),
        Body::Raw(media_type, bytes) => (media_type, bytes),
    };
    if let Some(media_type) = media_type {
        builder = builder.header(header::CONTENT_TYPE, media_type);
    }
    let broken = |error: http::Error| TransportError::Broken(error.to_string());
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|e| broken(e.into()))?;
        value.set_sensitive(true);
        builder = builder.header(header::AUTHORIZATION, value);
    }
    builder.body(bytes).map_err(broken)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A 410 may be that of a proxy, for a while. A user must not be told that an account is deleted by it.
    #[test]
    fn a_410_tells_of_a_deletion_with_the_tombstone_of_its_address_only() {
        const CHAIN: &str = "https://b.example/user/bob/devices";
        let told = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Exchange { status, headers: HeaderMap::new(), body: body.to_owned().into() };
            answer.unless_deleted(CHAIN).is_err()
        };
        let tombstone = |id: &str| deletion::tombstone(id, "OrderedCollection", 0).to_string();
        assert!(told(410, &tombstone(CHAIN)));
        for body in ["", "<html>Gone</html>", "{}", &tombstone("https://b.example/user/eve/devices")] {
            assert!(!told(410, body), "{body}");
        }
        assert!(!told(200, &tombstone(CHAIN)));
        assert!(!told(404, &json!({ "type": "Tombstone", "id": CHAIN }).to_string()));
    }
}
