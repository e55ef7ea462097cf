//! Tests of new sessions that somebody else wants to bring about, and of what they cost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::device::OutgoingEnvelope;
use eko_client::messenger::{Notice, Severity, UnreadableReason};
use eko_testkit::World;
use serde_json::{Value, json};

use crate::people::{TestMessenger, befriend, first, further, hear, say, shown};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Sends something in a user's name that is no Signal message, as a server can.
async fn inject(world: &World, from: &TestMessenger, to: &TestMessenger) {
    let id = from.device().envelope_id();
    let ciphertext = vec![(to.device().id().clone(), b"nine byte".to_vec())];
    from.device().send(&OutgoingEnvelope::new(to.me().user, id, ciphertext)).await.unwrap();
    world.deliver().await;
    let notices = to.receive().await.unwrap().notices;
    let told = |notice: &Notice| {
        matches!(
            notice,
            Notice::Awaited { .. } | Notice::Unreadable { why: UnreadableReason::Undecryptable(_), .. }
        )
    };
    assert!(notices.iter().any(told), "{notices:?}");
    world.deliver().await;
}

/// Returns the number of times that key packages of Alice were taken over a line.
fn takes(line: &TestNetwork) -> usize {
    line.asked.lock().unwrap().iter().filter(|url| url.ends_with("/user/alice/keyPackages")).count()
}

#[tokio::test]
async fn garbage_in_somebodys_name_takes_one_key_package_an_hour() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &his, "bob").await);
    say(&bob, &alice.me(), "hello").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["hello"]);
    world.deliver().await;
    hear(&world, &bob).await;
    assert_eq!(takes(&his), 1);
    let mut told = 0;
    for hour in 1..3 {
        for round in 0..5 {
            inject(&world, &alice, &bob).await;
            let words = format!("{hour}: {round}");
            say(&bob, &alice.me(), &words).await;
            world.deliver().await;
            let received = alice.receive().await.unwrap();
            told += received.notices.iter().filter(|it| matches!(it, Notice::Forged { .. })).count();
            assert_eq!(shown(&alice, &received), [words]);
            world.deliver().await;
            hear(&world, &bob).await;
        }
        assert_eq!(told, hour, "of what a server made up, and one an hour");
        assert_eq!(takes(&his), 1 + hour, "the first one, and one an hour");
        world.advance(3_600_000);
        // This renews Alice's access token.
        hear(&world, &alice).await;
    }
    world.deliver().await;
}

#[tokio::test]
async fn the_message_after_a_damaged_one_begins_a_new_session() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &his, "bob").await);
    say(&bob, &alice.me(), "hello").await;
    world.deliver().await;
    hear(&world, &alice).await;
    say(&alice, &bob.me(), "hello yourself").await;
    world.deliver().await;
    hear(&world, &bob).await;
    inject(&world, &alice, &bob).await;
    say(&bob, &alice.me(), "again").await;
    assert_eq!(takes(&his), 2);
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["again"]);
    say(&alice, &bob.me(), "and on").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["and on"]);
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
}

/// Alice's device knows that it has not sent what her server sent in its name.
#[tokio::test]
async fn an_author_is_told_of_what_a_server_made_up() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let tablet = further(&world, &wire, &alice, "tablet").await;
    befriend(&alice, &bob).await;
    for _ in 0..3 {
        inject(&world, &alice, &bob).await;
    }
    let notices = alice.receive().await.unwrap().notices;
    // She hears of the others an hour later.
    let forged = Notice::Forged { actor: bob.me().actor(), count: 1 };
    assert_eq!(forged.severity(), Severity::Warning);
    assert!(notices.contains(&forged), "{notices:?}");
    // Her other device does not know what the first one has sent.
    assert_eq!(tablet.receive().await.unwrap().notices, []);
    world.deliver().await;
}

/// Flips a bit of each ciphertext in a page of a mailbox.
pub(crate) fn damaged(page: &[u8]) -> Option<FalseAnswer> {
    let mut page: Value = serde_json::from_slice(page).ok()?;
    for entry in page["orderedItems"].as_array_mut()? {
        let Some(content) = entry.pointer_mut("/object/messages/0/content") else { continue };
        let mut bytes = STANDARD.decode(content.as_str()?).ok()?;
        *bytes.last_mut()? ^= 1;
        *content = json!(STANDARD.encode(bytes));
    }
    Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
}

/// A report would tell a stranger that Alice is there.
#[tokio::test]
async fn a_stranger_is_not_told_of_what_cannot_be_read() {
    let world = World::new().await;
    let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, mallory) = (first(&world, &hers, "alice").await, first(&world, &wire, "mallory").await);
    for _ in 0..2 {
        inject(&world, &mallory, &alice).await;
    }
    let asked = hers.asked.lock().unwrap().clone();
    assert!(!asked.iter().any(|url| url.ends_with("/user/alice/outbox")), "{asked:#?}");
    world.deliver().await;
}
