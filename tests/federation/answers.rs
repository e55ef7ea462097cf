//! Each row of the table in `docs/protocol.md`, section 5, between two servers: the answer of the
//! sender's own server and the entries of the recipient's devices, and the answer of the
//! recipient's server to another one.

use eko_client::device::SendOutcome;
use eko_protocol::activity::ReportKind;
use eko_protocol::vocabulary::context;
use eko_testkit::{BARE, ChainChanges as _, Stranger, World, ciphertext, envelope, refused};
use serde_json::{Value, json};

use crate::ServerPair;

#[tokio::test]
async fn all_covered() {
    let pair = ServerPair::new().await;
    let second = pair.b.further(&pair.bob, "two").await;
    let outcome = pair.alice.send(&envelope(&pair.alice, &[&pair.bob, &second])).await.unwrap();
    let SendOutcome::Accepted { activity } = outcome else { panic!("{outcome:?}") };
    assert!(activity.starts_with("https://a.example/activity/"), "{activity}");
    pair.settle().await;
    for device in [&pair.bob, &second] {
        let messages = pair.b.messages(device).await;
        assert_eq!(messages[0].ciphertext, ciphertext(device));
        assert_eq!(messages[0].letter.header.author, "https://a.example/user/alice");
        assert_eq!(messages[0].letter.header.from, pair.alice.address());
    }
    assert_eq!(pair.a.waiting().await, (0, 0));
}

#[tokio::test]
async fn a_missing_device_is_completed_under_the_same_id() {
    let pair = ServerPair::new().await;
    let second = pair.b.further(&pair.bob, "two").await;
    let mut outgoing = envelope(&pair.alice, &[&pair.bob]);
    let outcome = pair.alice.send(&outgoing).await.unwrap();
    let SendOutcome::Partial(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!(report.kind, ReportKind::PartialDelivery);
    assert!(report.device_set_out_of_date);
    let missing = format!("https://b.example/user/bob/keyPackage/{}", second.id());
    assert_eq!(report.missing_key_packages, [missing]);
    assert_eq!(report.device_set.as_ref().unwrap().length, 2);
    pair.settle().await;
    assert_eq!(pair.b.messages(&pair.bob).await.len(), 1);
    assert_eq!(pair.b.messages(&second).await.len(), 0);
    outgoing.messages = vec![(second.id().clone(), ciphertext(&second))];
    let outcome = pair.alice.send(&outgoing).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Accepted { .. }), "{outcome:?}");
    pair.settle().await;
    for device in [&pair.bob, &second] {
        assert_eq!(pair.b.messages(device).await.len(), 1);
    }
}

#[tokio::test]
async fn a_stale_device_stops_all() {
    let pair = ServerPair::new().await;
    let second = pair.b.further(&pair.bob, "two").await;
    pair.bob.revoke(second.id()).await.unwrap();
    let third = pair.b.further(&pair.bob, "three").await;
    pair.settle().await;
    let before = pair.b.stored().await;
    let outcome = pair.alice.send(&envelope(&pair.alice, &[&pair.bob, &second])).await.unwrap();
    let SendOutcome::Rejected(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!(report.stale_devices, [second.address()]);
    let missing = format!("https://b.example/user/bob/keyPackage/{}", third.id());
    assert_eq!(report.missing_key_packages, [missing]);
    assert_eq!(report.to, "https://a.example/user/alice");
    pair.settle().await;
    // The copy of Alice's actor, and that her server has such an actor, is all that b.example
    // stores.
    let difference = pair.b.stored().await.difference(&before);
    let key = |pk: &str, sk: &str| (pk.to_owned(), sk.to_owned());
    assert_eq!(difference, [key("I#a.example", "HOST"), key("R#https://a.example/user/alice", "ACTOR")]);
    assert_eq!(pair.a.waiting().await, (0, 0));
}

#[tokio::test]
async fn an_unknown_user() {
    let pair = ServerPair::new().await;
    // Carol has no account at b.example, although Alice addresses a device of hers.
    let carol = pair.b.device("carol", "one", BARE);
    assert_eq!(refused(pair.alice.send(&envelope(&pair.alice, &[&carol])).await), "404 not-found");
    assert_eq!(pair.a.waiting().await, (0, 0));
}

#[tokio::test]
async fn a_server_out_of_reach() {
    let pair = ServerPair::new().await;
    pair.internet.unplug(pair.b_address);
    let outgoing = envelope(&pair.alice, &[&pair.bob]);
    let outcome = pair.alice.send(&outgoing).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Queued { .. }), "{outcome:?}");
    pair.internet.plug(pair.b_address);
    pair.internet.advance(10_000);
    pair.settle().await;
    assert_eq!(pair.b.messages(&pair.bob).await[0].letter.header.id, outgoing.id);
    let reports = pair.a.reports(&pair.alice).await;
    assert_eq!(crate::kinds(&reports), [ReportKind::Confirm]);
    assert_eq!(reports[0].envelope, outgoing.id);
}

