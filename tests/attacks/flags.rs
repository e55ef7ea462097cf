//! Attempts of other servers to have true abuse reports lost, and with them the delivery reports.

use eko_protocol::activity::ReportKind;
use eko_protocol::flag::{Evidence, Flag};
use eko_protocol::franking::{FrankingStatement, franking_tag};
use eko_protocol::id::EnvelopeId;
use eko_protocol::key::FrankingKey;
use eko_testkit::{BARE, FrankedContent, Stranger, signing_key};
use serde_json::{Value, json};

use crate::scene::{AttackScene, envelope_id};

/// The attackers' domains.
const DOMAINS: [&str; 3] = ["one.example", "two.example", "three.example"];

/// Returns a report of a server about a message of Alice's to `reporter`, a user there. `number` makes it
/// another one. One that is not true has a MAC that Alice's server has not made.
fn flag(scene: &AttackScene, server: &Stranger, reporter: &str, number: usize, is_true: bool) -> Value {
    let (author, to) = (scene.alice.actor(), format!("{}/users/{reporter}", server.origin));
    let (content, key) = (FrankedContent::new(&author, &to, "a threat").content, FrankingKey::from([1; 32]));
    let tag = franking_tag(&key, content.as_bytes());
    let (activity, device) = (format!("https://eko.example/activity/{number}"), scene.alice.address());
    let envelope = EnvelopeId::parse(&format!("https://eko.example/message/{number}")).unwrap();
    let statement = FrankingStatement {
        activity: &activity,
        author: &author,
        device: &device,
        envelope: &envelope.key(),
        tag: &tag,
        to: &to,
    };
    let mac = signing_key("eko.example").1.franking().mac(statement);
    let mac = if is_true { mac } else { [2; 32].into() };
    let evidence = Evidence { to: Some(to), activity, envelope, device, content, key, tag, mac };
    let flag = Flag { actor: Some(server.actor.clone()), author, reason: None, evidence };
    flag.to_value(None)
}

/// Has a server pass on a report, and returns the answer.
async fn pass_on(
    scene: &AttackScene,
    server: &Stranger,
    (reporter, number, is_true): (&str, usize, bool),
) -> (u16, Option<String>) {
    let flag = flag(scene, server, reporter, number, is_true);
    let (status, body) = server.deliver(&scene.world, "/inbox", &flag).await;
    (status, body["detail"].as_str().map(str::to_owned))
}

/// An attacker with three domains uses up the shares of these alone. Another server's reports come through.
#[tokio::test]
async fn made_up_reports_of_many_domains_hold_back_nobody_elses() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.server_budget = 2;
        config.limits.recipient_budget = 8;
    })
    .await;
    assert_eq!(scene.alice_sends(&scene.eve.actor, &scene.eve.actor, 1).await, "201 Create");
    let mut refused = 0;
    for domain in DOMAINS {
        let attacker = Stranger::new(&scene.internet, domain).await;
        for number in 0..4 {
            let (status, _) = pass_on(&scene, &attacker, (&format!("mallory{number}"), number, false)).await;
            refused += usize::from(status == 429);
        }
    }
    assert_eq!(pass_on(&scene, &scene.eve, ("eve", 9, true)).await, (202, None));
    let stored = scene.world.flags().await;
    assert_eq!(stored.iter().filter(|standing| *standing == "verified").count(), 1, "{stored:?}");
    let delivered = json!({
        "type": "Delivered", "actor": scene.eve.actor, "to": scene.alice.actor(), "object": envelope_id(1),
    });
    assert_eq!(scene.deliver(&delivered).await, "202");
    scene.world.deliver().await;
    let kinds: Vec<_> = scene.world.reports(&scene.alice).await.iter().map(|report| report.kind).collect();
    assert_eq!(kinds, [ReportKind::Delivered]);
    assert_eq!(refused, 2 * DOMAINS.len());
}

/// A report that comes too fast is not dropped, and its sender learns nothing of what it is held for.
#[tokio::test]
async fn a_report_that_comes_too_fast_comes_again() {
    let scene = AttackScene::with(BARE, |config| config.limits.server_budget = 2).await;
    for number in 0..2 {
        assert_eq!(pass_on(&scene, &scene.eve, ("mallory", number, false)).await.0, 202);
    }
    let answer = pass_on(&scene, &scene.eve, ("eve", 8, true)).await;
    assert_eq!((answer.0, pass_on(&scene, &scene.eve, ("eve", 8, false)).await), (429, answer));
    assert_eq!(scene.world.flags().await, ["false", "false"]);
    scene.world.advance(60_000);
    assert_eq!(pass_on(&scene, &scene.eve, ("eve", 8, true)).await.0, 202);
    assert_eq!(scene.world.flags().await, ["false", "false", "verified"]);
}

/// One user of a large server keeps nobody else of that server from reporting.
#[tokio::test]
async fn one_reporter_uses_nothing_of_the_others_of_a_server_up() {
    let scene = AttackScene::with(BARE, |config| {
        (config.limits.sender_budget, config.limits.server_budget, config.limits.server_senders) = (2, 4, 2);
    })
    .await;
    for (reporter, number, status) in [
        ("mallory", 1, 202),
        ("mallory", 1, 202),
        ("mallory", 1, 429),
        ("mallory", 1, 429),
        ("eve", 2, 202),
        ("dora", 3, 429),
    ] {
        assert_eq!(pass_on(&scene, &scene.eve, (reporter, number, true)).await.0, status, "{reporter}");
    }
    assert_eq!(scene.world.flags().await, ["verified", "verified"]);
}
