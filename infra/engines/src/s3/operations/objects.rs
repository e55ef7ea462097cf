//! Objects: put, read, renewed and deleted one by one, or deleted in a batch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};
use uuid::Uuid;

use super::{etag_of, only_new, refuse_if, timestamp};
use crate::s3::files::PieceReader;
use crate::s3::store::{ObjectHeaders, Place, StoredObject};
use crate::s3::{IsSigned, Shared};

/// The most keys of one DeleteObjects.
const MOST_DELETED: usize = 1000;

/// Stores an object. The condition is checked when all bytes are there: of two requests that run at
/// the same time, the one that ends first stores its object.
pub(super) async fn put_object(
    shared: &Shared,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let input = request.input;
    refuse_if(&[
        input.if_match.is_some(),
        input.content_md5.is_some(),
        input.checksum_crc32.is_some(),
        input.checksum_crc32c.is_some(),
        input.checksum_crc64nvme.is_some(),
        input.checksum_sha1.is_some(),
        input.checksum_algorithm.is_some_and(|algorithm| algorithm.as_str() != ChecksumAlgorithm::SHA256),
    ])?;
    let only_new = only_new(input.if_none_match.as_ref())?;
    let writer = shared.receive(input.body, input.content_length, input.checksum_sha256.as_deref()).await?;
    let etag = etag_of(&writer.digest());
    let object = StoredObject {
        content: Uuid::new_v4().simple().to_string(),
        modified_ms: (shared.clock)(),
        etag: etag.clone(),
        sha256: input.checksum_sha256.is_some().then(|| STANDARD.encode(writer.digest())),
        size: writer.size(),
        headers: ObjectHeaders {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_type: input.content_type,
            metadata: input.metadata,
        },
    };
    let place = Place { bucket: &input.bucket, key: &input.key };
    let outcome = shared.store.put(place, &object, &writer.piece(), only_new);
    shared.settle(outcome.map_err(S3Error::internal_error)?)?;
    writer.keep();
    Ok(PutObjectOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_sha256: object.sha256,
        ..PutObjectOutput::default()
    })
}

/// Answers an object or a range of it.
pub(super) async fn get_object(
    shared: &Shared,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let is_signed = request.extensions.get::<IsSigned>().is_some();
    let input = request.input;
    let place = Place { bucket: &input.bucket, key: &input.key };
    let (object, (range, reader)) = read(shared, place, is_signed, |object| {
        check(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        input.range.map_or(Ok(0..object.size), |range| Ok(range.check(object.size)?))
    })?;
    let asked = input.checksum_mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let last = range.end.saturating_sub(1);
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(StreamingBlob::wrap(stream::iter(reader))),
        cache_control: object.headers.cache_control,
        checksum_sha256: object.sha256.filter(|_| asked && input.range.is_none()),
        content_disposition: object.headers.content_disposition,
        content_encoding: object.headers.content_encoding,
        content_language: object.headers.content_language,
        content_length: i64::try_from(range.end.saturating_sub(range.start)).ok(),
        content_range: input.range.map(|_| format!("bytes {}-{last}/{}", range.start, object.size)),
        content_type: object.headers.content_type,
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.modified_ms)),
        metadata: object.headers.metadata,
        ..GetObjectOutput::default()
    })
}

/// Answers the headers of an object.
pub(super) async fn head_object(
    shared: &Shared,
    request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let is_signed = request.extensions.get::<IsSigned>().is_some();
    let input = request.input;
    let place = Place { bucket: &input.bucket, key: &input.key };
    let (object, _) = read(shared, place, is_signed, |object| {
        check(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(0..0)
    })?;
    let asked = input.checksum_mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    Ok(HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: object.headers.cache_control,
        checksum_sha256: object.sha256.filter(|_| asked),
        content_disposition: object.headers.content_disposition,
        content_encoding: object.headers.content_encoding,
        content_language: object.headers.content_language,
        content_length: i64::try_from(object.size).ok(),
        content_type: object.headers.content_type,
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.modified_ms)),
        metadata: object.headers.metadata,
        ..HeadObjectOutput::default()
    })
}

