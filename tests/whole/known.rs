//! Who may write: strangers are asked to wait at a door whose state they do not see.

mod races;

use std::sync::Arc;

use eko_client::{Auth, Body, Device};
use eko_protocol::block::BlockedParty;
use eko_protocol::letter::FetchedLetter;
use eko_protocol::limits::MAX_KNOWN;
use eko_protocol::profile::{DisplayName, PartChange, UpdateProfile};
use eko_protocol::settings::{AccountSettings, WhoMayWrite};
use eko_testkit::{
    BARE, DirectTransport, Stranger, World, envelope, lose_each_answer, parallel, refusal, refused,
};
use http::Method;
use serde_json::{Value, json};

use crate::outcomes::{accepted, partial};
use crate::people::{alice_and_bob, alice_and_bobs_two};

async fn let_write(device: &Device<DirectTransport>, who_may_write: WhoMayWrite) {
    device.change_settings(AccountSettings { who_may_write }).await.unwrap();
}

/// Returns for each message of a device whether it is a request, and whether it may wake the device.
async fn shown(world: &World, device: &Device<DirectTransport>) -> Vec<(bool, bool)> {
    world.deliver().await;
    let shown = |message: FetchedLetter| (message.letter.is_request, message.letter.header.notify);
    world.messages(device).await.into_iter().map(shown).collect()
}

#[tokio::test]
async fn a_stranger_makes_three_requests_and_one_wakes() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let_write(&second, WhoMayWrite::Known).await;
    assert_eq!(bob.settings().await.unwrap().who_may_write, WhoMayWrite::Known);
    let taken = alice.take(bob.user()).await.unwrap();
    assert!(taken.packages.iter().all(|package| package.pre_key.is_none()));
    // The parts of one envelope are one request.
    let half = envelope(&alice, &[&bob]);
    partial(alice.send(&half).await.unwrap());
    let mut rest = envelope(&alice, &[&second]);
    rest.id = half.id.clone();
    accepted(alice.send(&rest).await.unwrap());
    accepted(alice.send(&half).await.unwrap());
    for _ in 0..3 {
        world.advance(1);
        world.send(&alice, &[&bob, &second]).await;
    }
    let requests = [(true, true), (true, false), (true, false)];
    assert_eq!(shown(&world, &bob).await, requests);
    assert_eq!(shown(&world, &second).await.len(), 3);

    // One device accepts for all. What was dropped comes if it is sent again.
    bob.accept_actor(&alice.actor()).await.unwrap();
    world.advance(1);
    bob.accept_actor(&alice.actor()).await.unwrap();
    world.send(&alice, &[&bob, &second]).await;
    assert_eq!(shown(&world, &bob).await, [&requests[..], &[(false, true)]].concat());
    let taken = alice.take(bob.user()).await.unwrap();
    assert!(taken.packages.iter().any(|package| package.pre_key.is_some()));
    // A sync is nobody's request.
    world.advance(1);
    let_write(&bob, WhoMayWrite::Nobody).await;
    world.send(&second, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await.last(), Some(&(false, true)));
}

#[tokio::test]
async fn nobody_new_comes_in_and_everyone_does_again() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Nobody).await;
    let lost = world.send(&alice, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await, []);
    let carol = world.user("carol").await;
    bob.accept_actor(&carol.actor()).await.unwrap();
    world.send(&carol, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await, [(false, true)]);
    let_write(&bob, WhoMayWrite::Everyone).await;
    accepted(alice.send(&lost).await.unwrap());
    assert_eq!(shown(&world, &bob).await.len(), 2);
}

#[tokio::test]
async fn requests_are_forgotten_after_a_while() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    for _ in 0..4 {
        world.send(&alice, &[&bob]).await;
    }
    assert_eq!(shown(&world, &bob).await.len(), 3);
    world.advance(31 * crate::DAY_MS);
    for device in [&alice, &bob] {
        device.refresh().await.unwrap();
    }
    for _ in 0..4 {
        world.send(&alice, &[&bob]).await;
    }
    assert_eq!(shown(&world, &bob).await.len(), 3);
}

/// Has a stranger of another server send an envelope to a device. `number` makes its id.
async fn arrives(world: &World, stranger: &Stranger, to: &Device<DirectTransport>, number: usize) {
    let create = json!({
        "type": "Create", "actor": stranger.actor, "to": to.actor(),
        "object": {
            "type": "SignalEnvelope",
            "id": format!("urn:uuid:00000000-0000-4000-8000-{number:012}"),
            "messages": [{
                "to": to.address(), "from": format!("{}/device/1", stranger.actor), "content": "c2VjcmV0",
            }],
        },
    });
    let (status, body) = stranger.deliver(world, "/inbox", &create).await;
    assert_eq!(status, 202, "{body}");
}

