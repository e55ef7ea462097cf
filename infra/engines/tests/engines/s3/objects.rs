//! Objects: put, read in ranges, renewed, deleted, expired.

use super::*;

#[tokio::test]
async fn an_object_is_read_with_the_headers_that_it_was_put_with() {
    let bucket = TestBucket::new();
    bucket.store("owner/one", b"0123456789").await;
    for method in [Method::GET, Method::HEAD] {
        let url = bucket.bucket.object_url("owner/one");
        let answer = bucket.send_url(method.clone(), url.as_str(), &[], b"").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, if method == Method::GET { "0123456789" } else { "" });
        for (name, value) in [
            ("accept-ranges", "bytes"),
            ("cache-control", "public, max-age=2592000, immutable"),
            ("content-disposition", "attachment"),
            ("content-length", "10"),
            ("content-type", "application/octet-stream"),
            ("last-modified", "Fri, 15 Jan 2027 08:00:00 GMT"),
        ] {
            assert_eq!(answer.header(name), value, "{method} {name}");
        }
        let tag = vec![("if-none-match".to_owned(), answer.header("etag").to_owned())];
        let again = bucket.send_url(method.clone(), url.as_str(), &tag, b"").await;
        assert_eq!(again.status, 304);
        let other = vec![("if-match".to_owned(), "\"other\"".to_owned())];
        assert_eq!(bucket.send_url(method, url.as_str(), &other, b"").await.status, 412);
    }
}

#[tokio::test]
async fn ranges_are_read_if_they_are_possible() {
    let bucket = TestBucket::new();
    bucket.store("owner/one", b"0123456789").await;
    bucket.store("owner/none", b"").await;
    let read = async |key: &str, range: &str| {
        let range = vec![("range".to_owned(), range.to_owned())];
        bucket.send_url(Method::GET, bucket.bucket.object_url(key).as_str(), &range, b"").await
    };
    for (range, due, bytes) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=8-", "bytes 8-9/10", "89"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-99", "bytes 0-9/10", "0123456789"),
    ] {
        let answer = read("owner/one", range).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (206, bytes), "{range}");
        assert_eq!(answer.header("content-range"), due);
        assert_eq!(answer.header("content-length"), bytes.len().to_string());
    }
    for (key, range) in [
        ("owner/one", "bytes=10-"),
        ("owner/one", "bytes=99-100"),
        ("owner/one", "bytes=-0"),
        ("owner/none", "bytes=0-"),
    ] {
        let answer = read(key, range).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (416, "InvalidRange"), "{key} {range}");
    }
    for ignored in
        ["bytes=4-2", "bytes=a-b", "bytes=", "bytes=0-1,3-4", "items=0-1", "bytes=99999999999999999999-"]
    {
        let answer = read("owner/one", ignored).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "0123456789"), "{ignored}");
    }
}

#[tokio::test]
async fn bytes_with_another_digest_or_size_are_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let engines = Engines::open_with_clock(dir.path(), clock.engine_clock()).unwrap();
    let bucket = TestBucket::of(engines, clock);
    let signed = bucket.put("owner/one", b"12345");
    let refused = bucket.send(&signed, b"54321").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "BadDigest"));
    for other in [&b"1234"[..], b"123456", b""] {
        let refused = bucket.send(&signed, other).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "IncompleteBody"));
    }
    let odd = [("content-length", "5"), ("x-amz-checksum-sha256", "12345")];
    let odd = bucket.presign(bucket.bucket.put_object(bucket.credentials(), "owner/one"), &odd);
    assert_eq!(bucket.send(&odd, b"12345").await.code(), "InvalidRequest");
    assert_eq!(bucket.read("owner/one").await.status, 403);
    assert_eq!(bucket.keys().await, [""; 0]);
    assert_eq!(TestBucket::has_files_of(dir.path()), 0);
    bucket.store("owner/one", b"12345").await;
    assert_eq!(TestBucket::has_files_of(dir.path()), 1);
}

#[tokio::test]
async fn a_second_put_changes_nothing() {
    let bucket = TestBucket::new();
    bucket.store("owner/one", b"first").await;
    let again = bucket.send(&bucket.put("owner/one", b"first"), b"first").await;
    assert_eq!((again.status.as_u16(), again.code()), (412, "PreconditionFailed"));
    let other = bucket.send(&bucket.put("owner/one", b"other"), b"other").await;
    assert_eq!((other.status.as_u16(), other.code()), (412, "PreconditionFailed"));
    assert_eq!(bucket.read("owner/one").await.body, "first");
}

