//! Tests of blocks between a user's devices, and of what a device does with what arrives all the same.

use eko_client::group::Proposal;
use eko_client::messenger::{MessengerError, Notice};
use eko_client::store::EnvelopeState;
use eko_protocol::block::BlockedParty;
use eko_testkit::{Internet, World};

use crate::people::{TestMessenger, befriend, first, further, hear, say, text};
use crate::receipts::state;
use crate::test_network::TestNetwork;

fn party(text: &str) -> BlockedParty {
    BlockedParty::parse(text).unwrap()
}

async fn block(client: &TestMessenger, whom: &str) {
    assert!(client.change_block(&party(whom), false).await.unwrap());
}

/// Returns whom a device blocks, with whether the server's list has it.
async fn blocked(client: &TestMessenger) -> Vec<(String, Option<bool>)> {
    let blocks = client.blocks().await.unwrap().all.into_iter();
    blocks.map(|block| (block.party.as_str().to_owned(), block.is_at_server)).collect()
}

#[tokio::test]
async fn a_block_holds_on_all_devices_until_one_ends_it() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, mallory) = (first(&world, &wire, "alice").await, first(&world, &wire, "mallory").await);
    befriend(&alice, &mallory).await;
    let phone = further(&world, &wire, &alice, "two").await;
    let whom = mallory.me().actor();
    block(&alice, &whom).await;
    world.deliver().await;
    phone.receive().await.unwrap();
    assert!(phone.is_blocked(&whom).unwrap());
    let lost = say(&mallory, &alice.me(), "can you hear me?").await;
    world.deliver().await;
    for device in [&alice, &phone] {
        assert!(hear(&world, device).await.is_empty());
    }
    // Nobody writes to whom nobody hears.
    let (id, _) = alice.create_group("Friday", &[]).await.unwrap();
    let invites = [
        alice.create_group("New", &[mallory.me()]).await.map(drop),
        alice.change_group(&id, Proposal::Add([whom.clone()].into())).await.map(drop),
    ];
    for refused in invites {
        assert!(matches!(refused, Err(MessengerError::Blocked(actor)) if actor == whom));
    }
    for device in [&alice, &phone] {
        let refused = device.send(&mallory.me(), text("no")).await;
        assert!(matches!(refused, Err(MessengerError::Blocked(actor)) if actor == whom));
    }
    assert_eq!(state(&mallory, &lost.id), EnvelopeState::Accepted);
    phone.change_block(&party(&whom), true).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    assert!(!alice.is_blocked(&whom).unwrap());
    say(&mallory, &alice.me(), "and now?").await;
    world.deliver().await;
    assert_eq!((hear(&world, &alice).await, hear(&world, &phone).await).0, ["and now?"]);
    world.deliver().await;
    hear(&world, &mallory).await;
    world.deliver().await;
}

/// A server that ignores the block changes nothing: the device reads nothing, shows nothing, and tells
/// nobody that it is there.
#[tokio::test]
async fn what_arrives_all_the_same_is_deleted_unread() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, mallory) = (first(&world, &wire, "alice").await, first(&world, &wire, "mallory").await);
    befriend(&alice, &mallory).await;
    let sent = say(&mallory, &alice.me(), "before the block").await;
    block(&alice, &mallory.me().actor()).await;
    // It was accepted before, and is delivered after.
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert!(received.messages.is_empty() && received.notices.is_empty(), "{received:?}");
    assert!(alice.device().fetch().await.unwrap().entries.is_empty());
    assert_eq!(world.deliver().await, 0, "no report and no receipt");
    assert_eq!(state(&mallory, &sent.id), EnvelopeState::Accepted);
}

#[tokio::test]
async fn nothing_that_was_owed_is_sent_after_a_block() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, mallory) = (first(&world, &wire, "alice").await, first(&world, &wire, "mallory").await);
    say(&mallory, &alice.me(), "do you know me?").await;
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert_eq!(received.notices, [Notice::Request { actor: mallory.me().actor() }]);
    block(&alice, &mallory.me().actor()).await;
    assert!(alice.requests().unwrap().is_empty());
    alice.accept_contact(&mallory.me()).unwrap();
    alice.receive().await.unwrap();
    assert_eq!(world.deliver().await, 0);
}

/// A new device has the list of the server, and a device keeps what the server's list lacks.
#[tokio::test]
async fn a_new_device_reads_the_list_and_no_list_ends_a_block() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    block(&alice, "https://spam.example").await;
    let phone = further(&world, &wire, &alice, "two").await;
    phone.receive().await.unwrap();
    assert!(phone.is_blocked("https://x.spam.example/user/eve").unwrap());
    // The server forgets the block by itself, as far as the devices can tell.
    alice.device().change_block(&party("https://spam.example"), true).await.unwrap();
    world.advance(25 * 3_600_000);
    for device in [&alice, &phone] {
        device.receive().await.unwrap();
        assert!(device.is_blocked("https://spam.example/user/eve").unwrap());
        assert_eq!(blocked(device).await, [("https://spam.example".to_owned(), Some(false))]);
    }
    world.deliver().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_later() {
    let internet = Internet::new();
    let (world, _) = World::online(&internet, "a.example").await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    world.calls.fail("TransactWriteItems", eko_testkit::CallFault::Down, 10);
    assert!(!alice.change_block(&party("https://spam.example"), false).await.unwrap());
    assert!(alice.is_blocked("https://spam.example/user/eve").unwrap());
    assert_eq!(blocked(&alice).await, [("https://spam.example".to_owned(), Some(false))]);
    world.calls.fail("TransactWriteItems", eko_testkit::CallFault::Down, 0);
    alice.receive().await.unwrap();
    assert_eq!(blocked(&alice).await, [("https://spam.example".to_owned(), Some(true))]);
}

#[tokio::test]
async fn nobody_blocks_oneself_or_the_own_server() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    for whom in [alice.me().actor(), "https://eko.example".to_owned(), "https://example".to_owned()] {
        let refused = alice.change_block(&party(&whom), false).await;
        assert!(matches!(refused, Err(MessengerError::Invalid(_))), "{whom}: {refused:?}");
    }
    assert!(blocked(&alice).await.is_empty());
}

/// Nothing but the end of that block lets their answers through.
#[tokio::test]
async fn whoever_is_blocked_with_a_domain_is_named_with_it() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let wire = TestNetwork::to(&[&a, &b]);
    let (alice, bob) = (first(&a, &wire, "alice").await, first(&b, &wire, "bob").await);
    befriend(&alice, &bob).await;
    block(&alice, "https://b.example").await;
    match alice.send(&bob.me(), text("no")).await {
        Err(MessengerError::BlockedDomain { actor, domain }) => {
            assert_eq!((actor, &*domain), (bob.me().actor(), "b.example"));
        }
        other => panic!("{other:?}"),
    }
    block(&alice, &bob.me().actor()).await;
    let refused = alice.send(&bob.me(), text("no")).await;
    assert!(matches!(refused, Err(MessengerError::Blocked(actor)) if actor == bob.me().actor()));
}
