//! Tests of servers that answer late or not at all, when devices ask them who somebody is.

use eko_client::group::Proposal;
use eko_client::messenger::{Notice, READ_FOR_SENDERS, ReceivedBatch, SENDER_PAUSE_MINUTES};
use eko_testkit::World;
use serde_json::json;

use crate::forging::ForgingSessions;
use crate::friends::{Friends, group, hide};
use crate::people::{TestMessenger, befriend, first, hear, know, say, shown, text};
use crate::proofs::state_heads;
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

/// Looks into a mailbox. Returns the texts, the number of entries that are said to wait, and the
/// number of chains of strangers that were asked for.
async fn look(client: &TestMessenger, wire: &TestNetwork) -> (Vec<String>, usize, usize) {
    wire.asked.lock().unwrap().clear();
    let received = client.receive().await.unwrap();
    let waits = received.notices.iter().filter(|notice| matches!(notice, Notice::Waits { .. })).count();
    let asked = wire.asked.lock().unwrap();
    let asked = asked.iter().filter(|url| url.contains("/user/puppet") && url.ends_with("/devices")).count();
    (shown(client, &received), waits, asked)
}

/// The mailbox is full of messages of puppets whose server does not say who they are. What a contact
/// wrote after them is read at once.
#[tokio::test]
async fn a_server_that_hides_who_its_users_are_holds_up_nobody() {
    let world = World::new().await;
    let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let count = READ_FOR_SENDERS + 2;
    for n in 0..count {
        let puppet = first(&world, &wire, &format!("puppet{n}")).await;
        for words in ["one", "two"] {
            say(&puppet, &alice.me(), words).await;
        }
    }
    say(&bob, &alice.me(), "from a contact").await;
    world.deliver().await;
    hers.drop_requests(|request| {
        let is_puppets = request.uri().path().starts_with("/user/puppet");
        is_puppets.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let heard = vec!["from a contact".to_owned()];
    assert_eq!(look(&alice, &hers).await, (heard, READ_FOR_SENDERS, READ_FOR_SENDERS));
    // A server that did not answer is left alone, and then the others have their turn.
    assert_eq!(look(&alice, &hers).await, (vec![], 0, 0));
    world.advance(60_000);
    assert_eq!(look(&alice, &hers).await, (vec![], 2, 2));
    world.advance(60_000);
    assert_eq!(look(&alice, &hers).await, (vec![], 0, 0));
    // Nothing is lost.
    hers.honest();
    world.advance(SENDER_PAUSE_MINUTES * 60_000);
    assert_eq!(look(&alice, &hers).await, (vec![], 0, READ_FOR_SENDERS));
    assert_eq!(look(&alice, &hers).await, (vec![], 0, 2));
    assert_eq!(alice.requests().unwrap().len(), count);
    assert!(alice.requests().unwrap().iter().all(|request| request.messages.len() == 2));
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
}

/// Looks into a mailbox, while the servers keep back the chains of some users. Returns the paths of the
/// chains that are waited for at the same time.
async fn look_held<const N: usize>(
    client: &TestMessenger,
    line: &TestNetwork,
    users: [&str; N],
) -> (Vec<String>, ReceivedBatch) {
    let chains = users.map(|user| format!("/user/{user}/devices"));
    let held = line.hold_together(move |path| chains.iter().any(|chain| chain == path), N);
    let (waited, received) = tokio::join!(held, client.receive());
    (waited, received.unwrap())
}

/// Two contacts have proven longer chains. Neither server holds up the other one's chain, nor what Alice
/// has to send.
#[tokio::test]
async fn chains_that_were_proven_are_read_at_the_same_time() {
    let world = World::new().await;
    let (wire, hers) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, dave) = (first(&world, &hers, "alice").await, first(&world, &wire, "dave").await);
    befriend(&alice, &dave).await;
    for name in ["bob", "carol"] {
        let sessions = ForgingSessions::default();
        let forger = sessions.first(&world, &wire, name).await;
        know(&alice, &forger.me()).await;
        state_heads(&sessions, &forger, 2);
        forger.send(&alice.me(), text("I have two devices")).await.unwrap();
    }
    hers.fail(|| Some(NetworkFault::LostRequest));
    alice.send(&dave.me(), text("to Dave")).await.unwrap();
    hers.honest();
    world.deliver().await;
    world.advance(10_000);
    hers.asked.lock().unwrap().clear();
    let (waited, received) = look_held(&alice, &hers, ["bob", "carol"]).await;
    assert_eq!(waited, ["/user/bob/devices", "/user/carol/devices"]);
    assert_eq!(received.messages.len(), 2);
    let asked = hers.asked.lock().unwrap().clone();
    let at = |part: &str| asked.iter().position(|url| url.ends_with(part)).unwrap();
    assert!(at("/user/alice/outbox") < at("/user/bob/devices"), "{asked:#?}");
    world.deliver().await;
    hear(&world, &dave).await;
    world.deliver().await;
}

/// Mallory says that there is more of two chains.
#[tokio::test]
async fn chains_of_which_others_have_seen_more_are_read_at_the_same_time() {
    let friends = Friends::meet().await;
    let Friends { world, alice, alice_line, bob, carol, .. } = &friends;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(world, &friends.line, "mallory").await;
    alice.create_group("Friday", &[bob.me(), carol.me(), mallory.me()]).await.unwrap();
    let victims = [bob.me().actor(), carol.me().actor()];
    sessions.forge(move |activity| {
        let set = json!({ "length": 7, "head": "ab".repeat(32) });
        activity["eko:deviceSets"] = json!({ &victims[0]: set, &victims[1]: set });
    });
    mallory.send(&alice.me(), text("they have seven")).await.unwrap();
    world.deliver().await;
    let (waited, _) = look_held(alice, alice_line, ["bob", "carol"]).await;
    assert_eq!(waited, ["/user/bob/devices", "/user/carol/devices"]);
    world.deliver().await;
}

/// Bob has never heard of Erin and Fay, who have each made Carol an admin of a group.
#[tokio::test]
async fn chains_of_unknown_granters_are_read_at_the_same_time() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice_line, alice, bob, carol, dave, .. } = &friends;
    let groups = [friends.group().await, friends.group().await];
    let granters = [first(world, alice_line, "erin").await, first(world, alice_line, "fay").await];
    hide(line, bob, &[alice, carol, &granters[0], &granters[1]]);
    for (id, granter) in groups.iter().zip(&granters) {
        let actor = granter.me().actor();
        alice.change_group(id, Proposal::Add([actor.clone()].into())).await.unwrap();
        friends.look(granter).await;
        granter.join_group(id, None).await.unwrap();
        alice.change_group(id, Proposal::Promote([actor].into())).await.unwrap();
        friends.look(granter).await;
        granter.change_group(id, Proposal::Promote([carol.me().actor()].into())).await.unwrap();
        friends.look(dave).await;
        dave.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    }
    world.deliver().await;
    let (waited, _) = look_held(bob, line, ["erin", "fay"]).await;
    assert_eq!(waited, ["/user/erin/devices", "/user/fay/devices"]);
    for id in &groups {
        assert_eq!(group(bob, id).state, group(dave, id).state);
    }
    world.deliver().await;
}
