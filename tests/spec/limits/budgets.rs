//! Budgets of envelopes and bytes, and the envelopes that wait for other servers.

use eko_client::Exchange;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::EnvelopeId;
use eko_service::config::Config;
use eko_store::parcels::{Parcel, ParcelBody};
use eko_store::sent::SentEnvelopeName;
use eko_testkit::{Stranger, StrangerAnswer, envelope};
use serde_json::{Value, json};

use super::flags::flag;
use super::{TwoUsers, told};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "envelopes a minute, one sender to one recipient",
    "envelopes a minute, one other site to one recipient",
    "senders a minute, one other site to one recipient",
    "envelopes a minute, all senders to one recipient",
    "envelopes a minute, one account to all recipients",
    "takes and chains a minute, one account at one other server",
    "reports a minute, one other site to one user",
    "abuse reports a minute, one reporter of another server about one user",
    "abuse reports a minute, one other site about one user",
    "reporters a minute, one other site about one user",
    "bytes of ciphertexts a minute, one sender to one recipient",
    "bytes of ciphertexts a minute, one other site to one recipient",
    "bytes of ciphertexts a minute to one recipient",
    "bytes of ciphertexts a minute, one account to all recipients",
    "envelopes of one account that wait for other servers",
    "delivery reports that wait for one other site",
    "delivery reports of one account that wait for other servers",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Returns the limit that a configuration has for a row.
fn budget<'a>(limit: &str, config: &'a mut Config) -> &'a mut u64 {
    let limits = &mut config.limits;
    match limit {
        "senders a minute, one other site to one recipient" => &mut limits.server_senders,
        "envelopes a minute, one other site to one recipient" => &mut limits.server_budget,
        "reports a minute, one other site to one user" => &mut limits.server_budget,
        "abuse reports a minute, one reporter of another server about one user" => &mut limits.sender_budget,
        "abuse reports a minute, one other site about one user" => &mut limits.server_budget,
        "reporters a minute, one other site about one user" => &mut limits.server_senders,
        "envelopes a minute, all senders to one recipient" => &mut limits.recipient_budget,
        "envelopes a minute, one account to all recipients" => &mut limits.account_budget,
        "bytes of ciphertexts a minute, one sender to one recipient" => &mut limits.sender_bytes_budget,
        "bytes of ciphertexts a minute, one other site to one recipient" => &mut limits.server_bytes_budget,
        "bytes of ciphertexts a minute to one recipient" => &mut limits.recipient_bytes_budget,
        "bytes of ciphertexts a minute, one account to all recipients" => &mut limits.account_bytes_budget,
        "envelopes of one account that wait for other servers" => &mut limits.account_parcels,
        "delivery reports that wait for one other site" => &mut limits.server_receipts,
        "delivery reports of one account that wait for other servers" => &mut limits.account_receipts,
        other => panic!("nothing plays the limit {other:?}"),
    }
}

/// Answers a request with exactly `count` of what the row `limit` names. The limits that would take
/// thousands of requests are played with a smaller number, and their default is compared.
async fn answer(limit: &'static str, count: u64) -> String {
    if limit == "envelopes a minute, one sender to one recipient" {
        let pair = TwoUsers::new().await;
        for _ in 1..count {
            assert_eq!(pair.send().await.status, 201);
        }
        let answer = pair.send().await;
        pair.world.deliver().await;
        return told(&answer);
    }
    if limit == "takes and chains a minute, one account at one other server" {
        let pair = TwoUsers::new().await;
        let stranger = Stranger::new(&pair.world.internet, "b.example").await;
        stranger.document("/user/eve/devices", StrangerAnswer::status(404));
        let there = Origin::parse(&stranger.origin).unwrap();
        let mut answer = String::new();
        for _ in 0..count {
            let read = pair.alice.chain_through_home(&there, &UserName::parse("eve").unwrap()).await;
            let problem = read.unwrap_err().problem().unwrap().clone();
            answer = format!("{} `{}`", problem.status, problem.slug());
        }
        return answer;
    }
    let mut default = TwoUsers::new().await.world.state.config().clone();
    if count <= *budget(limit, &mut default) {
        return "201".to_owned();
    }
    // One more than a budget of no bytes is an envelope.
    let most = u64::from(!limit.starts_with("bytes"));
    let mut pair = TwoUsers::with(|config| *budget(limit, config) = most).await;
    let stranger = Stranger::new(&pair.world.internet, "b.example").await;
    let mut others = Vec::new();
    for name in ["one.c.example", "two.c.example"] {
        others.push(Stranger::new(&pair.world.internet, name).await);
    }
    let mut answer = String::new();
    for number in 0..=most {
        answer = match limit {
            "envelopes of one account that wait for other servers" => told(&waits(&pair).await),
            _ if limit.starts_with("delivery reports") => receipt(&pair).await,
            "senders a minute, one other site to one recipient" => arrives(&pair, &others.remove(0)).await,
            "abuse reports a minute, one reporter of another server about one user" => {
                flagged(&pair, &stranger, 0).await
            }
            _ if limit.ends_with("about one user") => flagged(&pair, &stranger, number).await,
            _ if limit.starts_with("reports") => reports(&pair, &stranger, number).await,
            _ if limit.contains("other site") => arrives(&pair, &stranger).await,
            _ => told(&pair.send().await),
        };
    }
    pair.world.leave_queues();
    answer
}

