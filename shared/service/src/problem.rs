//! The errors that a client can see, as RFC 9457 problems (`docs/protocol.md`, section 11): status,
//! type, title, detail, headers and log level.
//!
//! Outcomes that are no problems get their status in the handler: 200, 201, 202 and 204, and the
//! reports 207 `PartialDelivery` and 409 `Reject` in the functions `outbox` and `inbox`.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use eko_federation::RemoteError;
use eko_messaging::{MessagingError, Refusal};
use eko_protocol::Invalid;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::envelope::AuthorMismatch;
use eko_protocol::excerpt::{excerpt, pointer_excerpt};
use eko_protocol::frame::FrameError;
use eko_protocol::http_signature::ACCEPT_SIGNATURE;
use eko_protocol::json::JsonError;
use eko_protocol::limits::{MAX_FRAME_BYTES, MAX_REASON_BYTES};
use eko_store::StoreError;
use eko_store::devices::Absence;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// An error as a client sees it. Only the text of [`Problem::Unavailable`] is not for clients: it
/// is logged, never sent.
#[derive(Debug, Clone)]
pub enum Problem {
    /// The body is not JSON.
    NotJson(String),
    /// The body's media type is none that the endpoint reads. Holds the one that it reads.
    UnsupportedMediaType(MediaType),
    /// The body is larger than this many bytes.
    BodyTooLarge(usize),
    /// A member is missing, of the wrong shape, or against a rule.
    Invalid(Invalid),
    /// A query parameter or header that cannot be read.
    BadRequest(&'static str),
    /// The request has no token, or none that is good (RFC 6750). Holds the reason.
    Unauthenticated(&'static str),
    /// The calling device has been revoked. Its token is good.
    DeviceRevoked,
    /// The calling device waits for approval.
    DevicePending,
    /// The path is another user's.
    NotOwner,
    /// A member names somebody else than the caller.
    NotYours(Invalid),
    /// The thing that the request names does not exist. Holds the kind of thing.
    NotFound(&'static str),
    /// The account of the user whom the request names was deleted.
    UserDeleted,
    /// The account of the calling device was deleted.
    AccountDeleted,
    /// The user whom the request names has moved to another account. Holds the new actor id, if it is
    /// known.
    UserMoved(Option<String>),
    /// The user of the calling device has moved to another account. Holds the new actor id.
    AccountMoved(String),
    /// The path knows other methods only. Holds the header `Allow`.
    MethodNotAllowed(Option<HeaderValue>),
    /// The user name belongs to somebody else.
    NameTaken,
    /// The subject of the ID token has an account under this name.
    AccountExists(String),
    /// The device id is or was in use.
    DeviceIdUsed,
    /// The node is not the next one of its chain. Holds the chain's length and head.
    StaleHead(DeviceSetRef),
    /// A group state of this epoch or a later one is stored. Holds the epoch of the stored state.
    StaleEpoch(u64),
    /// No device is active that could approve another one: the chain must be reset.
    NoActiveDevice,
    /// Client and server hold different keys.
    KeysDiffer,
    /// The request has no HTTP signature, or none that is good. Holds the reason.
    BadSignature(String),
    /// The policy of this server excludes the other one, or this server does not federate. Holds
    /// the reason.
    NotFederated(String),
    /// Another server is out of reach, or slow.
    RemoteUnreachable {
        /// The server's name and the reason.
        why: String,
        /// The time until another try can succeed, in seconds.
        retry_after: u32,
    },
    /// The answer of another server cannot be used. Holds its name and the reason.
    RemoteFailed(String),
    /// A budget is spent.
    TooMany {
        /// The time until another try can succeed, in seconds.
        retry_after: u64,
        /// The budget, for a person.
        what: &'static str,
    },
    /// A part of the server is broken or out of reach. The text is for the log.
    Unavailable(String),
}

/// The kind of body that an endpoint reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// JSON, under any of its media types.
    Json,
    /// A form.
    Form,
    /// Any of them without a content coding (RFC 9110, section 8.4).
    Uncoded,
}

/// The time after which a server that is out of reach is worth another try, in seconds.
const UNREACHABLE_SECONDS: u32 = 60;

/// The log level of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// Logged as an error: the operator has to look.
    Error,
    /// Logged for debugging: the client's request or another server is at fault.
    Debug,
}

/// The type of a problem. Clients decide by the slug, so it stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// The last part of the type URL, `ORIGIN/problems/{slug}`.
    pub slug: &'static str,
    /// The title, for a person.
    pub title: &'static str,
}

