//! Attempts to use up what belongs to somebody else: a recipient's minute, the queue for other
//! servers, the reserve of a user's own devices.

use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_client::{Auth, Body, Device};
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::http_signature::Scheme;
use eko_protocol::id::{DeviceId, GroupStateId};
use eko_protocol::vocabulary::in_context;
use eko_testkit::{
    BARE, CallFault, ChainChanges as _, DirectTransport, FrankedContent, Stranger, World, envelope, refusal,
    refused,
};
use http::Method;
use serde_json::json;

use crate::scene::{AttackScene, SCHEMES};

/// A minute in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// The envelopes that an attacker sends in one minute.
const FLOOD: usize = 100;

/// Has a device send an envelope to devices of one user of the same server, and returns the answer
/// in one line.
async fn says(from: &Device<DirectTransport>, to: &[&Device<DirectTransport>]) -> String {
    match from.send(&envelope(from, to)).await {
        Ok(SendOutcome::Accepted { .. }) => "accepted".to_owned(),
        Ok(SendOutcome::Partial(_)) => "partial".to_owned(),
        Ok(SendOutcome::Rejected(_)) => "rejected".to_owned(),
        other => refused(other),
    }
}

/// Returns an envelope of 60,000 bytes for a device of `to` that does not exist.
fn misdirected(from: &Device<DirectTransport>, to: &Device<DirectTransport>) -> OutgoingEnvelope {
    let nowhere = DeviceId::parse("00000000-0000-4000-8000-00000000dead").unwrap();
    let messages = vec![(nowhere, vec![7; 60_000])];
    OutgoingEnvelope::new(to.user().clone(), from.envelope_id(), messages)
}

/// Envelopes that are refused count for nobody: not for their sender, and not for the recipient.
#[tokio::test]
async fn refused_envelopes_use_nothing_up() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.sender_budget = 20;
        config.limits.sender_bytes_budget = 70_000;
        config.limits.server_budget = 20;
        config.limits.recipient_budget = 40;
        config.limits.recipient_bytes_budget = 100_000;
        config.limits.account_budget = 20;
    })
    .await;
    let tablet = scene.world.further(&scene.bob, "tablet").await;
    let mallory = scene.world.user_with("mallory", BARE).await;
    for number in 0..FLOOD {
        let outcome = mallory.send(&misdirected(&mallory, &scene.bob)).await.unwrap();
        assert!(matches!(outcome, SendOutcome::Rejected(_)), "{outcome:?}");
        let mut activity = scene.envelope(&scene.eve.actor, number);
        activity["object"]["messages"][0]["to"] =
            json!(format!("{}/device/00000000-0000-4000-8000-00000000dead", scene.bob.actor()));
        assert_eq!(scene.deliver(&activity).await, "409 Reject", "{number}");
        let mut nobodys = scene.envelope(&scene.eve.actor, number);
        nobodys["to"] = json!("https://eko.example/user/nobody");
        nobodys["object"]["messages"][0]["to"] =
            json!("https://eko.example/user/nobody/device/00000000-0000-4000-8000-00000000dead");
        assert_eq!(scene.deliver(&nobodys).await, "404 not-found", "{number}");
    }
    assert_eq!(says(&scene.alice, &[&scene.bob, &tablet]).await, "accepted");
    assert_eq!(says(&tablet, &[&scene.bob]).await, "accepted");
    assert_eq!(says(&mallory, &[&scene.bob, &tablet]).await, "accepted");
    assert_eq!(scene.deliver(&scene.envelope(&scene.eve.actor, FLOOD)).await, "207 PartialDelivery");
    scene.world.deliver().await;
}

/// A revoked device has no share, and uses nothing up.
#[tokio::test]
async fn a_revoked_device_uses_nothing_up() {
    let scene = AttackScene::with(BARE, |config| {
        (config.limits.sender_budget, config.limits.recipient_budget) = (3, 5);
        config.limits.account_budget = 3;
    })
    .await;
    let stolen = scene.world.further(&scene.alice, "stolen").await;
    scene.alice.revoke(stolen.id()).await.unwrap();
    for _ in 0..10 {
        assert_eq!(says(&stolen, &[&scene.bob]).await, "401 device-revoked");
    }
    for _ in 0..3 {
        assert_eq!(says(&scene.alice, &[&scene.bob]).await, "accepted");
    }
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "429 too-many");
    scene.world.deliver().await;
}