/// Without the condition, the last writer wins, as in S3. Nothing is left of the others.
#[tokio::test]
async fn a_put_without_the_condition_replaces_the_object() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let engines = Engines::open_with_clock(dir.path(), clock.engine_clock()).unwrap();
    let bucket = TestBucket::of(engines, clock);
    for bytes in [&b"1"[..], b"22", b""] {
        let length = bytes.len().to_string();
        let put = bucket.bucket.put_object(bucket.credentials(), "owner/one");
        let put = bucket.presign(put, &[("content-length", &length)]);
        assert_eq!(bucket.send(&put, bytes).await.status, 200);
        assert_eq!(bucket.read("owner/one").await.body.as_bytes(), bytes);
        assert_eq!(TestBucket::has_files_of(dir.path()), 1);
    }
}

/// Two requests run at the same time, and each one has seen that there is no object.
#[tokio::test]
async fn of_two_puts_at_the_same_time_the_first_to_end_wins() {
    let bucket = TestBucket::new();
    let uploading = |bytes: &'static [u8]| {
        let signed = bucket.put("owner/one", bytes);
        let (sender, receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
        let stream = futures_util::stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|bytes| (Ok::<_, std::io::Error>(bytes), receiver))
        });
        let body = S3Body::from(s3s::dto::StreamingBlob::wrap(Box::pin(stream)));
        let path = signed.url.as_str().strip_prefix("http://localhost:8000").unwrap().to_owned();
        let mut request = Request::put(path).header("host", "localhost:8000");
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        let (engines, request) = (bucket.engines.clone(), request.body(body).unwrap());
        let answer = tokio::spawn(async move { engines.call_s3(request).await.status().as_u16() });
        (sender, answer)
    };
    let (slow, slow_answer) = uploading(b"slow");
    let (fast, fast_answer) = uploading(b"fast");
    slow.send((&b"sl"[..]).into()).await.unwrap();
    fast.send((&b"fast"[..]).into()).await.unwrap();
    drop(fast);
    assert_eq!(fast_answer.await.unwrap(), 200);
    slow.send((&b"ow"[..]).into()).await.unwrap();
    drop(slow);
    assert_eq!(slow_answer.await.unwrap(), 412);
    assert_eq!(bucket.read("owner/one").await.body, "fast");
}

#[tokio::test]
async fn keys_are_names_and_no_paths() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let engines = Engines::open_with_clock(dir.path(), clock.engine_clock()).unwrap();
    let bucket = TestBucket::of(engines, clock);
    bucket.store("owner/one", b"one").await;
    let keys = [
        "%2E%2E/%2E%2E/table.sqlite",
        "..%2F..%2Ftable.sqlite",
        "..%2Fblobs.sqlite",
        "owner%2F..%2Fowner%2Fone",
        "%2Fetc%2Fpasswd",
        "owner%2Fone%2F",
        "owner%2F%2Fone",
        "a%00b",
        "a%0D%0Ab",
        "a%7Fb",
        "a%20b%2Bc%26d%3Ce%3E",
        "%F0%9F%90%88",
        ".",
        "owner",
    ];
    for key in keys {
        // The signer takes the name, and encodes it by itself.
        let name = percent_encoding::percent_decode_str(key).decode_utf8().unwrap();
        let put = bucket.bucket.put_object(bucket.credentials(), &name);
        let put = bucket.presign(put, &[("content-length", "3"), ("if-none-match", "*")]);
        let answer = bucket.send(&put, b"odd").await;
        assert!(answer.status == 200 || answer.status.is_client_error(), "{key}: {}", answer.body);
        assert_eq!(bucket.read("owner/one").await.body, "one", "{key}");
    }
    // Without a signature, nothing but objects is read under any spelling of a path.
    let base = format!("http://localhost:8000/{BUCKET}");
    for path in [
        "/../table.sqlite",
        "/..%2Ftable.sqlite",
        "/%2e%2e/blobs.sqlite",
        "/../../etc/passwd",
        "//etc/passwd",
    ] {
        let answer = bucket.send_url(Method::GET, &format!("{base}{path}"), &[], b"").await;
        assert!(answer.status == 403 || answer.body == "odd", "{path}: {}", answer.body);
    }
    for invalid in ["/%FF", "/%C3%28"] {
        let answer = bucket.send_url(Method::GET, &format!("{base}{invalid}"), &[], b"").await;
        assert!(answer.status.is_client_error(), "{invalid}");
    }
    let long = "a".repeat(1025);
    let long =
        bucket.presign(bucket.bucket.put_object(bucket.credentials(), &long), &[("content-length", "0")]);
    assert_eq!(bucket.send(&long, b"").await.code(), "KeyTooLongError");
    // Each file belongs to an object, and no file is anywhere else.
    assert_eq!(TestBucket::has_files_of(dir.path()), bucket.keys().await.len());
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !name.contains("-wal") && !name.contains("-shm"));
    names.sort();
    assert_eq!(names, ["blobs", "blobs.sqlite", "lock", "queues.sqlite", "table.sqlite"]);
}

