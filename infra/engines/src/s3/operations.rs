//! The operations of S3. Each one that is not here is answered 501 by `s3s`.

mod listing;
mod objects;
mod uploads;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest as _, Sha256};

use super::Shared;
use super::files::PieceWriter;
use super::store::WriteOutcome;

/// The operations over the state of the engine.
pub(super) struct Operations(pub(super) Arc<Shared>);

/// Implements methods of the trait by functions of the same name here, which take the request and
/// return the output.
macro_rules! operations {
    ($($name:ident: $input:ident -> $output:ident, in $module:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Operations {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.0.check_bucket(&request.input.bucket)?;
                    $module::$name(&self.0, request).await.map(S3Response::new)
                }
            )*
        }
    };
}

operations! {
    put_object: PutObjectInput -> PutObjectOutput, in objects;
    get_object: GetObjectInput -> GetObjectOutput, in objects;
    head_object: HeadObjectInput -> HeadObjectOutput, in objects;
    copy_object: CopyObjectInput -> CopyObjectOutput, in objects;
    delete_object: DeleteObjectInput -> DeleteObjectOutput, in objects;
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput, in objects;
    list_objects_v2: ListObjectsV2Input -> ListObjectsV2Output, in listing;
    list_multipart_uploads: ListMultipartUploadsInput -> ListMultipartUploadsOutput, in listing;
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput, in uploads;
    upload_part: UploadPartInput -> UploadPartOutput, in uploads;
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput, in uploads;
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput, in uploads;
}

impl Shared {
    fn check_bucket(&self, name: &str) -> S3Result<()> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        if buckets.contains_key(name) { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// Writes a body to a file of its own, and compares its length and its digest with those that the
    /// request names.
    async fn receive(
        &self,
        body: Option<StreamingBlob>,
        length: Option<i64>,
        sha256: Option<&str>,
    ) -> S3Result<PieceWriter> {
        let due = sha256.map(digest_of).transpose()?;
        let length = length.and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| s3_error!(MissingContentLength))?;
        let mut writer = self.files.create().map_err(S3Error::internal_error)?;
        if let Some(mut body) = body {
            while let Some(bytes) = body.next().await {
                let bytes =
                    bytes.map_err(|error| S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, error))?;
                writer.write(&bytes).map_err(S3Error::internal_error)?;
            }
        }
        if writer.size() != length {
            return Err(s3_error!(IncompleteBody));
        }
        if due.is_some_and(|due| due != writer.digest()) {
            return Err(s3_error!(
                BadDigest,
                "The SHA256 you specified did not match the calculated checksum."
            ));
        }
        Ok(writer)
    }

    /// Ends a write: removes the files that it has replaced.
    fn settle(&self, outcome: WriteOutcome) -> S3Result<()> {
        match outcome {
            WriteOutcome::Written(files) => {
                self.files.remove(&files);
                Ok(())
            }
            WriteOutcome::Exists => Err(s3_error!(PreconditionFailed)),
            WriteOutcome::Gone => Err(s3_error!(NoSuchUpload)),
            WriteOutcome::Changed => Err(s3_error!(OperationAborted)),
        }
    }
}

/// Reads `If-None-Match` of a write, which can only ask that there is no object yet.
fn only_new(condition: Option<&ETagCondition>) -> S3Result<bool> {
    match condition {
        None => Ok(false),
        Some(ETagCondition::Any) => Ok(true),
        Some(ETagCondition::ETag(_)) => Err(s3_error!(NotImplemented)),
    }
}

/// Refuses a request that asks for what the engine does not have.
fn refuse_if(asks: &[bool]) -> S3Result<()> {
    if asks.contains(&true) { Err(s3_error!(NotImplemented)) } else { Ok(()) }
}

/// Reads a SHA-256 digest in Base64.
fn digest_of(text: &str) -> S3Result<[u8; 32]> {
    let digest = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| s3_error!(InvalidRequest, "Value for x-amz-checksum-sha256 header is invalid."))
}

/// Returns the entity tag of bytes with this digest. Clients must not read anything from it.
fn etag_of(digest: &[u8; 32]) -> String {
    hex::encode(digest.first_chunk::<16>().unwrap_or(&[0; 16]))
}

/// Returns the digest of the digests of parts.
fn digest_of_digests<'a>(digests: impl Iterator<Item = &'a [u8; 32]>) -> [u8; 32] {
    digests.fold(Sha256::new(), |hash, digest| hash.chain_update(digest)).finalize().into()
}

/// Returns a time for an answer.
fn timestamp(ms: i64) -> Timestamp {
    let since = Duration::from_secs(u64::try_from(ms.div_euclid(1000)).unwrap_or_default());
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH).into()
}
