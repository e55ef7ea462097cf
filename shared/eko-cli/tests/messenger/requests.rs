//! Tests of what strangers write: nobody learns that it arrived before the user accepts it.

use eko_client::group::Proposal;
use eko_client::messenger::{Notice, Person};
use eko_client::store::{AwaitedReason, EnvelopeState, MOST_OF_STRANGER};
use eko_testkit::{Internet, World};

use crate::people::{TestMessenger, befriend, first, further, hear, say, shown};
use crate::receipts::state;
use crate::test_network::TestNetwork;

/// Returns what strangers wrote to a user, as names and texts.
fn requests(client: &TestMessenger) -> Vec<(String, Vec<String>)> {
    let requests = client.requests().unwrap().into_iter();
    let texts = requests.map(|request| {
        let texts = request.messages.into_iter().map(|message| message.text).collect();
        (request.person.user.to_string(), texts)
    });
    texts.collect()
}

#[tokio::test]
async fn a_stranger_learns_nothing_until_the_user_accepts() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, mallory) = (first(&world, &wire, "alice").await, first(&world, &wire, "mallory").await);
    let sent = say(&mallory, &alice.me(), "do you know me?").await;
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert!(received.messages.is_empty());
    assert_eq!(received.notices, [Notice::Request { actor: mallory.me().actor() }]);
    assert_eq!(requests(&alice), [("mallory".to_owned(), vec!["do you know me?".to_owned()])]);
    assert!(alice.history(None, 10).unwrap().is_empty());
    assert!(alice.messages_with_id(&sent.id).unwrap().is_empty(), "its files cannot be saved");
    // Neither the server nor the device tells Mallory anything, and a second message is no news.
    assert_eq!(world.deliver().await, 0);
    say(&mallory, &alice.me(), "hello?").await;
    world.deliver().await;
    assert_eq!(alice.receive().await.unwrap().notices, []);
    assert_eq!(world.deliver().await, 0);
    assert_eq!(mallory.receive().await.unwrap().notices, []);
    assert_eq!(state(&mallory, &sent.id), EnvelopeState::Accepted);

    alice.accept_contact(&mallory.me()).unwrap();
    assert_eq!(hear(&world, &alice).await, ["do you know me?", "hello?"]);
    assert!(requests(&alice).is_empty());
    world.deliver().await;
    hear(&world, &mallory).await;
    assert_eq!(state(&mallory, &sent.id), EnvelopeState::Delivered);
    say(&mallory, &alice.me(), "so you do").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["so you do"]);
    world.deliver().await;
}

#[tokio::test]
async fn what_is_declined_is_gone() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, mallory) = (first(&world, &wire, "alice").await, first(&world, &wire, "mallory").await);
    let sent = say(&mallory, &alice.me(), "buy this").await;
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.decline(&mallory.me()).unwrap();
    world.advance(1);
    assert!(requests(&alice).is_empty() && alice.history(None, 10).unwrap().is_empty());
    alice.receive().await.unwrap();
    assert_eq!(world.deliver().await, 0);
    assert_eq!(state(&mallory, &sent.id), EnvelopeState::Accepted);
    // Alice can still write to Mallory, and is answered.
    say(&alice, &mallory.me(), "no").await;
    world.deliver().await;
    assert_eq!(hear(&world, &mallory).await, ["no"]);
    say(&mallory, &alice.me(), "a pity").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["a pity"]);
    world.deliver().await;
    hear(&world, &mallory).await;
    world.deliver().await;
}

/// Nobody has told Mallory that Alice declined, so her device goes on in the same session.
#[tokio::test]
async fn whoever_was_declined_can_ask_again() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, mallory) = (first(&world, &wire, "alice").await, first(&world, &wire, "mallory").await);
    for words in ["buy this", "or this", "or that"] {
        say(&mallory, &alice.me(), words).await;
        world.deliver().await;
        let received = alice.receive().await.unwrap();
        assert_eq!(received.notices, [Notice::Request { actor: mallory.me().actor() }]);
        assert_eq!(requests(&alice), [("mallory".to_owned(), vec![words.to_owned()])]);
        alice.decline(&mallory.me()).unwrap();
        // A decline is about what has come up to its time.
        world.advance(1);
    }
    assert_eq!(world.deliver().await, 0);
}