/// A device that waits for approval, or is revoked, may be a thief's. The server refuses it by every verb,
/// and leaves the account's minute to the user's own devices.
#[tokio::test]
async fn a_device_that_is_not_active_uses_nothing_of_the_account_up() {
    let scene = AttackScene::with(BARE, |config| config.limits.account_budget = 3).await;
    let waiting = scene.world.pending(&scene.alice, "waiting").await;
    let stolen = scene.world.further(&scene.alice, "stolen").await;
    scene.alice.revoke(stolen.id()).await.unwrap();
    // The minute of the sign-ins is over.
    scene.world.advance(MINUTE_MS);
    let group = GroupStateId::parse("00000000-0000-8000-8000-000000000001").unwrap();
    let state = SealedGroupState { epoch: 1, content: b"state".to_vec() };
    let franked = FrankedContent::new(&scene.bob.actor(), &scene.alice.actor(), "a threat");
    scene.bob.send(&franked.envelope(&scene.bob, &[&scene.alice])).await.unwrap();
    scene.world.deliver().await;
    let flag = franked.flag(scene.world.messages(&scene.alice).await.last().unwrap());
    for (device, answer) in [(&waiting, "403 device-pending"), (&stolen, "401 device-revoked")] {
        let actor = device.actor();
        let block = json!({ "type": "Block", "actor": actor, "object": scene.eve.actor });
        let known = json!({ "type": "Accept", "actor": actor, "object": scene.bob.actor() });
        for _ in 0..4 {
            assert_eq!(refused(device.keep_group_state(&group, &state).await), answer);
            assert_eq!(refused(device.drop_group_state(&group, 1).await), answer);
            assert_eq!(refused(device.report_message(&flag).await), answer);
            assert_eq!(says(device, &[&scene.bob]).await, answer);
            for activity in [&block, &known] {
                let path = device.origin().outbox(device.user());
                let body = in_context(activity.clone());
                let posted = device.call(Method::POST, &path, Body::Json(&body), Auth::Device).await;
                assert_eq!(refusal(&posted.unwrap()), answer, "{activity}");
            }
        }
    }
    for _ in 0..3 {
        scene.alice.keep_group_state(&group, &state).await.unwrap();
    }
    assert_eq!(refused(scene.alice.keep_group_state(&group, &state).await), "429 too-many");
}

/// An envelope whose record or queue fails is not accepted, and is given back.
#[tokio::test]
async fn an_envelope_that_fails_is_given_back() {
    let world = World::with(|config| config.limits.sender_budget = 2).await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", BARE).await);
    for _ in 0..5 {
        world.calls.fail("SendMessageBatch", CallFault::Down, 3);
        assert_eq!(says(&alice, &[&bob]).await, "503 unavailable");
        world.calls.fail("BatchGetItem", CallFault::Down, 3);
        assert_eq!(says(&alice, &[&bob]).await, "503 unavailable");
    }
    assert_eq!(says(&alice, &[&bob]).await, "accepted");
    assert_eq!(says(&alice, &[&bob]).await, "accepted");
    assert_eq!(says(&alice, &[&bob]).await, "429 too-many");
    world.deliver().await;
}

/// A give-back that fails costs its sender one envelope of the sender's own share, and nobody else
/// anything.
#[tokio::test]
async fn a_give_back_that_fails_is_the_senders_loss() {
    let world = World::with(|config| config.limits.sender_budget = 2).await;
    let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", BARE).await);
    let carol = world.user_with("carol", BARE).await;
    let nowhere = misdirected(&alice, &bob);
    // Both UpdateItem that charge have begun when the second is held. Then both that give back
    // fail, with all of the SDK's repetitions.
    let held = world.calls.hold("UpdateItem", 1);
    let fault = async {
        held.reached().await;
        world.calls.fail("UpdateItem", CallFault::Down, 6);
        held.release();
    };
    let (outcome, ()) = tokio::join!(alice.send(&nowhere), fault);
    assert!(matches!(outcome.unwrap(), SendOutcome::Rejected(_)));
    assert_eq!(says(&alice, &[&bob]).await, "accepted");
    assert_eq!(says(&alice, &[&bob]).await, "429 too-many");
    for _ in 0..2 {
        assert_eq!(says(&carol, &[&bob]).await, "accepted");
    }
    world.deliver().await;
}

