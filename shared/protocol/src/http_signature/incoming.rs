use super::{ReceivedRequest, SignatureFault, digest};
use crate::address::Origin;

/// A header's name is cut to this where a fault repeats it.
const MAX_NAME_BYTES: usize = 64;

/// A request and the server it reached, asked for what a signature may cover.
#[derive(Debug, Clone, Copy)]
pub(super) struct IncomingRequest<'a> {
    request: &'a ReceivedRequest<'a>,
    origin: &'a Origin,
}

impl<'a> IncomingRequest<'a> {
    /// Refuses what would be one request to us and another to the signer: each line of the signed text has to
    /// stay a line, and the target a target.
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

    /// The value of the header's only line, without the white space around it.
    pub(super) fn header(&self, name: &str) -> Result<&'a str, SignatureFault> {
        let mut values = self.values(name);
        let value = values.next().ok_or_else(|| SignatureFault::Absent(cut(name)))?;
        if values.next().is_some() {
            return Err(SignatureFault::Repeated(cut(name)));
        }
        let value = value.trim_matches([' ', '\t']);
        if !value.bytes().all(|b| b == b'\t' || b == b' ' || b.is_ascii_graphic()) {
            return Err(SignatureFault::Unreadable(cut(name)));
        }
        Ok(value)
    }

    /// A covered header's value, as it was when it was signed: `host` is ours, whatever a gateway made of it,
    /// and a digest has to be the body's.
    pub(super) fn covered_header(&self, name: &str) -> Result<&'a str, SignatureFault> {
        match name {
            "host" if self.values(name).count() > 1 => Err(SignatureFault::Repeated(cut(name))),
            // A signature for another host is one over other bytes than these.
            "host" => Ok(self.origin.authority()),
            "digest" => {
                let value = self.header(name)?;
                digest::check_digest(value, self.request.body)?;
                Ok(value)
            }
            "content-digest" => {
                let value = self.header(name)?;
                digest::check_content_digest(value, self.request.body)?;
                Ok(value)
            }
            _ if is_header_name(name) => self.header(name),
            _ => Err(SignatureFault::Unsupported(cut(name))),
        }
    }

    /// Whether a digest has to be covered: there is a body, or could be one.
    pub(super) fn needs_digest(&self) -> bool {
        self.request.method == "POST" || !self.request.body.is_empty()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let headers = self.request.headers.iter();
        headers.filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// RFC 9110, section 5.6.2, in lower case.
fn is_header_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(allowed)
}

/// A name from the request, safe to repeat in a text.
pub(super) fn cut(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(MAX_NAME_BYTES).collect()
}