/// The server of a stranger would learn Alice's address and when she is there.
#[tokio::test]
async fn nothing_is_asked_of_a_strangers_server() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let (hers, wire) = (TestNetwork::to(&[&a, &b]), TestNetwork::to(&[&a, &b]));
    let (alice, mallory) = (first(&a, &hers, "alice").await, first(&b, &wire, "mallory").await);
    say(&mallory, &alice.me(), "look at me").await;
    a.deliver().await;
    hers.asked.lock().unwrap().clear();
    for _ in 0..3 {
        alice.receive().await.unwrap();
        a.advance(60_000);
    }
    assert_eq!(requests(&alice), [("mallory".to_owned(), vec!["look at me".to_owned()])]);
    let asked = hers.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|url| url.starts_with("https://a.example/")), "{asked:#?}");
    // A contact's chain is read directly.
    say(&alice, &mallory.me(), "I see").await;
    let direct = |url: &String| url.starts_with("https://b.example/user/mallory/devices");
    assert!(hers.asked.lock().unwrap().iter().any(direct));
    b.deliver().await;
    for _ in 0..2 {
        a.federate().await;
        b.federate().await;
        a.deliver().await;
        b.deliver().await;
    }
}

/// Mallory invites Bob to a group that Erin has made. Their server would learn his address, and when he
/// joins.
#[tokio::test]
async fn nothing_is_asked_of_a_granters_server_at_joining() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let (his, wire) = (TestNetwork::to(&[&a, &b]), TestNetwork::to(&[&a, &b]));
    let (bob, erin) = (first(&a, &his, "bob").await, first(&b, &wire, "erin").await);
    let mallory = first(&b, &wire, "mallory").await;
    let (id, _) = erin.create_group("Friday", &[mallory.me()]).await.unwrap();
    b.deliver().await;
    mallory.receive().await.unwrap();
    mallory.join_group(&id, None).await.unwrap();
    b.deliver().await;
    erin.receive().await.unwrap();
    erin.change_group(&id, Proposal::Promote([mallory.me().actor()].into())).await.unwrap();
    b.deliver().await;
    mallory.receive().await.unwrap();
    mallory.change_group(&id, Proposal::Add([bob.me().actor()].into())).await.unwrap();
    b.federate().await;
    a.deliver().await;
    his.asked.lock().unwrap().clear();
    bob.receive().await.unwrap();
    assert_eq!(bob.invitations().unwrap().len(), 1);
    let read = |part: &str| his.asked.lock().unwrap().iter().filter(|url| url.contains(part)).count();
    let before = read("/user/bob/proxy");
    bob.join_group(&id, None).await.unwrap();
    assert_eq!(
        read("/user/bob/proxy") - before,
        2,
        "the chains of whoever made the state and of whoever granted"
    );
    let direct = ["erin", "mallory"].map(|user| read(&format!("https://b.example/user/{user}/devices")));
    assert_eq!(direct, [0, 0], "{:#?}", his.asked.lock().unwrap());
    for _ in 0..2 {
        a.federate().await;
        b.federate().await;
        a.deliver().await;
        b.deliver().await;
        for client in [&bob, &erin, &mallory] {
            client.receive().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_flood_of_a_stranger_is_bounded() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let mallory = first(&world, &wire, "mallory").await;
    befriend(&alice, &bob).await;
    say(&bob, &alice.me(), "from a contact").await;
    let most = usize::try_from(MOST_OF_STRANGER).unwrap();
    for n in 0..most + 5 {
        say(&mallory, &alice.me(), &format!("{n}")).await;
    }
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert_eq!(received.messages.len(), 1);
    let kept = requests(&alice).remove(0).1;
    assert!(kept.len() == most && kept.is_sorted_by_key(|n| n.parse::<usize>().unwrap()), "{kept:?}");
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
}

/// A person to whom a user writes on one device is a stranger on none.
#[tokio::test]
async fn writing_to_a_stranger_accepts_them_on_every_device() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, carol) = (first(&world, &wire, "alice").await, first(&world, &wire, "carol").await);
    let tablet = further(&world, &wire, &alice, "tablet").await;
    say(&carol, &alice.me(), "do you know me?").await;
    world.deliver().await;
    for device in [&alice, &tablet] {
        device.receive().await.unwrap();
        assert_eq!(requests(device).len(), 1);
    }
    say(&alice, &carol.me(), "of course").await;
    world.deliver().await;
    assert_eq!(texts(&alice), ["do you know me?", "of course"], "the question is there, and comes first");
    assert_eq!(hear(&world, &carol).await, ["of course"]);
    say(&carol, &alice.me(), "good").await;
    world.deliver().await;
    let heard = |received: eko_client::messenger::ReceivedBatch| {
        let texts = received.messages.into_iter().map(|message| message.content.text);
        texts.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(heard(alice.receive().await.unwrap()), ["do you know me?", "good"].map(str::to_owned).into());
    let all = ["do you know me?", "of course", "good"].map(str::to_owned).into();
    assert_eq!(heard(tablet.receive().await.unwrap()), all);
    for device in [&alice, &tablet] {
        assert_eq!(texts(device), ["do you know me?", "of course", "good"]);
    }
    world.deliver().await;
    hear(&world, &carol).await;
    world.deliver().await;
}

