//! Tests of invitations that are made to be entered without a word of the user, or by a device that
//! is no longer its user's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::Environment;
use eko_client::group::{
    GroupChange, GroupControl, GroupError, GroupGrant, GroupId, GroupParts, GroupState, Proposal,
};
use eko_client::messenger::{Distrust, MessengerError};
use eko_testkit::{World, seeded};
use serde_json::Value;

use crate::controls::{control, send_control};
use crate::forging::{Forger, ForgingSessions};
use crate::friends::{group, hide};
use crate::people::{TestMessenger, befriend, first, further, hear, know, request, say};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Returns a renaming by Mallory, who is an admin by a grant of a device of Alice's that never was.
fn usurpation(mallory: &Forger, alice: &TestMessenger, before: &GroupState) -> GroupControl {
    let (admin, by) = (mallory.me().actor(), alice.me().actor());
    let device = format!("{by}/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11");
    let signature = mallory.device().keys().identity().sign(b"", mallory.device().environment());
    let mut parts = GroupParts { epoch: 2, name: "Saturday".to_owned(), ..before.parts().clone() };
    parts.admins.insert(admin.clone());
    parts.grants.insert(admin.clone(), GroupGrant { admin, by, device, signature });
    control(mallory, GroupChange::Renamed, Some(before), &GroupState::new(parts).unwrap())
}

/// Alice's group, which her other device gets last, was made by her. Mallory's answer comes before.
#[tokio::test]
async fn what_an_own_device_made_enters_no_forged_invitation() {
    let world = World::new().await;
    let (wire, late) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, sessions) = (first(&world, &wire, "alice").await, ForgingSessions::default());
    let two = further(&world, &late, &alice, "two").await;
    let mallory = sessions.first(&world, &wire, "mallory").await;
    hide(&late, &two, &[&alice]);
    hide_records(&late);
    let (id, _) = alice.create_group("Friday", &[mallory.me()]).await.unwrap();
    let created = group(&alice, &id).state;
    let forged = usurpation(&mallory, &alice, &created);
    send_control(&sessions, &mallory, &alice.me(), &forged).await;
    world.deliver().await;
    two.receive().await.unwrap();
    assert_eq!((two.invitations().unwrap().len(), two.groups().unwrap().len()), (1, 0));
    late.honest();
    two.receive().await.unwrap();
    assert_eq!(group(&two, &id).state, created);
    // Whoever is in the group and is not invited to another history is told so.
    let none = two.join_group(&id, None).await;
    assert!(matches!(none, Err(MessengerError::NoSuchGroup(_))), "{none:?}");
    alice.receive().await.unwrap();
    mallory.receive().await.unwrap();
    world.deliver().await;
}