/// One sender, here or elsewhere, takes its share of a recipient's minute and no more.
#[tokio::test]
async fn one_sender_takes_its_share_only() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.sender_budget = 5;
        config.limits.recipient_budget = 11;
    })
    .await;
    let mallory = scene.world.user_with("mallory", BARE).await;
    let mut answers = Vec::new();
    for number in 0..FLOOD {
        answers.push(says(&mallory, &[&scene.bob]).await);
        answers.push(scene.deliver(&scene.envelope(&scene.eve.actor, number)).await);
    }
    let count = |text: &str| answers.iter().filter(|answer| *answer == text).count();
    assert_eq!((count("accepted"), count("202")), (5, 5));
    assert_eq!(count("429 too-many"), 2 * FLOOD - 10);
    // One place of eleven is left, although two senders asked for two hundred.
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "accepted");
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "429 too-many");
    scene.world.deliver().await;
}

/// An envelope over the share of bytes adds nothing to it: a smaller one still fits.
#[tokio::test]
async fn one_sender_takes_its_share_of_bytes_only() {
    let world = World::with(|config| {
        config.limits.sender_bytes_budget = 1_000;
        config.limits.recipient_bytes_budget = 2_500;
    })
    .await;
    let [alice, bob, mallory, trudy] = [
        world.user_with("alice", BARE).await,
        world.user_with("bob", BARE).await,
        world.user_with("mallory", BARE).await,
        world.user_with("trudy", BARE).await,
    ];
    let says = async |from: &Device<DirectTransport>, bytes: usize| {
        let id = from.envelope_id();
        let messages = vec![(bob.id().clone(), vec![1; bytes])];
        match from.send(&OutgoingEnvelope::new(bob.user().clone(), id, messages)).await {
            Ok(SendOutcome::Accepted { .. }) => "accepted".to_owned(),
            other => refused(other),
        }
    };
    for sender in [&mallory, &trudy] {
        for _ in 0..20 {
            assert_eq!(says(sender, 1_001).await, "429 too-many");
        }
        assert_eq!(says(sender, 600).await, "accepted");
        assert_eq!(says(sender, 401).await, "429 too-many");
        assert_eq!(says(sender, 400).await, "accepted");
        assert_eq!(says(sender, 1).await, "429 too-many");
    }
    assert_eq!(says(&alice, 500).await, "accepted");
    assert_eq!(says(&alice, 1).await, "429 too-many");
    world.deliver().await;
}

/// A server with as many actors as it likes takes its share of a recipient's minute and no more, in
/// envelopes and in bytes.
#[tokio::test]
async fn one_server_takes_its_share_only() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.server_budget = 4;
        config.limits.recipient_budget = 6;
    })
    .await;
    for number in 0..10 {
        let actor = scene.actor(&format!("one-of-many-{number}"), |_| {});
        let expected = if number < 4 { "202" } else { "429 too-many" };
        assert_eq!(scene.deliver(&scene.envelope(&actor, number)).await, expected, "{number}");
    }
    for _ in 0..2 {
        assert_eq!(says(&scene.alice, &[&scene.bob]).await, "accepted");
    }
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "429 too-many");
    scene.world.deliver().await;
    // Each of these envelopes has six bytes.
    let scene = AttackScene::with(BARE, |config| config.limits.server_bytes_budget = 13).await;
    for (number, scheme) in SCHEMES.into_iter().chain([Scheme::Cavage]).enumerate() {
        let actor = scene.actor(&format!("one-of-many-{number}"), |_| {});
        let request = scene.signed(scheme, "/user/bob/inbox", &scene.envelope(&actor, number));
        let expected = if number < 2 { "202" } else { "429 too-many" };
        assert_eq!(scene.send(request).await, expected, "{number}");
    }
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "accepted");
    scene.world.deliver().await;
}

