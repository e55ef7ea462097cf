//! Tests of crowds: whoever has many names, or says much of many, takes the turn of nobody else.

use eko_client::group::{
    GroupChange, GroupControl, GroupGrant, GroupParts, GroupSigner, GroupState, Proposal,
};
use eko_client::messenger::{Person, READ_AGAIN_MINUTES, READ_FOR_PROOFS, READ_FOR_RECEIPTS, READ_FOR_VIEWS};
use eko_client::store::EnvelopeState;
use eko_testkit::{Internet, World};
use serde_json::{Value, json};

use crate::forging::{Forger, ForgingSessions};
use crate::friends::{Friends, group, hide};
use crate::people::{TestMessenger, code_of, device, first, hear, know, say, text};
use crate::proofs::state_heads;
use crate::test_network::{FalseAnswer, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// Returns the chains that were asked for, in order.
fn chains_asked(line: &TestNetwork) -> Vec<String> {
    let asked = line.asked.lock().unwrap();
    asked.iter().filter(|url| url.ends_with("/devices")).cloned().collect()
}

/// Has Mallory, a member, forward controls of authors that there are not, whose names come first. They are
/// admins by grants that `by` has not made.
async fn forward_made_up(
    mallory: &Forger,
    sessions: &ForgingSessions,
    by: &TestMessenger,
    to: &Person,
    base: &GroupState,
) {
    let keys = mallory.device();
    for n in 0..READ_FOR_VIEWS {
        let actor = format!("https://0.example/user/n{n}");
        let device = format!("{actor}/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11");
        let signature = keys.keys().identity().sign(b"", keys.environment());
        let (by, device_of_by) = (by.me().actor(), by.device().address());
        let grant = GroupGrant { admin: actor.clone(), by, device: device_of_by, signature };
        let mut parts = GroupParts { epoch: base.epoch() + 1, ..base.parts().clone() };
        parts.members.insert(actor.clone());
        parts.admins.insert(actor.clone());
        parts.grants.insert(actor.clone(), grant);
        let state = GroupState::new(parts).unwrap();
        let signer = GroupSigner {
            actor: &actor,
            device: &device,
            identity: keys.keys().identity(),
            device_set: None,
            environment: keys.environment(),
        };
        let made = GroupControl::seal(GroupChange::Renamed, Some(base), &state, &signer).unwrap();
        sessions.forge(move |activity| {
            (activity["type"], activity["object"]) = (json!("Announce"), made.to_value());
        });
        mallory.send(to, text("look")).await.unwrap();
    }
    sessions.forge(|_| {});
}

/// Mallory forwards controls of authors whose server does not answer. Dave forwards one of Erin, whom Bob
/// does not know either. However often Bob looks, Erin has her turn.
#[tokio::test]
async fn authors_whom_a_member_makes_up_do_not_hold_up_the_true_one() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, dave, .. } = &friends;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(world, &friends.alice_line, "mallory").await;
    let (id, _) = alice.create_group("Friday", &[bob.me(), dave.me(), mallory.me()]).await.unwrap();
    for client in [bob, dave] {
        friends.look(client).await;
        client.join_group(&id, None).await.unwrap();
    }
    world.deliver().await;
    mallory.receive().await.unwrap();
    mallory.join_group(&id, None).await.unwrap();
    alice.change_group(&id, Proposal::Promote([dave.me().actor()].into())).await.unwrap();
    for client in [alice, bob, dave] {
        friends.look(client).await;
    }
    mallory.receive().await.unwrap();
    forward_made_up(&mallory, &sessions, alice, &bob.me(), &group(bob, &id).state).await;
    friends.look(bob).await;
    assert_eq!(bob.held().unwrap().len(), READ_FOR_VIEWS);

    let erin = first(world, &friends.alice_line, "erin").await;
    hide(line, bob, &[alice, &erin]);
    alice.change_group(&id, Proposal::Add([erin.me().actor()].into())).await.unwrap();
    friends.look(&erin).await;
    erin.join_group(&id, None).await.unwrap();
    alice.change_group(&id, Proposal::Promote([erin.me().actor()].into())).await.unwrap();
    friends.look(&erin).await;
    friends.look(dave).await;
    erin.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    friends.look(dave).await;
    world.advance((READ_AGAIN_MINUTES + 1) * 60_000);
    bob.send_to_group(&id, text("is it Friday?")).await.unwrap();
    friends.look(dave).await;
    friends.look(bob).await;
    assert_eq!(group(bob, &id).state, group(dave, &id).state);
    world.deliver().await;
}

