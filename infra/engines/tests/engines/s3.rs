//! S3, by requests that `rusty-s3` presigns.

mod listing;
mod objects;
mod parts;
mod signatures;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_engines::s3::{ACCESS_KEY, Lifecycle};
use eko_engines::{Engines, S3Body};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::ManualClock;

/// The name of the bucket.
const BUCKET: &str = "blobs";

/// The seconds for which URLs are presigned.
const VALID: u64 = 900;

/// A bucket of engines whose clock a test moves.
struct TestBucket {
    engines: Engines,
    clock: ManualClock,
    bucket: Bucket,
    credentials: Credentials,
}

/// A request that is presigned.
#[derive(Clone, Debug)]
struct Presigned {
    method: Method,
    url: Url,
    headers: Vec<(String, String)>,
}

/// An answer of S3.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl TestBucket {
    fn new() -> Self {
        let clock = ManualClock::default();
        let engines = Engines::in_memory_with_clock(clock.engine_clock()).unwrap();
        Self::of(engines, clock)
    }

    fn of(engines: Engines, clock: ManualClock) -> Self {
        engines.create_bucket(BUCKET, Lifecycle { object_days: 30, upload_days: 1 });
        let endpoint = Url::parse("http://localhost:8000").unwrap();
        let bucket = Bucket::new(endpoint, UrlStyle::Path, BUCKET, "us-east-1").unwrap();
        Self { engines, clock, bucket, credentials: Credentials::new(ACCESS_KEY, ACCESS_KEY) }
    }

    fn credentials(&self) -> Option<&Credentials> {
        Some(&self.credentials)
    }

    /// Presigns an action with these headers.
    fn presign<'a, A: S3Action<'a>>(&self, mut action: A, headers: &[(&'static str, &str)]) -> Presigned {
        for (name, value) in headers {
            action.headers_mut().insert(*name, (*value).to_owned());
        }
        let url = action.sign_with_time(Duration::from_secs(VALID), &self.now());
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let method = Method::from_bytes(A::METHOD.to_str().as_bytes()).unwrap();
        Presigned { method, url, headers: headers.collect() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.0.load(std::sync::atomic::Ordering::SeqCst)).unwrap()
    }

    /// Presigns the upload of these bytes, if there is no object of this name.
    fn put(&self, key: &str, bytes: &[u8]) -> Presigned {
        let (length, digest) = (bytes.len().to_string(), digest(bytes));
        let headers = [
            ("cache-control", "public, max-age=2592000, immutable"),
            ("content-disposition", "attachment"),
            ("content-length", &length),
            ("content-type", "application/octet-stream"),
            ("if-none-match", "*"),
            ("x-amz-checksum-sha256", &digest),
        ];
        self.presign(self.bucket.put_object(self.credentials(), key), &headers)
    }

    /// Sends a request as it is presigned.
    async fn send(&self, request: &Presigned, body: &[u8]) -> Answer {
        self.send_url(request.method.clone(), request.url.as_str(), &request.headers, body).await
    }

    /// Sends a request.
    async fn send_url(&self, method: Method, url: &str, headers: &[(String, String)], body: &[u8]) -> Answer {
        let path = url.strip_prefix("http://localhost:8000").unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:8000");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = self.engines.call_s3(request.body(S3Body::from(body.to_vec())).unwrap()).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Reads an object without a signature.
    async fn read(&self, key: &str) -> Answer {
        self.send_url(Method::GET, self.bucket.object_url(key).as_str(), &[], b"").await
    }

    /// Stores an object.
    async fn store(&self, key: &str, bytes: &[u8]) {
        let stored = self.send(&self.put(key, bytes), bytes).await;
        assert_eq!(stored.status, 200, "{}", stored.body);
    }

    /// Returns the keys of all objects.
    async fn keys(&self) -> Vec<String> {
        let list = self.presign(self.bucket.list_objects_v2(self.credentials()), &[]);
        let answer = self.send(&list, b"").await;
        let listed = rusty_s3::actions::ListObjectsV2::parse_response(&answer.body).unwrap();
        listed.contents.into_iter().map(|object| object.key).collect()
    }

    /// Returns the number of files that are stored.
    fn has_files_of(dir: &std::path::Path) -> usize {
        std::fs::read_dir(dir.join("blobs")).unwrap().count()
    }
}

impl Answer {
    /// Returns the code of an error.
    fn code(&self) -> &str {
        let code = self.body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map_or("", |(code, _)| code)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Presigned {
    /// Returns the request with another value of a header, or without it.
    fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut other = self.clone();
        other.headers.retain(|(header, _)| header != name);
        other.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        other
    }
}

/// Returns a SHA-256 digest in Base64.
fn digest(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}