impl Problem {
    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotJson(_) | Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated(_) | Self::DeviceRevoked | Self::BadSignature(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::DevicePending | Self::NotOwner | Self::NotYours(_) | Self::NotFederated(_) => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::UserDeleted | Self::AccountDeleted | Self::UserMoved(_) | Self::AccountMoved(_) => {
                StatusCode::GONE
            }
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NameTaken
            | Self::AccountExists(_)
            | Self::DeviceIdUsed
            | Self::StaleHead(_)
            | Self::StaleEpoch(_)
            | Self::NoActiveDevice
            | Self::KeysDiffer => StatusCode::CONFLICT,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::RemoteFailed(_) => StatusCode::BAD_GATEWAY,
            Self::RemoteUnreachable { .. } | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the type.
    pub fn kind(&self) -> ProblemKind {
        let (slug, title) = match self {
            Self::NotJson(_) => ("not-json", "The body is not JSON"),
            Self::UnsupportedMediaType(_) => ("unsupported-media-type", "The media type is not supported"),
            Self::BodyTooLarge(_) => ("body-too-large", "The body is too large"),
            Self::Invalid(_) => ("invalid", "A member is missing or not valid"),
            Self::BadRequest(_) => ("bad-request", "The request cannot be read"),
            Self::Unauthenticated(_) => ("unauthenticated", "A valid token is needed"),
            Self::DeviceRevoked => ("device-revoked", "The device has been revoked"),
            Self::DevicePending => ("device-pending", "The device waits for approval"),
            Self::NotOwner => ("not-owner", "Only the owner may do this"),
            Self::NotYours(_) => ("not-yours", "A member names somebody else"),
            Self::NotFound(_) => ("not-found", "There is no such thing"),
            Self::UserDeleted => ("user-deleted", "The user's account was deleted"),
            Self::AccountDeleted => ("account-deleted", "Your account was deleted"),
            Self::UserMoved(_) => ("user-moved", "The user has moved to another account"),
            Self::AccountMoved(_) => ("account-moved", "You have moved to another account"),
            Self::MethodNotAllowed(_) => ("method-not-allowed", "The method is not allowed here"),
            Self::NameTaken => ("name-taken", "The user name is taken"),
            Self::AccountExists(_) => ("account-exists", "The subject has an account already"),
            Self::DeviceIdUsed => ("device-id-used", "The device id is or was in use"),
            Self::StaleHead(_) => ("stale-head", "The device chain has grown"),
            Self::StaleEpoch(_) => ("stale-epoch", "The stored group state is not older"),
            Self::NoActiveDevice => ("no-active-device", "No device is active"),
            Self::KeysDiffer => ("keys-differ", "Client and server hold different keys"),
            Self::BadSignature(_) => ("bad-signature", "A valid HTTP signature is needed"),
            Self::NotFederated(_) => ("not-federated", "The other server is not federated with"),
            Self::RemoteUnreachable { .. } => ("remote-unreachable", "The other server is out of reach"),
            Self::RemoteFailed(_) => ("remote-failed", "The other server cannot be understood"),
            Self::TooMany { .. } => ("too-many", "Too many requests"),
            Self::Unavailable(_) => ("unavailable", "Try again later"),
        };
        ProblemKind { slug, title }
    }

    /// Returns the log level.
    pub fn loudness(&self) -> Loudness {
        match self {
            Self::Unavailable(_) => Loudness::Error,
            Self::NotJson(_)
            | Self::UnsupportedMediaType(_)
            | Self::BodyTooLarge(_)
            | Self::Invalid(_)
            | Self::BadRequest(_)
            | Self::Unauthenticated(_)
            | Self::DeviceRevoked
            | Self::DevicePending
            | Self::NotOwner
            | Self::NotYours(_)
            | Self::NotFound(_)
            | Self::UserDeleted
            | Self::AccountDeleted
            | Self::UserMoved(_)
            | Self::AccountMoved(_)
            | Self::MethodNotAllowed(_)
            | Self::NameTaken
            | Self::AccountExists(_)
            | Self::DeviceIdUsed
            | Self::StaleHead(_)
            | Self::StaleEpoch(_)
            | Self::NoActiveDevice
            | Self::KeysDiffer
            | Self::BadSignature(_)
            | Self::NotFederated(_)
            | Self::RemoteUnreachable { .. }
            | Self::RemoteFailed(_)
            | Self::TooMany { .. } => Loudness::Debug,
        }
    }

    /// Returns the explanation for the person who writes the client.
    fn detail(&self) -> Cow<'_, str> {
        match self {
            Self::NotJson(detail)
            | Self::BadSignature(detail)
            | Self::NotFederated(detail)
            | Self::RemoteFailed(detail) => detail.into(),
            Self::RemoteUnreachable { why, .. } => why.into(),
            Self::UnsupportedMediaType(MediaType::Form) => "send application/x-www-form-urlencoded".into(),
            Self::UnsupportedMediaType(MediaType::Uncoded) => "send the body without Content-Encoding".into(),
            Self::UnsupportedMediaType(MediaType::Json) => {
                "send application/activity+json, application/ld+json or application/json".into()
            }
            Self::BodyTooLarge(limit) => format!("at most {limit} bytes").into(),
            Self::Invalid(invalid) | Self::NotYours(invalid) => invalid.detail.as_str().into(),
            Self::BadRequest(detail) | Self::Unauthenticated(detail) => (*detail).into(),
            Self::DeviceRevoked => "sign in again to register a new device".into(),
            Self::DevicePending => "approve it on an active device".into(),
            Self::NotOwner => "the token belongs to another user".into(),
            Self::NotFound(what) => format!("no such {what}").into(),
            Self::UserDeleted => "nobody else gets the name".into(),
            Self::AccountDeleted => "register another name to use this server again".into(),
            Self::UserMoved(_) => "read the device chain: its last node says where to".into(),
            Self::AccountMoved(_) => "use the new account".into(),
            Self::MethodNotAllowed(_) => "see the Allow header".into(),
            Self::NameTaken => "choose another user name".into(),
            Self::AccountExists(name) => format!("leave username out, or say {name}").into(),
            Self::DeviceIdUsed => {
                "choose a new random device id; to sign in again with this device, send signIn".into()
            }
            Self::StaleHead(_) => "build the node on the current head".into(),
            Self::StaleEpoch(_) => "read the stored state, and send one with a greater epoch".into(),
            Self::NoActiveDevice => "send a ResetDevices node to start over".into(),
            Self::KeysDiffer => "publish the device's keys again".into(),
            Self::TooMany { what, .. } => (*what).into(),
            Self::Unavailable(_) => {
                "a part of the server is out of reach; nothing was lost, try again".into()
            }
        }
    }