/// Mallory says that there is more of eight chains, and Erin that there is more of Carol's.
#[tokio::test]
async fn a_member_who_warns_of_many_holds_up_nobody_who_warns_of_one() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, alice_line, carol, .. } = &friends;
    let sessions = [(); 2].map(|()| ForgingSessions::default());
    let mallory = sessions[0].first(world, line, "mallory").await;
    let erin = sessions[1].first(world, line, "erin").await;
    let mut others = Vec::new();
    for n in 0..READ_FOR_VIEWS {
        others.push(first(world, line, &format!("member{n}")).await.me());
    }
    let members = [&others[..], &[carol.me(), mallory.me(), erin.me()]].concat();
    alice.create_group("Friday", &members).await.unwrap();
    for (sessions, forger, victims) in
        [(&sessions[0], &mallory, others), (&sessions[1], &erin, vec![carol.me()])]
    {
        let set = |victim: &Person| (victim.actor(), json!({ "length": 7, "head": "ab".repeat(32) }));
        let sets: Value = victims.iter().map(set).collect::<serde_json::Map<_, _>>().into();
        sessions.forge(move |activity| activity["eko:deviceSets"] = sets.clone());
        forger.send(&alice.me(), text("they have seven")).await.unwrap();
        world.deliver().await;
    }
    alice_line.asked.lock().unwrap().clear();
    alice.receive().await.unwrap();
    let asked = chains_asked(alice_line);
    assert_eq!(asked.len(), READ_FOR_VIEWS, "{asked:#?}");
    assert!(asked.iter().any(|url| url.ends_with("/user/carol/devices")), "{asked:#?}");
    world.deliver().await;
}

/// Nine contacts of one domain write before Zed of another one does. His chain is among those that are
/// read to send receipts, and later among those of which more is proven.
#[tokio::test]
async fn many_contacts_of_one_domain_hold_up_nobody_of_another() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (z, _) = World::online(&internet, "z.example").await;
    let (hers, wire) = (TestNetwork::to(&[&a, &z]), TestNetwork::to(&[&a, &z]));
    let alice = first(&a, &hers, "alice").await;
    let mut contacts = Vec::new();
    for n in 0..=READ_FOR_RECEIPTS {
        let sessions = ForgingSessions::default();
        let contact = sessions.first(&a, &wire, &format!("bob{n}")).await;
        contacts.push((sessions, contact));
    }
    let sessions = ForgingSessions::default();
    let zed = sessions.first(&z, &wire, "zed").await;
    contacts.push((sessions, zed));
    for (_, contact) in &contacts {
        know(&alice, &contact.me()).await;
    }
    let is_zeds = |url: &String| url.starts_with("https://z.example/user/zed/");

    for world in [&a, &z] {
        world.advance(2 * DAY_MS);
    }
    for (_, contact) in &contacts {
        contact.send(&alice.me(), text("hello")).await.unwrap();
        a.deliver().await;
    }
    hers.asked.lock().unwrap().clear();
    assert_eq!(alice.receive().await.unwrap().messages.len(), contacts.len());
    let asked = chains_asked(&hers);
    assert_eq!(asked.len(), READ_FOR_RECEIPTS, "{asked:#?}");
    assert!(asked.iter().any(is_zeds), "{asked:#?}");

    for world in [&a, &z] {
        world.advance((READ_AGAIN_MINUTES + 1) * 60_000);
    }
    for (sessions, contact) in &contacts {
        state_heads(sessions, contact, 2);
        contact.send(&alice.me(), text("I have two devices")).await.unwrap();
        a.deliver().await;
    }
    hers.asked.lock().unwrap().clear();
    alice.receive().await.unwrap();
    let asked = chains_asked(&hers);
    assert!(asked.iter().take(READ_FOR_PROOFS).any(is_zeds), "{asked:#?}");
    for _ in 0..3 {
        for world in [&a, &z] {
            world.deliver().await;
            world.federate().await;
        }
    }
}