#[tokio::test]
async fn deleted_objects_are_gone_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let engines = Engines::open_with_clock(dir.path(), clock.engine_clock()).unwrap();
    let bucket = TestBucket::of(engines, clock);
    for key in ["owner/1", "owner/2", "owner/3"] {
        bucket.store(key, b"1").await;
    }
    let delete = bucket.presign(bucket.bucket.delete_object(bucket.credentials(), "owner/1"), &[]);
    for _ in 0..2 {
        assert_eq!(bucket.send(&delete, b"").await.status, 204);
    }
    let names = ["owner/2", "owner/none"].map(|key| rusty_s3::actions::ObjectIdentifier::new(key.to_owned()));
    let action = bucket.bucket.delete_objects(bucket.credentials(), names.iter());
    let url = bucket.presign(action.clone(), &[]);
    let (body, md5) = action.body_with_md5();
    assert_eq!(bucket.send(&url, body.as_bytes()).await.code(), "InvalidRequest", "a digest is required");
    let with_digest = Presigned {
        headers: vec![("content-md5".to_owned(), md5), ("content-length".to_owned(), body.len().to_string())],
        ..url
    };
    let answer = bucket.send(&with_digest, body.as_bytes()).await;
    let deleted = rusty_s3::actions::DeleteObjectsResponse::parse(&answer.body).unwrap();
    assert_eq!((deleted.deleted.len(), deleted.errors.len()), (2, 0));
    assert_eq!(bucket.keys().await, ["owner/3"]);
    assert_eq!(TestBucket::has_files_of(dir.path()), 1);
}

#[tokio::test]
async fn a_copy_onto_itself_renews_the_time() {
    let bucket = TestBucket::new();
    bucket.store("owner/one", b"one").await;
    bucket.clock.forward(29 * 86_400);
    let copy = |source: &str, directive: &str| {
        let headers = [
            ("content-type", "text/plain"),
            ("x-amz-copy-source", source),
            ("x-amz-metadata-directive", directive),
        ];
        bucket.presign(bucket.bucket.put_object(bucket.credentials(), "owner/one"), &headers)
    };
    let illegal = bucket.send(&copy("/blobs/owner/one", "COPY"), b"").await;
    assert_eq!((illegal.status.as_u16(), illegal.code()), (400, "InvalidRequest"));
    assert_eq!(bucket.send(&copy("/blobs/owner/two", "REPLACE"), b"").await.status, 501);
    let copied = bucket.send(&copy("/blobs/owner/one", "REPLACE"), b"").await;
    assert_eq!(copied.status, 200, "{}", copied.body);
    assert!(copied.body.contains("<CopyObjectResult"), "{}", copied.body);
    let read = bucket.read("owner/one").await;
    assert_eq!((read.body.as_str(), read.header("content-type")), ("one", "text/plain"));
    assert_eq!(read.header("last-modified"), "Sat, 13 Feb 2027 08:00:00 GMT");
    let gone = bucket.presign(
        bucket.bucket.put_object(bucket.credentials(), "owner/none"),
        &[("x-amz-copy-source", "/blobs/owner/none"), ("x-amz-metadata-directive", "REPLACE")],
    );
    assert_eq!(bucket.send(&gone, b"").await.code(), "NoSuchKey");
}

/// S3 rounds the end of an object's days up to the next midnight.
#[tokio::test]
async fn objects_expire_after_their_days() {
    let bucket = TestBucket::new();
    bucket.store("owner/old", b"1").await;
    bucket.clock.forward(86_400);
    bucket.store("owner/young", b"2").await;
    // 30 days after the first, but not midnight.
    bucket.clock.forward(29 * 86_400 + 15 * 3_600);
    assert_eq!(bucket.engines.sweep_ttl().unwrap(), 0);
    bucket.clock.forward(3_600);
    assert_eq!(bucket.engines.sweep_ttl().unwrap(), 1);
    assert_eq!(bucket.keys().await, ["owner/young"]);
    assert_eq!(bucket.read("owner/old").await.status, 403);
}

#[tokio::test]
async fn a_reopened_folder_has_its_objects_and_no_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let engine_clock = clock.engine_clock();
    {
        let engines = Engines::open_with_clock(dir.path(), engine_clock.clone()).unwrap();
        let bucket = TestBucket::of(engines, clock.clone());
        bucket.store("owner/one", b"one").await;
    }
    // A killed process leaves a file that it has not ended.
    std::fs::write(dir.path().join("blobs").join("0123"), b"half").unwrap();
    let bucket = TestBucket::of(Engines::open_with_clock(dir.path(), engine_clock).unwrap(), clock);
    assert_eq!(TestBucket::has_files_of(dir.path()), 1);
    assert_eq!(bucket.read("owner/one").await.body, "one");
    assert_eq!(bucket.send(&bucket.put("owner/one", b"two"), b"two").await.status, 412);
}
