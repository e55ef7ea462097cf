//! Single exchanges with `GuardedClient::send`.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};

use super::fake::{Reply, TestInternet, answer, head, redirect};
use super::{IMPATIENT, PATIENT, PUBLIC};
use crate::client::{FetchError, GuardRefusal};

fn post(url: &str) -> Request<Bytes> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/activity+json")
        .header(header::HOST, "other.example")
        .header(header::USER_AGENT, "somebody else")
        .header(header::ACCEPT_ENCODING, "gzip")
        .body(Bytes::from_static(b"{}"))
        .unwrap()
}

#[tokio::test]
async fn a_request_arrives_whole_and_its_answer_comes_back() {
    let world = TestInternet::new();
    world.site("a.example", PUBLIC, |_| answer("202 Accepted", &[("X-Seen", "yes")], "thanks")).await;
    let response = world.client(false).send(post("https://A.example/inbox?x=y"), &PATIENT).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.headers()["x-seen"], "yes");
    assert_eq!(response.read().await.into_body().unwrap(), "thanks");

    let [request] = world.asked().try_into().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "POST /inbox?x=y HTTP/1.1",
            "accept-encoding: identity",
            "content-length: 2",
            "content-type: application/activity+json",
            "host: a.example",
            "user-agent: eko-test (+https://eko.example)",
        ]
    );
    assert_eq!(body, "{}");
}

#[tokio::test]
async fn redirects_and_errors_are_answers() {
    let world = TestInternet::new();
    let reply = |path: &str| match path {
        "/moved" => redirect(307, "https://b.example/inbox"),
        _ => answer("500 Internal Server Error", &[], "oh"),
    };
    world.site("a.example", PUBLIC, reply).await;
    let client = world.client(false);
    for (url, status) in [("https://a.example/moved", 307), ("https://a.example/broken", 500)] {
        assert_eq!(client.send(post(url), &PATIENT).await.unwrap().status().as_u16(), status);
    }
    assert_eq!(world.net.resolved(), ["a.example", "a.example"]);
}

#[tokio::test]
async fn posts_are_guarded_too() {
    let world = TestInternet::new();
    world.net.name("evil.example", &["127.0.0.1"]);
    let client = world.client(false);
    for url in
        ["http://a.example/", "https://127.0.0.1/", "https://localhost/", "https://evil.example/", "/inbox"]
    {
        let refused = client.send(post(url), &PATIENT).await.unwrap_err();
        assert!(matches!(refused, FetchError::Refused(_)), "{url}: {refused}");
    }
    assert_eq!(world.net.dialled(), []);
}

/// The head of an answer is there, whatever follows it.
#[tokio::test]
async fn answers_of_posts_are_limited_too() {
    let world = TestInternet::new();
    let reply = |path: &str| match path {
        "/large" => answer("202 Accepted", &[], &"x".repeat(1001)),
        "/encoded" => answer("202 Accepted", &[("Content-Encoding", "gzip")], ""),
        "/slow" => Reply::Stall(head("202 Accepted", &[("Content-Length", "9")]).into_bytes()),
        _ => Reply::Stall(Vec::new()),
    };
    world.site("a.example", PUBLIC, reply).await;
    let client = world.client(false);
    for (path, limits) in [("large", &PATIENT), ("encoded", &PATIENT), ("slow", &IMPATIENT)] {
        let sent = client.send(post(&format!("https://a.example/{path}")), limits).await.unwrap();
        assert_eq!(sent.status(), StatusCode::ACCEPTED, "{path}");
        let (parts, body) = sent.read().await.into_parts();
        assert_eq!(parts.status, StatusCode::ACCEPTED, "{path}");
        let failure = body.unwrap_err();
        let is_expected = match path {
            "large" => matches!(failure, FetchError::TooLarge { .. }),
            "encoded" => matches!(failure, FetchError::Encoded { .. }),
            _ => matches!(failure, FetchError::TimedOut { .. }),
        };
        assert!(is_expected, "{path}: {failure}");
        let skipped = client.send(post(&format!("https://a.example/{path}")), limits).await.unwrap().skip();
        assert_eq!(skipped.status, StatusCode::ACCEPTED, "{path}");
    }
    let sent = client.send(post("https://a.example/silent"), &IMPATIENT).await;
    assert!(matches!(sent, Err(FetchError::TimedOut { .. })));
}

#[tokio::test]
async fn connections_are_kept_for_the_next_request() {
    let world = TestInternet::new();
    let reply = |_: &str| Reply::Keep(head("202 Accepted", &[("Content-Length", "0")]).into_bytes());
    world.site("a.example", PUBLIC, reply).await;
    let client = world.client(false);
    for _ in 0..20 {
        client.send(post("https://a.example/inbox"), &PATIENT).await.unwrap().skip();
        // A task of its own returns the connection to the pool.
        tokio::task::yield_now().await;
    }
    assert_eq!(world.asked().len(), 20);
    assert!(world.net.dialled().len() < 20);
    assert_eq!(world.net.dialled().len(), world.net.resolved().len());
}

#[tokio::test]
async fn a_url_can_be_judged_without_a_request() {
    let world = TestInternet::new();
    let client = world.client(false);
    assert_eq!(client.check_url("https://A.example/x#y").unwrap().as_str(), "https://a.example/x");
    let local = GuardRefusal::LocalName { host: "localhost".to_owned() };
    assert_eq!(client.check_url("https://localhost/"), Err(local));
    assert_eq!(world.net.resolved(), Vec::<String>::new());
}

#[tokio::test]
async fn requests_can_be_made_from_any_task() {
    fn is_send<T: Send>(_: &T) {}
    let world = TestInternet::new();
    let client = world.client(false);
    is_send(&client.send(post("https://a.example/"), &PATIENT));
    is_send(&super::get(&client, "https://a.example/"));
}