/// Eve's server reports a hundred times on what waited for it, and shows no chain. Bob's server reports
/// that he has another device, and the device gets what was sent.
#[tokio::test]
async fn reports_of_one_server_do_not_hold_up_those_of_another() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, b_address) = World::online(&internet, "b.example").await;
    let (c, c_address) = World::online(&internet, "c.example").await;
    let (hers, wire) = (TestNetwork::to(&[&a, &b, &c]), TestNetwork::to(&[&a, &b, &c]));
    let (alice, bob) = (first(&a, &hers, "alice").await, first(&b, &wire, "bob").await);
    let eve = first(&c, &wire, "eve").await;
    say(&alice, &bob.me(), "hello").await;
    say(&alice, &eve.me(), "hello").await;
    b.deliver().await;
    hear(&b, &bob).await;
    internet.unplug(c_address);
    let mut waiting = Vec::new();
    for n in 0..4 {
        let sent = alice.send(&eve.me(), text(&format!("{n}"))).await.unwrap();
        waiting.push(sent.envelopes[0].id.to_string());
    }
    internet.unplug(b_address);
    let sent = alice.send(&bob.me(), text("to one, and then to two")).await.unwrap();
    internet.plug(b_address);
    let (bob_two, _) = device(&b, &wire, "bob", "two").await;
    b.deliver().await;
    hear(&b, &bob).await;
    bob.approve(&code_of(&bob_two)).await.unwrap();
    a.advance(10_000);
    a.federate().await;
    a.deliver().await;
    hers.drop_requests(|request| {
        let is_eves = request.uri().to_string().contains("c.example");
        is_eves.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let (to, from) = (alice.me().actor(), eve.me().actor());
    hers.tamper(move |passing| {
        if passing.endpoint != ("GET", "/user/alice/inbox") {
            return None;
        }
        let report = |n: usize| {
            json!({
                "@context": "https://www.w3.org/ns/activitystreams", "type": "PartialDelivery",
                "actor": from, "to": to, "object": waiting[n / 25], "eko:deviceSetOutOfDate": true,
                "staleDevices": [],
                "missingKeyPackages": [format!("{from}/keyPackage/b0b00002-5c1b-4e9a-9d2f-6b7c1a2e{n:04}")],
                "eko:entry": format!("{to}/inbox/019c0b3bea90-15edb541cc8d349f19d7202346c3{n:04}"),
                "eko:received": "2026-01-29T19:30:02Z",
            })
        };
        let mut page: Value = serde_json::from_slice(passing.answer).unwrap();
        let items = page["orderedItems"].as_array_mut().unwrap();
        items.splice(0..0, (0..100).map(report));
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    let received = alice.receive().await.unwrap();
    let state = alice.sent(sent.id.as_str()).unwrap().state(&alice.me());
    assert_eq!(state, EnvelopeState::Accepted, "{:#?}", received.notices);
    b.deliver().await;
    assert_eq!(hear(&b, &bob_two).await, ["to one, and then to two"]);
    hers.honest();
    internet.plug(c_address);
    a.advance(3_600_000);
    for _ in 0..3 {
        for world in [&a, &b, &c] {
            world.federate().await;
            world.deliver().await;
        }
    }
}
