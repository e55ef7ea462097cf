use std::fmt;

use eko_protocol::device_set::DeviceSetRef;
use serde::Deserialize;

/// An error as the server explains it: `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProblemDetails {
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem, as a URL.
    #[serde(rename = "type")]
    pub type_url: String,
    /// The same for a person.
    pub title: String,
    /// What is wrong this time.
    #[serde(default)]
    pub detail: String,
    /// RFC 6901 pointer to the member at fault, where one is.
    pub pointer: Option<String>,
    /// The request's id, for whoever runs the server.
    pub instance: Option<String>,
    /// The current head of the chain, where the head was stale.
    #[serde(rename = "eko:deviceSet")]
    pub device_set: Option<DeviceSetRef>,
    /// The seconds of `Retry-After`, where the answer has that header.
    #[serde(skip)]
    pub retry_after_s: Option<u64>,
}

impl ProblemDetails {
    /// The last part of the type's URL, such as `name-taken`: stable, made to be matched on.
    pub fn slug(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ProblemDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} ({}", self.status, self.slug(), self.title, self.detail)?;
        if let Some(pointer) = &self.pointer {
            write!(f, " at {pointer:?}")?;
        }
        f.write_str(")")
    }
}
