//! Tests of security notices that the user has not seen when the process ends.

use eko_client::group::Proposal;
use eko_client::messenger::{Distrust, GroupEvent, Notice, Severity};
use eko_testkit::World;
use serde_json::json;

use crate::controls::{control, send_control, signing};
use crate::distrust::show_chain;
use crate::forging::ForgingSessions;
use crate::people::{TestMessenger, befriend, first, further, hear, say, text};
use crate::restarting::RestartingUser;
use crate::test_network::TestNetwork;

/// Looks with a process that ends before anything is shown, and returns what the next two processes
/// warn of. The first one of these tells the user.
async fn warnings(world: &World, user: &RestartingUser) -> [Vec<Notice>; 2] {
    world.deliver().await;
    user.open().receive().await.unwrap();
    let mut warnings: [Vec<Notice>; 2] = Default::default();
    for seen in &mut warnings {
        let client = user.open();
        let mut notices = client.receive().await.unwrap().notices;
        // One process returns a notice once.
        let again = client.receive().await.unwrap().notices;
        assert!(!again.iter().any(|notice| notices.contains(notice)), "{again:?}");
        notices.iter().for_each(|notice| client.note_told(notice).unwrap());
        notices.retain(|notice| notice.severity() == Severity::Warning);
        *seen = notices;
    }
    warnings
}

/// Mallory's device says that it cannot decrypt envelopes of Alice's that never were.
#[tokio::test]
async fn envelopes_that_were_made_up_are_told_of_by_the_next_process() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    say(&alice, &mallory.me(), "hello").await;
    let device = alice.device().address();
    let made_up = [alice.device().envelope_id(), alice.device().envelope_id()];
    drop(alice);
    for envelope in made_up {
        let (device, envelope) = (device.clone(), envelope.to_string());
        sessions.forge(move |activity| {
            activity["type"] = json!("Delivered");
            activity["object"] = json!([]);
            activity["eko:unreadable"] = json!([{ "device": device, "envelope": envelope }]);
        });
        mallory.send(&user.open().me(), text("what is this?")).await.unwrap();
    }
    let forged = Notice::Forged { actor: mallory.me().actor(), count: 2 };
    assert_eq!(warnings(&world, &user).await, [vec![forged], vec![]]);
    world.deliver().await;
}

/// Somebody whom Alice has never written to cannot frighten her.
#[tokio::test]
async fn a_stranger_cannot_tell_of_envelopes_that_were_made_up() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let (device, envelope) = (alice.device().address(), alice.device().envelope_id());
    sessions.forge(move |activity| {
        activity["type"] = json!("Delivered");
        activity["object"] = json!([]);
        activity["eko:unreadable"] = json!([{ "device": device, "envelope": envelope.to_string() }]);
    });
    mallory.send(&alice.me(), text("what is this?")).await.unwrap();
    assert_eq!(warnings(&world, &user).await, [vec![], vec![]]);
    world.deliver().await;
}

/// Alice has other devices of Bob's than Carol, whom his server shows an older chain.
#[tokio::test]
async fn a_contradiction_is_told_of_by_the_next_process() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let bob = first(&world, &wire, "bob").await;
    let sessions = ForgingSessions::default();
    let carol = sessions.first(&world, &wire, "carol").await;
    befriend(&alice, &bob).await;
    alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    let of = bob.me().actor();
    let named = of.clone();
    sessions.forge(move |activity| {
        activity["eko:deviceSets"] = json!({ &named: { "length": 7, "head": "ab".repeat(32) } });
    });
    carol.send(&alice.me(), text("Bob has seven")).await.unwrap();
    let contradiction = Notice::Contradiction { seen_by: carol.me().actor(), of };
    assert_eq!(warnings(&world, &user).await, [vec![contradiction], vec![]]);
    // Whoever says the same again does not frighten her again.
    carol.send(&user.open().me(), text("seven, I say")).await.unwrap();
    assert_eq!(warnings(&world, &user).await, [vec![], vec![]]);
    world.deliver().await;
}

/// The process ends between the message and the reading of the chain, or the chain cannot be read.
#[tokio::test]
async fn a_view_is_compared_when_the_chain_can_be_read_again() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let carol = sessions.first(&world, &wire, "carol").await;
    befriend(&alice, &bob).await;
    say(&alice, &carol.me(), "hello").await;
    alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    let two = further(&world, &wire, &bob, "two").await;
    let (of, node) = (bob.me().actor(), bob.device().chain(&bob.me().user).await.unwrap().0[1].hash());
    sessions.forge(move |activity| {
        activity["eko:deviceSets"] = json!({ &of: { "length": 2, "head": node } });
    });
    carol.send(&alice.me(), text("Bob has two")).await.unwrap();
    world.deliver().await;
    hers.drop_requests(|request| {
        let body = json!({ "type": "x/unavailable", "title": "later", "status": 503 }).to_string();
        let is_chain = request.uri().path() == "/user/bob/devices";
        is_chain.then(|| crate::test_network::FalseAnswer { status: 503, body: body.into_bytes() })
    });
    assert_eq!(alice.receive().await.unwrap().notices, []);
    hers.honest();
    world.advance(600_000);
    let notices = alice.receive().await.unwrap().notices;
    let added = vec![two.device().address()];
    let changed =
        Notice::DevicesChanged { actor: bob.me().actor(), added, removed: vec![], reset: false, length: 2 };
    assert_eq!(notices, [changed], "the chain is the one that Carol has seen");
    world.deliver().await;
}

