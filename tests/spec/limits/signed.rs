//! Limits of what another server sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::Exchange;
use eko_client::device::OutgoingEnvelope;
use eko_federation::Scheme;
use eko_protocol::activity::Report;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use eko_testkit::{BARE, Internet, Stranger, StrangerAnswer, World};
use http::header;
use serde_json::{Value, json};

use super::told;
use crate::cast::BOB;
use crate::recorder::Recorder;

/// The rows that are played here.
pub(super) const ROWS: &[&str] = &[
    "seconds that the time of an HTTP signature is off",
    "components that an HTTP signature covers",
    "reports of another server on one envelope",
    "bytes of the document of a signing actor",
    "keys of a signing actor",
    "bytes of a key of a signing actor, in PEM",
    "bytes of all keys of a signing actor, in PEM with their ids",
    "bytes of the summary of another server's report",
    "bytes of a chain that is read through the own server",
];

/// The keys of an actor in whose document all keys together are as long as allowed.
const KEYS: u64 = 8;

#[tokio::test]
async fn each_limit_and_one_more() {
    super::check(ROWS, answer).await;
}

/// Answers a request with exactly `count` of what the row `limit` names.
async fn answer(limit: &'static str, count: u64) -> String {
    match limit {
        "seconds that the time of an HTTP signature is off" => told(&signed(count, 4).await),
        "components that an HTTP signature covers" => told(&signed(0, count).await),
        "reports of another server on one envelope" => reports(count).await,
        "bytes of the document of a signing actor" => {
            let number = usize::try_from(count).unwrap();
            by_document(|document| {
                let text = document.to_string();
                text.clone() + &" ".repeat(number - text.len())
            })
            .await
        }
        "keys of a signing actor" => {
            by_document(|mut document| {
                let right = document["publicKey"].clone();
                let other = |number: u64| {
                    let mut key = right.clone();
                    key["id"] = json!(format!("https://b.example/users/eve#{number}"));
                    key
                };
                document["publicKey"] = (1..count).map(other).chain([right.clone()]).collect();
                document.to_string()
            })
            .await
        }
        "bytes of a key of a signing actor, in PEM" => {
            by_document(|mut document| {
                let right = document["publicKey"]["publicKeyPem"].as_str().unwrap();
                let padding = "\n".repeat(usize::try_from(count).unwrap() - right.len());
                document["publicKey"]["publicKeyPem"] = json!(format!("{right}{padding}"));
                document.to_string()
            })
            .await
        }
        "bytes of all keys of a signing actor, in PEM with their ids" => {
            by_document(|mut document| {
                let right = document["publicKey"].clone();
                let keys = (0..KEYS).map(|number| {
                    let mut key = right.clone();
                    if number + 1 < KEYS {
                        key["id"] = json!(format!("https://b.example/users/eve#{number}"));
                    }
                    let share = count / KEYS + u64::from(number < count % KEYS);
                    let (id, pem) = (key["id"].as_str().unwrap(), key["publicKeyPem"].as_str().unwrap());
                    let padding = usize::try_from(share).unwrap() - id.len() - pem.len();
                    key["publicKeyPem"] = json!(format!("{pem}{}", "\n".repeat(padding)));
                    key
                });
                document["publicKey"] = keys.collect();
                document.to_string()
            })
            .await
        }
        "bytes of the summary of another server's report" => {
            let summary = "x".repeat(usize::try_from(count).unwrap());
            let [kept] = <[_; 1]>::try_from(reported(vec![summary.clone()]).await).unwrap();
            let kept = kept.summary.unwrap();
            assert!(summary.starts_with(&kept));
            if kept == summary { "202".to_owned() } else { "202, with the beginning".to_owned() }
        }
        "bytes of a chain that is read through the own server" => chain(count).await,
        other => panic!("nothing plays the limit {other:?}"),
    }
}

/// Reads a chain of so many bytes through the own server.
async fn chain(count: u64) -> String {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let alice = world.user_with("alice", BARE).await;
    let stranger = Stranger::new(&internet, "b.example").await;
    let there = Origin::parse(&stranger.origin).unwrap();
    let bob = BOB.device(world.transport(), &there, world.clock());
    let text = json!({ "orderedItems": [bob.first_node().unwrap()] }).to_string();
    let body = format!("{text}{}", " ".repeat(usize::try_from(count).unwrap() - text.len()));
    stranger.document("/user/bob/devices", StrangerAnswer { body, ..StrangerAnswer::status(200) });
    match alice.chain_through_home(&there, bob.user()).await {
        Ok(_) => "200".to_owned(),
        Err(error) => {
            let problem = error.problem().unwrap();
            format!("{} `{}`", problem.status, problem.slug())
        }
    }
}

