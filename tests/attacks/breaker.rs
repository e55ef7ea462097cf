//! Attempts of one account to make this server leave another, healthy server alone: by addresses
//! there that fail, chosen by the attacker. Everyone else still sends at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eko_client::Device;
use eko_testkit::{AnswerTail, BARE, DirectTransport, StrangerAnswer};
use futures_util::future::join_all;
use serde_json::json;

use crate::scene::{AttackScene, web_finger_link};

/// The places at a server whose address an attacker chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Inbox,
    Document,
    WebFinger,
    KeyPackages,
}

const PLACES: [Place; 4] = [Place::Inbox, Place::Document, Place::WebFinger, Place::KeyPackages];

/// A scene with an attacker, Mallory, who is a user like Alice. Eve's server is healthy.
struct BreakerScene {
    scene: AttackScene,
    mallory: Device<DirectTransport>,
    number: AtomicUsize,
}

impl BreakerScene {
    async fn new() -> Self {
        let scene =
            AttackScene::with(BARE, |config| config.limits.remote_send_time = Duration::from_millis(400));
        let scene = scene.await;
        let mallory = scene.world.user_with("mallory", BARE).await;
        Self { scene, mallory, number: AtomicUsize::new(0) }
    }

    /// Lets everything at Eve's server whose name begins with `bad` give this answer at `place`,
    /// and the right one elsewhere.
    fn fail(&self, place: Place, answer: &StrangerAnswer) {
        let (answer, key) = (answer.clone(), self.scene.eve.key.public_pem().to_owned());
        let origin = self.scene.eve.origin.clone();
        self.scene.eve.script(move |request| {
            let name = request.target.split("bad").nth(1)?;
            let number: String = name.chars().take_while(char::is_ascii_digit).collect();
            let id = format!("{origin}/users/bad{number}");
            let at = match request.target.as_str() {
                target if target.starts_with("/.well-known/") => Place::WebFinger,
                // Takes go to the inbox that a user of an Eko server has.
                target if target.starts_with("/user/") => Place::KeyPackages,
                target if target.ends_with("/inbox") => Place::Inbox,
                _ => Place::Document,
            };
            if at == place {
                return Some(answer.clone());
            }
            match at {
                Place::WebFinger => Some(web_finger_link(&id)),
                Place::Document => {
                    Some(StrangerAnswer::activity(200, &crate::scene::actor_document(&id, &key)))
                }
                Place::Inbox | Place::KeyPackages => None,
            }
        });
    }

    /// Has a device send to, or take from, an address of its own that fails at `place`. Returns the
    /// answer in one line.
    async fn meets(&self, device: &Device<DirectTransport>, place: Place) -> String {
        let (scene, number) = (&self.scene, self.next());
        let base = format!("{}/users/bad{number}", scene.eve.origin);
        match place {
            Place::Inbox | Place::Document => scene.sends(device, &base, &base, number).await,
            Place::WebFinger => scene.sends(device, &format!("@bad{number}@b.example"), &base, number).await,
            Place::KeyPackages => {
                let url = format!("{}/user/bad{number}/keyPackages", scene.eve.origin);
                scene.takes(device, &url).await
            }
        }
    }

    async fn mallory_meets(&self, place: Place) -> String {
        self.meets(&self.mallory, place).await
    }

    /// Has Alice send to Eve, and returns the answer in one line.
    async fn alice_sends(&self) -> String {
        self.scene.alice_sends(&self.scene.eve.actor, &self.scene.eve.actor, self.next()).await
    }

    /// Draws the number of an envelope.
    fn next(&self) -> usize {
        self.number.fetch_add(1, Ordering::Relaxed)
    }
}

/// Returns the answers of an address that fails.
fn failures() -> Vec<StrangerAnswer> {
    let silent = StrangerAnswer::status(200).then(AnswerTail::Silent);
    let mut answers = vec![silent, StrangerAnswer::status(200).with("x-long", "x".repeat(64 * 1024))];
    for status in [408, 425, 429, 500, 502, 503, 504] {
        answers.push(StrangerAnswer::status(status).with("retry-after", "3600"));
    }
    answers
}

#[tokio::test]
async fn one_account_does_not_close_a_server() {
    let mut attack = BreakerScene::new().await;
    for place in PLACES {
        for answer in failures() {
            let silent = answer.tail == AnswerTail::Silent;
            attack.fail(place, &answer);
            for _ in 0..if silent { 2 } else { 5 } {
                let expected = match place {
                    Place::Inbox | Place::Document => "202 Create",
                    Place::WebFinger | Place::KeyPackages => "503 remote-unreachable",
                };
                assert_eq!(attack.mallory_meets(place).await, expected, "{place:?} {}", answer.status);
            }
            assert_eq!(attack.alice_sends().await, "201 Create", "{place:?} {}", answer.status);
            if !silent {
                attack.scene.world.advance(10_000);
                attack.scene.world.federate().await;
                assert_eq!(attack.alice_sends().await, "201 Create", "{place:?} {}", answer.status);
            }
            let queue = &attack.scene.world.cloud.federation.queue;
            attack.scene.world.cloud.clients.sqs.purge_queue().queue_url(queue).send().await.unwrap();
            attack.scene.world.advance(60_000);
            attack.scene.alice.refresh().await.unwrap();
            attack.mallory.refresh().await.unwrap();
        }
    }
    attack.scene.world.leave_queues();
}

