//! S3: buckets whose objects are files beside a database of their names.
//!
//! ```text
//! signature   who calls: nobody, or the holder of the key; until when
//! s3s         routes, headers, XML and errors of S3
//! operations  one method for each operation, over the two below
//! store       objects   bucket, key, content, modified, etag, headers
//!             uploads   id, bucket, key, begun, headers
//!             pieces    content, number, file, size, digest
//! files       the bytes of each piece, in a file whose name says nothing
//! ```
//!
//! A piece is a file of its own, and an object is a list of pieces: one if it was put, several if it
//! was uploaded in parts. Completing an upload moves no byte. Every write is one transaction after
//! the bytes are in their file, so that a refused or killed request leaves nothing that can be read.
//! Files that belong to no piece are removed when the folder is opened.
//!
//! Keys never are paths: `..` and control characters are characters like any others.
//!
//! The engine refuses what it does not have, such as versions, ACLs, and checksums other than
//! SHA-256. Objects can be read without a signature, as the bucket behind CloudFront can.

mod files;
mod lifecycle;
mod operations;
mod signature;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, S3Result, s3_error};
use sha2::{Digest as _, Sha256};

use crate::clock::EngineClock;
use crate::error::Error;

pub use lifecycle::Lifecycle;

use files::PieceFiles;
use signature::Caller;
use store::ObjectStore;

/// The id of the access key that requests are signed with.
pub const ACCESS_KEY: &str = "local";

/// The most bytes of a body that is covered by the signature in a header.
const SIGNED_BODY: usize = 17 << 20;

/// The embedded S3. Clones share the state.
#[derive(Clone)]
pub(crate) struct ObjectEngine {
    service: S3Service,
    shared: Arc<Shared>,
}

/// The state that the engine and the operations share.
struct Shared {
    store: ObjectStore,
    files: PieceFiles,
    clock: EngineClock,
    secret: RwLock<String>,
    buckets: RwLock<BTreeMap<String, Lifecycle>>,
}

/// The way by which a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Over HTTP: a signature has a time.
    Http,
    /// From a client in this process, whose clock may be another one.
    InProcess,
}

/// Marks requests that are signed, among the extensions of a request.
#[derive(Clone, Copy, Debug)]
struct IsSigned;

impl ObjectEngine {
    /// Makes an engine without buckets, in memory. Bytes go to a temporary folder, which is made for
    /// the first of them.
    pub(crate) fn in_memory(clock: EngineClock) -> Result<Self, Error> {
        Ok(Self::new(ObjectStore::in_memory()?, PieceFiles::temporary(), clock))
    }

    /// Opens the engine that is stored at `database` and in the folder `files`, or creates it.
    pub(crate) fn open(database: &Path, files: &Path, clock: EngineClock) -> Result<Self, Error> {
        let store = ObjectStore::open(database)?;
        let files = PieceFiles::open(files, &store.files()?)?;
        Ok(Self::new(store, files, clock))
    }

    fn new(store: ObjectStore, files: PieceFiles, clock: EngineClock) -> Self {
        let (secret, buckets) = (RwLock::new(ACCESS_KEY.to_owned()), RwLock::default());
        let shared = Arc::new(Shared { store, files, clock, secret, buckets });
        let service = S3ServiceBuilder::new(operations::Operations(Arc::clone(&shared))).build();
        Self { service, shared }
    }

    /// Makes a bucket, whose objects may be there from earlier.
    pub(crate) fn create_bucket(&self, name: &str, lifecycle: Lifecycle) {
        let mut buckets = self.shared.buckets.write().unwrap_or_else(PoisonError::into_inner);
        buckets.insert(name.to_owned(), lifecycle);
    }

