//! Lists of objects: by prefix, in pages.

use rusty_s3::actions::ListObjectsV2;

use super::*;

#[tokio::test]
async fn objects_are_listed_by_prefix_in_pages() {
    let bucket = TestBucket::new();
    for key in ["a/1", "a/2", "a/3 +&<", "ab/1", "b/1"] {
        bucket.store(key, b"1").await;
    }
    let page = async |prefix: &'static str, token: Option<String>| {
        let mut list = bucket.bucket.list_objects_v2(bucket.credentials());
        list.with_prefix(prefix);
        list.with_max_keys(2);
        if let Some(token) = token {
            list.with_continuation_token(token);
        }
        let answer = bucket.send(&bucket.presign(list, &[]), b"").await;
        let page = ListObjectsV2::parse_response(&answer.body).unwrap();
        let keys: Vec<String> = page.contents.iter().map(|object| object.key.clone()).collect();
        (keys, page.next_continuation_token)
    };
    let (keys, next) = page("a/", None).await;
    assert_eq!(keys, ["a/1", "a/2"]);
    let (keys, next) = page("a/", Some(next.unwrap())).await;
    assert_eq!((keys, next), (vec!["a/3 +&<".to_owned()], None));
    let (keys, next) = page("b/", None).await;
    assert_eq!((keys, next), (vec!["b/1".to_owned()], None));
    assert_eq!(page("none", None).await, (Vec::new(), None));
    let mut list = bucket.bucket.list_objects_v2(bucket.credentials());
    list.with_continuation_token("no token!");
    assert_eq!(bucket.send(&bucket.presign(list, &[]), b"").await.code(), "InvalidArgument");
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let bucket = TestBucket::new();
    let mut none = bucket.presign(bucket.bucket.list_objects_v2(bucket.credentials()), &[]);
    let other =
        Bucket::new(Url::parse("http://localhost:8000").unwrap(), UrlStyle::Path, "others", "us-east-1");
    let other = other.unwrap();
    none.url = bucket.presign(other.list_objects_v2(bucket.credentials()), &[]).url;
    let answer = bucket.send(&none, b"").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "NoSuchBucket"));
    let acl = rusty_s3::signing::sign(
        &bucket.now(),
        rusty_s3::Method::Get,
        bucket.bucket.object_url("owner/one"),
        ACCESS_KEY,
        ACCESS_KEY,
        None,
        "us-east-1",
        VALID,
        [("acl", "")].into_iter(),
        std::iter::empty(),
    );
    let answer = bucket.send_url(Method::GET, acl.as_str(), &[], b"").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (501, "NotImplemented"));
}