/// Withholds the records of groups, from now on.
fn hide_records(wire: &TestNetwork) {
    wire.drop_requests(|request| {
        request.uri().path().contains("/groupState").then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
}

/// Bob joins Alice's group on one device. The other one has only Mallory's invitation, which names
/// the state that Bob has joined as the one before.
#[tokio::test]
async fn the_join_of_an_own_device_enters_no_forged_invitation() {
    let world = World::new().await;
    let (wire, late) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let (two, sessions) = (further(&world, &late, &bob, "two").await, ForgingSessions::default());
    let mallory = sessions.first(&world, &wire, "mallory").await;
    hide(&late, &two, &[&alice]);
    hide_records(&late);
    let (id, _) = alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
    let created = group(&alice, &id).state;
    let forged = usurpation(&mallory, &alice, &created);
    send_control(&sessions, &mallory, &bob.me(), &forged).await;
    world.deliver().await;
    bob.receive().await.unwrap();
    bob.join_group(&id, Some(&alice.me())).await.unwrap();
    world.deliver().await;
    two.receive().await.unwrap();
    assert_eq!((two.invitations().unwrap().len(), two.groups().unwrap().len()), (1, 0));
    late.honest();
    two.receive().await.unwrap();
    assert_eq!(group(&two, &id).state, created);
    alice.receive().await.unwrap();
    mallory.receive().await.unwrap();
    world.deliver().await;
}

/// The true control comes after one that only claims to follow it.
#[tokio::test]
async fn a_true_invitation_is_not_taken_for_a_part_of_a_forged_one() {
    let world = World::new().await;
    let (wire, late) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &late, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    hide(&late, &bob, &[&alice]);
    let (id, _) = alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
    let created = group(&alice, &id).state;
    let forged = usurpation(&mallory, &alice, &created);
    send_control(&sessions, &mallory, &bob.me(), &forged).await;
    world.deliver().await;
    bob.receive().await.unwrap();
    late.honest();
    bob.receive().await.unwrap();
    let by: Vec<String> = bob.invitations().unwrap().into_iter().map(|it| it.by).collect();
    assert_eq!(by.len(), 2, "{by:?}");
    bob.join_group(&id, None).await.unwrap();
    assert_eq!(group(&bob, &id).state, created);
    world.deliver().await;
    alice.receive().await.unwrap();
    mallory.receive().await.unwrap();
    world.deliver().await;
}

/// Alice finds out that her tablet was stolen after it has invited Bob.
#[tokio::test]
async fn the_invitation_of_a_device_that_is_revoked_since_is_not_joined() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let stolen = further(&world, &wire, &alice, "two").await;
    know(&bob, &alice.me()).await;
    let (id, _) = stolen.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    assert_eq!(bob.invitations().unwrap().len(), 1);
    alice.revoke(stolen.device().id()).await.unwrap();
    // Bob's device has read Alice's chain before, and not since.
    wire.asked.lock().unwrap().clear();
    let refused = bob.join_group(&id, None).await;
    assert!(matches!(refused, Err(MessengerError::Group(GroupError::RevokedDevice))), "{refused:?}");
    assert_eq!((bob.invitations().unwrap().len(), bob.groups().unwrap().len()), (0, 0));
    let read = wire.asked.lock().unwrap().iter().filter(|url| url.ends_with("/user/alice/devices")).count();
    assert_eq!(read, 1, "the chain is read once for a joining");
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
}

/// The server does not answer for the chain of the device that has invited Bob. The invitation waits
/// for it.
#[tokio::test]
async fn an_invitation_waits_for_the_chain_of_whoever_made_it() {
    let world = World::new().await;
    let (wire, line) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &line, "bob").await);
    know(&bob, &alice.me()).await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    line.drop_requests(|request| {
        let is_chain = request.uri().path() == "/user/alice/devices";
        is_chain.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let refused = bob.join_group(&id, None).await.unwrap_err();
    assert!(refused.retry_after_s().is_some(), "{refused:?}");
    assert_eq!((bob.invitations().unwrap().len(), bob.groups().unwrap().len()), (1, 0));
    line.honest();
    bob.join_group(&id, None).await.unwrap();
    assert!(group(&bob, &id).member);
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
}

/// Bob joins on his first device, before or after Alice makes him an admin. What the second device is
/// sent comes in any order.
#[tokio::test]
async fn the_join_of_an_own_device_counts_in_whatever_order_it_comes() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    befriend(&alice, &bob).await;
    let two = further(&world, &his, &bob, "two").await;
    say(&alice, &bob.me(), "before").await;
    world.deliver().await;
    for client in [&bob, &two, &alice] {
        hear(&world, client).await;
    }
    // Both of Bob's devices have the key of records.
    bob.create_group("First", &[]).await.unwrap();
    for client in [&bob, &two] {
        hear(&world, client).await;
        world.deliver().await;
        hear(&world, client).await;
    }
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (order, joins_late) in orders.into_iter().flat_map(|order| [(order, false), (order, true)]) {
        let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
        let looks = async || {
            for client in [&bob, &alice] {
                world.advance(1_000);
                world.deliver().await;
                client.receive().await.unwrap();
            }
        };
        looks().await;
        let promotion = Proposal::Promote([bob.me().actor()].into());
        if joins_late {
            alice.change_group(&id, promotion).await.unwrap();
            looks().await;
            bob.join_group(&id, None).await.unwrap();
        } else {
            bob.join_group(&id, None).await.unwrap();
            looks().await;
            alice.change_group(&id, promotion).await.unwrap();
        }
        looks().await;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        his.tamper(move |passing| {
            let mut page: Value = serde_json::from_slice(passing.answer).ok()?;
            let items = page["orderedItems"].as_array().filter(|_| passing.endpoint.1.ends_with("/inbox"))?;
            counted.fetch_add(items.len(), Ordering::Relaxed);
            let items: Vec<Value> = order.iter().filter_map(|at| items.get(*at).cloned()).collect();
            page["orderedItems"] = items.into();
            Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
        });
        let notices = two.receive().await.unwrap().notices;
        assert_eq!(count.load(Ordering::Relaxed), 3, "the invitation, the change and the joining");
        assert_eq!(
            (two.held().unwrap(), two.invitations().unwrap().len()),
            (vec![], 0),
            "{order:?} {notices:?}"
        );
        assert_eq!(group(&two, &id).state, group(&bob, &id).state, "{order:?} {notices:?}");
    }
    world.deliver().await;
}

