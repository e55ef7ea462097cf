//! Signatures: requests that differ from what was signed store and show nothing.

use super::*;

#[tokio::test]
async fn a_request_that_differs_from_the_signed_one_stores_nothing() {
    let bucket = TestBucket::new();
    let signed = bucket.put("owner/one", b"12345");
    let other_key = |key: &str| {
        let mut other = signed.clone();
        other.url.set_path(&format!("/{BUCKET}/{key}"));
        other
    };
    let mut other_bucket = signed.clone();
    other_bucket.url.set_path("/others/owner/one");
    let other = digest(b"54321");
    let differing = [
        ("another size", signed.with("content-length", Some("6")), &b"123456"[..]),
        ("no bytes", signed.with("content-length", Some("0")), b""),
        ("no size", signed.with("content-length", None), b"12345"),
        ("another digest", signed.with("x-amz-checksum-sha256", Some(&other)), b"54321"),
        ("no digest", signed.with("x-amz-checksum-sha256", None), b"12345"),
        ("no condition", signed.with("if-none-match", None), b"12345"),
        ("another type", signed.with("content-type", Some("text/html")), b"12345"),
        ("another disposition", signed.with("content-disposition", Some("inline")), b"12345"),
        ("another host", signed.with("host", Some("eve.example")), b"12345"),
        ("another key", other_key("owner/two"), b"12345"),
        ("a key above", other_key("owner/one/../../others"), b"12345"),
        ("another method", Presigned { method: Method::POST, ..signed.clone() }, b"12345"),
        ("another bucket", other_bucket, b"12345"),
        // A request that was not signed as a copy, an upload part or a tagged object is not one.
        ("a copy", signed.with("x-amz-copy-source", Some("/blobs/owner/two")), b"12345"),
        ("an ACL", signed.with("x-amz-acl", Some("public-read-write")), b"12345"),
    ];
    for (what, request, body) in differing {
        let answer = bucket.send(&request, body).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
        assert_eq!(bucket.keys().await, [""; 0], "{what}");
    }
    for (from, to) in
        [("X-Amz-Expires=900", "X-Amz-Expires=9000"), ("%2Fs3%2F", "%2Fsqs%2F"), ("local%2F", "eve%2F")]
    {
        let url = signed.url.as_str().replace(from, to);
        assert_ne!(url, signed.url.as_str());
        let answer = bucket.send_url(Method::PUT, &url, &signed.headers, b"12345").await;
        assert!(answer.status.is_client_error(), "{to}: {}", answer.body);
    }
    for extra in ["&uploads", "&tagging", "&partNumber=1&uploadId=x", "&x=y"] {
        let url = format!("{}{extra}", signed.url);
        let answer = bucket.send_url(Method::PUT, &url, &signed.headers, b"12345").await;
        assert_eq!((answer.status.as_u16(), answer.code()), (403, "SignatureDoesNotMatch"), "{extra}");
    }
    assert_eq!(bucket.keys().await, [""; 0]);
    assert_eq!(bucket.send(&signed, b"12345").await.status, 200);
    assert_eq!(bucket.read("owner/one").await.body, "12345");
}

#[tokio::test]
async fn another_secret_signs_nothing() {
    let bucket = TestBucket::new();
    let signed = bucket.put("owner/one", b"1");
    bucket.engines.set_s3_secret("another");
    let answer = bucket.send(&signed, b"1").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (403, "SignatureDoesNotMatch"));
}

#[tokio::test]
async fn a_url_is_valid_until_it_expires() {
    let bucket = TestBucket::new();
    let (first, second) = (bucket.put("owner/one", b"1"), bucket.put("owner/two", b"2"));
    bucket.clock.forward(i64::try_from(VALID).unwrap());
    assert_eq!(bucket.send(&first, b"1").await.status, 200);
    bucket.clock.forward(1);
    let late = bucket.send(&second, b"2").await;
    assert_eq!((late.status.as_u16(), late.code()), (403, "AccessDenied"));
    assert_eq!(bucket.keys().await, ["owner/one"]);
    // A clock that is ahead of S3's by more than a quarter of an hour signs nothing.
    let early = bucket.put("owner/two", b"2");
    bucket.clock.forward(-901);
    assert_eq!(bucket.send(&early, b"2").await.code(), "RequestTimeTooSkewed");
}

#[tokio::test]
async fn nobody_reads_anything_but_objects_without_a_signature() {
    let bucket = TestBucket::new();
    bucket.store("owner/one", b"1").await;
    let base = "http://localhost:8000/blobs";
    for (method, path) in [
        (Method::GET, ""),
        (Method::GET, "/"),
        (Method::GET, "?list-type=2"),
        (Method::GET, "?uploads"),
        (Method::HEAD, ""),
        (Method::GET, "/owner/one?acl"),
        (Method::GET, "/owner/one?response-content-type=text/html"),
        (Method::GET, "/owner/one?uploadId=x"),
        (Method::PUT, "/owner/two"),
        (Method::DELETE, "/owner/one"),
        (Method::POST, "?delete"),
        (Method::POST, "/owner/two?uploads"),
        (Method::PUT, ""),
        (Method::DELETE, ""),
        // Whoever may not list does not learn what is there.
        (Method::GET, "/owner/two"),
        (Method::GET, "/owner"),
        (Method::GET, "/owner/"),
        (Method::HEAD, "/owner/two"),
    ] {
        let answer = bucket.send_url(method.clone(), &format!("{base}{path}"), &[], b"").await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    for method in [Method::GET, Method::HEAD] {
        let answer = bucket.send_url(method, &format!("{base}/owner/one"), &[], b"").await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(bucket.keys().await, ["owner/one"]);
    let missing = bucket.presign(bucket.bucket.get_object(bucket.credentials(), "owner/two"), &[]);
    assert_eq!(bucket.send(&missing, b"").await.code(), "NoSuchKey");
}

/// The SDK and the AWS CLI sign in a header. The signature is that of AWS's documentation, for another
/// day and with another key.
#[tokio::test]
async fn a_signature_in_a_header_covers_the_body() {
    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::*;
    use aws_sigv4::sign::v4;
    let bucket = TestBucket::new();
    let identity = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    let params = v4::SigningParams::builder().identity(&identity).region("us-east-1").name("s3");
    let params = params.time(bucket.now().into()).settings(settings).build().unwrap().into();
    let url = "http://localhost:8000/blobs/owner/one";
    let headers = [("host", "localhost:8000"), ("content-length", "1")];
    let request = SignableRequest::new("PUT", url, headers.into_iter(), SignableBody::Bytes(b"1")).unwrap();
    let (signed, _) = sign(request, &params).unwrap().into_parts();
    let signed = signed.headers().chain(headers.into_iter().skip(1));
    let signed: Vec<_> = signed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let other = bucket.send_url(Method::PUT, url, &signed, b"2").await;
    assert_eq!((other.status.as_u16(), other.code()), (400, "BadDigest"));
    assert_eq!(bucket.keys().await, [""; 0]);
    let answer = bucket.send_url(Method::PUT, url, &signed, b"1").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(bucket.read("owner/one").await.body, "1");
    bucket.clock.forward(901);
    assert_eq!(bucket.send_url(Method::PUT, url, &signed, b"1").await.code(), "RequestTimeTooSkewed");
}