/// Documents fail for as many senders as an attacker finds. Only inboxes speak of their server.
#[tokio::test]
async fn documents_close_no_server() {
    let mut attack = BreakerScene::new().await;
    let mut senders = Vec::new();
    for name in ["carol", "dave", "erin", "frank"] {
        senders.push(attack.scene.world.user_with(name, BARE).await);
    }
    for place in [Place::Document, Place::WebFinger, Place::KeyPackages] {
        attack.fail(place, &StrangerAnswer::status(503).with("retry-after", "3600"));
        for _ in 0..2 {
            for sender in &senders {
                attack.meets(sender, place).await;
            }
            assert_eq!(attack.alice_sends().await, "201 Create", "{place:?}");
            attack.scene.world.advance(10_000);
            attack.scene.world.federate().await;
            assert_eq!(attack.alice_sends().await, "201 Create", "{place:?}");
        }
    }
    attack.scene.world.leave_queues();
}

/// Two accounts with as many inboxes as they like are no more than two senders.
#[tokio::test]
async fn two_accounts_do_not_close_a_server() {
    let mut attack = BreakerScene::new().await;
    let trudy = attack.scene.world.user_with("trudy", BARE).await;
    for status in [502, 503, 504] {
        attack.fail(Place::Inbox, &StrangerAnswer::status(status));
        for _ in 0..10 {
            assert_eq!(attack.mallory_meets(Place::Inbox).await, "202 Create");
            assert_eq!(attack.meets(&trudy, Place::Inbox).await, "202 Create");
        }
        assert_eq!(attack.alice_sends().await, "201 Create", "{status}");
        for _ in 0..10 {
            attack.mallory_meets(Place::Inbox).await;
            attack.meets(&trudy, Place::Inbox).await;
        }
        attack.scene.world.advance(10_000);
        attack.scene.world.federate().await;
        assert_eq!(attack.alice_sends().await, "201 Create", "{status}");
    }
    attack.scene.world.leave_queues();
}

/// After a real outage the attacker is the one who probes, with an address that fails. The probe
/// does not keep the server closed.
#[tokio::test]
async fn a_hopeless_probe_does_not_keep_a_server_closed() {
    let mut attack = BreakerScene::new().await;
    let mut answers = failures();
    answers.extend([404, 410, 200, 301].map(StrangerAnswer::status));
    answers.push(StrangerAnswer { body: " ".repeat((1 << 20) + 1), ..StrangerAnswer::status(200) });
    for place in PLACES {
        for answer in &answers {
            attack.fail(place, answer);
            attack.scene.internet.unplug(attack.scene.eve.address);
            assert_eq!(attack.alice_sends().await, "202 Create", "{place:?} {}", answer.status);
            attack.scene.internet.plug(attack.scene.eve.address);
            attack.scene.world.advance(6_000);
            attack.mallory_meets(place).await;
            assert_eq!(attack.alice_sends().await, "201 Create", "{place:?} {}", answer.status);
            attack.scene.world.advance(60_000);
            attack.scene.alice.refresh().await.unwrap();
            attack.mallory.refresh().await.unwrap();
        }
    }
    attack.scene.world.leave_queues();
}

/// A `Retry-After` of one recipient's inbox holds for that recipient's messages only.
#[tokio::test]
async fn a_retry_after_of_one_inbox_stops_nobody_else() {
    let mut attack = BreakerScene::new().await;
    for status in [429, 503] {
        attack.fail(Place::Inbox, &StrangerAnswer::status(status).with("retry-after", "172800"));
        assert_eq!(attack.mallory_meets(Place::Inbox).await, "202 Create");
        assert_eq!(attack.alice_sends().await, "201 Create");
        let eve = attack.scene.eve.actor.clone();
        let sent = attack.scene.sends(&attack.mallory, &eve, &eve, 1_000 + usize::from(status)).await;
        assert_eq!(sent, "201 Create", "the sender itself reaches others");
    }
    attack.scene.world.leave_queues();
}