/// Has Alice send an envelope to a server that is not there.
async fn waits(pair: &TwoUsers) -> Exchange {
    let mut activity = pair.alice.create_activity(&envelope(&pair.alice, &[&pair.bob]));
    activity["to"] = json!("https://dead.example/user/eve");
    activity["object"]["messages"][0]["to"] = json!("https://dead.example/user/eve/device/1");
    pair.post("/user/alice/outbox", &activity).await
}

/// Has a receipt wait for a server that is not there, and tells what becomes of it.
async fn receipt(pair: &TwoUsers) -> String {
    let (now_ms, before) = (pair.world.now_ms(), pair.world.waiting().await.0);
    let parcel = Parcel {
        to: "https://dead.example/user/eve".to_owned(),
        author: pair.alice.user().clone(),
        first_ms: now_ms,
        not_before_ms: None,
        expires_ms: None,
        outcome_to: None,
        listed_as: None,
        is_deletion: false,
        by_server: false,
        body: ParcelBody::Text(r#"{"type":"Delivered"}"#.to_owned()),
    };
    pair.world.state.store().queue_parcels(vec![parcel], now_ms, String::new).await.unwrap();
    pair.world.federate().await;
    let kept = pair.world.waiting().await.0 > before;
    if kept { "waits".to_owned() } else { "dropped".to_owned() }
}

/// Has another server deliver an envelope for Bob, and returns the answer as the table has it.
pub(super) async fn arrives(pair: &TwoUsers, stranger: &Stranger) -> String {
    let mut activity = pair.alice.create_activity(&envelope(&pair.alice, &[&pair.bob]));
    activity["actor"] = json!(stranger.actor);
    // The author's own name for it, which is another each time.
    let name = activity["object"]["id"].as_str().and_then(|id| id.rsplit('/').next()).unwrap_or_default();
    activity["object"]["id"] = json!(format!("urn:uuid:{name}"));
    activity["object"]["messages"][0]["from"] = json!(format!("{}/device/1", stranger.actor));
    inbox_answer(pair, stranger, &activity).await
}

/// Has another server report on an envelope that Alice has sent there, and returns the answer as the
/// table has it. `number` makes the report another one.
async fn reports(pair: &TwoUsers, stranger: &Stranger, number: u64) -> String {
    let id = EnvelopeId::parse("urn:uuid:00000000-0000-4000-8000-000000000001").unwrap();
    let there = Origin::parse(&stranger.origin).unwrap();
    let envelope = SentEnvelopeName { author: pair.alice.user(), recipient_origin: &there, id: &id };
    let now_ms = pair.world.now_ms();
    let store = pair.world.state.store();
    store.record_sent(envelope, pair.alice.id(), now_ms, now_ms).await.unwrap();
    let report = json!({
        "type": "Reject", "actor": stranger.actor, "to": pair.alice.actor(), "object": id,
        "summary": number.to_string(),
    });
    inbox_answer(pair, stranger, &report).await
}

/// Has another server pass on an abuse report of one of its users about Alice, and returns the answer as
/// the table has it. `reporter` makes it that of another user.
async fn flagged(pair: &TwoUsers, stranger: &Stranger, reporter: u64) -> String {
    let mut flag = flag(&pair.alice.actor(), reporter);
    flag.evidence.to = Some(format!("{}/users/{reporter}", stranger.origin));
    flag.actor = Some(stranger.actor.clone());
    inbox_answer(pair, stranger, &flag.to_value(None)).await
}

/// Has another server deliver an activity, and returns the answer as the table has it.
async fn inbox_answer(pair: &TwoUsers, stranger: &Stranger, activity: &Value) -> String {
    let (status, body) = stranger.deliver(&pair.world, "/inbox", activity).await;
    let slug = body["type"].as_str().and_then(|kind| kind.rsplit('/').next());
    slug.map_or_else(|| status.to_string(), |slug| format!("{status} `{slug}`"))
}
