//! Signed POSTs to other servers, and the meaning of their answers (`docs/protocol.md`, sections 5
//! and 7).

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::address::Origin;
use eko_protocol::http_signature::OutgoingRequest;
use eko_protocol::id::EnvelopeId;
use eko_protocol::json;
use eko_protocol::key_package::PackageCollection;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::Value;

use crate::client::{ExchangeLimits, FetchError, GuardRefusal, MAX_REDIRECTS};
use crate::error::reason;
use crate::{Federation, Scheme, asks_for_another};

/// Another server's answer, read to its end.
pub type ServerAnswer = Response<Bytes>;

/// The outcome of a POST to another server.
#[derive(Debug, Clone)]
pub enum PostOutcome {
    /// The other server gave a final answer.
    Answered {
        /// The answer.
        response: ServerAnswer,
        /// The signature scheme of the last knock: the one that the server took, or refused last.
        scheme: Scheme,
    },
    /// The POST may succeed later.
    Later(Postponement),
    /// The POST can never succeed: the activity or its address is not acceptable. Holds the reason,
    /// for a person.
    Never(String),
}

/// The reason to try a POST again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postponement {
    /// The reason, for a person.
    pub why: String,
    /// The delay that the other server asks for (`Retry-After`), in seconds.
    pub retry_after: Option<u64>,
    /// The part of the server that fails.
    pub failing: FailingPart,
}

/// The part of another server that a failure speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailingPart {
    /// The whole server: no connection to it can be opened.
    Server,
    /// At least the address that was asked: there is no answer, or a gateway answers instead of the
    /// server. If several addresses fail, it is the server.
    Address,
    /// This request only. The server answers.
    Request,
}

/// The meaning of another server's answer to an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvelopeAnswer {
    /// The server accepted the envelope for every device.
    Accepted,
    /// The server accepted the envelope, and some devices lack it.
    Partial(Report),
    /// The server accepted nothing of the envelope.
    Rejected(Report),
    /// The server knows no such user.
    UnknownRecipient,
    /// The server will never accept the envelope. Holds the reason, for a person.
    Refused(String),
}

/// The meaning of another server's answer to a `Take`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeAnswer {
    /// The packages that it gave out.
    Packages(PackageCollection),
    /// The server knows no such user.
    UnknownUser,
    /// The server does not federate with this one.
    NotFederated,
    /// The answer cannot be used. Holds the reason, for a person.
    Unusable(String),
}

impl Federation {
    /// POSTs an activity of `actor`, an actor id of this server.
    ///
    /// Signs it with the scheme `first`. If the server refuses that, signs it with the other scheme
    /// and posts it again ("double knocking"). Both knocks share the time of `limits`.
    pub async fn post(
        &self,
        url: &str,
        actor: &str,
        body: &Bytes,
        first: Scheme,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> PostOutcome {
        let knock = async {
            let answer = self.post_once(url, actor, body, first, now_ms, limits).await?;
            if !asks_for_another(answer.status()) {
                return Ok((answer, first));
            }
            let second = first.other();
            let again = self.post_once(url, actor, body, second, now_ms, limits).await?;
            Ok::<_, FetchError>((again, second))
        };
        let late = FetchError::TimedOut { host: url.to_owned(), after: limits.time };
        match tokio::time::timeout(limits.time, knock).await.unwrap_or(Err(late)) {
            Ok((response, scheme)) => classify(response, scheme, now_ms),
            // A POST is redirected within its origin only, so that it is that origin's connection.
            Err(error) if error.is_transient() => PostOutcome::Later(Postponement {
                failing: error.unconnected().map_or(FailingPart::Address, |_| FailingPart::Server),
                why: reason(error),
                retry_after: None,
            }),
            Err(error) => PostOutcome::Never(reason(error)),
        }
    }

    /// Sends one signed POST. Follows a 307 or 308 within the origin, signed anew.
    async fn post_once(
        &self,
        url: &str,
        actor: &str,
        body: &Bytes,
        scheme: Scheme,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<ServerAnswer, FetchError> {
        let key_id = crate::key_id(actor);
        let mut url = self.client.check_url(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::builder()
                .method(Method::POST)
                .uri(url.as_str())
                .header(header::CONTENT_TYPE, "application/activity+json")
                .header(header::ACCEPT, "application/activity+json, application/json");
            let outgoing = OutgoingRequest { method: "POST", url: &url, body: Some(body), key_id: &key_id };
            for (name, value) in self.signed_headers(scheme, &outgoing, now_ms) {
                request = request.header(name, value);
            }
            let request = request.body(body.clone()).map_err(|_| GuardRefusal::NotAUrl)?;
            let response = self.client.send(request, limits).await?;
            if !matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                return Ok(response);
            }
            let next = location(&response).and_then(|to| url.join(to).ok());
            match next {
                Some(next) if next.origin() == url.origin() => url = self.client.check_url(next.as_str())?,
                // An activity is sent to the actor's own server only.
                _ => return Ok(response),
            }
        }
        Err(FetchError::TooManyRedirects { host: url.host_str().unwrap_or_default().to_owned() })
    }
}

/// Returns the `Location` of a redirect.
fn location(response: &ServerAnswer) -> Option<&str> {
    response.headers().get(header::LOCATION)?.to_str().ok()
}

/// Classifies an answer: final, or to be tried again.
fn classify(response: ServerAnswer, scheme: Scheme, now_ms: i64) -> PostOutcome {
    let status = response.status();
    let later = |failing| {
        let why = format!("it answered {status}");
        PostOutcome::Later(Postponement { why, retry_after: retry_after(&response, now_ms), failing })
    };
    match status.as_u16() {
        // The server may have failed to fetch our key. The activity is not at fault.
        401 => later(FailingPart::Request),
        // The budget may be that of one sender and one recipient only.
        429 => later(FailingPart::Request),
        408 | 425 | 500 | 501 | 505..=599 => later(FailingPart::Request),
        502..=504 => later(FailingPart::Address),
        _ => PostOutcome::Answered { response, scheme },
    }
}

/// Reads a `Retry-After` as seconds. It may also be a date (RFC 9110, section 10.2.3).
fn retry_after(response: &ServerAnswer, now_ms: i64) -> Option<u64> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    text.parse().ok().or_else(|| {
        let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(at.as_secs().saturating_sub(now_ms.div_euclid(1000).unsigned_abs()))
    })
}

