//! A message on its way from Alice's device to Bob's two, as a transcript: each request, and its
//! whole answer.

use eko_client::Device;
use eko_protocol::id::EnvelopeId;
use eko_protocol::vocabulary::context;
use eko_testkit::{ChainChanges as _, DirectTransport, envelope};
use serde_json::{Value, json};

use crate::people::alice_and_bobs_two;
use crate::requests::{get, post};

/// Fetches a device's mailbox and returns the whole page.
async fn inbox_page(device: &Device<DirectTransport>) -> Value {
    let answer = get(device, &format!("/user/{}/inbox", device.user())).await;
    assert_eq!(answer.status, 200);
    answer.json().unwrap()
}

#[tokio::test]
async fn from_one_device_to_two() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;

    // Alice takes the key packages of Bob's devices.
    let take = alice.take_activity(json!("https://eko.example/user/bob/keyPackages"));
    let packages = post(&alice, "/user/bob/keyPackages", &take).await;
    assert_eq!(packages.status, 200);
    let packages = packages.json().unwrap();
    assert_eq!(packages["@context"], context());
    insta::assert_json_snapshot!(packages, {
        r#"["@context"]"# => "[context]",
        ".items[].identityKey" => "[key]",
        ".items[].signedPreKey" => "[key]",
        ".items[].signedPreKeySignature" => "[signature]",
        ".items[].preKey" => "[key]",
        ".items[].kyberPreKey" => "[key]",
        ".items[].kyberPreKeySignature" => "[signature]",
    }, @r#"
    {
      "@context": "[context]",
      "eko:deviceSet": {
        "head": "d4578417ded8383fcb2bd8d1fcf82121f3aa7757e53dc30b827a34748aa5a161",
        "length": 2
      },
      "id": "https://eko.example/user/bob/keyPackages",
      "items": [
        {
          "device": "https://eko.example/user/bob/device/d349574d-8be4-49d8-b90d-21e220cfae89",
          "id": "https://eko.example/user/bob/keyPackage/d349574d-8be4-49d8-b90d-21e220cfae89",
          "identityKey": "[key]",
          "registrationId": 13600,
          "signedPreKey": "[key]",
          "signedPreKeyId": 1,
          "signedPreKeySignature": "[signature]",
          "type": [
            "Object",
            "KeyPackage"
          ]
        },
        {
          "device": "https://eko.example/user/bob/device/fa4240bb-3ab9-4ce6-a5ee-f60d6f192086",
          "id": "https://eko.example/user/bob/keyPackage/fa4240bb-3ab9-4ce6-a5ee-f60d6f192086",
          "identityKey": "[key]",
          "kyberPreKey": "[key]",
          "kyberPreKeyId": 2,
          "kyberPreKeySignature": "[signature]",
          "preKey": "[key]",
          "preKeyId": 1,
          "registrationId": 16220,
          "signedPreKey": "[key]",
          "signedPreKeyId": 1,
          "signedPreKeySignature": "[signature]",
          "type": [
            "Object",
            "KeyPackage"
          ]
        }
      ],
      "totalItems": 2,
      "type": "Collection"
    }
    "#);

    // She sends an envelope.
    let mut outgoing = envelope(&alice, &[&bob, &second]);
    outgoing.id =
        EnvelopeId::parse("https://eko.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd971").unwrap();
    outgoing.device_set = alice.chain(bob.user()).await.unwrap().1.device_set().reference();
    world.advance(1234);
    let sent = post(&alice, "/user/alice/outbox", &alice.create_activity(&outgoing)).await;
    assert_eq!(sent.status, 201);
    let sent = sent.json().unwrap();
    assert_eq!(sent["@context"], context());
    insta::assert_json_snapshot!(sent, { r#"["@context"]"# => "[context]" }, @r#"
    {
      "@context": "[context]",
      "actor": "https://eko.example/user/alice",
      "id": "https://eko.example/activity/019c0b3b-e792-7264-9c3e-6c2e75806e9a",
      "object": {
        "id": "https://eko.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd971",
        "published": "2026-01-29T19:30:01.234Z",
        "type": [
          "Object",
          "SignalEnvelope"
        ]
      },
      "to": "https://eko.example/user/bob",
      "type": "Create"
    }
    "#);

    // Bob's second device fetches it.
    world.deliver().await;
    let page = inbox_page(&second).await;
    assert_eq!(page["@context"], context());
    insta::assert_json_snapshot!(page, { r#"["@context"]"# => "[context]" }, @r#"
    {
      "@context": "[context]",
      "eko:kyberPreKeyCount": 0,
      "eko:preKeyCount": 0,
      "id": "https://eko.example/user/bob/inbox",
      "orderedItems": [
        {
          "actor": "https://eko.example/user/alice",
          "eko:entry": "https://eko.example/user/bob/inbox/019c0b3be792-a3c863d52f5c62649c3e6c2e75806e9a",
          "eko:received": "2026-01-29T19:30:01.234Z",
          "id": "https://eko.example/activity/019c0b3b-e792-7264-9c3e-6c2e75806e9a",
          "object": {
            "eko:deviceSet": {
              "head": "d4578417ded8383fcb2bd8d1fcf82121f3aa7757e53dc30b827a34748aa5a161",
              "length": 2
            },
            "id": "https://eko.example/message/5cd5914c-7b80-4682-b1e9-9059f52bd971",
            "messages": [
              {
                "content": "c2VhbGVkIGZvciBkMzQ5NTc0ZC04YmU0LTQ5ZDgtYjkwZC0yMWUyMjBjZmFlODk=",
                "from": "https://eko.example/user/alice/device/90816503-b9ba-4649-bfc0-f3beb547eb8a",
                "to": "https://eko.example/user/bob/device/d349574d-8be4-49d8-b90d-21e220cfae89"
              }
            ],
            "notify": true,
            "published": "2026-01-29T19:30:01.234Z",
            "type": [
              "Object",
              "SignalEnvelope"
            ]
          },
          "to": "https://eko.example/user/bob",
          "type": "Create"
        }
      ],
      "partOf": "https://eko.example/user/bob/inbox",
      "type": "OrderedCollectionPage"
    }
    "#);

    // The device acknowledges the message, and Alice gets the receipt.
    let entry = page["orderedItems"][0]["eko:entry"].clone();
    let confirmed = post(&second, "/user/bob/outbox", &json!({ "type": "Delivered", "object": entry })).await;
    assert_eq!((confirmed.status.as_u16(), confirmed.body.len()), (204, 0));
    world.deliver().await;
    insta::assert_json_snapshot!("page_with_a_receipt", inbox_page(&alice).await);
}

#[tokio::test]
async fn to_a_device_too_few_and_one_too_many() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    let mut outgoing = envelope(&alice, &[&bob]);
    let partial = post(&alice, "/user/alice/outbox", &alice.create_activity(&outgoing)).await;
    assert_eq!(partial.status, 207);
    insta::assert_json_snapshot!("partial_delivery", partial.json().unwrap());

    bob.revoke(second.id()).await.unwrap();
    outgoing.messages = envelope(&alice, &[&second]).messages;
    let rejected = post(&alice, "/user/alice/outbox", &alice.create_activity(&outgoing)).await;
    assert_eq!(rejected.status, 409);
    assert_eq!(rejected.headers["content-type"], "application/activity+json");
    insta::assert_json_snapshot!("reject", rejected.json().unwrap());
    world.deliver().await;
}
