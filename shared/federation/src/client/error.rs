//! The errors of the guarded client.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::MAX_URL_BYTES;

/// The maximum length of a text of another server that an error repeats, in characters.
const EXCERPT_CHARACTERS: usize = 160;

/// The reason why the guard did not send a request. The same request will be refused again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuardRefusal {
    /// The text is not an absolute URL with a host, or has characters that a URL cannot have.
    #[error("that is not an absolute URL")]
    NotAUrl,
    /// The URL is longer than [`MAX_URL_BYTES`].
    #[error("the URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// The scheme is not https.
    #[error("{host} may only be asked over https, not {scheme}")]
    Scheme {
        /// The scheme of the URL.
        scheme: String,
        /// The host of the URL.
        host: String,
    },
    /// The URL has a user name or a password. The text does not repeat them, because it is logged.
    #[error("the URL of {host} carries credentials")]
    Credentials {
        /// The host of the URL.
        host: String,
    },
    /// The host is an IP address instead of a name.
    #[error("{host} is an address, not a domain name")]
    IpLiteral {
        /// The address in the spelling of the URL standard.
        host: String,
    },
    /// The policy of this server excludes the host.
    #[error("{host} is not federated with")]
    NotFederated {
        /// The host of the URL.
        host: String,
    },
    /// The answer leads to another URL that this fetch must not follow: for an actor or a key one on
    /// another origin, for a chain any.
    #[error("{host} redirects, which is not followed here")]
    Redirected {
        /// The host that was asked first.
        host: String,
    },
    /// The name has a meaning within one network only.
    #[error("{host} is not a public domain name")]
    LocalName {
        /// The name.
        host: String,
    },
    /// The name ends in a dot, which would be a second spelling of the same server.
    #[error("the name {host} ends in a dot")]
    TrailingDot {
        /// The name.
        host: String,
    },
    /// None of the name's addresses is public. The text does not repeat them, because strangers
    /// read it and would learn the addresses of names in this server's network.
    #[error("{host} has no public address")]
    NotPublic {
        /// The name.
        host: String,
        /// The first of its addresses.
        address: IpAddr,
    },
    /// None of the addresses of a name of this machine is a loopback address.
    #[error("the address {address} of {host} is not a loopback address")]
    NotLoopback {
        /// The name.
        host: String,
        /// The first of its addresses.
        address: IpAddr,
    },
}

/// The reason why a request has no usable answer. The texts are for the operator's logs and for the
/// author of a message that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The guard refused the URL, or all addresses of its host.
    #[error(transparent)]
    Refused(#[from] GuardRefusal),
    /// The name has no addresses, or could not be looked up.
    #[error("the name {host} could not be resolved: {reason}")]
    Unresolvable {
        /// The name, with the port if it is not the scheme's own.
        host: String,
        /// The error of the resolver.
        reason: String,
    },
    /// No address of the server accepted a connection, or TLS failed.
    #[error("{host} could not be talked to: {reason}")]
    Unreachable {
        /// The host of the server, with the port if it is not the scheme's own.
        host: String,
        /// The operation that failed.
        reason: String,
    },
    /// The connection failed in HTTP. A header section of more than 32 KiB or 100 fields counts as
    /// such a failure.
    #[error("{host} could not be talked to: {reason}")]
    Broken {
        /// The host of the server.
        host: String,
        /// The operation that failed.
        reason: String,
    },
    /// The answer was not complete within the time.
    #[error("{host} did not answer within {after:?}")]
    TimedOut {
        /// The host of the first request.
        host: String,
        /// The time that had passed.
        after: Duration,
    },
    /// The body is larger than the limit.
    #[error("{host} answered with more than {limit} bytes")]
    TooLarge {
        /// The host of the server that answered.
        host: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The body has a content coding that is not read, or it cannot be decoded.
    #[error("{host} answered with the content encoding {encoding:?}, which cannot be read")]
    Encoded {
        /// The host of the server that answered.
        host: String,
        /// The beginning of the `Content-Encoding`.
        encoding: String,
    },
    /// The media type is not one that was asked for.
    #[error("{host} answered with the media type {found:?}")]
    MediaType {
        /// The host of the server that answered.
        host: String,
        /// The beginning of the `Content-Type`; empty if there is none.
        found: String,
    },
    /// The status is not one that a fetch understands.
    #[error("{host} answered {status}")]
    Status {
        /// The host of the server that answered.
        host: String,
        /// The status.
        status: StatusCode,
        /// The `Retry-After` in seconds, if it is a number (RFC 9110, section 10.2.3). It is not
        /// bounded.
        retry_after_seconds: Option<u64>,
        /// The signature that the server asks for (`Accept-Signature`; RFC 9421, section 5).
        accept_signature: Option<String>,
    },
    /// The fetch was redirected more than [`MAX_REDIRECTS`](super::MAX_REDIRECTS) times.
    #[error("{host} redirects too often")]
    TooManyRedirects {
        /// The host of the first request.
        host: String,
    },
    /// A redirect has no usable `Location`.
    #[error("{host} redirects without a usable Location")]
    BadRedirect {
        /// The host of the server that answered.
        host: String,
    },
}

impl FetchError {
    /// True if the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unresolvable { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }
            Self::Refused(_)
            | Self::TooLarge { .. }
            | Self::Encoded { .. }
            | Self::MediaType { .. }
            | Self::TooManyRedirects { .. }
            | Self::BadRedirect { .. } => false,
        }
    }

    /// Returns the authority of the server to which no connection could be opened, if that is the
    /// error. Such an error says something about the whole server; every other one may be that of a
    /// single URL.
    pub fn unconnected(&self) -> Option<&str> {
        match self {
            Self::Unresolvable { host, .. } | Self::Unreachable { host, .. } => Some(host),
            _ => None,
        }
    }

    /// Converts an error of hyper. If one of its causes is an error of our connector, that error is
    /// returned. Otherwise the error is [`FetchError::Broken`] with the innermost cause, which has
    /// the most information.
    pub(super) fn from_chain(host: &str, error: &(dyn Error + 'static)) -> Self {
        let mut innermost = error;
        loop {
            if let Some(own) = innermost.downcast_ref::<Self>() {
                return own.clone();
            }
            match innermost.source() {
                Some(source) => innermost = source,
                None => {
                    let reason = excerpt(&innermost.to_string());
                    return Self::Broken { host: host.to_owned(), reason };
                }
            }
        }
    }
}

/// Returns the beginning of a text that another server chose.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_the_host_and_the_reason() {
        let host = || "evil.example".to_owned();
        let texts = [
            FetchError::from(GuardRefusal::NotPublic { host: host(), address: [10, 0, 0, 1].into() }),
            FetchError::Unreachable { host: host(), reason: "connection refused".to_owned() },
            FetchError::TimedOut { host: host(), after: Duration::from_secs(10) },
            FetchError::Status {
                host: host(),
                status: StatusCode::TOO_MANY_REQUESTS,
                retry_after_seconds: Some(9),
                accept_signature: None,
            },
        ]
        .map(|error| error.to_string());
        assert_eq!(
            texts,
            [
                "evil.example has no public address",
                "evil.example could not be talked to: connection refused",
                "evil.example did not answer within 10s",
                "evil.example answered 429 Too Many Requests",
            ]
        );
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        for (status, transient) in [
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (408, true),
            (410, false),
            (425, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = FetchError::Status {
                host: String::new(),
                status,
                retry_after_seconds: None,
                accept_signature: None,
            };
            assert_eq!(error.is_transient(), transient, "{status}");
        }
    }
}
