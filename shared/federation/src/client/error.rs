use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::MAX_URL_BYTES;

/// The most that an error repeats of what another server chose: a header, the names in its certificate.
const EXCERPT_CHARACTERS: usize = 160;

/// Why the guard would not send a request. Nothing was sent, and asking again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuardRefusal {
    /// No absolute URL with a host, or with characters that have no place in one.
    #[error("that is not an absolute URL")]
    NotAUrl,
    /// Longer than [`MAX_URL_BYTES`].
    #[error("the URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// Not https.
    #[error("{host} may only be asked over https, not {scheme}")]
    Scheme {
        /// The scheme it has.
        scheme: String,
        /// The host it names.
        host: String,
    },
    /// A user name or password. They are not repeated here, for this goes to logs.
    #[error("the URL of {host} carries credentials")]
    Credentials {
        /// The host it names.
        host: String,
    },
    /// An address in place of a name.
    #[error("{host} is an address, not a domain name")]
    IpLiteral {
        /// The address as the URL standard writes it.
        host: String,
    },
    /// A server that one's own policy excludes.
    #[error("{host} is not federated with")]
    NotFederated {
        /// The host it names.
        host: String,
    },
    /// A name that means something within one network only.
    #[error("{host} is not a public domain name")]
    LocalName {
        /// The name.
        host: String,
    },
    /// The absolute spelling of a name, which would be a second name of the same server.
    #[error("the name {host} ends in a dot")]
    TrailingDot {
        /// The name.
        host: String,
    },
    /// None of the name's addresses is public. They are not repeated here, for this goes to strangers, who
    /// would learn what a name means within one's own network.
    #[error("{host} has no public address")]
    NotPublic {
        /// The name.
        host: String,
        /// The first of its addresses.
        address: IpAddr,
    },
    /// A name of this machine has none of its loopback addresses.
    #[error("the address {address} of {host} is not a loopback address")]
    NotLoopback {
        /// The name.
        host: String,
        /// The first of its addresses.
        address: IpAddr,
    },
}

/// Why there is no answer to a request, or none that is wanted. The texts are for operators' logs and for the
/// person whose message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The guard refused the URL, or all addresses of its host.
    #[error(transparent)]
    Refused(#[from] GuardRefusal),
    /// The name has no addresses, or could not be looked up.
    #[error("the name {host} could not be resolved: {reason}")]
    Unresolvable {
        /// The name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// There was no connection.
    #[error("{host} could not be talked to: {reason}")]
    Unreachable {
        /// The server asked.
        host: String,
        /// What failed.
        reason: String,
    },
    /// There was a connection, but no TLS, or no HTTP that could be understood; a header section larger than
    /// what is read (32 KiB, 100 fields) counts as such.
    #[error("{host} could not be talked to: {reason}")]
    Broken {
        /// The server asked.
        host: String,
        /// What failed.
        reason: String,
    },
    /// The answer was not complete in time.
    #[error("{host} did not answer within {after:?}")]
    TimedOut {
        /// The server asked first.
        host: String,
        /// The time it had.
        after: Duration,
    },
    /// The body is larger than the limit.
    #[error("{host} answered with more than {limit} bytes")]
    TooLarge {
        /// The server that answered.
        host: String,
        /// How many bytes would have been read.
        limit: usize,
    },
    /// The body is compressed, though that was declined.
    #[error("{host} answered with the content encoding {encoding:?}, which was not asked for")]
    Encoded {
        /// The server that answered.
        host: String,
        /// What it says the encoding is, the first characters.
        encoding: String,
    },
    /// The document is of another kind than asked for.
    #[error("{host} answered with the media type {found:?}")]
    MediaType {
        /// The server that answered.
        host: String,
        /// What it says the type is, the first characters; empty without one.
        found: String,
    },
    /// Neither the document, nor the news that there is none.
    #[error("{host} answered {status}")]
    Status {
        /// The server that answered.
        host: String,
        /// Its answer.
        status: StatusCode,
        /// When it wants to be asked again, where it said so in seconds (RFC 9110, 10.2.3). Not bounded.
        retry_after_seconds: Option<u64>,
    },
    /// One redirect more than [`MAX_REDIRECTS`](super::MAX_REDIRECTS).
    #[error("{host} redirects too often")]
    TooManyRedirects {
        /// The server asked first.
        host: String,
    },
    /// A redirect to nowhere.
    #[error("{host} redirects without a usable Location")]
    BadRedirect {
        /// The server that answered.
        host: String,
    },
}

impl FetchError {
    /// Whether the same request may succeed later, with nobody changing what it asks for.
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

    /// Finds our own connector's error among the causes of an HTTP error; anything else is the other server,
    /// and the innermost cause says most about it.
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

/// The beginning of a text that another server chose.
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
            let error = FetchError::Status { host: String::new(), status, retry_after_seconds: None };
            assert_eq!(error.is_transient(), transient, "{status}");
        }
    }
}