/// The servers of one domain are one site, and take nothing from those of others: neither a place nor room
/// in an item.
#[tokio::test]
async fn a_site_makes_twenty_requests_a_day() {
    let (world, _alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    for number in 0..11 {
        let stranger = Stranger::new(&world.internet, &format!("s{number}.b.example")).await;
        arrives(&world, &stranger, &bob, 1).await;
        arrives(&world, &stranger, &bob, 2).await;
    }
    assert_eq!(shown(&world, &bob).await.len(), 20);
    let other = Stranger::new(&world.internet, "c.example").await;
    arrives(&world, &other, &bob, 1).await;
    assert_eq!(shown(&world, &bob).await.len(), 21);
    let items = world.times_to_live().await.into_keys();
    assert_eq!(items.filter(|(pk, sk)| pk == "L#bob" && sk.starts_with("REQUESTS#")).count(), 2);
    world.advance(crate::DAY_MS);
    bob.refresh().await.unwrap();
    let stranger = Stranger::new(&world.internet, "s11.b.example").await;
    arrives(&world, &stranger, &bob, 1).await;
    assert_eq!(shown(&world, &bob).await.len(), 22);
}

/// The accounts of this server are no site, of which a few could silence all others.
#[tokio::test]
async fn strangers_here_make_three_requests_each() {
    let (world, _alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    for number in 0..8 {
        let stranger = world.user_with(&format!("s{number}"), BARE).await;
        for _ in 0..4 {
            world.send(&stranger, &[&bob]).await;
        }
    }
    assert_eq!(shown(&world, &bob).await.len(), 24);
}

/// The calls of a server for a stranger are the same whatever becomes of the envelope, and for a known
/// actor one more than for everyone.
#[tokio::test]
async fn the_calls_tell_a_stranger_nothing() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    let mut calls = Vec::new();
    let mut send = async |setting: Option<WhoMayWrite>| {
        if let Some(setting) = setting {
            let_write(&bob, setting).await;
        }
        let outgoing = envelope(&alice, &[&bob]);
        world.calls.reset();
        accepted(alice.send(&outgoing).await.unwrap());
        let mut made = world.calls.made();
        made.sort();
        calls.push((made, world.calls.rounds()));
        world.deliver().await;
    };
    for setting in [None, None, None, None, Some(WhoMayWrite::Nobody)] {
        send(setting).await;
    }
    let due = ["BatchGetItem", "GetItem", "SendMessageBatch", "TransactWriteItems"];
    let due = [&due[..], &["UpdateItem"; 3]].concat();
    for (made, _) in &calls {
        assert_eq!(*made, due);
    }
    bob.accept_actor(&alice.actor()).await.unwrap();
    world.calls.reset();
    world.send(&alice, &[&bob]).await;
    let mut made = world.calls.made();
    made.sort();
    assert_eq!(
        made,
        ["BatchGetItem", "GetItem", "SendMessageBatch", "UpdateItem", "UpdateItem", "UpdateItem"]
    );
    // It runs beside the envelope's record.
    assert_eq!(world.calls.rounds(), 3);
    world.calls.reset();
    alice.take(bob.user()).await.unwrap();
    assert_eq!(world.calls.made(), ["BatchGetItem", "GetItem", "UpdateItem", "BatchGetItem"]);
    world.calls.reset();
    bob.accept_actor("https://b.example/user/eve").await.unwrap();
    bob.settings().await.unwrap();
    let_write(&bob, WhoMayWrite::Known).await;
    // A change is charged to the account before.
    let changes = [["UpdateItem", "TransactWriteItems"], ["UpdateItem", "UpdateItem"]];
    assert_eq!(world.calls.made(), [&changes[0][..], &["GetItem"], &changes[1]].concat());
    world.deliver().await;
}

/// Sets the number of actors whom Bob knows.
async fn set_known(world: &World, number: u64) {
    world.set_number(("U#bob", "DEVICES"), "kn", number).await;
}

/// An acceptance whose answer was lost is repeated, also if it was the last one for which there was room.
/// Who may make none is told so.
#[tokio::test]
async fn an_acceptance_is_repeated_without_room() {
    let (world, alice, bob) = alice_and_bob().await;
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    bob.accept_actor(&alice.actor()).await.unwrap();
    set_known(&world, MAX_KNOWN).await;
    bob.accept_actor(&alice.actor()).await.unwrap();
    let other = "https://b.example/user/eve";
    assert_eq!(refused(bob.accept_actor(other).await), "422 invalid #/object");
    for actor in [&alice.actor(), other] {
        assert_eq!(refused(waiting.accept_actor(actor).await), "403 device-pending");
    }
}

/// Returns the number of actors whom Bob knows: as it is counted, and as they are stored.
async fn known_to_bob(world: &World) -> (u64, usize) {
    let stored = world.stored().await;
    let set = &stored.items[&("U#bob".to_owned(), "DEVICES".to_owned())];
    let counted = set.split("\"kn\": \"N(\\\"").nth(1).map_or("0", |rest| rest.split('\\').next().unwrap());
    let known = stored.keys("U#bob", "A#").into_iter().filter(|key| stored.items[*key].contains("\"c\""));
    (counted.parse().unwrap(), known.count())
}

/// Whoever is known no longer makes room, and is a stranger, with as many requests as any.
#[tokio::test]
async fn an_acceptance_is_undone() {
    let (world, alice, bob) = alice_and_bob().await;
    let_write(&bob, WhoMayWrite::Known).await;
    for _ in 0..3 {
        world.send(&alice, &[&bob]).await;
    }
    // Nothing is undone, so the requests stay counted.
    bob.forget_actor(&alice.actor()).await.unwrap();
    world.send(&alice, &[&bob]).await;
    assert_eq!(shown(&world, &bob).await.len(), 3);
    assert_eq!(known_to_bob(&world).await, (0, 0));
    for _ in 0..2 {
        bob.accept_actor(&alice.actor()).await.unwrap();
    }
    assert_eq!(known_to_bob(&world).await, (1, 1));
    set_known(&world, MAX_KNOWN).await;
    let other = "https://b.example/user/eve";
    assert_eq!(refused(bob.accept_actor(other).await), "422 invalid #/object");
    for _ in 0..2 {
        bob.forget_actor(&alice.actor()).await.unwrap();
        assert_eq!(known_to_bob(&world).await, (MAX_KNOWN - 1, 0));
    }
    bob.accept_actor(other).await.unwrap();
    assert_eq!(known_to_bob(&world).await, (MAX_KNOWN, 1));
    for _ in 0..4 {
        world.advance(1);
        world.send(&alice, &[&bob]).await;
    }
    let requests = [(true, true), (true, false), (true, false)];
    assert_eq!(shown(&world, &bob).await[3..], requests);
    world.calls.reset();
    bob.forget_actor(other).await.unwrap();
    assert_eq!(world.calls.made(), ["UpdateItem", "TransactWriteItems"]);
}

/// Acceptances and their undoing at the same moment leave a count that is that of the stored actors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acceptances_and_undoing_at_once() {
    let (world, _alice, bob) = alice_and_bob().await;
    let second = world.further(&bob, "two").await;
    let devices = [Arc::new(bob), Arc::new(second)];
    let changes = (0..64).map(|n| {
        let (device, whom) = (Arc::clone(&devices[n % 2]), format!("https://b.example/user/u{}", n % 3));
        async move {
            match (n / 2) % 2 {
                0 => device.accept_actor(&whom).await.unwrap(),
                _ => device.forget_actor(&whom).await.unwrap(),
            }
        }
    });
    parallel(changes).await;
    let (counted, stored) = known_to_bob(&world).await;
    assert_eq!(counted, u64::try_from(stored).unwrap());
    assert!(stored <= 3, "{stored}");
}