/// All of Alice's devices are replaced after she has invited Bob, which her server could do alone.
#[tokio::test]
async fn the_invitation_of_somebody_who_was_reset_since_is_not_joined() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    know(&bob, &alice.me()).await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    let environment = Environment { clock: world.clock(), random: seeded("alice/anew") };
    ForgingSessions::default().sign_in(&world, &wire, environment, request(&world, "alice", true)).await;
    bob.verification(&alice.me()).await.unwrap();
    let refused = bob.join_group(&id, None).await;
    let is_reset = |why: &Distrust| matches!(why, Distrust::Reset { verified: false });
    assert!(matches!(&refused, Err(MessengerError::Distrust { why, .. }) if is_reset(why)), "{refused:?}");
    assert_eq!((bob.invitations().unwrap().len(), bob.groups().unwrap().len()), (1, 0));
    world.deliver().await;
}

/// Bob joins on one device. Before the other one hears of that, Mallory, who is an admin, follows up with
/// a state that has a grant of nobody's.
#[tokio::test]
async fn the_join_of_an_own_device_enters_no_unproven_grants() {
    let world = World::new().await;
    let (wire, late) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let (two, sessions) = (further(&world, &late, &bob, "two").await, ForgingSessions::default());
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), mallory.me()]).await.unwrap();
    world.deliver().await;
    mallory.receive().await.unwrap();
    mallory.join_group(&id, None).await.unwrap();
    alice.change_group(&id, Proposal::Promote([mallory.me().actor()].into())).await.unwrap();
    world.deliver().await;
    bob.receive().await.unwrap();
    hide(&late, &two, &[&bob]);
    bob.join_group(&id, None).await.unwrap();
    let joined = group(&bob, &id).state;
    world.deliver().await;
    two.receive().await.unwrap();
    let [invitation] = &two.invitations().unwrap()[..] else { panic!() };
    assert_eq!(invitation.state, joined);
    let before = GroupState::new(GroupParts { epoch: 7, ..joined.parts().clone() }).unwrap();
    let (admin, by) = (bob.me().actor(), alice.me().actor());
    let device = format!("{by}/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11");
    let signature = mallory.device().keys().identity().sign(b"", mallory.device().environment());
    let mut parts = GroupParts { epoch: 8, name: "Saturday".to_owned(), ..joined.parts().clone() };
    parts.admins.insert(admin.clone());
    parts.grants.insert(admin.clone(), GroupGrant { admin, by, device, signature });
    let forged = control(&mallory, GroupChange::Renamed, Some(&before), &GroupState::new(parts).unwrap());
    send_control(&sessions, &mallory, &bob.me(), &forged).await;
    world.deliver().await;
    two.receive().await.unwrap();
    late.honest();
    two.receive().await.unwrap();
    assert_eq!((group(&two, &id).state, group(&bob, &id).state), (joined.clone(), joined));
    for client in [&alice, &bob, &two] {
        client.receive().await.unwrap();
    }
    mallory.receive().await.unwrap();
    world.deliver().await;
}

