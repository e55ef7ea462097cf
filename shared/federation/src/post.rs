//! Signed POSTs to other servers, and the meaning of their answers (`docs/protocol.md`, sections 5
//! and 7).

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use eko_protocol::activity::{Report, ReportKind};
use eko_protocol::address::Origin;
use eko_protocol::http_signature::OutgoingRequest;
use eko_protocol::id::EnvelopeId;
use eko_protocol::key_package::PackageCollection;
use eko_protocol::{deletion, json, moving};
use http::{Method, Request, Response, StatusCode, header};
use tokio::time::Instant;

use crate::client::{FetchError, GuardRefusal, MAX_REDIRECTS, brings_document};
use crate::error::reason;
use crate::{ACCEPT_SIGNATURE, Federation, Scheme, Signing};

/// Another server's answer. The body is empty if the status decides without it, and an error if it
/// could not be read.
pub type ServerAnswer = Response<Result<Bytes, FetchError>>;

/// The activity that is posted, as far as it decides which answers have a body that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostedKind {
    /// An envelope or a receipt. Only 207 and 409 need a body: the report.
    Delivery,
    /// A `Take`. Only 200 and 203 need a body: the packages.
    Take,
}

impl PostedKind {
    /// True if an answer with this status means nothing without its body.
    fn needs_body(self, status: StatusCode) -> bool {
        match self {
            Self::Delivery => matches!(status, StatusCode::MULTI_STATUS | StatusCode::CONFLICT),
            Self::Take => brings_document(status),
        }
    }

    /// True if the body of an answer with this status is read: it is needed, or it may name the
    /// reason of a refusal, or say that the account was deleted. That an address is not there needs no
    /// reason, and time is left to look for another one.
    fn reads_body(self, status: StatusCode) -> bool {
        let may_tell = !may_have_moved(status) || status == StatusCode::GONE;
        self.needs_body(status) || (status.is_client_error() && may_tell)
    }
}

/// An activity that is posted.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// The kind of the activity.
    pub kind: PostedKind,
    /// The text of the activity.
    pub body: &'a Bytes,
}

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
    /// The server had such a user, whose account was deleted.
    DeletedRecipient,
    /// The user has moved to another account. Holds the new actor id, if the answer names one.
    MovedRecipient(Option<String>),
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
    /// The server had such a user, whose account was deleted.
    DeletedUser,
    /// The user has moved to another account. Holds the new actor id, if the answer names one.
    MovedUser(Option<String>),
    /// The server does not federate with this one.
    NotFederated,
    /// The answer cannot be used. Holds the reason, for a person.
    Unusable(String),
}

impl Federation {
    /// POSTs an activity of `actor`, an actor id of this server.
    ///
    /// Signs it with the scheme `first`. If the server refuses that, signs it with the other scheme
    /// and posts it again ("double knocking"); if a 401 asks for a signature that this server can
    /// make (`Accept-Signature`), with that one instead. Both knocks share the time until `ends`.
    ///
    /// The status decides. A body that is too large, compressed, slow or cut off changes an
    /// outcome only if it is needed ([`PostedKind`]): then the POST is repeated if that may help.
    pub async fn post(
        &self,
        url: &str,
        actor: &str,
        posted: Posted<'_>,
        first: Scheme,
        now_ms: i64,
        ends: Instant,
    ) -> PostOutcome {
        let knock = async {
            let answer = self.post_once(url, actor, posted, &Signing::Usual(first), now_ms, ends).await?;
            let accept = answer.headers().get(ACCEPT_SIGNATURE).and_then(|value| value.to_str().ok());
            let Some(second) = Signing::second(first, answer.status(), accept, true, &crate::key_id(actor))
            else {
                return Ok((answer, first));
            };
            let again = self.post_once(url, actor, posted, &second, now_ms, ends).await?;
            Ok::<_, FetchError>((again, second.scheme()))
        };
        let (response, scheme) = match knock.await {
            Ok(answered) => answered,
            // A POST is redirected within its origin only, so that it is that origin's connection.
            Err(error) if error.is_transient() => return later(error),
            Err(error) => return PostOutcome::Never(reason(error)),
        };
        match response.body() {
            Err(error) if posted.kind.needs_body(response.status()) && error.is_transient() => {
                later(error.clone())
            }
            _ => classify(response, scheme, now_ms),
        }
    }