    /// Sets the secret of the access key.
    pub(crate) fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.shared.secret.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Moves the write-ahead log into the database and syncs it. In memory there is none.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        Ok(self.shared.store.flush()?)
    }

    /// Answers one request.
    pub(crate) async fn call(&self, way: Way, request: Request<Body>) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let mut response = match self.admit(way, request).await {
            Ok(request) => match self.service.call(request).await {
                Ok(response) => response,
                Err(error) => {
                    tracing::error!(?error, "S3 has no answer");
                    refusal(s3_error!(InternalError))
                }
            },
            Err(error) => refusal(error),
        };
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    /// Verifies the signature of a request, and takes it off. `s3s` verifies signatures too, but by the
    /// clock of the machine only.
    async fn admit(&self, way: Way, request: Request<Body>) -> S3Result<Request<Body>> {
        let (mut parts, body) = request.into_parts();
        parts.extensions = http::Extensions::new();
        let secret = self.shared.secret.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now_ms = (way == Way::Http).then(|| (self.shared.clock)());
        let caller = match signature::verify(&parts, &secret, now_ms) {
            Ok(Caller::Anonymous) if !reads_object(&parts) => Err(s3_error!(AccessDenied)),
            caller => caller,
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(error) => {
                drain(body).await;
                return Err(error);
            }
        };
        let body = match &caller {
            Caller::Anonymous | Caller::Presigned => body,
            Caller::Signed { payload } => verified(body, payload).await?,
        };
        if !matches!(caller, Caller::Anonymous) {
            parts.extensions.insert(IsSigned);
        }
        parts.uri = path_style(&parts, &signature::unsigned_query(&parts.uri))?;
        parts.headers.remove(header::AUTHORIZATION);
        // A range that cannot be parsed is ignored (RFC 9110, section 14.2).
        let range = parts.headers.get(header::RANGE).map(|range| range.to_str().unwrap_or_default());
        if range.is_some_and(|range| s3s::dto::Range::parse(range).is_err()) {
            parts.headers.remove(header::RANGE);
        }
        Ok(Request::from_parts(parts, body))
    }
}

/// True if a request reads an object and nothing about it, which needs no signature.
fn reads_object(parts: &http::request::Parts) -> bool {
    let key = bucket_of_host(parts).map_or_else(
        || parts.uri.path().trim_start_matches('/').split_once('/').map_or("", |(_, key)| key),
        |_| parts.uri.path().trim_start_matches('/'),
    );
    [Method::GET, Method::HEAD].contains(&parts.method) && !key.is_empty() && parts.uri.query().is_none()
}

/// Returns the bucket that the host names, as AWS's own endpoints do (virtual-hosted style).
fn bucket_of_host(parts: &http::request::Parts) -> Option<&str> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.host())?;
    let (bucket, rest) = host.split_once(".s3.")?;
    rest.contains("amazonaws.com").then_some(bucket)
}

/// Returns the URI in which the path names the bucket, with another query.
fn path_style(parts: &http::request::Parts, query: &str) -> S3Result<Uri> {
    let bucket = bucket_of_host(parts).map(|bucket| format!("/{bucket}")).unwrap_or_default();
    let separator = if query.is_empty() { "" } else { "?" };
    let uri = format!("{bucket}{}{separator}{query}", parts.uri.path());
    uri.parse().map_err(|_| s3_error!(InvalidURI))
}

/// Reads a body whose digest is signed, and compares them.
async fn verified(body: Body, payload: &str) -> S3Result<Body> {
    if payload == "UNSIGNED-PAYLOAD" {
        return Ok(body);
    }
    if payload.starts_with("STREAMING-") {
        drain(body).await;
        return Err(s3_error!(NotImplemented));
    }
    let read = Limited::new(body, SIGNED_BODY).collect().await;
    let bytes = read.map_err(|_| s3_error!(EntityTooLarge))?.to_bytes();
    if hex::encode(Sha256::digest(&bytes)) != payload {
        return Err(s3_error!(BadDigest, "The body does not match x-amz-content-sha256."));
    }
    Ok(Body::from(bytes))
}

/// Reads a body to its end, because a client may read no answer before it has sent everything.
async fn drain(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Makes the answer to a refused request.
fn refusal(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        response
    })
}
