//! Uploads in parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};
use uuid::Uuid;

use super::{digest_of, digest_of_digests, etag_of, only_new, refuse_if};
use crate::s3::Shared;
use crate::s3::store::{ObjectHeaders, Piece, Place, StoredObject, StoredUpload};

/// The numbers that a part may have.
const NUMBERS: std::ops::RangeInclusive<i32> = 1..=10_000;

/// The least bytes of a part that is not the last.
const LEAST: u64 = 5 << 20;

/// Begins an upload. If it names SHA-256, every part needs a digest.
pub(super) async fn create_multipart_upload(
    shared: &Shared,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let input = request.input;
    let algorithm = input.checksum_algorithm;
    refuse_if(&[
        algorithm.as_ref().is_some_and(|algorithm| algorithm.as_str() != ChecksumAlgorithm::SHA256),
        input.checksum_type.is_some_and(|kind| kind.as_str() != ChecksumType::COMPOSITE),
    ])?;
    let upload = StoredUpload {
        id: Uuid::new_v4().simple().to_string(),
        key: input.key,
        begun_ms: (shared.clock)(),
        needs_digests: algorithm.is_some(),
        headers: ObjectHeaders {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_type: input.content_type,
            metadata: input.metadata,
        },
    };
    shared.store.begin(&input.bucket, &upload).map_err(S3Error::internal_error)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(upload.key),
        upload_id: Some(upload.id),
        checksum_algorithm: algorithm,
        ..CreateMultipartUploadOutput::default()
    })
}

/// Stores a part, in the place of one with the same number.
pub(super) async fn upload_part(
    shared: &Shared,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let input = request.input;
    let place = Place { bucket: &input.bucket, key: &input.key };
    refuse_if(&[
        input.content_md5.is_some(),
        input.checksum_crc32.is_some(),
        input.checksum_crc32c.is_some(),
        input.checksum_crc64nvme.is_some(),
        input.checksum_sha1.is_some(),
    ])?;
    let writer = shared.receive(input.body, input.content_length, input.checksum_sha256.as_deref()).await?;
    if !NUMBERS.contains(&input.part_number) {
        return Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        ));
    }
    let upload = shared.store.upload(place, &input.upload_id).map_err(S3Error::internal_error)?;
    let (upload, _) = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
    match (upload.needs_digests, &input.checksum_sha256) {
        (true, None) => Err(mismatch("sha256", "null")),
        (false, Some(_)) => Err(mismatch("null", "sha256")),
        _ => Ok(()),
    }?;
    let piece = Piece { number: input.part_number, ..writer.piece() };
    let outcome = shared.store.put_part(place, &input.upload_id, &piece);
    shared.settle(outcome.map_err(S3Error::internal_error)?)?;
    writer.keep();
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(etag_of(&piece.digest))),
        checksum_sha256: input.checksum_sha256,
        ..UploadPartOutput::default()
    })
}

/// Makes an object of the parts that the request lists.
pub(super) async fn complete_multipart_upload(
    shared: &Shared,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let input = request.input;
    let place = Place { bucket: &input.bucket, key: &input.key };
    refuse_if(&[input.if_match.is_some(), input.checksum_sha256.is_some()])?;
    let only_new = only_new(input.if_none_match.as_ref())?;
    let upload = shared.store.upload(place, &input.upload_id).map_err(S3Error::internal_error)?;
    let (upload, pieces) = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
    let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML));
    }
    if !listed.is_sorted_by(|one, next| one.part_number < next.part_number) {
        return Err(s3_error!(InvalidPartOrder));
    }
    let parts = listed.iter().map(|part| chosen(part, &pieces, upload.needs_digests));
    let parts = parts.collect::<S3Result<Vec<Piece>>>()?;
    let but_last = parts.split_last().map_or(&[][..], |(_, others)| others);
    if but_last.iter().any(|part| part.size < LEAST) {
        return Err(s3_error!(EntityTooSmall));
    }
    let digest = digest_of_digests(parts.iter().map(|part| &part.digest));
    let composite = format!("{}-{}", STANDARD.encode(digest), parts.len());
    let object = StoredObject {
        content: upload.id,
        modified_ms: (shared.clock)(),
        etag: format!("{}-{}", etag_of(&digest), parts.len()),
        sha256: upload.needs_digests.then_some(composite),
        headers: upload.headers,
        size: parts.iter().map(|part| part.size).sum(),
    };
    let outcome = shared.store.complete(place, &object, &parts, only_new);
    shared.settle(outcome.map_err(S3Error::internal_error)?)?;
    Ok(CompleteMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(object.etag)),
        checksum_sha256: object.sha256,
        ..CompleteMultipartUploadOutput::default()
    })
}

/// Ends an upload without an object.
pub(super) async fn abort_multipart_upload(
    shared: &Shared,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    let place = Place { bucket: &input.bucket, key: &input.key };
    let outcome = shared.store.abort(place, &input.upload_id);
    shared.settle(outcome.map_err(S3Error::internal_error)?)?;
    Ok(AbortMultipartUploadOutput::default())
}

/// Returns the piece that a request to complete an upload lists.
fn chosen(part: &CompletedPart, pieces: &[Piece], needs_digest: bool) -> S3Result<Piece> {
    let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
    if needs_digest && part.checksum_sha256.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using a sha256 checksum. The complete request must include the checksum for \
             each part. It was missing for part {number} in the request."
        ));
    }
    let digest = part.checksum_sha256.as_deref().map(digest_of).transpose()?;
    let piece = pieces.iter().find(|piece| piece.number == number);
    let piece =
        piece.filter(|piece| part.e_tag.as_ref().is_some_and(|tag| tag.value() == etag_of(&piece.digest)));
    let piece = piece.filter(|piece| digest.is_none_or(|digest| digest == piece.digest));
    piece.cloned().ok_or_else(|| s3_error!(InvalidPart))
}

/// Makes the refusal of a part whose digest is missing or not expected.
fn mismatch(expected: &str, actual: &str) -> S3Error {
    s3_error!(
        InvalidRequest,
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}"
    )
}
