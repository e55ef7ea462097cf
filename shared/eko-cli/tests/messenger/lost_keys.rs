//! Tests of devices that have lost what sessions begin with: the private halves of prekeys, or the sessions.

use eko_client::SessionError;
use eko_client::messenger::{Notice, UnreadableReason};
use eko_client::store::{AwaitedReason, EnvelopeState};
use eko_testkit::World;

use crate::people::{befriend, first, hear, say, shown};
use crate::receipts::state;
use crate::restarting::RestartingUser;
use crate::test_network::TestNetwork;

const LOST: SessionError = SessionError::MissingKey("signed prekey");
const LOSES_KEYS: &str = "DELETE FROM pre_keys WHERE kind = 1";

#[tokio::test]
async fn a_device_without_the_keys_that_the_server_gives_out_publishes_others_at_once() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (file, bob) = RestartingUser::sign_in(&world, "bob").await;
    let (carol, dave) = (first(&world, &wire, "carol").await, first(&world, &wire, "dave").await);
    let lost = say(&carol, &bob.me(), "one").await;
    file.change_store(LOSES_KEYS);
    let bob = file.open();
    world.deliver().await;
    let why = UnreadableReason::Undecryptable(LOST);
    let unreadable = Notice::Unreadable { actor: carol.me().actor(), why };
    assert_eq!(bob.receive().await.unwrap().notices, [unreadable]);
    assert!(bob.key_status().await.unwrap().agrees);
    say(&dave, &bob.me(), "two").await;
    world.deliver().await;
    assert_eq!(bob.receive().await.unwrap().notices, [Notice::Request { actor: dave.me().actor() }]);
    // Carol is a stranger, who learns nothing before Bob accepts her.
    assert_eq!(world.deliver().await, 0);
    let requests = bob.requests().unwrap();
    let [of_carol, _] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((&of_carol.person, of_carol.messages.len(), of_carol.not_kept), (&carol.me(), 0, 1));
    bob.accept_contact(&carol.me()).unwrap();
    assert_eq!(bob.awaited(None).unwrap()[0].why, AwaitedReason::NotKept);
    bob.receive().await.unwrap();
    world.deliver().await;
    assert_eq!(carol.receive().await.unwrap().notices, []);
    world.deliver().await;
    assert_eq!(shown(&bob, &bob.receive().await.unwrap()), ["one"]);
    world.deliver().await;
    hear(&world, &carol).await;
    assert_eq!(state(&carol, &lost.id), EnvelopeState::Delivered);
    world.deliver().await;
}

/// Alice has lost her sessions, and Bob the key with which her next one begins. Both have asked and begun a
/// session a minute ago.
#[tokio::test]
async fn two_devices_that_cannot_read_each_other_find_together_without_a_pause() {
    let world = World::new().await;
    let (hers, alice) = RestartingUser::sign_in(&world, "alice").await;
    let (his, bob) = RestartingUser::sign_in(&world, "bob").await;
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    hear(&world, &alice).await;
    let now_ms = world.now_ms();
    for (file, other) in [(&hers, bob.device().address()), (&his, alice.device().address())] {
        file.change_store(&format!(
            "INSERT INTO asked VALUES ('{other}', {now_ms}); UPDATE sessions SET renewed = {now_ms}"
        ));
    }
    hers.change_store("DELETE FROM sessions");
    his.change_store(LOSES_KEYS);
    let (alice, bob) = (hers.open(), his.open());
    world.advance(60_000);
    for words in ["one", "two"] {
        say(&bob, &alice.me(), words).await;
        world.advance(1);
    }
    world.deliver().await;
    let awaited = Notice::Awaited { actor: bob.me().actor() };
    assert_eq!(alice.receive().await.unwrap().notices, [awaited.clone(), awaited]);
    world.deliver().await;
    let why = UnreadableReason::UndecryptableReceipt(LOST);
    let unreadable = Notice::Unreadable { actor: alice.me().actor(), why };
    assert_eq!(bob.receive().await.unwrap().notices, [unreadable]);
    // Bob's request begins a session, Alice's comes again in it, and then what she has asked for.
    for client in [&alice, &bob] {
        world.deliver().await;
        assert_eq!(client.receive().await.unwrap().notices, []);
    }
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["one", "two"]);
    say(&alice, &bob.me(), "three").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["three"]);
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
}