/// Copies an object onto itself with other headers, which renews its time. Other copies are not
/// here.
pub(super) async fn copy_object(
    shared: &Shared,
    request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let input = request.input;
    let is_itself = match &input.copy_source {
        CopySource::Bucket { bucket, key, version_id: None } => {
            **bucket == *input.bucket && **key == *input.key
        }
        _ => false,
    };
    refuse_if(&[
        !is_itself,
        input.copy_source_if_match.is_some(),
        input.copy_source_if_modified_since.is_some(),
        input.copy_source_if_none_match.is_some(),
        input.copy_source_if_unmodified_since.is_some(),
    ])?;
    if input.metadata_directive.is_none_or(|directive| directive.as_str() != MetadataDirective::REPLACE) {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing it."
        ));
    }
    let headers = ObjectHeaders {
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_type: input.content_type,
        metadata: input.metadata,
    };
    let place = Place { bucket: &input.bucket, key: &input.key };
    let renewed = shared.store.renew(place, &headers, (shared.clock)()).map_err(S3Error::internal_error)?;
    let object = renewed.ok_or_else(|| s3_error!(NoSuchKey))?;
    let result = CopyObjectResult {
        e_tag: Some(ETag::Strong(object.etag)),
        last_modified: Some(timestamp(object.modified_ms)),
        checksum_sha256: object.sha256,
        ..CopyObjectResult::default()
    };
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
}

/// Deletes an object, if there is one.
pub(super) async fn delete_object(
    shared: &Shared,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let input = request.input;
    refuse_if(&[input.if_match.is_some(), input.version_id.is_some()])?;
    delete(shared, Place { bucket: &input.bucket, key: &input.key })?;
    Ok(DeleteObjectOutput::default())
}

/// Deletes a batch of objects. S3 requires the request to carry a digest.
pub(super) async fn delete_objects(
    shared: &Shared,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let has_digest =
        ["content-md5", "x-amz-checksum-sha256"].iter().any(|name| request.headers.contains_key(*name));
    if !has_digest {
        return Err(s3_error!(InvalidRequest, "Missing required header for this request: Content-MD5"));
    }
    let Delete { objects, quiet } = request.input.delete;
    if objects.is_empty() || objects.len() > MOST_DELETED {
        return Err(s3_error!(MalformedXML));
    }
    refuse_if(&[objects.iter().any(|object| object.version_id.is_some() || object.e_tag.is_some())])?;
    let mut deleted = Vec::new();
    for object in objects {
        delete(shared, Place { bucket: &request.input.bucket, key: &object.key })?;
        deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
    }
    let deleted = (quiet != Some(true)).then_some(deleted);
    Ok(DeleteObjectsOutput { deleted, ..DeleteObjectsOutput::default() })
}

fn delete(shared: &Shared, place: Place<'_>) -> S3Result<()> {
    let files = shared.store.delete(place).map_err(S3Error::internal_error)?;
    shared.files.remove(&files);
    Ok(())
}

/// Returns an object with the range of its bytes that `choose` chooses.
///
/// # Errors
/// 404 if there is none. 403 for a caller without a signature, who may not know what is there.
fn read(
    shared: &Shared,
    place: Place<'_>,
    is_signed: bool,
    choose: impl FnOnce(&StoredObject) -> S3Result<std::ops::Range<u64>>,
) -> S3Result<(StoredObject, (std::ops::Range<u64>, PieceReader))> {
    let found = shared.store.read(place, |object, pieces| {
        let range = choose(object)?;
        let reader = shared.files.read(pieces, range.clone()).map_err(S3Error::internal_error)?;
        S3Result::Ok((object.clone(), (range, reader)))
    });
    match found.map_err(S3Error::internal_error)? {
        Some(found) => found,
        None if is_signed => Err(s3_error!(NoSuchKey)),
        None => Err(s3_error!(AccessDenied)),
    }
}

/// Checks the conditions of a read on the entity tag.
fn check(
    object: &StoredObject,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let is = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(tag) => tag.value() == object.etag,
    };
    match (if_match, if_none_match) {
        (Some(condition), _) if !is(condition) => Err(s3_error!(PreconditionFailed)),
        (_, Some(condition)) if is(condition) => Err(s3_error!(NotModified)),
        _ => Ok(()),
    }
}
