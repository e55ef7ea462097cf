//! An envelope of another server: its coverage decides what is queued, and a retry changes nothing.

use eko_messaging::accept::Acceptance;
use eko_messaging::{MessagingError, Refusal};
use eko_protocol::activity::Report;
use eko_protocol::envelope::Create;
use eko_store::device::DeviceAddress;
use eko_store::fill::{FullFor, FullMark};

use crate::server::{ORIGIN, START_MS, TestServer, TestUser, device, envelope};

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

/// Marks the mailbox of a device as full for everyone.
async fn fill(server: &TestServer, user: &TestUser, number: u8) {
    let mark =
        FullMark { until_ms: START_MS + 60_000, whom: FullFor { all_others: true, ..FullFor::default() } };
    let id = device(number);
    let address = DeviceAddress::new(&user.name, &id);
    server.messaging.store().mark_mailbox(address, Some(&mark), START_MS).await.unwrap();
}

/// Returns the report on an envelope of which nothing was queued.
async fn rejected(server: &TestServer, create: &Create, user: &TestUser) -> Report {
    let rejected = server.messaging.accept_remote(create, &user.name).await.unwrap();
    let Acceptance::Rejected(report) = rejected else { panic!("{rejected:?}") };
    report
}

#[tokio::test]
async fn a_full_device_does_not_hide_a_missing_one() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1, 2]).await;
    fill(&server, &bob, 1).await;
    let report = rejected(&server, &envelope(ALICE, &bob, &[1], 1), &bob).await;
    assert_eq!(report.full_devices, [format!("{ORIGIN}/user/bob/device/{}", device(1))]);
    assert_eq!(report.missing_key_packages, [format!("{ORIGIN}/user/bob/keyPackage/{}", device(2))]);
    assert!(report.device_set_out_of_date);
    assert!(report.device_set.is_some());
    assert_eq!(server.waiting().await, 0, "nothing is queued");
    // Nothing is hidden from an envelope that names every device.
    fill(&server, &bob, 2).await;
    let report = rejected(&server, &envelope(ALICE, &bob, &[1, 2], 2), &bob).await;
    assert_eq!((report.full_devices.len(), report.missing_key_packages.len()), (2, 0));
    assert!(!report.device_set_out_of_date);
}

#[tokio::test]
async fn a_device_that_was_accepted_before_is_not_missing_beside_a_full_one() {
    let server = TestServer::new().await;
    let bob = server.user("bob", &[1, 2, 3]).await;
    let first = server.messaging.accept_remote(&envelope(ALICE, &bob, &[1], 1), &bob.name).await.unwrap();
    assert!(matches!(first, Acceptance::Partial(_)), "{first:?}");
    fill(&server, &bob, 2).await;
    let report = rejected(&server, &envelope(ALICE, &bob, &[2], 1), &bob).await;
    assert_eq!(report.missing_key_packages, [format!("{ORIGIN}/user/bob/keyPackage/{}", device(3))]);
    server.deliver().await;
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