/// Returns a `Create` of Eve's for devices of a user.
fn create(eve: &Stranger, to: &str, devices: &[String], id: &str) -> Value {
    let from = format!("{}/devices/1", eve.actor);
    let message = |device: &String| json!({ "to": device, "from": from, "content": "AAAA" });
    json!({
        "@context": "https://www.w3.org/ns/activitystreams",
        "type": "Create", "actor": eve.actor, "to": to,
        "object": { "type": ["Object", "SignalEnvelope"], "id": id,
            "messages": devices.iter().map(message).collect::<Vec<_>>() },
    })
}

/// An envelope arrives in each form in which JSON-LD may write it. One that cannot be read is
/// refused: nothing with messages is dropped behind a 202.
#[tokio::test]
async fn the_forms_of_an_envelope() {
    let b = World::new().await;
    let bob = b.user("bob").await;
    let eve = Stranger::new(&b.internet, "eve.example").await;
    type FormChange = fn(&mut Value);
    let forms: [(&str, u16, FormChange); 19] = [
        ("as this server writes it", 202, |_| {}),
        ("an array of one object", 202, |create| create["object"] = json!([create["object"].take()])),
        ("an array of one recipient", 202, |create| create["to"] = json!([create["to"].take()])),
        ("a prefix", 202, |create| create["object"]["type"] = json!("eko:SignalEnvelope")),
        ("an IRI", 202, |create| {
            create["object"]["type"] = json!(["Object", "https://eko.network/ns#SignalEnvelope"]);
        }),
        ("the whole activity in IRIs", 202, |create| {
            create["type"] = json!("https://www.w3.org/ns/activitystreams#Create");
            create["object"]["type"] = json!("https://eko.network/ns#SignalEnvelope");
        }),
        ("the context of this protocol", 202, |create| create["@context"] = context()),
        ("a context with other ciphertexts", 422, |create| {
            create["@context"] =
                json!([create["@context"], { "messages": "https://eve.example/ns#messages" }]);
        }),
        ("two objects", 422, |create| create["object"] = json!([create["object"], create["object"]])),
        ("an object in an array of arrays", 202, |create| create["object"] = json!([[{}]])),
        ("the envelope in an array of arrays", 422, |create| create["object"] = json!([[create["object"]]])),
        ("in an activity of an activity", 422, |create| {
            *create = json!({ "type": "Announce", "actor": create["actor"], "object": create });
        }),
        ("in a member that is not known", 422, |create| {
            *create = json!({ "type": "Like", "actor": create["actor"], "object": "https://a.example/1",
                "instrument": { "object": create["object"] } });
        }),
        ("no type", 422, |create| drop(create["object"].as_object_mut().unwrap().remove("type"))),
        ("another type", 422, |create| create["object"]["type"] = json!("Note")),
        ("another vocabulary", 422, |create| {
            create["object"]["type"] = json!("https://eve.example/ns#SignalEnvelope");
        }),
        ("another activity", 422, |create| create["type"] = json!("Announce")),
        ("the envelope alone", 422, |create| {
            let mut object = create["object"].take();
            object["actor"] = create["actor"].take();
            *create = object;
        }),
        ("members with a prefix", 422, |create| {
            let object = create["object"].as_object_mut().unwrap();
            let messages = object.remove("messages").unwrap();
            object.insert("eko:messages".to_owned(), messages);
        }),
    ];
    let mut expected = Vec::new();
    for (number, (name, status, change)) in forms.into_iter().enumerate() {
        let id = format!("urn:uuid:00000000-0000-4000-8000-0000000000{number:02}");
        let mut body = create(&eve, &bob.actor(), &[bob.address()], &id);
        change(&mut body);
        b.internet.advance(1_000);
        assert_eq!(eve.deliver(&b, "/inbox", &body).await.0, status, "{name}: {body}");
        if status == 202 && body.to_string().contains(&id) {
            expected.push(id);
        }
    }
    b.deliver().await;
    let got: Vec<String> = b.messages(&bob).await.iter().map(|m| m.letter.header.id.to_string()).collect();
    assert_eq!(got, expected);
    assert_eq!(got.len(), 7);
}

