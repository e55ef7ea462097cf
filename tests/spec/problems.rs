//! Section 11: the table of problems has every type that the server knows, with its status and its
//! header.

use std::collections::BTreeMap;

use eko_protocol::Invalid;
use eko_protocol::device_set::DeviceSetRef;
use eko_service::Problem;
use eko_service::problem::MediaType;
use http::HeaderValue;

use crate::page;

/// Returns a problem of every type. A type that is new does not compile until it is here.
fn every_problem() -> Vec<Problem> {
    let text = || "why".to_owned();
    let invalid = || Invalid::at("/to", "is wrong");
    let all = vec![
        Problem::NotJson(text()),
        Problem::UnsupportedMediaType(MediaType::Json),
        Problem::BodyTooLarge(1),
        Problem::Invalid(invalid()),
        Problem::BadRequest("why"),
        Problem::Unauthenticated("why"),
        Problem::DeviceRevoked,
        Problem::DevicePending,
        Problem::NotOwner,
        Problem::NotYours(invalid()),
        Problem::NotFound("user"),
        Problem::UserDeleted,
        Problem::AccountDeleted,
        Problem::UserMoved(Some(text())),
        Problem::AccountMoved(text()),
        Problem::MethodNotAllowed(Some(HeaderValue::from_static("GET"))),
        Problem::NameTaken,
        Problem::AccountExists(text()),
        Problem::DeviceIdUsed,
        Problem::StaleHead(DeviceSetRef { length: 1, head: text() }),
        Problem::StaleEpoch(1),
        Problem::NoActiveDevice,
        Problem::KeysDiffer,
        Problem::BadSignature(text()),
        Problem::NotFederated(text()),
        Problem::RemoteUnreachable { why: text(), retry_after: 1 },
        Problem::RemoteFailed(text()),
        Problem::TooMany { retry_after: 1, what: "why" },
        Problem::Unavailable(text()),
    ];
    for problem in &all {
        match problem {
            Problem::NotJson(_)
            | Problem::UnsupportedMediaType(_)
            | Problem::BodyTooLarge(_)
            | Problem::Invalid(_)
            | Problem::BadRequest(_)
            | Problem::Unauthenticated(_)
            | Problem::DeviceRevoked
            | Problem::DevicePending
            | Problem::NotOwner
            | Problem::NotYours(_)
            | Problem::NotFound(_)
            | Problem::UserDeleted
            | Problem::AccountDeleted
            | Problem::UserMoved(_)
            | Problem::AccountMoved(_)
            | Problem::MethodNotAllowed(_)
            | Problem::NameTaken
            | Problem::AccountExists(_)
            | Problem::DeviceIdUsed
            | Problem::StaleHead(_)
            | Problem::StaleEpoch(_)
            | Problem::NoActiveDevice
            | Problem::KeysDiffer
            | Problem::BadSignature(_)
            | Problem::NotFederated(_)
            | Problem::RemoteUnreachable { .. }
            | Problem::RemoteFailed(_)
            | Problem::TooMany { .. }
            | Problem::Unavailable(_) => {}
        }
    }
    all
}

#[test]
fn the_table_has_every_problem() {
    let mut due = BTreeMap::new();
    for problem in every_problem() {
        let header = problem.headers().map(|(name, _)| name.to_string()).next();
        due.insert(format!("`{}`", problem.kind().slug), (problem.status().as_u16().to_string(), header));
    }
    let asks = Problem::BadSignature(String::new()).headers().any(|(name, _)| name == "accept-signature");
    assert!(asks, "a 401 says which signature it wants");
    let mut told = BTreeMap::new();
    for row in page::table(&page::read(), "\n## 11. Problems\n") {
        let [slug, status, when] = row.as_slice() else { panic!("a row of three cells: {row:?}") };
        let header = when.split_once("[`").and_then(|(_, rest)| rest.strip_suffix("`]"));
        let cells = (status.clone(), header.map(str::to_lowercase));
        assert!(told.insert(slug.clone(), cells).is_none(), "{slug} is there twice");
    }
    assert_eq!(told, due);
}