/// Bob's server rolls his chain back. Alice's device finds that when it owes him a receipt, and nobody
/// has asked it to.
#[tokio::test]
async fn a_contradiction_that_a_receipt_finds_is_told_of_by_the_next_process() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let bob = first(&world, &wire, "bob").await;
    further(&world, &wire, &bob, "two").await;
    befriend(&alice, &bob).await;
    drop(alice);
    say(&bob, &user.open().me(), "hello").await;
    world.advance(24 * 3_600_000);
    show_chain(&user.line, |nodes| nodes.truncate(1));
    let why = Distrust::RolledBack { pinned: 2, shown: 1 };
    let distrusted = Notice::Distrusted { actor: bob.me().actor(), why };
    assert_eq!(warnings(&world, &user).await, [vec![distrusted], vec![]]);
    user.line.honest();
    user.open().receive().await.unwrap();
    world.deliver().await;
}

/// Mallory tells Alice of two states of one epoch.
#[tokio::test]
async fn two_stories_are_told_of_by_the_next_process() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let (id, _) = mallory.create_group("Friday", &[alice.me()]).await.unwrap();
    let look = async |client: &TestMessenger| {
        world.deliver().await;
        client.receive().await.unwrap();
    };
    look(&alice).await;
    alice.join_group(&id, None).await.unwrap();
    look(&alice).await;
    drop(alice);
    let before = mallory.groups().unwrap().remove(0).state;
    for name in ["Saturday", "Sunday"] {
        let proposal = Proposal::Rename(name.to_owned());
        let (change, next) =
            signing(&mallory, |signer| eko_client::group::propose(&before, proposal, signer)).unwrap();
        let told = control(&mallory, change, Some(&before), &next);
        send_control(&sessions, &mallory, &user.open().me(), &told).await;
    }
    let [first, second] = warnings(&world, &user).await;
    let is_told = |notice: &Notice| matches!(notice, Notice::Group { id: of, event: GroupEvent::TwoStories, .. } if *of == id);
    assert_eq!(first.iter().filter(|notice| is_told(notice)).count(), 1, "{first:?}");
    assert_eq!(second.iter().filter(|notice| is_told(notice)).count(), 0, "{second:?}");
    world.deliver().await;
}

/// A message that is not taken stays in the mailbox, so that the next process refuses it again.
#[tokio::test]
async fn a_refused_message_is_told_of_by_the_next_process() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let bob = first(&world, &wire, "bob").await;
    say(&alice, &bob.me(), "hello").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["hello"]);
    let two = further(&world, &wire, &bob, "two").await;
    say(&two, &alice.me(), "from the second").await;
    world.deliver().await;
    show_chain(&user.line, |nodes| nodes.truncate(1));
    for _ in 0..2 {
        let notices = user.open().receive().await.unwrap().notices;
        let refused = |notice: &Notice| matches!(notice, Notice::Refused { why: Distrust::Inserted(_), .. });
        assert!(notices.iter().any(refused), "{notices:?}");
    }
    user.line.honest();
    assert_eq!(hear(&world, &user.open()).await, ["from the second"]);
    world.deliver().await;
    hear(&world, &bob).await;
    hear(&world, &two).await;
    world.deliver().await;
}

/// Mallory says what she has not got of Alice's messages, and what she could not read.
#[tokio::test]
async fn what_somebody_has_not_received_is_told_of_by_the_next_process() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let (lost, garbled) = (say(&alice, &mallory.me(), "one").await, say(&alice, &mallory.me(), "two").await);
    let (device, conversation) = (alice.device().address(), mallory.me().actor());
    let envelope = garbled.envelopes[0].id.clone();
    sessions.forge(move |activity| {
        activity["type"] = json!("Delivered");
        activity["object"] = json!([]);
        activity["eko:missing"] =
            json!([{ "device": device, "conversation": conversation, "sequence": [1] }]);
        activity["eko:unreadable"] = json!([{ "device": device, "envelope": envelope }]);
    });
    // The first time Alice's device sends it again.
    for _ in 0..2 {
        mallory.send(&alice.me(), text("what did you say?")).await.unwrap();
    }
    drop(alice);
    world.deliver().await;
    user.open().receive().await.unwrap();
    let actor = mallory.me().actor();
    let missed = Notice::Missed { actor: actor.clone(), ids: vec![lost.id.clone()] };
    let not_read = Notice::NotRead { actor, id: garbled.id.clone() };
    for told in [vec![not_read, missed], vec![]] {
        let client = user.open();
        let mut notices = client.receive().await.unwrap().notices;
        notices.retain(|it| matches!(it, Notice::Missed { .. } | Notice::NotRead { .. }));
        assert_eq!(notices, told);
        notices.iter().for_each(|notice| client.note_told(notice).unwrap());
    }
    world.deliver().await;
}
