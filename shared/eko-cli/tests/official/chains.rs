//! Tests of a user with devices of both kinds: each side verifies what the other has signed.

use eko_client::messenger::{MessengerError, Person};
use serde_json::{Value, json};

use crate::device::{OfficialDevice, registration};
use crate::eko_device::{EkoDevice, assert_heard};
use crate::local_server::LocalServer;
use crate::official::Library;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_kinds_sign_one_chain() {
    // The sign bit of libsignal's signatures. This project's signatures have the sign 0.
    for sign in [0, 1] {
        let (hers, theirs) = (LocalServer::start().await, LocalServer::start().await);
        mixed(&hers, &theirs, sign).await;
        hers.end().await;
        theirs.end().await;
    }
}

async fn mixed(hers: &LocalServer, theirs: &LocalServer, sign: u8) {
    // The first device is ours and approves an official one. That one approves a second device of
    // ours, and revokes the first.
    let first = EkoDevice::first(hers, "alice").await;
    let actor = first.actor();
    let mut command = registration(Library::Current, hers, "alice", false);
    command["sign"] = json!(sign);
    let mut official = OfficialDevice::waiting(Library::Current, &command).await;
    first.approve(&official.address, &official.joining_code).await;
    let second = EkoDevice::waiting(hers, "alice").await;
    first.told_of(&second.address()).await;
    official.command(json!({ "do": "approve", "code": second.joining_code() })).await;

    let dave = EkoDevice::first(theirs, "dave").await;
    let mut carol = OfficialDevice::first(Library::Current, theirs, "carol").await;
    let all = [first.address(), official.address.clone(), second.address()];
    replayed(&actor, 3, &all, &dave, &mut carol).await;

    // All devices read what either kind writes.
    let said = dave.say(&actor, "from one of ours").await;
    let sent = carol.send(&actor, "from an official one").await;
    sent.assert_accepted(3);
    for device in [&first, &second] {
        let mut heard = device.hear(2).await;
        heard.sort_by_key(|message| message.actor == carol.actor);
        assert_eq!((&heard[0].actor, heard[0].id.as_str()), (&dave.actor(), said.id()));
        assert_heard(&heard[1], &sent, &carol);
    }
    let mut read = official.fetch(2).await;
    read.sort_by_key(|message| message["actor"] == carol.actor);
    said.assert_is(&read[0], &dave, &actor);
    sent.assert_is(&read[1], &carol, &official);

    // The user's other devices get copies of what one of them writes.
    for round in 0..3 {
        for (by, other) in [(&first, &second), (&second, &first)] {
            let said = by.say(&dave.actor(), &format!("{round}: ours")).await;
            assert_eq!(dave.hear(1).await[0].id, said.id());
            said.assert_is(&official.fetch(1).await[0], by, &actor);
            assert!(other.hear(1).await[0].outgoing);
        }
        let sent = official.send(&carol.actor, &format!("{round}: theirs")).await;
        sent.assert_is(&carol.fetch(1).await[0], &official, &carol);
        let copy = official.sync(sent.activity()).await;
        copy.assert_accepted(2);
        // This project's client does not confirm copies.
        official.lost(&copy);
        for device in [&first, &second] {
            let copy = device.hear(1).await.remove(0);
            assert!(copy.outgoing && copy.conversation == carol.actor);
            assert_heard(&copy, &sent, &official);
        }
    }

    first.settled().await;
    official.settled().await;
    official.command(json!({ "do": "revoke", "device": first.address() })).await;
    assert!(matches!(first.client.receive().await, Err(MessengerError::Revoked)));
    replayed(&actor, 4, &all[1..], &dave, &mut carol).await;
    let (_, id) = hers.origin.parse_device(&official.address).unwrap();
    second.client.revoke(&id).await.unwrap();
    replayed(&actor, 5, &all[2..], &second, &mut carol).await;
    dave.settled().await;
    second.settled().await;
    carol.settled().await;
}

/// Asserts that a device of ours and an official one replay a chain to the same length, head and
/// active devices.
async fn replayed(
    actor: &str,
    length: u64,
    devices: &[String],
    ours: &EkoDevice,
    official: &mut OfficialDevice,
) {
    let person = Person::of(actor).unwrap();
    let (nodes, state) = ours.client.device().chain_at(&person.origin, &person.user).await.unwrap();
    let mut active: Vec<_> = state.active.keys().map(|id| person.origin.device(&person.user, id)).collect();
    let replayed = official.command(json!({ "do": "chain", "of": actor })).await;
    let mut theirs: Vec<_> = replayed["devices"].as_array().unwrap().iter().map(text).collect();
    let mut devices = devices.to_vec();
    [&mut active, &mut theirs, &mut devices].into_iter().for_each(|list| list.sort());
    assert_eq!((&active, &theirs), (&devices, &devices));
    assert_eq!(nodes.len() as u64, length);
    assert_eq!(replayed["deviceSet"], json!({ "length": length, "head": nodes.last().unwrap().hash() }));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