impl EnvelopeAnswer {
    /// Reads the answer to an envelope for `recipient`, an actor id.
    ///
    /// A report counts only if its actor is on the recipient's server and it names that envelope.
    pub fn of(response: &ServerAnswer, recipient: &str, envelope: &EnvelopeId) -> Self {
        let status = response.status();
        match status {
            StatusCode::MULTI_STATUS | StatusCode::CONFLICT => {
                let report = json::parse(response.body())
                    .map_err(|e| e.to_string())
                    .and_then(|value| report(&value, recipient, envelope));
                match (report, status) {
                    (Ok(report), StatusCode::MULTI_STATUS) if report.kind == ReportKind::PartialDelivery => {
                        Self::Partial(report)
                    }
                    (Ok(report), StatusCode::CONFLICT) if report.kind == ReportKind::Reject => {
                        Self::Rejected(report)
                    }
                    (Ok(_), _) => Self::Refused(format!("it answered {status} with another report")),
                    (Err(why), _) => {
                        Self::Refused(reason(format_args!("it answered {status}, and no report: {why}")))
                    }
                }
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::UnknownRecipient,
            _ if status.is_success() => Self::Accepted,
            _ => Self::Refused(refusal(response)),
        }
    }
}

impl TakeAnswer {
    /// Reads the answer of the server at `origin` to a `Take`. Packages of other servers make it
    /// unusable.
    pub fn of(response: &ServerAnswer, origin: &Origin) -> Self {
        match response.status() {
            StatusCode::OK => json::parse(response.body())
                .map_err(|error| error.to_string())
                .and_then(|value| PackageCollection::parse(&value, origin).map_err(|error| error.to_string()))
                .map_or_else(|why| Self::Unusable(reason(why)), Self::Packages),
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::UnknownUser,
            StatusCode::FORBIDDEN => Self::NotFederated,
            _ => Self::Unusable(refusal(response)),
        }
    }
}

/// Reads a report on an envelope. Its actor must be on the server to which the envelope was sent.
fn report(value: &Value, recipient: &str, envelope: &EnvelopeId) -> Result<Report, String> {
    let report = Report::parse(value).map_err(|e| e.to_string())?;
    if report.envelope != *envelope {
        return Err("it is about another envelope".to_owned());
    }
    if Origin::of(&report.actor).is_none() || Origin::of(&report.actor) != Origin::of(recipient) {
        return Err("it speaks for another server".to_owned());
    }
    Ok(report)
}

/// Describes a refusal for a person: the status, and the detail of a problem document (RFC 9457) if
/// there is one.
fn refusal(response: &ServerAnswer) -> String {
    let problem = json::parse(response.body()).ok();
    let detail = problem.as_ref().and_then(|p| p.get("detail")).and_then(Value::as_str);
    match detail {
        Some(detail) => reason(format_args!("it answered {}: {detail}", response.status())),
        None => format!("it answered {}", response.status()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now_ms = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let response = Response::builder().header("retry-after", value).body(Bytes::new()).unwrap();
            assert_eq!(retry_after(&response, now_ms), expected, "{value}");
        }
        assert_eq!(retry_after(&Response::new(Bytes::new()), now_ms), None);
    }

    #[test]
    fn what_a_status_means() {
        let kind = |status: u16| {
            let response = Response::builder().status(status).body(Bytes::new()).unwrap();
            match classify(response, Scheme::Rfc9421, 0) {
                PostOutcome::Answered { .. } => "answered",
                PostOutcome::Later(Postponement { failing: FailingPart::Request, .. }) => "later",
                PostOutcome::Later(_) => "later, this address",
                PostOutcome::Never(_) => "never",
            }
        };
        for (statuses, expected) in [
            (&[200, 202, 207, 301, 400, 403, 404, 409, 410, 413, 422][..], "answered"),
            (&[401, 408, 425, 429, 500, 501, 507], "later"),
            (&[502, 503, 504], "later, this address"),
        ] {
            for status in statuses {
                assert_eq!(kind(*status), expected, "{status}");
            }
        }
    }
}