/// Returns the texts of a conversation in order.
fn texts(client: &TestMessenger) -> Vec<String> {
    client.history(None, 200).unwrap().into_iter().map(|message| message.content.text).collect()
}

/// Sends texts one after the other, so that the mailbox has their order.
async fn say_in_turn(world: &World, from: &TestMessenger, to: &Person, texts: &[String]) {
    for words in texts {
        say(from, to, words).await;
        world.advance(5);
    }
    world.deliver().await;
}

/// What a stranger writes beyond the bound is not kept. Their device sends it again once the user accepts
/// them: 20 messages, and the next ones once these have come. What was not kept is not missing meanwhile, though
/// something that was written later has come.
#[tokio::test]
async fn what_was_not_kept_of_a_stranger_comes_after_the_acceptance() {
    for count in [45, 60, 130] {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
        let most = usize::try_from(MOST_OF_STRANGER).unwrap();
        let all: Vec<String> = (0..count).map(|n| format!("{n:03}")).collect();
        for words in &all {
            say(&bob, &alice.me(), words).await;
            world.advance(1_200);
        }
        world.deliver().await;
        alice.receive().await.unwrap();
        let [request] = &alice.requests().unwrap()[..] else { panic!() };
        let not_kept = count - most;
        assert_eq!((request.messages.len(), request.not_kept), (most, u64::try_from(not_kept).unwrap()));
        // Bob's device learns nothing before the acceptance.
        world.deliver().await;
        alice.receive().await.unwrap();
        assert_eq!(world.deliver().await, 0);

        alice.accept_contact(&bob.me()).unwrap();
        let awaited = alice.awaited(Some(&bob.me().actor())).unwrap();
        assert!(awaited.iter().all(|awaited| awaited.why == AwaitedReason::NotKept), "{awaited:?}");
        assert_eq!(awaited.len(), not_kept);
        let last = alice.history(None, 1).unwrap().remove(0).position;
        assert!(awaited.iter().all(|awaited| awaited.position > last), "what was kept comes first");
        say(&bob, &alice.me(), "later").await;
        world.deliver().await;
        let mut heard = shown(&alice, &alice.receive().await.unwrap());
        for round in 1..=not_kept.div_ceil(most) {
            world.advance(30_000);
            world.deliver().await;
            assert_eq!(hear(&world, &bob).await, [""; 0]);
            world.deliver().await;
            heard.extend(shown(&alice, &alice.receive().await.unwrap()));
            let missing = not_kept.saturating_sub(round * most);
            assert_eq!(alice.awaited(None).unwrap().len(), missing, "{count}");
            let history = alice.history(None, 200).unwrap();
            assert!(history.iter().all(|message| message.missing_before == 0), "{history:?}");
        }
        heard.retain(|words| words != "later");
        assert_eq!(heard, all, "each comes once, in its order");
        assert_eq!(texts(&alice), [all, vec!["later".to_owned()]].concat());
        world.deliver().await;
        hear(&world, &bob).await;
        world.deliver().await;
    }
}

/// Writing to somebody accepts them, too, and what is declined is not asked for.
#[tokio::test]
async fn what_was_not_kept_is_asked_for_however_its_author_becomes_a_contact() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let most = usize::try_from(MOST_OF_STRANGER).unwrap();
    let all: Vec<String> = (0..most + 3).map(|n| format!("{n:02}")).collect();
    say_in_turn(&world, &bob, &alice.me(), &all.iter().map(|n| format!("declined {n}")).collect::<Vec<_>>())
        .await;
    alice.receive().await.unwrap();
    alice.decline(&bob.me()).unwrap();
    world.advance(60_000);
    say_in_turn(&world, &bob, &alice.me(), &all).await;
    alice.receive().await.unwrap();
    say(&alice, &bob.me(), "say it again").await;
    for _ in 0..3 {
        world.advance(2_000);
        alice.receive().await.unwrap();
        world.deliver().await;
        bob.receive().await.unwrap();
        world.deliver().await;
    }
    alice.receive().await.unwrap();
    let mut said = texts(&alice);
    said.retain(|words| words != "say it again");
    assert_eq!(said, all);
    world.deliver().await;
    bob.receive().await.unwrap();
    world.deliver().await;
}