    /// Writes the body. `type_url` is the URL of the type, `request_id` the id of the request. Of a
    /// detail or a pointer with more than [`MAX_REASON_BYTES`], which a request can cause, the
    /// beginning is written.
    ///
    /// ```text
    /// {"type": <URL>, "title": <text>, "status": <number>, "detail": <text>,
    ///  "instance": "urn:uuid:<request id>",
    ///  "pointer": <RFC 6901>,                                 in invalid and not-yours
    ///  "eko:deviceSet": {"length": <number>, "head": <hex>},  in stale-head
    ///  "eko:movedTo": <actor id>,                             in user-moved and account-moved
    ///  "eko:epoch": <number>}                                 in stale-epoch
    /// ```
    pub fn body(&self, type_url: &str, request_id: &str) -> Value {
        let mut body = Map::from_iter([
            ("type".to_owned(), json!(type_url)),
            ("title".to_owned(), json!(self.kind().title)),
            ("status".to_owned(), json!(self.status().as_u16())),
            ("detail".to_owned(), json!(excerpt(&self.detail(), MAX_REASON_BYTES))),
            ("instance".to_owned(), json!(format!("urn:uuid:{request_id}"))),
        ]);
        match self {
            Self::Invalid(invalid) | Self::NotYours(invalid) => {
                body.insert("pointer".to_owned(), json!(pointer_excerpt(&invalid.pointer, MAX_REASON_BYTES)));
            }
            Self::StaleHead(set) => {
                body.insert("eko:deviceSet".to_owned(), json!(set));
            }
            Self::UserMoved(Some(to)) | Self::AccountMoved(to) => {
                body.insert("eko:movedTo".to_owned(), json!(to));
            }
            Self::StaleEpoch(epoch) => {
                body.insert("eko:epoch".to_owned(), json!(epoch));
            }
            _ => {}
        }
        Value::Object(body)
    }