    /// Sends one signed POST, until `ends`. Follows a 307 or 308 within the origin, signed anew.
    async fn post_once(
        &self,
        url: &str,
        actor: &str,
        posted: Posted<'_>,
        signing: &Signing,
        now_ms: i64,
        ends: Instant,
    ) -> Result<ServerAnswer, FetchError> {
        let Posted { kind, body } = posted;
        let key_id = crate::key_id(actor);
        let mut url = self.client.check_url(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::builder()
                .method(Method::POST)
                .uri(url.as_str())
                .header(header::CONTENT_TYPE, "application/activity+json")
                .header(header::ACCEPT, "application/activity+json, application/json");
            let outgoing = OutgoingRequest { method: "POST", url: &url, body: Some(body), key_id: &key_id };
            for (name, value) in self.signed_headers(signing, &outgoing, now_ms) {
                request = request.header(name, value);
            }
            let request = request.body(body.clone()).map_err(|_| GuardRefusal::NotAUrl)?;
            let left = crate::limits(ends.saturating_duration_since(Instant::now()));
            let response = self.client.send(request, &left).await?;
            let response = match kind.reads_body(response.status()) {
                true => response.read().await,
                false => Response::from_parts(response.skip(), Ok(Bytes::new())),
            };
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

/// True if an answer to a POST says that its address is not there, or elsewhere.
pub fn may_have_moved(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308 | 404 | 410)
}

/// Returns the outcome of a POST whose answer is not there because of a failure that may pass.
fn later(error: FetchError) -> PostOutcome {
    PostOutcome::Later(Postponement {
        failing: error.unconnected().map_or(FailingPart::Address, |_| FailingPart::Server),
        why: match error {
            FetchError::TimedOut { .. } => "it did not answer in time".to_owned(),
            error => reason(error),
        },
        retry_after: None,
    })
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
    /// The status counts without one: 207 says that the envelope was accepted, though not for which
    /// devices, and 409 that it was not.
    pub fn of(answer: &ServerAnswer, recipient: &str, envelope: &EnvelopeId) -> Self {
        let status = answer.status();
        let report_of = |kind| {
            let report = text(answer).and_then(|text| report(text, recipient, envelope))?;
            if report.kind == kind { Ok(report) } else { Err("it is another report".to_owned()) }
        };
        let no_report = |why| reason(format_args!("it answered {status}, and no report: {why}"));
        match status {
            StatusCode::MULTI_STATUS => Self::Partial(
                report_of(ReportKind::PartialDelivery)
                    .unwrap_or_else(|why| Report::partly_accepted(recipient, envelope, &no_report(why))),
            ),
            StatusCode::CONFLICT => match report_of(ReportKind::Reject) {
                Ok(report) => Self::Rejected(report),
                Err(why) => Self::Refused(no_report(why)),
            },
            StatusCode::NOT_FOUND => Self::UnknownRecipient,
            StatusCode::GONE => match gone(answer) {
                GoneReason::Deleted => Self::DeletedRecipient,
                GoneReason::Moved(to) => Self::MovedRecipient(to),
                GoneReason::Unsaid => Self::UnknownRecipient,
            },
            _ if status.is_success() => Self::Accepted,
            _ => Self::Refused(refusal(answer)),
        }
    }
}

impl TakeAnswer {
    /// Reads the answer of the server at `origin` to a `Take`. Packages of other servers make it
    /// unusable.
    pub fn of(answer: &ServerAnswer, origin: &Origin) -> Self {
        match answer.status() {
            status if brings_document(status) => text(answer)
                .and_then(|text| json::parse(text).map_err(|error| error.to_string()))
                .and_then(|value| PackageCollection::parse(&value, origin).map_err(|error| error.to_string()))
                .map_or_else(|why| Self::Unusable(reason(why)), Self::Packages),
            StatusCode::NOT_FOUND => Self::UnknownUser,
            StatusCode::GONE => match gone(answer) {
                GoneReason::Deleted => Self::DeletedUser,
                GoneReason::Moved(to) => Self::MovedUser(to),
                GoneReason::Unsaid => Self::UnknownUser,
            },
            StatusCode::FORBIDDEN => Self::NotFederated,
            _ => Self::Unusable(refusal(answer)),
        }
    }
}

/// The reason that a 410 gives.
enum GoneReason {
    /// The account was deleted.
    Deleted,
    /// The user has moved. Holds the new actor id, if it is named.
    Moved(Option<String>),
    /// None. Such a 410 may pass, as a 404 may.
    Unsaid,
}

/// Returns the reason that a 410 gives.
fn gone(answer: &ServerAnswer) -> GoneReason {
    let Some(body) = text(answer).ok().and_then(|text| json::parse(text).ok()) else {
        return GoneReason::Unsaid;
    };
    if deletion::is_user_deleted(&body) {
        GoneReason::Deleted
    } else if moving::is_user_moved(&body) {
        GoneReason::Moved(moving::moved_to(&body))
    } else {
        GoneReason::Unsaid
    }
}

/// Returns the body of an answer, or the reason why it could not be read.
fn text(answer: &ServerAnswer) -> Result<&[u8], String> {
    answer.body().as_deref().map_err(ToString::to_string)
}

/// Reads a report on an envelope. Its actor must be on the server to which the envelope was sent.
fn report(text: &[u8], recipient: &str, envelope: &EnvelopeId) -> Result<Report, String> {
    let value = json::parse(text).map_err(|e| e.to_string())?;
    let report = Report::parse(&value).map_err(|e| e.to_string())?;
    if report.envelope != *envelope {
        return Err("it is about another envelope".to_owned());
    }
    if Origin::of(&report.actor).is_none() || Origin::of(&report.actor) != Origin::of(recipient) {
        return Err("it speaks for another server".to_owned());
    }
    Ok(report)
}

/// Describes a refusal for a person: the status, and the detail of a problem document (RFC 9457) if
/// there is one that can be read.
fn refusal(answer: &ServerAnswer) -> String {
    let problem = text(answer).ok().and_then(|text| json::parse(text).ok());
    let detail = problem.as_ref().map(|problem| json::optional_text(problem, "detail"));
    match detail.and_then(Result::ok).flatten() {
        Some(detail) => reason(format_args!("it answered {}: {detail}", answer.status())),
        None => format!("it answered {}", answer.status()),
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
            let response = Response::builder().header("retry-after", value).body(Ok(Bytes::new())).unwrap();
            assert_eq!(retry_after(&response, now_ms), expected, "{value}");
        }
        assert_eq!(retry_after(&Response::new(Ok(Bytes::new())), now_ms), None);
    }

    #[test]
    fn what_a_status_means() {
        let kind = |status: u16| {
            let response = Response::builder().status(status).body(Ok(Bytes::new())).unwrap();
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