/// The breaker trips when several senders meet the failure at several recipients, and an answer
/// resets it.
#[tokio::test]
async fn several_senders_close_a_server_that_fails() {
    let mut attack = BreakerScene::new().await;
    attack.fail(Place::Inbox, &StrangerAnswer::status(503));
    let mut senders = Vec::new();
    for name in ["carol", "dave", "erin"] {
        senders.push(attack.scene.world.user_with(name, BARE).await);
    }
    // An answer in between wipes the slate clean.
    for sender in &senders {
        assert_eq!(attack.meets(sender, Place::Inbox).await, "202 Create");
        assert_eq!(attack.alice_sends().await, "201 Create");
    }
    // So does time.
    for sender in &senders[..2] {
        assert_eq!(attack.meets(sender, Place::Inbox).await, "202 Create");
    }
    attack.scene.world.advance(600_000);
    assert_eq!(attack.meets(&senders[2], Place::Inbox).await, "202 Create");
    assert_eq!(attack.alice_sends().await, "201 Create");
    // Three senders at three recipients, without an answer: the server is left alone.
    for sender in &senders {
        sender.refresh().await.unwrap();
        assert_eq!(attack.meets(sender, Place::Inbox).await, "202 Create");
    }
    let asked = attack.scene.eve.asked().len();
    assert_eq!(attack.alice_sends().await, "202 Create");
    assert_eq!(attack.scene.eve.asked().len(), asked, "nobody is asked during the pause");
    // After the pause one of them probes, and the first answer opens it for everyone.
    attack.scene.world.advance(6_000);
    assert_eq!(attack.meets(&senders[0], Place::Inbox).await, "202 Create");
    assert_eq!(attack.alice_sends().await, "201 Create");
    assert_eq!(attack.alice_sends().await, "201 Create");
    attack.scene.world.leave_queues();
}

/// Many senders at one recipient, or one sender at many, say nothing of the server.
#[tokio::test]
async fn one_recipient_or_one_sender_closes_no_server() {
    let mut attack = BreakerScene::new().await;
    attack.fail(Place::Inbox, &StrangerAnswer::status(503));
    for name in ["carol", "dave", "erin", "frank"] {
        let sender = attack.scene.world.user_with(name, BARE).await;
        let bad = format!("{}/users/bad0", attack.scene.eve.origin);
        assert_eq!(attack.scene.sends(&sender, &bad, &bad, 500).await, "202 Create");
    }
    assert_eq!(attack.alice_sends().await, "201 Create");
    for _ in 0..20 {
        assert_eq!(attack.mallory_meets(Place::Inbox).await, "202 Create");
    }
    assert_eq!(attack.alice_sends().await, "201 Create");
    // All at once, beside another sender.
    let grace = attack.scene.world.user_with("grace", BARE).await;
    assert_eq!(attack.meets(&grace, Place::Inbox).await, "202 Create");
    let at_once = join_all((0..8).map(|_| attack.mallory_meets(Place::Inbox))).await;
    assert_eq!(at_once, ["202 Create"; 8]);
    assert_eq!(attack.alice_sends().await, "201 Create");
    attack.scene.world.leave_queues();
}

/// Sixteen senders with one silent recipient do not keep out the evidence of others, who meet
/// silence at other recipients.
#[tokio::test]
async fn a_crowd_at_one_recipient_hides_no_silence() {
    let mut attack = BreakerScene::new().await;
    attack.fail(Place::Inbox, &StrangerAnswer::status(503));
    let bad = format!("{}/users/bad900", attack.scene.eve.origin);
    for number in 0..16 {
        let sender = attack.scene.world.user_with(&format!("crowd_{number}"), BARE).await;
        assert_eq!(attack.scene.sends(&sender, &bad, &bad, 500).await, "202 Create", "{number}");
    }
    for name in ["carol", "dave"] {
        let sender = attack.scene.world.user_with(name, BARE).await;
        assert_eq!(attack.meets(&sender, Place::Inbox).await, "202 Create");
    }
    let asked = attack.scene.eve.asked().len();
    assert_eq!(attack.mallory_meets(Place::Inbox).await, "202 Create");
    assert_eq!(attack.scene.eve.asked().len(), asked, "the server is left alone");
    attack.scene.world.leave_queues();
}

/// In a batch of the queue, an attacker's parcels cost one attempt, and the others are tried.
#[tokio::test]
async fn a_slow_address_does_not_hold_up_a_batch() {
    let mut attack = BreakerScene::new().await;
    attack.fail(Place::Inbox, &StrangerAnswer::status(504));
    attack.scene.internet.unplug(attack.scene.eve.address);
    for _ in 0..9 {
        assert_eq!(attack.mallory_meets(Place::Inbox).await, "202 Create");
    }
    assert_eq!(attack.alice_sends().await, "202 Create");
    attack.scene.internet.plug(attack.scene.eve.address);
    attack.scene.world.advance(6_000);
    assert_eq!(attack.scene.world.federate().await, 10);
    let posts = attack.scene.eve.posts();
    let (bad, good): (Vec<_>, Vec<_>) = posts.iter().partition(|post| post.target.contains("bad"));
    assert_eq!((bad.len(), good.len()), (1, 1));
    assert_eq!(good[0].json()["actor"], json!(attack.scene.alice.actor()));
    attack.scene.world.leave_queues();
}

/// A redirect of an actor document to a server that is dead says nothing of the healthy one.
#[tokio::test]
async fn a_redirect_to_a_dead_server_is_no_failure_of_the_first() {
    let mut attack = BreakerScene::new().await;
    for to in ["https://dead.example/users/x", "https://b.example:8443/users/x"] {
        attack.fail(Place::Document, &StrangerAnswer::status(302).with("location", to));
        for _ in 0..3 {
            attack.mallory_meets(Place::Document).await;
            assert_eq!(attack.alice_sends().await, "201 Create", "{to}");
        }
    }
    attack.scene.world.leave_queues();
}
