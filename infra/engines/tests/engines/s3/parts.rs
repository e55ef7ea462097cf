//! Uploads in parts.

use rusty_s3::actions::CreateMultipartUpload;

use super::*;

/// The bytes of a part that is not the last, at least.
const LEAST: usize = 5 << 20;

impl TestBucket {
    /// Begins an upload whose parts have digests. Returns its id.
    async fn begin(&self, key: &str) -> String {
        let headers = [("content-type", "text/plain"), ("x-amz-checksum-algorithm", "SHA256")];
        let begin = self.presign(self.bucket.create_multipart_upload(self.credentials(), key), &headers);
        let answer = self.send(&begin, b"").await;
        CreateMultipartUpload::parse_response(&answer.body).unwrap().upload_id().to_owned()
    }

    /// Presigns the upload of a part.
    fn part(&self, key: &str, id: &str, number: u16, bytes: &[u8]) -> Presigned {
        let (length, digest) = (bytes.len().to_string(), digest(bytes));
        let headers = [("content-length", length.as_str()), ("x-amz-checksum-sha256", &digest)];
        self.presign(self.bucket.upload_part(self.credentials(), key, number, id), &headers)
    }

    /// Uploads a part. Returns what a request to complete the upload says of it.
    async fn upload(&self, key: &str, id: &str, number: u16, bytes: &[u8]) -> String {
        let answer = self.send(&self.part(key, id, number, bytes), bytes).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (tag, digest) = (answer.header("etag").replace('"', "&quot;"), digest(bytes));
        format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag><ChecksumSHA256>{digest}</ChecksumSHA256></Part>"
        )
    }

    /// Completes an upload, if there is no object yet.
    async fn complete(&self, key: &str, id: &str, parts: &[&str]) -> Answer {
        let etags = std::iter::empty::<&str>();
        let action = self.bucket.complete_multipart_upload(self.credentials(), key, id, etags);
        let mut signed = self.presign(action, &[("if-none-match", "*")]);
        let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
        signed.headers.push(("content-length".to_owned(), body.len().to_string()));
        self.send(&signed, body.as_bytes()).await
    }

    /// Returns the keys and ids of the uploads that are not completed.
    async fn uploads(&self, prefix: &str, more: &[(&str, &str)]) -> String {
        let mut query = vec![("prefix", prefix), ("uploads", "")];
        query.extend(more);
        query.sort_unstable();
        let url = rusty_s3::signing::sign(
            &self.now(),
            rusty_s3::Method::Get,
            self.bucket.base_url().clone(),
            ACCESS_KEY,
            ACCESS_KEY,
            None,
            "us-east-1",
            VALID,
            query.into_iter(),
            std::iter::empty(),
        );
        let answer = self.send_url(Method::GET, url.as_str(), &[], b"").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

#[tokio::test]
async fn parts_become_an_object_across_which_ranges_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let engines = Engines::open_with_clock(dir.path(), clock.engine_clock()).unwrap();
    let bucket = TestBucket::of(engines, clock);
    let id = bucket.begin("owner/one").await;
    let first = vec![b'a'; LEAST];
    let last = bucket.upload("owner/one", &id, 2, b"the end").await;
    let lost = bucket.upload("owner/one", &id, 1, &vec![b'x'; LEAST]).await;
    let one = bucket.upload("owner/one", &id, 1, &first).await;
    bucket.upload("owner/one", &id, 3, b"not listed").await;
    assert_eq!(bucket.read("owner/one").await.status, 403, "before it is completed");
    let wrong = bucket.complete("owner/one", &id, &[&lost, &last]).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (400, "InvalidPart"));
    let order = bucket.complete("owner/one", &id, &[&last, &one]).await;
    assert_eq!((order.status.as_u16(), order.code()), (400, "InvalidPartOrder"));
    assert_eq!(bucket.complete("owner/two", &id, &[&one, &last]).await.code(), "NoSuchUpload");
    assert_eq!(bucket.complete("owner/one", &id, &[]).await.code(), "MalformedXML");
    let bare = one.split("<ChecksumSHA256>").next().unwrap().to_owned() + "</Part>";
    assert_eq!(bucket.complete("owner/one", &id, &[&bare, &last]).await.code(), "InvalidRequest");
    let completed = bucket.complete("owner/one", &id, &[&one, &last]).await;
    assert_eq!(completed.status, 200, "{}", completed.body);
    assert!(completed.body.contains("<CompleteMultipartUploadResult"), "{}", completed.body);
    assert_eq!(TestBucket::has_files_of(dir.path()), 2);
    assert_eq!(bucket.complete("owner/one", &id, &[&one, &last]).await.code(), "NoSuchUpload", "again");
    let range = vec![("range".to_owned(), format!("bytes={}-{}", LEAST - 2, LEAST + 2))];
    let url = bucket.bucket.object_url("owner/one");
    let answer = bucket.send_url(Method::GET, url.as_str(), &range, b"").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (206, "aathe"));
    assert_eq!(answer.header("content-type"), "text/plain");
    let whole = bucket.read("owner/one").await;
    assert_eq!(whole.body.len(), LEAST + 7);
    assert!(whole.body.ends_with("athe end"));
    let delete = bucket.presign(bucket.bucket.delete_object(bucket.credentials(), "owner/one"), &[]);
    assert_eq!(bucket.send(&delete, b"").await.status, 204);
    assert_eq!(TestBucket::has_files_of(dir.path()), 0);
}

