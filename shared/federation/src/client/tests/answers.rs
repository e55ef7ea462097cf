//! Answers of fetches: bodies, limits, encodings, media types and statuses.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::fake::{Reply, TestInternet, answer, head, ok};
use super::{ACTIVITY_JSON, IMPATIENT, PUBLIC, body, error, get, get_within};
use crate::client::{FetchError, FetchOutcome};

const JSON: (&str, &str) = ("Content-Type", ACTIVITY_JSON);
const CHUNKED: (&str, &str) = ("Transfer-Encoding", "chunked");

async fn fetched(reply: Reply) -> Result<FetchOutcome, FetchError> {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, move |_| reply.clone()).await;
    get(&world.client(false), "https://a.example/").await
}

async fn fetched_impatiently(reply: Reply) -> Result<FetchOutcome, FetchError> {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, move |_| reply.clone()).await;
    get_within(&world.client(false), "https://a.example/", &IMPATIENT).await
}

fn send(head: String, body: &str) -> Reply {
    Reply::Send(format!("{head}{body}").into_bytes())
}

/// An answer with a body of bytes.
fn packed_answer(headers: &[(&str, &str)], body: &[u8]) -> Reply {
    Reply::Send([head("200 OK", headers).as_bytes(), body].concat())
}

/// Reads an encoder to its end.
fn compressed(mut encoder: impl Read) -> Vec<u8> {
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

fn endless(head: String, again: &str) -> Reply {
    Reply::Endless(head.into_bytes(), again.as_bytes().to_vec())
}

#[tokio::test]
async fn bodies_with_and_without_a_length() {
    assert_eq!(body(fetched(ok(ACTIVITY_JSON, "{}")).await), "{}");
    assert_eq!(body(fetched(ok(ACTIVITY_JSON, "")).await), "");
    assert_eq!(body(fetched(send(head("200 OK", &[JSON]), "{}")).await), "{}");
    let chunks = "1\r\n{\r\n1\r\n}\r\n0\r\nX-Trailer: x\r\n\r\n";
    assert_eq!(body(fetched(send(head("200 OK", &[JSON, CHUNKED]), chunks)).await), "{}");
}

#[tokio::test]
async fn the_limit_is_the_last_size_that_passes() {
    let (fits, over) = ("x".repeat(1000), "x".repeat(1001));
    let chunk = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for (fits, over) in [
        (ok(ACTIVITY_JSON, &fits), ok(ACTIVITY_JSON, &over)),
        (send(head("200 OK", &[JSON]), &fits), send(head("200 OK", &[JSON]), &over)),
        (
            send(head("200 OK", &[JSON, CHUNKED]), &chunk(&fits)),
            send(head("200 OK", &[JSON, CHUNKED]), &chunk(&over)),
        ),
    ] {
        assert_eq!(body(fetched(fits).await).len(), 1000);
        let too_large = fetched(over).await.unwrap_err();
        assert_eq!(too_large.to_string(), "a.example answered with more than 1000 bytes");
        assert!(!too_large.is_transient());
    }
}

#[tokio::test]
async fn an_announced_size_is_believed_before_it_is_sent() {
    for length in ["1001", "999999999999"] {
        let reply = Reply::Stall(head("200 OK", &[JSON, ("Content-Length", length)]).into_bytes());
        assert_eq!(error(fetched(reply).await), "a.example answered with more than 1000 bytes");
    }
}

#[tokio::test]
async fn endless_bodies_end() {
    for reply in [
        endless(head("200 OK", &[JSON]), "x"),
        endless(head("200 OK", &[JSON, CHUNKED]), "1\r\nx\r\n"),
        endless(head("200 OK", &[JSON, ("Content-Length", "99999")]), "x"),
    ] {
        assert_eq!(error(fetched(reply).await), "a.example answered with more than 1000 bytes");
    }
}

#[tokio::test]
async fn endless_heads_end() {
    for reply in [
        endless("HTTP/1.1 200 OK\r\n".to_owned(), "X-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"),
        endless("HTTP/1.1 200 OK\r\nX-Padding: ".to_owned(), "xxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ] {
        assert!(matches!(fetched(reply).await, Err(FetchError::Broken { .. })));
    }
    // Endless interim answers.
    let reply = endless(String::new(), "HTTP/1.1 103 Early Hints\r\n\r\n");
    assert!(fetched_impatiently(reply).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn slow_answers_run_out_of_time() {
    for stalls_after in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Type: application/activity+json\r\nContent-Length: 2\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nContent-Type: application/activity+json\r\nTransfer-Encoding: chunked\r\n\r\n1",
    ] {
        let late = fetched_impatiently(Reply::Stall(stalls_after.into())).await.unwrap_err();
        assert_eq!(late.to_string(), "a.example did not answer within 500ms");
        assert!(late.is_transient());
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_not_taken() {
    for reply in [
        send(head("200 OK", &[JSON, ("Content-Length", "3")]), "{}"),
        send(head("200 OK", &[JSON, CHUNKED]), "2\r\n{}\r\n"),
    ] {
        assert!(matches!(fetched(reply).await, Err(FetchError::Broken { .. })));
    }
}

/// Hosts of static files compress although the request declines it.
#[tokio::test]
async fn gzip_and_deflate_are_decoded() {
    let text = r#"{"name":"bob"}"#;
    let zlib = compressed(ZlibEncoder::new(text.as_bytes(), Compression::best()));
    let bare = compressed(DeflateEncoder::new(text.as_bytes(), Compression::best()));
    let gzip = compressed(GzEncoder::new(text.as_bytes(), Compression::best()));
    for (encoding, packed) in [
        ("gzip", &gzip),
        ("GZIP", &gzip),
        ("x-gzip", &gzip),
        ("identity, gzip", &gzip),
        ("deflate", &zlib),
        ("Deflate", &bare),
    ] {
        let headers = [JSON, ("Content-Encoding", encoding)];
        assert_eq!(body(fetched(packed_answer(&headers, packed)).await), text, "{encoding}");
        let cut = &packed[..packed.len() - 9];
        let cut = fetched(packed_answer(&headers, cut)).await;
        assert!(matches!(cut, Err(FetchError::Encoded { .. })), "{encoding}: cut off");
    }
}

#[tokio::test]
async fn a_body_that_grows_large_is_not_decoded_to_its_end() {
    for (size, fits) in [(1000, true), (1001, false), (500_000, false)] {
        let gzip = compressed(GzEncoder::new(&*vec![b' '; size], Compression::best()));
        assert!(gzip.len() < 1000, "the limit of what is decoded is tried");
        let fetched = fetched(packed_answer(&[JSON, ("Content-Encoding", "gzip")], &gzip)).await;
        match fits {
            true => assert_eq!(body(fetched).len(), size),
            false => assert!(matches!(fetched, Err(FetchError::TooLarge { .. })), "{size}"),
        }
    }
}

#[tokio::test]
async fn other_codings_are_not_read() {
    for encoding in ["br", "gzip, br", "gzip, gzip", "zstd"] {
        let encoded = fetched(answer("200 OK", &[JSON, ("Content-Encoding", encoding)], "\u{1f}"));
        assert_eq!(
            error(encoded.await),
            format!("a.example answered with the content encoding {encoding:?}, which cannot be read")
        );
    }
    let twice = [JSON, ("Content-Encoding", "gzip"), ("Content-Encoding", "deflate")];
    assert!(matches!(fetched(answer("200 OK", &twice, "{}")).await, Err(FetchError::Encoded { .. })));
    assert_eq!(body(fetched(answer("200 OK", &[JSON, ("Content-Encoding", "Identity")], "{}")).await), "{}");
}

#[tokio::test]
async fn only_the_media_types_asked_for_are_taken() {
    for media_type in [
        "application/activity+json; charset=utf-8",
        r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#,
    ] {
        assert_eq!(body(fetched(ok(media_type, "{}")).await), "{}");
    }
    for media_type in ["text/html", "image/png", "application/json", "application/octet-stream", ""] {
        let other = fetched(ok(media_type, "{}")).await.unwrap_err();
        assert_eq!(other.to_string(), format!("a.example answered with the media type {media_type:?}"));
        assert!(!other.is_transient());
    }
    let none = answer("200 OK", &[], "{}");
    assert_eq!(error(fetched(none).await), r#"a.example answered with the media type """#);
    let two = answer("200 OK", &[JSON, ("Content-Type", "text/html")], "{}");
    assert!(matches!(fetched(two).await, Err(FetchError::MediaType { .. })));
}

#[tokio::test]
async fn errors_repeat_little_of_an_answer() {
    let media_type = "x".repeat(9000);
    assert!(error(fetched(ok(&media_type, "{}")).await).len() < 250);
}

#[tokio::test]
async fn statuses_are_told_apart() {
    assert_eq!(fetched(answer("404 Not Found", &[], "")).await, Ok(FetchOutcome::NotFound));
    assert_eq!(fetched(answer("410 Gone", &[JSON], "{}")).await, Ok(FetchOutcome::Gone("{}".into())));
    for (status, retry_after, expected) in [
        ("401 Unauthorized", None, (401, None)),
        ("403 Forbidden", None, (403, None)),
        ("429 Too Many Requests", Some("120"), (429, Some(120))),
        ("503 Service Unavailable", Some("Wed, 21 Oct 2026 07:28:00 GMT"), (503, None)),
        ("500 Internal Server Error", Some("-1"), (500, None)),
        ("204 No Content", None, (204, None)),
        ("206 Partial Content", None, (206, None)),
        ("999 Odd", None, (999, None)),
    ] {
        let headers: Vec<_> = retry_after.map(|value| ("Retry-After", value)).into_iter().collect();
        match fetched(answer(status, &headers, "")).await {
            Err(FetchError::Status { host, status, retry_after_seconds, .. }) => {
                assert_eq!((status.as_u16(), retry_after_seconds), expected);
                assert_eq!(host, "a.example");
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_not_understood() {
    for reply in
        ["", "hello\r\n\r\n", "HTTP/3.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
    {
        let failed = fetched(Reply::Send(reply.into())).await.unwrap_err();
        assert!(matches!(failed, FetchError::Broken { .. }), "{reply:?}: {failed}");
    }
}
