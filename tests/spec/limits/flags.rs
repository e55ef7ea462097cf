//! Limits of abuse reports.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::{Auth, Body, Exchange};
use eko_protocol::flag::{Evidence, Flag};
use eko_protocol::franking::{FrankingStatement, franking_tag};
use eko_protocol::id::EnvelopeId;
use eko_protocol::key::FrankingKey;
use eko_protocol::vocabulary::in_context;
use eko_testkit::{FrankedContent, Internet, Stranger, signing_key};
use http::Method;

use super::{TwoUsers, World, told};

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "abuse reports of a user in a day (UTC)",
    "abuse reports of the users of one other site in a day (UTC)",
    "made-up abuse reports of the users of one other site in a day (UTC)",
    "bytes of the content of an abuse report",
    "bytes of the reason of an abuse report",
];

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Returns a report of a message by `author`, which nobody has sent.
pub(super) fn flag(author: &str, number: u64) -> Flag {
    let (content, key) = (FrankedContent::new(author, "x", "y").content, FrankingKey::from([1; 32]));
    let tag = franking_tag(&key, content.as_bytes());
    let evidence = Evidence {
        to: None,
        activity: format!("https://eko.example/activity/{number}"),
        envelope: EnvelopeId::parse(&format!("https://eko.example/message/{number}")).unwrap(),
        device: format!("{author}/device/1"),
        content,
        key,
        tag,
        mac: [2; 32].into(),
    };
    Flag { actor: None, author: author.to_owned(), reason: None, evidence }
}

async fn post(pair: &TwoUsers, flag: &Flag) -> Exchange {
    let body = in_context(flag.to_value(None));
    pair.alice.call(Method::POST, "/user/alice/outbox", Body::Json(&body), Auth::Device).await.unwrap()
}

/// Answers a request with exactly `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    let number = usize::try_from(count).unwrap();
    match limit {
        "abuse reports of the users of one other site in a day (UTC)" => {
            return from_a_site(count, true).await;
        }
        "made-up abuse reports of the users of one other site in a day (UTC)" => {
            return from_a_site(count, false).await;
        }
        _ => {}
    }
    let pair = TwoUsers::new().await;
    let bob = pair.bob.actor();
    match limit {
        "abuse reports of a user in a day (UTC)" => {
            for number in 1..count {
                assert_eq!(post(&pair, &flag(&bob, number)).await.status, 202);
            }
            // One that comes again is not one more.
            assert_eq!(post(&pair, &flag(&bob, 1)).await.status, 200);
            told(&post(&pair, &flag(&bob, count)).await)
        }
        "bytes of the content of an abuse report" => {
            let mut body = in_context(flag(&bob, 1).to_value(None));
            body["eko:evidence"]["content"] = STANDARD.encode("x".repeat(number)).into();
            told(&pair.post("/user/alice/outbox", &body).await)
        }
        "bytes of the reason of an abuse report" => {
            let reason = Some(format!("{}!", "x".repeat(number - 1)));
            let answer = post(&pair, &Flag { reason, ..flag(&bob, 1) }).await;
            let stored = pair.world.stored().await;
            let whole = stored.items.values().any(|item| item.contains("x!"));
            format!("{}{}", answer.status.as_u16(), if whole { "" } else { ", with the beginning" })
        }
        other => panic!("nothing plays the limit {other:?}"),
    }
}

/// Has another server pass on `count` reports, each of another user, of messages that were sent or not.
async fn from_a_site(count: u64, sent: bool) -> String {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let eve = Stranger::new(&internet, "b.example").await;
    let key = signing_key("eko.example").1;
    for number in 0..count {
        // Fewer reporters than a minute has.
        if number % 50 == 49 {
            world.advance(60_000);
        }
        let to = format!("{}/users/{number}", eve.origin);
        let mut flag = flag("https://eko.example/user/alice", number);
        let evidence = &mut flag.evidence;
        if sent {
            evidence.content = FrankedContent::new(&flag.author, &to, "y").content;
            evidence.tag = franking_tag(&evidence.key, evidence.content.as_bytes());
            evidence.mac = key.franking().mac(FrankingStatement {
                activity: &evidence.activity,
                author: &flag.author,
                device: &evidence.device,
                envelope: &evidence.envelope.key(),
                tag: &evidence.tag,
                to: &to,
            });
        }
        evidence.to = Some(to);
        flag.actor = Some(eve.actor.clone());
        assert_eq!(eve.deliver(&world, "/inbox", &in_context(flag.to_value(None))).await.0, 202);
    }
    let is_whole = u64::try_from(world.flags().await.len()).unwrap() == count;
    if is_whole { "stored".to_owned() } else { "dropped".to_owned() }
}
