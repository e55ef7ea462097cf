//! Errors as servers explain them: `application/problem+json` (RFC 9457).

use std::fmt;

use eko_protocol::device_set::DeviceSetRef;
use serde::Deserialize;

use crate::brief;

/// The explanation of an error by the server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProblemDetails {
    /// The HTTP status.
    pub status: u16,
    /// The URL of the problem's type.
    #[serde(rename = "type")]
    pub type_url: String,
    /// The type of the problem, in words.
    pub title: String,
    /// The fault in this request, in words.
    #[serde(default)]
    pub detail: String,
    /// The RFC 6901 pointer to the member at fault.
    pub pointer: Option<String>,
    /// The request's id, for the operator of the server.
    pub instance: Option<String>,
    /// The current head of the chain, if the problem is that a head was stale.
    #[serde(rename = "eko:deviceSet")]
    pub device_set: Option<DeviceSetRef>,
    /// The epoch of the stored group state, if the problem is that a state was stale.
    #[serde(rename = "eko:epoch")]
    pub epoch: Option<u64>,
    /// The number of seconds in `Retry-After`, if the answer has that header.
    #[serde(skip)]
    pub retry_after_s: Option<u64>,
}

impl ProblemDetails {
    /// Shortens each text to what a person may be shown of a server's words.
    pub(crate) fn shorten(&mut self) {
        for text in [&mut self.type_url, &mut self.title, &mut self.detail] {
            *text = brief(text);
        }
        for text in [&mut self.pointer, &mut self.instance].into_iter().flatten() {
            *text = brief(text);
        }
    }

    /// Returns the last part of the type's URL, such as `name-taken`. It is stable, so programs may
    /// match on it.
    pub fn slug(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the problem in words for a person.
    pub fn in_words(&self) -> String {
        match self.detail.is_empty() {
            true => self.title.clone(),
            // The title says no more than that.
            false if self.slug() == "not-found" => self.detail.clone(),
            false => format!("{}: {}", self.title, self.detail),
        }
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