#[tokio::test]
async fn an_undoing_whose_answer_is_lost() {
    lose_each_answer(
        async || {
            let (world, alice, bob) = alice_and_bob().await;
            bob.accept_actor(&alice.actor()).await.unwrap();
            bob.accept_actor("https://b.example/user/eve").await.unwrap();
            (world, alice, bob)
        },
        |(world, ..)| &world.calls,
        async |(_, alice, bob), _| {
            let undone = bob.forget_actor(&alice.actor()).await;
            undone.map_err(|error| error.to_string())
        },
        async |(world, ..), run| {
            assert_eq!(known_to_bob(world).await, (1, 1), "{run}");
        },
    )
    .await;
}

#[tokio::test]
async fn who_may_change_what() {
    let (world, alice, bob) = alice_and_bob().await;
    let post = async |path: &str, body: Value| {
        let method = if path.ends_with("outbox") { Method::POST } else { Method::PUT };
        let answer = bob.call(method, path, Body::Json(&body), Auth::Device).await.unwrap();
        refusal(&answer)
    };
    let accept = |object: &str| json!({ "type": "Accept", "object": object });
    let undo = |object: &str| json!({ "type": "Undo", "object": accept(object) });
    for (path, body, answer) in [
        ("/user/bob/settings", json!({}), "422 invalid #/whoMayWrite"),
        ("/user/bob/settings", json!({ "whoMayWrite": "friends" }), "422 invalid #/whoMayWrite"),
        ("/user/alice/settings", json!({ "whoMayWrite": "nobody" }), "403 not-owner"),
        ("/user/bob/outbox", accept("https://eko.example/user/bob"), "422 invalid #/object"),
        ("/user/bob/outbox", accept("https://b.example"), "422 invalid #/object"),
        ("/user/bob/outbox", accept("@eve@b.example"), "422 invalid #/object"),
        (
            "/user/bob/outbox",
            json!({ "type": "Accept", "actor": alice.actor(), "object": "https://b.example/eve" }),
            "403 not-yours #/actor",
        ),
        ("/user/bob/outbox", undo("https://b.example"), "422 invalid #/object/object"),
        ("/user/bob/outbox", undo("@eve@b.example"), "422 invalid #/object/object"),
        (
            "/user/bob/outbox",
            json!({ "type": "Undo", "actor": alice.actor(), "object": accept("https://b.example/eve") }),
            "403 not-yours #/actor",
        ),
    ] {
        assert_eq!(post(path, body.clone()).await, answer, "{path} {body}");
    }
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    let known = AccountSettings { who_may_write: WhoMayWrite::Known };
    assert_eq!(refused(waiting.change_settings(known).await), "403 device-pending");
    assert_eq!(refused(waiting.settings().await), "403 device-pending");
    // Also of somebody whom the user knows already.
    for _ in 0..2 {
        assert_eq!(refused(waiting.accept_actor(&alice.actor()).await), "403 device-pending");
        assert_eq!(refused(waiting.forget_actor(&alice.actor()).await), "403 device-pending");
        bob.accept_actor(&alice.actor()).await.unwrap();
    }
    bob.forget_actor(&alice.actor()).await.unwrap();
    assert_eq!(refused(waiting.forget_actor(&alice.actor()).await), "403 device-pending");
    assert_eq!(bob.settings().await.unwrap(), AccountSettings::default());
}

