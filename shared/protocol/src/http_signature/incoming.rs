//! The parts of a received request that a signature may cover.

use super::{ReceivedRequest, SignatureFault, digest};
use crate::address::Origin;

/// The maximum length of a header's name in the text of a fault.
const MAX_NAME_BYTES: usize = 64;

/// A received request, and the origin of the server that received it.
#[derive(Debug, Clone, Copy)]
pub(super) struct IncomingRequest<'a> {
    request: &'a ReceivedRequest<'a>,
    origin: &'a Origin,
}

impl<'a> IncomingRequest<'a> {
    /// Checks the method and the target. The signed text consists of lines, so a line break in
    /// either could make this server and the signer read different requests.
    ///
    /// # Errors
    /// [`SignatureFault::Method`] or [`SignatureFault::Target`].
    pub(super) fn new(request: &'a ReceivedRequest<'a>, origin: &'a Origin) -> Result<Self, SignatureFault> {
        if request.method.is_empty() || !request.method.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(SignatureFault::Method);
        }
        let printable = request.target.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !request.target.starts_with('/') || !printable {
            return Err(SignatureFault::Target);
        }
        Ok(Self { request, origin })
    }

    pub(super) fn method(&self) -> &'a str {
        self.request.method
    }

    pub(super) fn target(&self) -> &'a str {
        self.request.target
    }

    pub(super) fn origin(&self) -> &'a Origin {
        self.origin
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Returns the value of a header that appears exactly once, without the white space around it.
    pub(super) fn header(&self, name: &str) -> Result<&'a str, SignatureFault> {
        let mut values = self.values(name);
        let value = values.next().ok_or_else(|| SignatureFault::Absent(cut(name)))?;
        if values.next().is_some() {
            return Err(SignatureFault::Repeated(cut(name)));
        }
        let value = value.trim_matches([' ', '\t']);
        if !is_printable(value) {
            return Err(SignatureFault::Unreadable(cut(name)));
        }
        Ok(value)
    }

    /// Returns the value of a header that is a list: its lines, joined (RFC 9110, section 5.3).
    pub(super) fn list(&self, name: &str) -> Result<String, SignatureFault> {
        let lines: Vec<&str> = self.values(name).map(|line| line.trim_matches([' ', '\t'])).collect();
        match lines.as_slice() {
            [] => Err(SignatureFault::Absent(cut(name))),
            lines if !lines.iter().all(|line| is_printable(line)) => {
                Err(SignatureFault::Unreadable(cut(name)))
            }
            lines => Ok(lines.join(", ")),
        }
    }

    /// Returns the value of a covered header as the sender signed it. For `host` that is this
    /// server's own authority, even if a gateway changed the header. The lines of another header are
    /// joined (RFC 9421, section 2.1; draft-cavage, section 2.3), except those of `date`, which is
    /// there once. A digest header is compared with the body.
    pub(super) fn covered_header(&self, name: &str) -> Result<String, SignatureFault> {
        match name {
            "host" if self.values(name).count() > 1 => Err(SignatureFault::Repeated(cut(name))),
            // If the sender signed another host, the signature does not verify over this text.
            "host" => Ok(self.origin.authority().to_owned()),
            "date" => self.header(name).map(str::to_owned),
            "digest" => {
                let value = self.list(name)?;
                digest::check_digest(&value, self.request.body)?;
                Ok(value)
            }
            "content-digest" => {
                let value = self.list(name)?;
                digest::check_content_digest(&value, self.request.body)?;
                Ok(value)
            }
            _ if is_header_name(name) => self.list(name),
            _ => Err(SignatureFault::Unsupported(cut(name))),
        }
    }

    /// True if the signature must cover a digest: for a POST, and for any request with a body.
    pub(super) fn needs_digest(&self) -> bool {
        self.request.method == "POST" || !self.request.body.is_empty()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let headers = self.request.headers.iter();
        headers.filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// True for a header's value in printable ASCII.
fn is_printable(value: &str) -> bool {
    value.bytes().all(|b| b == b'\t' || b == b' ' || b.is_ascii_graphic())
}

/// True for a header name (RFC 9110, section 5.6.2) in lower case.
fn is_header_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(allowed)
}

/// Shortens a name from the request, so that a text can repeat it.
pub(super) fn cut(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(MAX_NAME_BYTES).collect()
}