    /// Writes the log line: what was refused, or why a part of the server is out of reach.
    pub fn log(&self, request: &str, method: &str, path: &str) {
        let problem = self.kind().slug;
        match (self.loudness(), self) {
            (Loudness::Error, Self::Unavailable(detail)) => {
                tracing::error!(request, method, path, problem, detail, "unavailable");
            }
            _ => tracing::debug!(request, method, path, problem, "refused"),
        }
    }

    /// Returns the headers that the answer has besides.
    pub fn headers(&self) -> impl Iterator<Item = (header::HeaderName, HeaderValue)> {
        let accept_signature = match self {
            Self::BadSignature(_) => {
                let name = header::HeaderName::from_static("accept-signature");
                Some((name, HeaderValue::from_static(ACCEPT_SIGNATURE)))
            }
            _ => None,
        };
        self.header().into_iter().chain(accept_signature)
    }

    fn header(&self) -> Option<(header::HeaderName, HeaderValue)> {
        match self {
            Self::Unauthenticated(_) => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")))
            }
            Self::DeviceRevoked => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(
                    "Bearer error=\"invalid_token\", error_description=\"device revoked\"",
                ),
            )),
            Self::TooMany { retry_after, .. } => Some((header::RETRY_AFTER, HeaderValue::from(*retry_after))),
            Self::BadSignature(_) => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Signature realm=\"ActivityPub\"")))
            }
            Self::RemoteUnreachable { retry_after, .. } => {
                Some((header::RETRY_AFTER, HeaderValue::from(*retry_after)))
            }
            Self::Unavailable(_) => Some((header::RETRY_AFTER, HeaderValue::from(5_u16))),
            Self::MethodNotAllowed(Some(allow)) => Some((header::ALLOW, allow.clone())),
            Self::UnsupportedMediaType(MediaType::Uncoded) => {
                Some((header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
            }
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    /// Leaves the problem in the extensions of the response. [`crate::edge`] writes the body,
    /// because it knows the origin and the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::NotJson(detail) => Self::NotJson(detail),
            JsonError::Refused(invalid) => Self::Invalid(invalid),
        }
    }
}

impl From<FrameError> for Problem {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge => Self::BodyTooLarge(MAX_FRAME_BYTES),
            FrameError::Json(error) => error.into(),
        }
    }
}

impl From<MessagingError> for Problem {
    fn from(error: MessagingError) -> Self {
        match error {
            MessagingError::Refused(refusal) => refusal.into(),
            MessagingError::Remote(error) => error.into(),
            MessagingError::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(invalid) => Self::Invalid(invalid),
            Refusal::NotTheCaller(invalid) => Self::NotYours(invalid),
            Refusal::UnknownUser => Self::NotFound("user"),
            Refusal::UserDeleted => Self::UserDeleted,
            Refusal::AccountDeleted => Self::AccountDeleted,
            Refusal::UserMoved(to) => Self::UserMoved(to),
            Refusal::AccountMoved(to) => Self::AccountMoved(to),
            Refusal::DevicePending => Self::DevicePending,
            Refusal::DeviceRevoked => Self::DeviceRevoked,
            Refusal::SignedOut => Self::Unauthenticated("the device has signed out"),
            Refusal::OverBudget { retry_after, budget } => Self::TooMany { retry_after, what: budget },
        }
    }
}

impl From<RemoteError> for Problem {
    /// Maps a failure at another server, for a client that asked for something there.
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::NotFederated(_) | RemoteError::Excluded(_) => Self::NotFederated(error.to_string()),
            RemoteError::Gone(_) => Self::NotFound("user"),
            RemoteError::Deleted(_) => Self::UserDeleted,
            RemoteError::Unusable(why) => Self::RemoteFailed(why),
            RemoteError::Unconnected(why) | RemoteError::Unreachable(why) => {
                Self::RemoteUnreachable { why, retry_after: UNREACHABLE_SECONDS }
            }
            // The bound is this server's own. A 503 would say that its inbox is broken, and the
            // other server would leave it alone.
            RemoteError::Slow { retry_after_seconds, .. } => Self::TooMany {
                retry_after: u64::from(retry_after_seconds),
                what: "requests wait for your actor's server: send this one again later",
            },
            RemoteError::Store(why) => Self::Unavailable(why),
        }
    }
}

impl From<Absence> for Problem {
    fn from(absence: Absence) -> Self {
        Refusal::from(absence).into()
    }
}

impl From<AuthorMismatch> for Problem {
    fn from(fault: AuthorMismatch) -> Self {
        Self::NotYours(Invalid::at(fault.pointer, fault.detail))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