/// Deliveries of another server are answered by the same rows.
#[tokio::test]
async fn what_another_server_is_answered() {
    let (internet, b) = {
        let world = World::new().await;
        (world.internet.clone(), world)
    };
    let bob = b.user("bob").await;
    let second = b.further(&bob, "two").await;
    let third = b.further(&bob, "three").await;
    bob.revoke(third.id()).await.unwrap();
    let eve = Stranger::new(&internet, "eve.example").await;
    let create = |to: &str, devices: &[String], id: &str| create(&eve, to, devices, id);
    let bob_id = "https://eko.example/user/bob";
    let all = [bob.address(), second.address()];
    let ids: Vec<String> =
        (0..6).map(|n| format!("urn:uuid:00000000-0000-4000-8000-00000000000{n}")).collect();
    let nobody = "https://eko.example/user/nobody";
    let device_of_nobody = [format!("{nobody}/device/00000000-0000-4000-8000-000000000001")];
    for (n, (name, path, body, status)) in [
        ("all covered", "/user/bob/inbox", create(bob_id, &all, &ids[0]), 202),
        ("all covered, shared inbox", "/inbox", create(bob_id, &all, &ids[1]), 202),
        ("sent again", "/user/bob/inbox", create(bob_id, &all, &ids[0]), 202),
        ("one missing", "/inbox", create(bob_id, &all[..1], &ids[2]), 207),
        ("the one missing", "/inbox", create(bob_id, &all[1..], &ids[2]), 202),
        ("one stale", "/inbox", create(bob_id, &[bob.address(), third.address()], &ids[3]), 409),
        ("nobody", "/inbox", create(nobody, &device_of_nobody, &ids[4]), 404),
        ("another's inbox", "/user/alice/inbox", create(bob_id, &all, &ids[5]), 422),
        ("a note", "/inbox", json!({"type": "Create", "actor": eve.actor, "object": {"type": "Note"}}), 202),
        ("a follow", "/inbox", json!({"type": "Follow", "actor": eve.actor, "object": bob_id}), 202),
    ]
    .into_iter()
    .enumerate()
    {
        b.internet.advance(1_000);
        let (said, body) = eve.deliver(&b, path, &body).await;
        assert_eq!(said, status, "{n} {name}: {body}");
        match status {
            202 => assert_eq!(body, Value::Null, "{name}"),
            207 => {
                insta::assert_json_snapshot!("partial_delivery", body);
                assert_eq!(body["type"], json!(["Activity", "PartialDelivery"]));
                assert_eq!(body["object"], ids[2].as_str());
                assert_eq!(body["actor"], bob_id);
                assert_eq!(body["to"], eve.actor.as_str());
                let missing = format!("https://eko.example/user/bob/keyPackage/{}", second.id());
                assert_eq!(body["missingKeyPackages"], json!([missing]));
            }
            409 => {
                insta::assert_json_snapshot!("reject", body);
                assert_eq!(body["type"], "Reject");
                assert_eq!(body["staleDevices"], json!([third.address()]));
                assert_eq!(body["eko:deviceSetOutOfDate"], true);
            }
            _ => {}
        }
    }
    b.deliver().await;
    let got: Vec<String> = b.messages(&bob).await.iter().map(|m| m.letter.header.id.to_string()).collect();
    assert_eq!(got, ids[..3]);
    // The other server's actor was fetched once for all deliveries.
    assert_eq!(eve.asked().len(), 1);
}
