//! Media types of attachments.

use eko_protocol::Invalid;

/// Checks a media type: `type/subtype`, as RFC 6838, section 4.2 registers them, without
/// parameters.
pub(super) fn media_type(text: &str) -> Result<String, Invalid> {
    match text.split_once('/') {
        Some((kind, subtype)) if is_name(kind) && is_name(subtype) => Ok(text.to_owned()),
        _ => Err(Invalid::whole("must be a media type without parameters, such as image/png")),
    }
}

fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    text.len() <= 127 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(rest)
}