/// Has Eve's friend on each of these servers send Bob an envelope, and returns the answers.
async fn strangers_say(scene: &AttackScene, hosts: impl IntoIterator<Item = String>) -> Vec<u16> {
    let mut answers = Vec::new();
    for (number, host) in hosts.into_iter().enumerate() {
        let stranger = Stranger::new(&scene.internet, &host).await;
        let envelope = scene.envelope(&stranger.actor, number);
        answers.push(stranger.deliver(&scene.world, "/inbox", &envelope).await.0);
        // Strangers wait for their turn, four at a time.
        scene.world.deliver().await;
    }
    answers
}

/// Whoever has one domain has as many servers as they like, and no more of a recipient's minute for
/// it.
#[tokio::test]
async fn the_servers_of_one_domain_do_not_silence_a_recipient() {
    let scene = AttackScene::with(BARE, |config| {
        (config.limits.server_budget, config.limits.recipient_budget) = (4, 8);
    })
    .await;
    let hosts = (0..8).map(|number| format!("s{number}.evil.example"));
    let answers = strangers_say(&scene, hosts).await;
    assert_eq!(answers, [[202; 4], [429; 4]].concat());
    // Another domain has its own share.
    assert_eq!(strangers_say(&scene, ["other.example".to_owned()]).await, [202]);
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "accepted");
    scene.world.deliver().await;
}

/// Each of these envelopes has six bytes.
#[tokio::test]
async fn the_servers_of_one_domain_share_their_bytes() {
    let scene = AttackScene::with(BARE, |config| config.limits.server_bytes_budget = 13).await;
    let hosts = (0..4).map(|number| format!("s{number}.evil.example"));
    assert_eq!(strangers_say(&scene, hosts).await, [202, 202, 429, 429]);
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "accepted");
    scene.world.deliver().await;
}

/// All other servers together leave a quarter of a recipient's minute to the users of this one, in
/// envelopes and in bytes.
#[tokio::test]
async fn other_servers_leave_a_reserve_for_users_here() {
    let scene = AttackScene::with(BARE, |config| config.limits.recipient_budget = 8).await;
    let hosts = (0..8).map(|number| format!("s{number}.example"));
    assert_eq!(strangers_say(&scene, hosts).await, [[202; 6].as_slice(), &[429; 2]].concat());
    for expected in ["accepted", "accepted", "429 too-many"] {
        assert_eq!(says(&scene.alice, &[&scene.bob]).await, expected);
    }
    scene.world.deliver().await;
    let scene = AttackScene::with(BARE, |config| config.limits.recipient_bytes_budget = 100).await;
    let hosts = (0..14).map(|number| format!("s{number}.example"));
    assert_eq!(strangers_say(&scene, hosts).await, [[202; 12].as_slice(), &[429; 2]].concat());
    scene.world.deliver().await;
}

/// The item that counts a recipient's minute holds so many actors of one domain and no more. Those
/// whom it holds write on, and so do the users of other servers.
#[tokio::test]
async fn one_domain_adds_few_senders_to_a_recipients_item() {
    let scene = AttackScene::with(BARE, |config| config.limits.server_senders = 3).await;
    let actors = (0..6).map(|number| scene.actor(&format!("one-of-many-{number}"), |_| {}));
    let actors = Vec::from_iter(actors);
    for (number, actor) in actors.iter().enumerate() {
        let expected = if number < 3 { "202" } else { "429 too-many" };
        assert_eq!(scene.deliver(&scene.envelope(actor, number)).await, expected, "{number}");
    }
    assert_eq!(scene.deliver(&scene.envelope(&actors[0], 10)).await, "202");
    assert_eq!(scene.deliver(&scene.envelope(&actors[5], 11)).await, "429 too-many");
    assert_eq!(strangers_say(&scene, ["other.example".to_owned()]).await, [202]);
    scene.world.advance(60_000);
    assert_eq!(scene.deliver(&scene.envelope(&actors[5], 12)).await, "202");
    scene.world.deliver().await;
}

