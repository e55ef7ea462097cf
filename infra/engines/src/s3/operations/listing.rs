//! Lists of objects and of uploads, by prefix and in pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::{refuse_if, timestamp};
use crate::s3::Shared;

/// The most entries of a page.
const PAGE: i32 = 1000;

/// The characters that are encoded in keys if the request asks for `encoding-type=url`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Lists objects in the order of their keys.
pub(super) async fn list_objects_v2(
    shared: &Shared,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    refuse_if(&[input.delimiter.is_some()])?;
    let most = page(input.max_keys);
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let after = match &input.continuation_token {
        Some(token) => key_of(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let found = shared.store.list(&input.bucket, prefix, &after, most.saturating_add(1));
    let mut found = found.map_err(S3Error::internal_error)?;
    let is_truncated = most > 0 && found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| is_truncated).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    let is_encoded = encodes(input.encoding_type.as_ref());
    let contents = found.into_iter().map(|(key, object)| Object {
        key: Some(encoded(&key, is_encoded)),
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.modified_ms)),
        size: i64::try_from(object.size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    });
    let contents: Vec<_> = contents.collect();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoded(prefix, is_encoded)),
        max_keys: i32::try_from(most).ok(),
        key_count: i32::try_from(contents.len()).ok(),
        is_truncated: Some(is_truncated),
        contents: Some(contents),
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        start_after: input.start_after.map(|key| encoded(&key, is_encoded)),
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    })
}

/// Lists uploads in parts that are not completed, in the order of their keys and ids.
pub(super) async fn list_multipart_uploads(
    shared: &Shared,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    refuse_if(&[input.delimiter.is_some()])?;
    let most = page(input.max_uploads);
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let key = input.key_marker.as_deref().filter(|key| !key.is_empty());
    // A marker of an id means something beside one of a key only. Without it, all uploads of the
    // key are passed over: `~` comes after every id.
    let id = input.upload_id_marker.as_deref().filter(|id| !id.is_empty());
    let after = key.map_or(("", ""), |key| (key, id.unwrap_or("~")));
    let found = shared.store.uploads(&input.bucket, prefix, after, most.saturating_add(1));
    let mut found = found.map_err(S3Error::internal_error)?;
    let is_truncated = most > 0 && found.len() > most;
    found.truncate(most);
    let is_encoded = encodes(input.encoding_type.as_ref());
    let next = found.last().filter(|_| is_truncated);
    let (next_key, next_id) =
        (next.map(|next| encoded(&next.key, is_encoded)), next.map(|next| next.id.clone()));
    let uploads = found.into_iter().map(|upload| MultipartUpload {
        key: Some(encoded(&upload.key, is_encoded)),
        upload_id: Some(upload.id),
        initiated: Some(timestamp(upload.begun_ms)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: upload
            .needs_digests
            .then(|| ChecksumAlgorithm::from_static(ChecksumAlgorithm::SHA256)),
        ..MultipartUpload::default()
    });
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(encoded(prefix, is_encoded)),
        max_uploads: i32::try_from(most).ok(),
        is_truncated: Some(is_truncated),
        key_marker: input.key_marker,
        upload_id_marker: input.upload_id_marker,
        next_key_marker: next_key,
        next_upload_id_marker: next_id,
        uploads: Some(uploads.collect()),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    })
}

/// Returns the number of entries of a page. More than 1,000 are answered as 1,000.
fn page(most: Option<i32>) -> usize {
    usize::try_from(most.unwrap_or(PAGE).min(PAGE)).unwrap_or_default()
}

/// Reads the key after which a page begins.
fn key_of(token: &str) -> S3Result<String> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|key| String::from_utf8(key).ok());
    key.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

fn encodes(encoding: Option<&EncodingType>) -> bool {
    encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL)
}

fn encoded(key: &str, is_encoded: bool) -> String {
    if is_encoded { utf8_percent_encode(key, ENCODED).to_string() } else { key.to_owned() }
}
