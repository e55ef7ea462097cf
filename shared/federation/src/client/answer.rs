use std::error::Error;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{HeaderName, Response};
use http_body_util::BodyExt;

use super::error::excerpt;
use super::{FetchError, MediaTypes};

/// Reads a whole body of at most `limit` bytes.
///
/// The frames are copied as they come instead of collected: an answer in chunks of one byte would take many
/// times its size otherwise.
pub(super) async fn read<B>(
    host: &str,
    response: Response<B>,
    limit: usize,
) -> Result<Response<Bytes>, FetchError>
where
    B: BodyExt<Data = Bytes, Error: Error + 'static> + Unpin,
{
    let (parts, mut body) = response.into_parts();
    check_encoding(host, &parts.headers)?;
    let too_large = || FetchError::TooLarge { host: host.to_owned(), limit };
    // What Content-Length announces, where there is one.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FetchError::from_chain(host, &error))?;
        let Ok(data) = frame.into_data() else { continue }; // trailers say nothing here
        if data.len() > limit - bytes.len() {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Response::from_parts(parts, bytes.into()))
}

/// There is no decompression here at all, and so no bomb.
fn check_encoding(host: &str, headers: &HeaderMap) -> Result<(), FetchError> {
    match headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        None => Ok(()),
        Some(value) => Err(FetchError::Encoded { host: host.to_owned(), encoding: quoted(value) }),
    }
}

/// Exactly one `Content-Type`, and one of those wanted.
pub(super) fn check_media_type(
    host: &str,
    headers: &HeaderMap,
    wanted: MediaTypes,
) -> Result<(), FetchError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let first = values.next();
    let taken = first.and_then(|value| value.to_str().ok()).is_some_and(|value| wanted.takes(value));
    if taken && values.next().is_none() {
        return Ok(());
    }
    Err(FetchError::MediaType { host: host.to_owned(), found: first.map(quoted).unwrap_or_default() })
}

/// `Retry-After` in seconds. The form with a date is left out: it would need a clock, and few send it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    header(headers, &RETRY_AFTER)?.trim().parse().ok()
}

/// The text of a header, where there is one and it is ASCII.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn quoted(value: &HeaderValue) -> String {
    excerpt(&String::from_utf8_lossy(value.as_bytes()))
}
