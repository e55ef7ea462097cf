//! An envelope of another server: its coverage decides what is queued, and a retry changes nothing.

use eko_messaging::accept::Acceptance;
use eko_messaging::{MessagingError, Refusal};

use crate::server::{ORIGIN, TestServer, device, envelope};

const ALICE: &str = "https://b.example/user/alice";

#[tokio::test]
async fn a_covering_envelope_reaches_every_device_once() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1, 2]).await;
    let create = envelope(ALICE, &bob, &[1, 2], 1);
    let first = server.messaging.accept_remote(&create, &bob.name).await.unwrap();
    server.advance(5_000);
    let again = server.messaging.accept_remote(&create, &bob.name).await.unwrap();
    assert!(matches!(&first, Acceptance::Complete { activity } if activity.starts_with(ORIGIN)), "{first:?}");
    assert_eq!(first, again, "a retry is the same activity");
    server.deliver().await;
    assert_eq!(server.ciphertexts(&bob, 1).await, [[2]]);
    assert_eq!(server.ciphertexts(&bob, 2).await, [[3]]);
}

#[tokio::test]
async fn a_missing_device_is_reported_and_can_be_completed() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1, 2]).await;
    let partial = server.messaging.accept_remote(&envelope(ALICE, &bob, &[1], 1), &bob.name).await.unwrap();
    let Acceptance::Partial(report) = partial else { panic!("{partial:?}") };
    assert_eq!(report.missing_key_packages, [format!("{ORIGIN}/user/bob/keyPackage/{}", device(2))]);
    let rest = server.messaging.accept_remote(&envelope(ALICE, &bob, &[2], 1), &bob.name).await.unwrap();
    assert!(matches!(rest, Acceptance::Complete { .. }), "{rest:?}");
    server.deliver().await;
    assert_eq!(server.ciphertexts(&bob, 1).await.len(), 1);
    assert_eq!(server.ciphertexts(&bob, 2).await.len(), 1);
}

#[tokio::test]
async fn a_stale_device_stops_the_whole_envelope() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1]).await;
    let rejected =
        server.messaging.accept_remote(&envelope(ALICE, &bob, &[1, 2], 1), &bob.name).await.unwrap();
    let Acceptance::Rejected(report) = rejected else { panic!("{rejected:?}") };
    assert_eq!(report.stale_devices, [format!("{ORIGIN}/user/bob/device/{}", device(2))]);
    assert_eq!(server.waiting().await, 0, "nothing is queued");
}

#[tokio::test]
async fn a_sender_over_its_budget_is_told_when_to_come_back() {
    let limits = eko_messaging::Limits { sender_budget: 1, ..eko_messaging::Limits::default() };
    let server = TestServer::with(limits).await;
    let bob = server.user("bob", &[1]).await;
    server.messaging.accept_remote(&envelope(ALICE, &bob, &[1], 1), &bob.name).await.unwrap();
    let second = server.messaging.accept_remote(&envelope(ALICE, &bob, &[1], 2), &bob.name).await;
    let Err(MessagingError::Refused(Refusal::OverBudget { retry_after, .. })) = second else {
        panic!("{second:?}");
    };
    server.advance(i64::try_from(retry_after).unwrap() * 1000);
    server.messaging.accept_remote(&envelope(ALICE, &bob, &[1], 2), &bob.name).await.unwrap();
}

#[tokio::test]
async fn an_unknown_user_is_a_refusal() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1]).await;
    let eve = crate::server::TestUser { name: eko_protocol::address::UserName::parse("eve").unwrap() };
    let refused = server.messaging.accept_remote(&envelope(ALICE, &eve, &[1], 1), &eve.name).await;
    assert!(matches!(refused, Err(MessagingError::Refused(Refusal::UnknownUser))), "{refused:?}");
    let foreign = server.messaging.accept_remote(&envelope(ALICE, &bob, &[1], 1), &eve.name).await;
    assert!(matches!(foreign, Err(MessagingError::Refused(Refusal::Invalid(_)))), "{foreign:?}");
}