/// Every change of the account is charged, also one that was made before or is refused. A device that is
/// not active spends nothing.
#[tokio::test]
async fn changes_have_the_budget_of_their_account() {
    let world = World::with(|config| config.limits.account_budget = 5).await;
    let bob = world.user_with("bob", BARE).await;
    let waiting = world.pending(&bob, "two").await;
    world.deliver().await;
    let eve = "https://b.example/user/eve";
    let block = BlockedParty::parse(eve).unwrap();
    let name = PartChange::Set(DisplayName::parse("Bob").unwrap());
    let name = UpdateProfile { name, ..UpdateProfile::default() };
    let known = AccountSettings { who_may_write: WhoMayWrite::Known };
    let change = async |device: &Device<DirectTransport>, number: usize| match number % 5 {
        0 => device.accept_actor(eve).await,
        1 => device.change_block(&block, false).await,
        2 => device.change_settings(known).await,
        3 => device.forget_actor("https://b.example/user/nobody").await,
        _ => device.change_profile(&name).await,
    };
    for first in 0..5 {
        for number in 0..5 {
            assert_eq!(refused(change(&waiting, number).await), "403 device-pending");
        }
        set_known(&world, if first == 0 { 0 } else { MAX_KNOWN }).await;
        for number in first..first + 5 {
            change(&bob, number).await.unwrap();
        }
        assert_eq!(refused(change(&bob, first).await), "429 too-many");
        world.advance(60_000);
    }
    for number in 0..5 {
        assert_eq!(refused(bob.accept_actor(&format!("{eve}{number}")).await), "422 invalid #/object");
    }
    assert_eq!(refused(change(&bob, 0).await), "429 too-many");
}

#[tokio::test]
async fn a_request_whose_answer_is_lost() {
    lose_each_answer(
        async || {
            let (world, alice, bob) = alice_and_bob().await;
            let_write(&bob, WhoMayWrite::Known).await;
            let outgoing = envelope(&alice, &[&bob]);
            (world, alice, bob, outgoing)
        },
        |(world, ..)| &world.calls,
        async |(_, alice, _, outgoing), _| {
            let sent = alice.send(outgoing).await;
            sent.map(drop).map_err(|error| error.to_string())
        },
        async |(world, _, bob, _), run| {
            assert_eq!(shown(world, bob).await, [(true, true)], "{run}");
        },
    )
    .await;
}