/// Whatever others send to Bob, his own devices reach one another.
#[tokio::test]
async fn own_devices_have_a_reserve() {
    let scene = AttackScene::with(BARE, |config| {
        config.limits.recipient_budget = 3;
        config.limits.recipient_bytes_budget = 20;
    })
    .await;
    let tablet = scene.world.further(&scene.bob, "tablet").await;
    let mut answers = Vec::new();
    for number in 0..9 {
        let actor = scene.actor(&format!("one-of-many-{number}"), |_| {});
        answers.push(scene.deliver(&scene.envelope(&actor, number)).await);
    }
    assert_eq!(answers[3..], ["429 too-many"; 6]);
    for _ in 0..10 {
        assert_eq!(says(&tablet, &[&scene.bob]).await, "accepted");
    }
    scene.world.deliver().await;
}

/// One account's minute is bounded over all recipients: here, elsewhere, and its own devices.
#[tokio::test]
async fn one_account_has_one_budget_for_all_recipients() {
    let scene = AttackScene::with(BARE, |config| config.limits.account_budget = 6).await;
    let mallory = scene.world.user_with("mallory", BARE).await;
    let tablet = scene.world.further(&mallory, "tablet").await;
    let carol = scene.world.user_with("carol", BARE).await;
    assert_eq!(says(&mallory, &[&scene.bob]).await, "accepted");
    assert_eq!(says(&mallory, &[&carol]).await, "accepted");
    assert_eq!(says(&tablet, &[&mallory]).await, "accepted");
    for number in 0..3 {
        let actor = scene.actor(&format!("one-of-many-{number}"), |_| {});
        assert_eq!(scene.sends(&mallory, &actor, &actor, number).await, "201 Create");
    }
    let posts = scene.eve.posts().len();
    assert_eq!(says(&mallory, &[&scene.alice]).await, "429 too-many");
    assert_eq!(says(&tablet, &[&mallory]).await, "429 too-many");
    assert_eq!(scene.sends(&tablet, &scene.eve.actor, &scene.eve.actor, 9).await, "429 too-many");
    assert_eq!(scene.eve.posts().len(), posts, "nobody is asked");
    assert_eq!(says(&scene.alice, &[&scene.bob]).await, "accepted");
    scene.world.advance(60_000);
    assert_eq!(says(&mallory, &[&scene.alice]).await, "accepted");
    scene.world.deliver().await;
}

/// The budget of an account counts bytes over all recipients too.
#[tokio::test]
async fn one_account_has_one_budget_of_bytes_for_all_recipients() {
    let scene = AttackScene::with(BARE, |config| config.limits.account_bytes_budget = 13).await;
    for number in 0..4 {
        let actor = scene.actor(&format!("one-of-many-{number}"), |_| {});
        let expected = if number < 2 { "201 Create" } else { "429 too-many" };
        assert_eq!(scene.alice_sends(&actor, &actor, number).await, expected, "{number}");
    }
    assert_eq!(scene.eve.posts().len(), 2);
}

/// One account has so many envelopes waiting for other servers and no more, however many servers
/// and recipients it names. Another account still sends.
#[tokio::test]
async fn one_account_fills_no_queue() {
    let mut scene = AttackScene::with(BARE, |config| config.limits.account_parcels = 5).await;
    scene.internet.unplug(scene.eve.address);
    let mallory = scene.world.user_with("mallory", BARE).await;
    for number in 0..20 {
        let to = match number % 2 {
            0 => format!("https://dead{number}.example/users/x"),
            _ => format!("{}/users/x{number}", scene.eve.origin),
        };
        let expected = if number < 5 { "202 Create" } else { "429 too-many" };
        assert_eq!(scene.sends(&mallory, &to, &to, number).await, expected, "{number}");
    }
    // An envelope that is sent again is one more in the queue.
    let first = "https://dead0.example/users/x";
    assert_eq!(scene.sends(&mallory, first, first, 0).await, "429 too-many");
    assert_eq!(scene.world.waiting().await.0, 5);
    assert_eq!(scene.alice_sends(&scene.eve.actor, &scene.eve.actor, 1).await, "202 Create");
    assert_eq!(scene.world.waiting().await.0, 6);
    // Envelopes that are done make room, whatever became of them.
    scene.internet.plug(scene.eve.address);
    scene.world.advance(6_000);
    scene.world.federate().await;
    scene.world.deliver().await;
    let waiting = scene.world.waiting().await.0;
    assert_eq!(waiting, 3, "those for the servers that do not exist");
    for number in 20..23 {
        let to = format!("https://dead{number}.example/users/x");
        let expected = if number < 22 { "202 Create" } else { "429 too-many" };
        assert_eq!(scene.sends(&mallory, &to, &to, number).await, expected, "{number}");
    }
    scene.world.leave_queues();
}