#[tokio::test]
async fn a_part_with_another_digest_or_size_is_not_stored() {
    let bucket = TestBucket::new();
    let id = bucket.begin("owner/one").await;
    let signed = bucket.part("owner/one", &id, 1, b"12345");
    assert_eq!(bucket.send(&signed, b"54321").await.code(), "BadDigest");
    assert_eq!(bucket.send(&signed, b"1234").await.code(), "IncompleteBody");
    let other = signed.with("x-amz-checksum-sha256", Some(&digest(b"54321")));
    assert_eq!(bucket.send(&other, b"54321").await.status, 403);
    let none = bucket.presign(
        bucket.bucket.upload_part(bucket.credentials(), "owner/one", 1, &id),
        &[("content-length", "5")],
    );
    assert_eq!(bucket.send(&none, b"12345").await.code(), "InvalidRequest", "each part has a digest");
    for number in [0, 10_001] {
        let odd = bucket.part("owner/one", &id, number, b"12345");
        assert_eq!(bucket.send(&odd, b"12345").await.code(), "InvalidArgument", "{number}");
    }
    for (key, id) in [("owner/two", id.as_str()), ("owner/one", "none"), ("owner/one", "../x")] {
        let other = bucket.part(key, id, 1, b"12345");
        assert_eq!(bucket.send(&other, b"12345").await.code(), "NoSuchUpload", "{key} {id}");
    }
    let part = format!(
        "<Part><PartNumber>1</PartNumber><ETag>x</ETag><ChecksumSHA256>{}</ChecksumSHA256></Part>",
        digest(b"12345")
    );
    assert_eq!(bucket.complete("owner/one", &id, &[&part]).await.code(), "InvalidPart", "nothing was stored");
}

#[tokio::test]
async fn small_parts_are_the_last_ones() {
    let bucket = TestBucket::new();
    let id = bucket.begin("owner/one").await;
    let one = bucket.upload("owner/one", &id, 1, b"1").await;
    let two = bucket.upload("owner/one", &id, 2, b"2").await;
    assert_eq!(bucket.complete("owner/one", &id, &[&one, &two]).await.code(), "EntityTooSmall");
    assert_eq!(bucket.complete("owner/one", &id, &[&one]).await.status, 200);
    assert_eq!(bucket.read("owner/one").await.body, "1");
}

/// Two uploads of one name are completed, and a put comes between them.
#[tokio::test]
async fn the_first_to_complete_wins() {
    let bucket = TestBucket::new();
    let (first, second) = (bucket.begin("owner/one").await, bucket.begin("owner/one").await);
    let one = bucket.upload("owner/one", &first, 1, b"first").await;
    let two = bucket.upload("owner/one", &second, 1, b"second").await;
    assert_eq!(bucket.complete("owner/one", &second, &[&two]).await.status, 200);
    let late = bucket.complete("owner/one", &first, &[&one]).await;
    assert_eq!((late.status.as_u16(), late.code()), (412, "PreconditionFailed"));
    let put = bucket.send(&bucket.put("owner/one", b"put"), b"put").await;
    assert_eq!(put.status, 412);
    assert_eq!(bucket.read("owner/one").await.body, "second");
    assert!(bucket.uploads("owner/", &[]).await.contains(&first), "the upload is still there, to be aborted");
}

#[tokio::test]
async fn uploads_are_listed_by_prefix_and_aborted() {
    let bucket = TestBucket::new();
    let one = bucket.begin("a/1").await;
    let two = bucket.begin("a/2").await;
    let other = bucket.begin("ab/1").await;
    bucket.upload("a/1", &one, 1, b"1").await;
    let listed = bucket.uploads("a/", &[]).await;
    assert!(listed.contains(&one) && listed.contains(&two) && !listed.contains(&other), "{listed}");
    let page = bucket.uploads("a/", &[("max-uploads", "1")]).await;
    assert!(page.contains(&one) && page.contains("<IsTruncated>true</IsTruncated>"), "{page}");
    let next = bucket.uploads("a/", &[("key-marker", "a/1"), ("upload-id-marker", &one)]).await;
    assert!(!next.contains(&format!("<UploadId>{one}")) && next.contains(&two), "{next}");
    let abort = |id: &str| {
        let action = bucket.bucket.abort_multipart_upload(bucket.credentials(), "a/1", id);
        bucket.presign(action, &[])
    };
    assert_eq!(bucket.send(&abort(&two), b"").await.code(), "NoSuchUpload", "of another key");
    let first = abort(&one);
    assert_eq!(bucket.send(&first, b"").await.status, 204);
    assert_eq!(bucket.send(&first, b"").await.code(), "NoSuchUpload");
    let part = bucket.part("a/1", &one, 2, b"2");
    assert_eq!(bucket.send(&part, b"2").await.code(), "NoSuchUpload");
    assert!(!bucket.uploads("a/", &[]).await.contains(&one));
}

#[tokio::test]
async fn uploads_end_after_their_days() {
    let bucket = TestBucket::new();
    let id = bucket.begin("owner/one").await;
    let one = bucket.upload("owner/one", &id, 1, b"1").await;
    bucket.clock.forward(86_400);
    assert_eq!(bucket.engines.sweep_ttl().unwrap(), 0);
    bucket.clock.forward(86_400);
    assert_eq!(bucket.engines.sweep_ttl().unwrap(), 1);
    assert_eq!(bucket.complete("owner/one", &id, &[&one]).await.code(), "NoSuchUpload");
}
