//! Reports of messages across servers: a true one verifies at the author's server, whatever the other
//! server does, and no forged one does.

use eko_protocol::flag::{Evidence, Flag};
use eko_protocol::franking::franking_tag;
use eko_protocol::http_signature::Scheme;
use eko_protocol::key::FrankingMac;
use eko_testkit::{CallFault, FrankedContent, Stranger, World, sign, signing_key};
use serde_json::{Value, json};

use crate::deletion::server;
use crate::{HOUR_MS, ServerPair};

/// The number of times that the SDK tries a call.
const TRIES: usize = 3;

/// Has Alice send a message to Bob, and returns the report that he can make.
async fn message(pair: &ServerPair, text: &str) -> Flag {
    // The entries of a mailbox are in the order of their times.
    pair.internet.advance(1_000);
    let franked = FrankedContent::new(&pair.alice.actor(), &pair.bob.actor(), text);
    pair.alice.send(&franked.envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    franked.flag(pair.b.messages(&pair.bob).await.last().unwrap())
}

#[tokio::test]
async fn a_true_report_verifies_at_the_authors_server() {
    let pair = ServerPair::new().await;
    let flag = message(&pair, "a threat").await;
    pair.b.calls.reset();
    pair.bob.report_message(&flag).await.unwrap();
    let made = ["GetItem", "GetItem", "UpdateItem", "TransactWriteItems", "SendMessageBatch"];
    assert_eq!(pair.b.calls.made(), made);
    pair.a.calls.reset();
    pair.settle().await;
    assert_eq!(pair.b.flags().await, ["delivered"]);
    assert_eq!(pair.a.flags().await, ["verified"]);
    // It is stored once, however often it is sent.
    pair.bob.report_message(&flag).await.unwrap();
    pair.settle().await;
    assert_eq!((pair.a.flags().await.len(), pair.b.flags().await.len()), (1, 1));
    // A message that waited for the other server has its first time, and is verified, too.
    pair.internet.unplug(pair.b_address);
    pair.internet.advance(60_000);
    let franked = FrankedContent::new(&pair.alice.actor(), &pair.bob.actor(), "later");
    pair.alice.send(&franked.envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.internet.plug(pair.b_address);
    pair.internet.advance(HOUR_MS);
    for device in [&pair.alice, &pair.bob] {
        device.refresh().await.unwrap();
    }
    pair.settle().await;
    let letters = pair.b.messages(&pair.bob).await;
    pair.bob.report_message(&franked.flag(letters.last().unwrap())).await.unwrap();
    pair.settle().await;
    assert_eq!(pair.a.flags().await, ["verified", "verified"]);
}

/// An author evades no report by what the content says of its recipient: a client takes what is addressed to
/// an account that its user has left, and honest clients send what has waited for the move that way.
#[tokio::test]
async fn a_content_that_names_another_recipient_is_reported_like_any_other() {
    let pair = ServerPair::new().await;
    let franked = FrankedContent::new(&pair.alice.actor(), "https://old.example/user/bob", "a threat");
    pair.alice.send(&franked.envelope(&pair.alice, &[&pair.bob])).await.unwrap();
    pair.settle().await;
    let flag = franked.flag(&pair.b.messages(&pair.bob).await[0]);
    pair.bob.report_message(&flag).await.unwrap();
    pair.settle().await;
    assert_eq!(
        (pair.b.flags().await, pair.a.flags().await),
        (vec!["delivered".to_owned()], vec!["verified".to_owned()])
    );
}

/// A report that was stored and not passed on is passed on when the device reports again.
#[tokio::test]
async fn a_report_that_was_not_queued_is_sent_again() {
    let pair = ServerPair::new().await;
    let flag = message(&pair, "a threat").await;
    pair.b.calls.fail("SendMessageBatch", CallFault::Down, TRIES);
    pair.bob.report_message(&flag).await.unwrap_err();
    assert_eq!((pair.b.flags().await.len(), pair.b.waiting().await), (1, (0, 0)));
    pair.bob.report_message(&flag).await.unwrap();
    pair.settle().await;
    assert_eq!((pair.a.flags().await, pair.b.flags().await.len()), (vec!["verified".to_owned()], 1));
}

/// An author who deletes the account is reported all the same, also if the reporter does, too.
#[tokio::test]
async fn a_deletion_evades_no_report() {
    let pair = ServerPair::new().await;
    let flag = message(&pair, "a threat").await;
    pair.internet.advance(HOUR_MS);
    pair.alice.refresh().await.unwrap();
    pair.bob.refresh().await.unwrap();
    pair.internet.unplug(pair.a_address);
    pair.bob.report_message(&flag).await.unwrap();
    pair.settle().await;
    pair.bob.delete_account(&pair.b.id_token(&pair.bob).await).await.unwrap();
    pair.alice.delete_account(&pair.a.id_token(&pair.alice).await).await.unwrap();
    pair.internet.plug(pair.a_address);
    pair.internet.advance(HOUR_MS);
    pair.settle().await;
    assert_eq!(pair.a.flags().await, ["verified"]);
}

/// Posts a `Flag` to Alice's server as the server at `b.example`, which has its key.
async fn flagged_by_b(pair: &ServerPair, flag: &Value) -> u16 {
    let (_, key) = signing_key("b.example");
    let key_id = "https://b.example/actor#main-key";
    let body = flag.to_string().into();
    let request = sign(&key, key_id, Scheme::Rfc9421, "https://a.example/inbox", body, pair.a.now_ms());
    pair.a.transport().json(request).await.0
}

/// The author's server refuses a report that comes too fast, and the recipient's server sends it again.
#[tokio::test]
async fn a_report_that_comes_too_fast_waits() {
    let pair = ServerPair::new().await;
    let (first, second) = (message(&pair, "a threat").await, message(&pair, "another one").await);
    let repeated = first.passed_on(pair.bob.origin(), &pair.bob.actor());
    while flagged_by_b(&pair, &repeated).await == 202 {}
    pair.bob.report_message(&second).await.unwrap();
    pair.settle().await;
    assert_eq!(pair.a.flags().await, ["verified"]);
    pair.internet.advance(HOUR_MS);
    pair.settle().await;
    assert_eq!(pair.a.flags().await, ["verified", "verified"]);
}

/// The recipient's server lies: it has all that its user got, and everything that it makes up.
#[tokio::test]
async fn a_malicious_server_of_the_recipient_forges_nothing() {
    let pair = ServerPair::new().await;
    let mallory = pair.a.user("mallory").await;
    let dora = pair.b.user("dora").await;
    let (first, second) = (message(&pair, "a threat").await, message(&pair, "hello").await);
    let bob = pair.bob.actor();
    let joke = |evidence: &mut Evidence| {
        evidence.content = evidence.content.replace("threat", "joke");
        evidence.tag = franking_tag(&evidence.key, evidence.content.as_bytes());
    };
    let b = pair.bob.origin();
    let mut forgeries = vec![];
    let mut forged = |to: &str, change: &dyn Fn(&mut Flag)| {
        let mut flag = first.clone();
        change(&mut flag);
        forgeries.push(flag.passed_on(b, to));
    };
    forged(&bob, &|flag| joke(&mut flag.evidence));
    forged(&bob, &|flag| flag.evidence.content = flag.evidence.content.replace("threat", "joke"));
    forged(&bob, &|flag| {
        flag.author = mallory.actor();
        flag.evidence.content = flag.evidence.content.replace("user/alice", "user/mallory");
        flag.evidence.tag = franking_tag(&flag.evidence.key, flag.evidence.content.as_bytes());
    });
    forged(&bob, &|flag| flag.author = mallory.actor());
    forged(&bob, &|flag| flag.evidence.activity.clone_from(&second.evidence.activity));
    forged(&bob, &|flag| flag.evidence.mac = second.evidence.mac);
    forged(&bob, &|flag| flag.evidence.mac = FrankingMac::from([0; 32]));
    // Somebody else has got it.
    forged(&dora.actor(), &|_| {});
    let count = forgeries.len();
    for flag in forgeries {
        assert_eq!(flagged_by_b(&pair, &flag).await, 202, "{flag}");
    }
    assert_eq!(pair.a.flags().await, vec!["false"; count]);
    // A reporter on another server than the one that signs, an author who is not here, and a `Flag` of
    // other software are ignored.
    assert_eq!(flagged_by_b(&pair, &first.passed_on(b, "https://c.example/user/bob")).await, 202);
    let elsewhere = Flag { author: "https://c.example/user/alice".to_owned(), ..first.clone() };
    assert_eq!(flagged_by_b(&pair, &elsewhere.passed_on(b, &bob)).await, 202);
    let plain = json!({ "type": "Flag", "actor": "https://b.example/actor", "object": [pair.alice.actor()] });
    assert_eq!(flagged_by_b(&pair, &plain).await, 202);
    assert_eq!(pair.a.flags().await.len(), count);
    assert_eq!(flagged_by_b(&pair, &first.passed_on(b, &bob)).await, 202);
    assert_eq!(pair.a.flags().await.iter().filter(|standing| *standing == "verified").count(), 1);
}

/// Delivers an envelope of Eve's, with a franking, to Bob's server and returns the report of it.
async fn from_eve(b: &World, eve: &Stranger, bob: &Value, franked: &FrankedContent, mac: [u8; 32]) -> u16 {
    let tag = franking_tag(&franked.key, franked.content.as_bytes());
    let create = json!({
        "type": "Create", "id": format!("{}/activity/1", eve.origin), "actor": eve.actor, "to": bob["actor"],
        "object": {
            "type": ["Object", "SignalEnvelope"], "id": format!("{}/message/1", eve.origin),
            "messages": [{ "to": bob["device"], "from": format!("{}/device/1", eve.actor), "content": "AQID" }],
            "eko:franking": { "tag": tag, "mac": FrankingMac::from(mac) },
        },
    });
    eve.deliver(b, "/inbox", &create).await.0
}

/// The author's server lies: it gives its user's envelope a MAC that is none, and it names a user of
/// another server as the author.
#[tokio::test]
async fn a_malicious_server_of_the_author_accuses_nobody_else() {
    let pair = ServerPair::new().await;
    let eve = server(&pair, "evil.example").await;
    let bob = json!({ "actor": pair.bob.actor(), "device": pair.bob.address() });
    let franked = FrankedContent::new(&eve.actor, &pair.bob.actor(), "a threat");
    assert_eq!(from_eve(&pair.b, &eve, &bob, &franked, [9; 32]).await, 202);
    pair.settle().await;
    let letters = pair.b.messages(&pair.bob).await;
    // Bob's server knows that it was delivered; what it says is Eve's server to tell, which gets it.
    let flag = franked.flag(&letters[0]);
    pair.bob.report_message(&flag).await.unwrap();
    pair.settle().await;
    assert_eq!(pair.b.flags().await, ["delivered"]);
    let told = eve.posts().pop().unwrap().json();
    assert_eq!(told["actor"], "https://b.example/actor");
    assert_eq!(told["object"], eve.actor);
    assert_eq!(told["eko:evidence"]["to"], bob["actor"]);
    // What Eve's server has made up cannot be turned against Alice.
    let accused = Flag {
        author: pair.alice.actor(),
        evidence: Evidence {
            content: flag.evidence.content.replace(&eve.actor, &pair.alice.actor()),
            ..flag.evidence.clone()
        },
        ..flag.clone()
    };
    pair.bob.report_message(&accused).await.unwrap();
    // What fits, and has never come to Bob's server, is for its own operator.
    let mut made_up = accused.clone();
    made_up.evidence.tag = franking_tag(&made_up.evidence.key, made_up.evidence.content.as_bytes());
    pair.bob.report_message(&made_up).await.unwrap();
    pair.settle().await;
    assert_eq!(pair.b.flags().await, ["consistent", "delivered", "false"]);
    assert!(pair.a.flags().await.is_empty());
    // A content that its own tag does not fit was never said by Eve either.
    let mut other = flag;
    other.evidence.content = other.evidence.content.replace("threat", "joke");
    pair.bob.report_message(&other).await.unwrap();
    assert_eq!(pair.b.flags().await, ["consistent", "delivered", "false", "false"]);
    pair.settle().await;
}