/// Envelopes that are lost in the dead-letter queue do not count for ever.
#[tokio::test]
async fn lost_envelopes_do_not_count_for_ever() {
    let mut scene = AttackScene::with(BARE, |config| config.limits.account_parcels = 2).await;
    let dead = "https://dead.example/users/x";
    for number in 0..2 {
        assert_eq!(scene.alice_sends(dead, dead, number).await, "202 Create");
    }
    let queue = &scene.world.cloud.federation.queue;
    scene.world.cloud.clients.sqs.purge_queue().queue_url(queue).send().await.unwrap();
    assert_eq!(scene.alice_sends(dead, dead, 2).await, "429 too-many");
    scene.world.advance(50 * 3_600_000);
    scene.alice.refresh().await.unwrap();
    assert_eq!(scene.alice_sends(dead, dead, 3).await, "202 Create");
    assert_eq!(scene.alice_sends(dead, dead, 4).await, "202 Create");
    assert_eq!(scene.alice_sends(dead, dead, 5).await, "429 too-many");
    scene.world.leave_queues();
}

/// Lets the answer to one UpdateItem get lost while `work` runs, after `before` others.
async fn losing_an_answer<T>(world: &World, before: usize, work: impl Future<Output = T>) -> T {
    // The fault of a call is decided before the call is held, so it is planned while the one before
    // is held.
    let held = world.calls.hold("UpdateItem", before - 1);
    let plan = async {
        held.reached().await;
        world.calls.fail("UpdateItem", CallFault::AnswerLost, 1);
        held.release();
    };
    tokio::join!(work, plan).0
}

/// Whatever answer is lost, an envelope counts once among those that wait, and not at all when it
/// is done.
#[tokio::test]
async fn a_lost_answer_counts_no_envelope_twice() {
    lose_answers(AttackScene::with(BARE, |config| config.limits.account_parcels = 2).await).await;
}

/// A full list is read on an engine that does not show it.
#[tokio::test]
async fn a_lost_answer_counts_no_envelope_twice_on_an_engine_that_shows_no_list() {
    let scene = AttackScene::with(BARE, |config| config.limits.account_parcels = 2).await;
    scene.world.calls.hide_refused_items();
    lose_answers(scene).await;
}

async fn lose_answers(mut scene: AttackScene) {
    let (world, eve) = (&scene.world, &scene.eve.actor);
    scene.internet.unplug(scene.eve.address);
    // The list comes after two budgets, the record of the sending and, once, that of the failure.
    for (number, before) in [4, 3].into_iter().enumerate() {
        let sent = losing_an_answer(world, before, scene.alice_sends(eve, eve, number)).await;
        assert_eq!(sent, "202 Create");
    }
    assert_eq!(scene.alice_sends(eve, eve, 2).await, "429 too-many");
    // Both leave the list after the claim of the probe and the record of the answer.
    scene.internet.plug(scene.eve.address);
    world.advance(6_000);
    assert_eq!(losing_an_answer(world, 2, world.federate()).await, 2);
    world.deliver().await;
    assert_eq!(world.waiting().await.0, 0);
    // A queue that does not answer leaves nothing in the list.
    scene.internet.unplug(scene.eve.address);
    world.advance(60_000);
    for _ in 0..3 {
        world.calls.fail("SendMessageBatch", CallFault::Down, 3);
        assert_eq!(scene.alice_sends(eve, eve, 3).await, "503 unavailable");
    }
    for (number, expected) in [(4, "202 Create"), (5, "202 Create"), (6, "429 too-many")] {
        assert_eq!(scene.alice_sends(eve, eve, number).await, expected);
    }
    scene.world.leave_queues();
}
