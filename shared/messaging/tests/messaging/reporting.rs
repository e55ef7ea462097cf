//! A report of another server counts if the envelope was sent there, and has its effect once. The
//! reports of one server have a budget, and a share of the mailbox.

use std::collections::BTreeMap;

use eko_messaging::{Limits, MessagingError, Refusal};
use eko_protocol::activity::Report;
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;
use eko_store::sent::{MAX_REPORTS, SentEnvelopeName};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::server::{ORIGIN, TestServer, TestUser, device, envelope};

const BOB: &str = "https://b.example/user/bob";
const CAROL: &str = "https://c.example/user/carol";

fn actor(id: &str) -> RemoteActor {
    RemoteActor {
        id: id.to_owned(),
        inbox: format!("{id}/inbox"),
        key_packages: None,
        handle: None,
        keys: BTreeMap::new(),
        key_links: Vec::new(),
    }
}

/// Records that Alice's device 2 sent an envelope to the server of Bob, and returns the report that
/// Bob has it.
async fn sent(server: &TestServer, alice: &TestUser) -> Report {
    sent_to(server, alice, BOB).await
}

/// Records that Alice's device 2 sent an envelope to the server of an actor, and returns the report
/// that the actor has it.
async fn sent_to(server: &TestServer, alice: &TestUser, actor: &str) -> Report {
    let author = format!("{ORIGIN}/user/alice");
    let create = envelope(&author, alice, &[1], 1);
    let origin = Origin::of(actor).unwrap();
    let name = SentEnvelopeName { author: &alice.name, recipient_origin: &origin, id: &create.header.id };
    let now_ms = server.messaging.now_ms();
    let keep = server.messaging.keep_until(now_ms);
    server.messaging.store().record_sent(name, &device(2), now_ms, keep).await.unwrap();
    Report::confirm(actor, &author, &create.header.id)
}

/// Returns a report like this one, made another by its summary.
fn numbered(report: &Report, number: usize) -> Report {
    Report { summary: Some(number.to_string()), ..report.clone() }
}

/// Has the server of the report's actor send it. Returns the name of the budget that refuses it.
async fn arrives(server: &TestServer, alice: &TestUser, report: &Report) -> Option<&'static str> {
    match server.messaging.pass_on_report(&actor(&report.actor), alice.name.clone(), report).await {
        Ok(()) => None,
        Err(MessagingError::Refused(Refusal::OverBudget { budget, .. })) => Some(budget),
        Err(error) => panic!("{error}"),
    }
}

/// Delivers until nothing waits.
async fn deliver_all(server: &TestServer) {
    for _ in 0..10 {
        server.deliver().await;
    }
}

#[tokio::test]
async fn the_sending_device_gets_a_confirmation_once() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let report = sent(&server, &alice).await;
    for _ in 0..2 {
        server.messaging.pass_on_report(&actor(BOB), alice.name.clone(), &report).await.unwrap();
        server.advance(1_000);
    }
    server.deliver().await;
    assert_eq!(server.reports(&alice, 1).await, Vec::<Value>::new());
    let reports = server.reports(&alice, 2).await;
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0]["type"], json!(["Accept", "Confirm"]));
}

#[tokio::test]
async fn a_report_of_a_third_server_has_no_effect() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let report = sent(&server, &alice).await;
    let stranger = actor("https://c.example/user/eve");
    server.messaging.pass_on_report(&stranger, alice.name.clone(), &report).await.unwrap();
    assert_eq!(server.waiting().await, 0);
}

/// Requests that race are no reason for more reports than one envelope may have, and none is lost
/// because of another one that has no place.
#[tokio::test]
async fn reports_that_race_are_no_more_than_one_envelope_may_have() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let report = sent(&server, &alice).await;
    let reports: Vec<Report> = (0..MAX_REPORTS + 8).map(|number| numbered(&report, number)).collect();
    for refused in join_all(reports.iter().map(|report| arrives(&server, &alice, report))).await {
        assert_eq!(refused, None);
    }
    deliver_all(&server).await;
    assert_eq!(server.reports(&alice, 2).await.len(), MAX_REPORTS);
}

/// The process may die after it has reserved a place for a report. The place stays the report's.
#[tokio::test]
async fn a_report_that_was_not_queued_is_passed_on_when_it_comes_again() {
    let server = TestServer::new().await;
    let alice = server.user("alice", &[1, 2]).await;
    let report = sent(&server, &alice).await;
    let origin = Origin::of(BOB).unwrap();
    let name = SentEnvelopeName { author: &alice.name, recipient_origin: &origin, id: &report.envelope };
    let store = server.messaging.store();
    for number in 0..MAX_REPORTS {
        let digest = hex::encode(numbered(&report, number).digest().get(..8).unwrap());
        store.reserve_report(name, &digest, server.messaging.now_ms()).await.unwrap();
    }
    server.advance(60_000);
    assert_eq!(arrives(&server, &alice, &numbered(&report, MAX_REPORTS)).await, None);
    for _ in 0..2 {
        assert_eq!(arrives(&server, &alice, &numbered(&report, 0)).await, None);
    }
    deliver_all(&server).await;
    let reports = server.reports(&alice, 2).await;
    assert_eq!(reports.iter().map(|report| &report["summary"]).collect::<Vec<_>>(), [&json!("0")]);
}

#[tokio::test]
async fn the_reports_of_one_site_have_a_budget() {
    let limits = Limits { server_budget: 3, ..Limits::default() };
    let server = TestServer::with(limits).await;
    let alice = server.user("alice", &[1, 2]).await;
    let (of_bob, of_carol) = (sent(&server, &alice).await, sent_to(&server, &alice, CAROL).await);
    for number in 0..3 {
        // A report without effect is given back.
        assert_eq!(arrives(&server, &alice, &numbered(&of_bob, number)).await, None);
        assert_eq!(arrives(&server, &alice, &numbered(&of_bob, number)).await, None);
    }
    let over = Some("too many reports from your server's domain to this user in this minute");
    assert_eq!(arrives(&server, &alice, &numbered(&of_bob, 3)).await, over);
    // What was seen before is no reason to ask its server for another try.
    assert_eq!(arrives(&server, &alice, &numbered(&of_bob, 0)).await, None);
    assert_eq!(arrives(&server, &alice, &of_carol).await, None);
    server.advance(60_000);
    assert_eq!(arrives(&server, &alice, &numbered(&of_bob, 3)).await, None);
    deliver_all(&server).await;
    assert_eq!(server.reports(&alice, 2).await.len(), 5);
}

/// The reports of one site use that site's share of a mailbox, also those for one device.
#[tokio::test]
async fn reports_find_no_place_in_a_full_mailbox() {
    let limits = Limits { mailbox_entries: 16, mailbox_bytes: 16_000, ..Limits::default() };
    let server = TestServer::with(limits).await;
    let alice = server.user("alice", &[1, 2]).await;
    let (of_bob, of_carol) = (sent(&server, &alice).await, sent_to(&server, &alice, CAROL).await);
    for number in 0..8 {
        assert_eq!(arrives(&server, &alice, &numbered(&of_bob, number)).await, None);
        // The count of the mailbox follows the report.
        server.deliver().await;
        server.deliver().await;
    }
    assert_eq!(server.reports(&alice, 2).await.len(), 4);
    assert_eq!(arrives(&server, &alice, &of_carol).await, None);
    deliver_all(&server).await;
    assert_eq!(server.reports(&alice, 2).await.len(), 5);
}
