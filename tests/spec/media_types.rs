//! Section 1: the table of media types.

use eko_client::{Auth, Body};
use eko_testkit::{BARE, World, refusal};
use http::{Method, Request, header};

use crate::page;
use crate::recorder::Recorder;

#[tokio::test]
async fn the_table_has_every_media_type() {
    let rows = page::table(&page::read(), "\n### Media types\n");
    let named: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let world = World::new().await;
    let alice = world.user_with("alice", BARE).await;

    // The media types of requests.
    for media_type in [
        "application/activity+json",
        "application/ld+json",
        "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
        "application/json; charset=utf-8",
        "application/jrd+json",
        "application/problem+json",
        "text/html",
        "text/plain",
    ] {
        let body = Body::Raw(Some(media_type), "{}".into());
        let answer = alice.call(Method::POST, "/user/alice/outbox", body, Auth::Device).await.unwrap();
        let essence = media_type.split(';').next().unwrap();
        let row = rows.iter().find(|row| row[0] == format!("`{essence}`"));
        let told = row.is_some_and(|row| row[1].starts_with("accepted in every request body"));
        assert_eq!(answer.status.as_u16() != 415, told, "{media_type}: {}", refusal(&answer));
    }

    // The media types of answers.
    for (accept, path, due) in [
        ("*/*", "/user/alice", "application/activity+json"),
        ("application/ld+json", "/user/alice", "application/ld+json"),
        ("application/activity+json, application/ld+json", "/user/alice", "application/activity+json"),
        ("application/ld+json", "/user/alice/devices", "application/ld+json"),
        ("application/ld+json", "/user/alice/keyPackages", "application/ld+json"),
        ("text/html,*/*", "/user/alice", "text/html"),
        ("text/html;q=0.9, application/json", "/user/alice", "application/activity+json"),
        ("text/html, application/json;q=0.9", "/user/alice", "text/html"),
        ("*/*", "/.well-known/host-meta", "application/xrd+xml"),
        ("application/json", "/.well-known/host-meta", "application/jrd+json"),
        ("*/*", "/.well-known/ecp", "application/json"),
        ("*/*", "/.well-known/webfinger?resource=acct:alice@eko.example", "application/jrd+json"),
        ("*/*", "/user/bob", "application/problem+json"),
    ] {
        let request = Request::get(format!("{}{path}", world.state.origin())).header(header::ACCEPT, accept);
        let answer = Recorder::new(world.transport()).play(request.body("".into()).unwrap()).await.response;
        let found = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!(found.split(';').next().unwrap(), due, "{accept} {path}");
        assert!(named.contains(&due), "the table does not have {due}");
    }
}