/// Delivers an activity whose signature was made so long ago and covers so many components.
async fn signed(seconds_ago: u64, covered: u64) -> Exchange {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let stranger = Stranger::new(&internet, "b.example").await;
    let activity = json!({ "type": "Like", "actor": stranger.actor, "object": "https://eko.example/x" });
    let made_ms = world.now_ms() - i64::try_from(seconds_ago * 1000).unwrap();
    let url = "https://eko.example/inbox";
    let mut request = stranger.signed(Scheme::Cavage, url, &activity, made_ms);
    if covered > 4 {
        let names: Vec<String> = (4..covered).map(|number| format!("x-{number}")).collect();
        let list = format!("(request-target) host date digest {}", names.join(" "));
        let text = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let mut base = format!(
            "(request-target): post /inbox\nhost: eko.example\ndate: {}\ndigest: {}",
            text("date"),
            text("digest")
        );
        for name in &names {
            base.push_str(&format!("\n{name}: 1"));
        }
        let signature = stranger.key.sign(base.as_bytes()).unwrap();
        let header = format!(
            r#"keyId="{}",algorithm="rsa-sha256",headers="{list}",signature="{}""#,
            stranger.key_id(),
            STANDARD.encode(signature)
        );
        let headers = request.headers_mut();
        headers.insert("signature", header.parse().unwrap());
        for name in names {
            headers.insert(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), "1".parse().unwrap());
        }
    }
    let recorded = Recorder::new(world.transport()).play(request).await;
    let (parts, body) = recorded.response.into_parts();
    Exchange { status: parts.status, headers: parts.headers, body }
}

/// Delivers an activity of an actor whose document `write` writes from the right one.
async fn by_document(write: impl FnOnce(Value) -> String) -> String {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let stranger = Stranger::new(&internet, "b.example").await;
    let body = write(stranger.actor_document());
    stranger.document("/users/eve", StrangerAnswer { body, ..StrangerAnswer::status(200) });
    let activity = json!({ "type": "Like", "actor": stranger.actor, "object": "https://eko.example/x" });
    let request = stranger.signed(Scheme::Cavage, "https://eko.example/inbox", &activity, world.now_ms());
    let recorded = Recorder::new(world.transport()).play(request).await;
    let (parts, body) = recorded.response.into_parts();
    told(&Exchange { status: parts.status, headers: parts.headers, body })
}

/// Delivers so many different reports on one envelope, and tells whether all come to the author's
/// device.
async fn reports(count: u64) -> String {
    let came = reported((0..count).map(|number| number.to_string()).collect()).await;
    if u64::try_from(came.len()).unwrap() == count { "202".to_owned() } else { "202, ignored".to_owned() }
}

/// Delivers reports with these summaries on one envelope, and returns those that come to the
/// author's device.
async fn reported(summaries: Vec<String>) -> Vec<Report> {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "eko.example").await;
    let alice = world.user_with("alice", BARE).await;
    let mut there = Stranger::new(&internet, "b.example").await;
    there.actor = "https://b.example/user/eve".to_owned();
    let mut document = there.actor_document();
    document["inbox"] = json!("https://b.example/user/eve/inbox");
    there.document("/user/eve", StrangerAnswer::activity(200, &document));
    let device = DeviceId::parse("00000000-0000-4000-8000-000000000001").unwrap();
    let id = alice.envelope_id();
    let outgoing = OutgoingEnvelope::new(UserName::parse("eve").unwrap(), id, vec![(device, vec![7])]);
    let outgoing = outgoing.at(&Origin::parse("https://b.example").unwrap());
    alice.send(&outgoing).await.unwrap();
    for summary in summaries {
        let report = json!({
            "type": "Reject", "actor": there.actor, "to": alice.actor(), "object": outgoing.id,
            "summary": summary,
        });
        assert_eq!(there.deliver(&world, "/inbox", &report).await.0, 202);
        world.advance(1);
    }
    world.deliver().await;
    world.reports(&alice).await
}