/// Bob with a phone and a tablet, whose mailbox hides what Bob sends until that is shown. Alice, who is a
/// contact, has invited him, and the phone has joined.
async fn joined_on_one(line: &TestNetwork, world: &World) -> ([TestMessenger; 4], GroupId) {
    let wire = TestNetwork::to(&[world]);
    let (alice, bob) = (first(world, &wire, "alice").await, first(world, &wire, "bob").await);
    let (two, carol) = (further(world, line, &bob, "two").await, first(world, &wire, "carol").await);
    hide(line, &two, &[&bob]);
    let (id, _) = alice.create_group("Friday", &[bob.me(), carol.me()]).await.unwrap();
    world.deliver().await;
    for client in [&bob, &carol, &two] {
        client.receive().await.unwrap();
    }
    bob.join_group(&id, None).await.unwrap();
    world.advance(5);
    ([alice, bob, two, carol], id)
}

/// The tablet has neither the phone's `Join` nor the renaming that the phone has made as an admin. The new key
/// that the phone makes then joins the group all the same.
#[tokio::test]
async fn a_control_of_an_own_device_joins_what_the_user_is_invited_to() {
    let world = World::new().await;
    let line = TestNetwork::to(&[&world]);
    let ([alice, bob, two, carol], id) = joined_on_one(&line, &world).await;
    alice.change_group(&id, Proposal::Promote([bob.me().actor()].into())).await.unwrap();
    for client in [&bob, &alice, &two] {
        world.deliver().await;
        client.receive().await.unwrap();
    }
    assert_eq!((two.invitations().unwrap().len(), two.groups().unwrap().len()), (1, 0));
    bob.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    world.advance(5);
    bob.change_group(&id, Proposal::Rekey).await.unwrap();
    world.deliver().await;
    line.tamper(|passing| {
        let mut page: Value = serde_json::from_slice(passing.answer).ok()?;
        let items = page["orderedItems"].as_array_mut().filter(|_| passing.endpoint.1.ends_with("/inbox"))?;
        let last = items.pop();
        *items = last.into_iter().collect();
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    two.receive().await.unwrap();
    assert_eq!(group(&two, &id).state, group(&bob, &id).state);
    assert!(group(&two, &id).member);
    assert_eq!((two.held().unwrap(), two.invitations().unwrap().len()), (vec![], 0));
    for client in [&alice, &carol, &bob] {
        client.receive().await.unwrap();
    }
    world.deliver().await;
}

/// The phone leaves while Alice removes Carol, whose change wins. The tablet, which has not heard of the
/// joining, hears of both.
#[tokio::test]
async fn an_own_departure_that_has_lost_joins_nothing() {
    let world = World::new().await;
    let line = TestNetwork::to(&[&world]);
    let ([alice, bob, two, carol], id) = joined_on_one(&line, &world).await;
    bob.change_group(&id, Proposal::Leave).await.unwrap();
    alice.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    world.deliver().await;
    two.receive().await.unwrap();
    assert_eq!((two.invitations().unwrap().len(), two.groups().unwrap().len()), (1, 0));
    line.tamper(|passing| {
        let mut page: Value = serde_json::from_slice(passing.answer).ok()?;
        let items = page["orderedItems"].as_array_mut().filter(|_| passing.endpoint.1.ends_with("/inbox"))?;
        items.drain(..items.len().saturating_sub(1));
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    two.receive().await.unwrap();
    assert_eq!((two.invitations().unwrap().len(), two.groups().unwrap().len()), (1, 0));
    line.honest();
    for client in [&bob, &alice, &two, &bob, &alice] {
        world.deliver().await;
        client.receive().await.unwrap();
    }
    for client in [&bob, &two] {
        assert!(client.groups().unwrap().iter().all(|group| !group.member));
    }
    carol.receive().await.unwrap();
    world.deliver().await;
}
