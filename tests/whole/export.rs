//! The export of an account: everything that names its owner is in it or named as an exception, in
//! bounded pages, for active devices of the owner alone.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use eko_client::device::ExportProgress;
use eko_client::{Auth, Body, Device, Exchange};
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::limits::{MAX_GROUP_STATE_BYTES, MAX_PAGE_EXPORTED};
use eko_store::sent::SentEnvelopeName;
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, Feature, World, ciphertext, refusal, refused};
use http::Method;
use serde_json::Value;

use crate::deletion::WandaScene;
use crate::people::alice_and_bobs_two;

/// Reads a whole export.
pub(crate) async fn export(device: &Device<DirectTransport>) -> Vec<Value> {
    let (mut progress, mut items) = (ExportProgress::default(), Vec::new());
    while !progress.is_over() {
        items.extend(device.export_next(&mut progress).await.unwrap());
    }
    items
}

/// GETs a path of an export.
async fn get(device: &Device<DirectTransport>, path: &str) -> Exchange {
    device.call(Method::GET, path, Body::Empty, Auth::Device).await.unwrap()
}

/// Returns the text of a cursor.
fn cursor(plain: &str) -> String {
    URL_SAFE_NO_PAD.encode(plain)
}

/// Returns the type of an exported item.
fn kind(item: &Value) -> &str {
    item["type"][1].as_str().unwrap()
}

/// Returns the items of a type.
pub(crate) fn of_kind<'a>(items: &'a [Value], name: &str) -> Vec<&'a Value> {
    items.iter().filter(|item| kind(item) == name).collect()
}

/// Returns the number of items of each type.
fn counts<'a>(kinds: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// Returns the type in which the owner gets the item with this key. What is none of the owner's items is
/// on the list of exceptions (`docs/protocol.md`, section 10).
fn expected(pk: &str, sk: &str) -> Result<&'static str, &'static str> {
    let starts = |kinds: &[(&str, &'static str)]| {
        kinds.iter().find(|(start, _)| sk.starts_with(start)).map(|(_, kind)| *kind).unwrap_or("?")
    };
    Ok(match pk {
        "U#wanda" => starts(&[
            ("PROFILE", "Account"),
            ("DEVICES", "DeviceSet"),
            ("CHAIN#", "ChainRecord"),
            ("A#", "KnownActor"),
            ("B#", "BlockRecord"),
            ("E#", "ReceivedEnvelope"),
            ("X#", "SentEnvelope"),
            ("LIVE", "LiveState"),
        ]),
        "C#wanda" => "ListedDevice",
        "G#wanda" => "SealedGroupState",
        "L#wanda" => "Counter",
        _ if pk.starts_with("D#wanda#") => starts(&[
            ("DEVICE", "DeviceRecord"),
            ("M#", "MailboxEntry"),
            ("OPK#", "OneTimePreKeys"),
            ("PQK#", "OneTimeKyberPreKeys"),
            ("PREKEYS", "LastingKeys"),
            ("PUSH", "PushSubscription"),
            ("S#", "RefreshToken"),
        ]),
        _ if pk.starts_with("O#") => return Err("the subject's binding, which says what Account says"),
        _ if pk.starts_with("K#") => return Err("a socket, which LiveState has"),
        _ if pk.starts_with("Q#") => return Err("a reported message, which is the operator's"),
        _ if ["D#", "U#", "L#"].iter().any(|kind| pk.starts_with(kind)) => return Err("another user's"),
        _ => panic!("neither in the export nor an exception: {pk} {sk}"),
    })
}

#[tokio::test]
async fn whatever_names_the_owner_is_exported_or_a_named_exception() {
    let scene = WandaScene::new().await;
    let WandaScene { world, alice, wanda, second, .. } = &scene;
    let elsewhere = SentEnvelopeName {
        author: wanda.user(),
        recipient_origin: &eko_protocol::address::Origin::parse("https://b.example").unwrap(),
        id: &wanda.envelope_id(),
    };
    let (now_ms, ttl) = (world.now_ms(), world.now_ms() / 1000 + 60);
    world.state.store().record_sent(elsewhere, wanda.id(), now_ms, ttl).await.unwrap();

    let exported = export(second).await;
    let stored = world.items_naming("wanda").await;
    let keys = stored.iter().map(|line| {
        let mut words = line.splitn(3, ' ');
        (words.next().unwrap(), words.next().unwrap())
    });
    let mut exceptions = Vec::new();
    // The count of her reports names her by a hash.
    let mut own = vec!["Counter"];
    for (pk, sk) in keys.clone() {
        match expected(pk, sk) {
            Ok(kind) => own.push(kind),
            Err(reason) => exceptions.push(reason),
        }
    }
    assert_eq!(counts(exported.iter().map(kind)), counts(own));
    // The scene has every kind that there is, so that every rule of the export is played.
    let all = [
        "Account",
        "BlockRecord",
        "ChainRecord",
        "Counter",
        "DeviceRecord",
        "DeviceSet",
        "KnownActor",
        "LastingKeys",
        "ListedDevice",
        "LiveState",
        "MailboxEntry",
        "OneTimeKyberPreKeys",
        "OneTimePreKeys",
        "PushSubscription",
        "ReceivedEnvelope",
        "RefreshToken",
        "SealedGroupState",
        "SentEnvelope",
    ];
    assert_eq!(counts(exported.iter().map(kind)).into_keys().collect::<Vec<_>>(), all);
    assert_eq!(
        counts(exceptions).into_keys().collect::<Vec<_>>(),
        [
            "a reported message, which is the operator's",
            "a socket, which LiveState has",
            "another user's",
            "the subject's binding, which says what Account says"
        ]
    );

    // What it says.
    let only = |name: &str| of_kind(&exported, name)[0].clone();
    assert_eq!(only("Account")["oidcSubject"], "dev|wanda");
    assert_eq!(only("BlockRecord")["party"], "https://spam.example");
    let known = of_kind(&exported, "KnownActor");
    assert!(known.iter().any(|item| item["party"] == alice.actor() && item["known"].is_string()));
    assert_eq!(only("DeviceSet")["whoMayWrite"], "known");
    assert_eq!(only("PushSubscription")["pushService"], "https://push.example");
    assert_eq!(only("SealedGroupState")["content"], STANDARD.encode([0]));
    assert_eq!(only("LiveState")["sockets"][0]["value"]["ownDevice"], wanda.id().as_str());
    let letters = of_kind(&exported, "MailboxEntry");
    let letter = letters.iter().find(|entry| entry["author"] == alice.actor().as_str()).unwrap();
    let device = letter["device"].as_str().unwrap();
    assert!([wanda, second].iter().any(|own| own.address() == device), "{letter}");
    assert_eq!(letter["sender"], alice.address());
    assert_eq!(letter["size"], ciphertext(wanda).len());

    // What lets nobody act as her.
    let text = Value::Array(exported).to_string();
    for (pk, sk) in keys {
        if let Some(hash) = sk.strip_prefix("S#").filter(|_| pk.starts_with("D#wanda")) {
            assert!(!text.contains(hash), "a token's hash");
        }
    }
    for line in &stored {
        for name in ["\"fam\": \"S(\\\"", "\"next\": \"S(\\\""] {
            let secret = line.split_once(name).and_then(|(_, rest)| rest.split_once('\\'));
            if let Some((secret, _)) = secret {
                assert!(!secret.is_empty() && !text.contains(secret), "{name}");
            }
        }
    }
    for own in [wanda, second] {
        let tokens = own.tokens().unwrap();
        assert!(!text.contains(&tokens.refresh) && !text.contains(&tokens.access));
        assert!(!text.contains(&STANDARD.encode(ciphertext(own))));
    }
    assert!(!text.contains("https://push.example/"));
}

#[tokio::test]
async fn large_accounts_come_in_bounded_pages() {
    let world = World::new().await;
    let alice = world.user_with("alice", BARE).await;
    let bob = world.user_with("bob", BARE).await;
    for n in 0..6 {
        let state = SealedGroupState { epoch: 1, content: vec![n; MAX_GROUP_STATE_BYTES] };
        alice.keep_group_state(&GroupStateId::from_mac([n; 16]), &state).await.unwrap();
    }
    let has_page_ends = !Feature::PageEnds.is_lacking().await;
    world.send(&bob, &[&alice]).await;
    world.deliver().await;
    let letters = MAX_PAGE_EXPORTED + 20;
    world.copy_item(("U#alice", "E#"), letters - 1).await;
    let mut next = Some(alice.origin().export(alice.user()));
    let (mut pages, mut items) = (Vec::new(), Vec::new());
    while let Some(url) = next {
        let answer = get(&alice, &url).await;
        assert_eq!(answer.status, 200, "{url}");
        // Lambda answers with 6 MB at most.
        assert!(!has_page_ends || answer.body.len() < 2 << 20, "{}", answer.body.len());
        assert_eq!(answer.headers["cache-control"], "no-store");
        let page = answer.json().unwrap();
        assert_eq!(page["id"], url);
        let found = page["orderedItems"].as_array().unwrap().clone();
        assert!(found.len() <= MAX_PAGE_EXPORTED);
        pages.push(found.len());
        items.extend(found);
        next = page["next"].as_str().map(str::to_owned);
    }
    let kinds = counts(items.iter().map(kind));
    assert_eq!(
        (kinds["MailboxEntry"], kinds["ReceivedEnvelope"], kinds["SealedGroupState"]),
        (1, letters, 6)
    );
    // The envelopes' records need two pages, and the group states as many.
    assert!(!has_page_ends || pages.len() >= 8, "{pages:?}");
    // Nothing comes twice.
    let mut texts: Vec<String> = items.iter().map(Value::to_string).collect();
    let all = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), all);
}

#[tokio::test]
async fn a_cursor_leads_to_nothing_of_anybody_else() {
    let (world, alice, bob, second) = alice_and_bobs_two().await;
    world.send(&alice, &[&bob, &second]).await;
    world.deliver().await;
    let first = get(&bob, "/user/bob/export").await.json().unwrap();
    let next = first["next"].as_str().unwrap();
    let of_bob = next.split_once("?cursor=").unwrap().1;
    assert_eq!(refusal(&get(&alice, next).await), "403 not-owner");
    assert_eq!(
        refusal(&get(&alice, &format!("/user/alice/export?cursor={of_bob}")).await),
        "400 bad-request"
    );
    for junk in ["", "x", "!", &cursor("alice"), &cursor("alice device - -"), &cursor("alice device bob#1 -")]
    {
        let answer = get(&alice, &format!("/user/alice/export?cursor={junk}")).await;
        assert_eq!(refusal(&answer), "400 bad-request", "{junk}");
    }
    // Whoever makes a cursor up stays in the own partitions.
    for plain in [
        format!("alice device {} -", bob.id()),
        format!("alice device {} M#", bob.id()),
        "alice groups - U#bob".to_owned(),
    ] {
        let answer = get(&alice, &format!("/user/alice/export?cursor={}", cursor(&plain))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json().unwrap()["orderedItems"].clone()),
            (200, Value::Array(vec![]))
        );
    }
}

#[tokio::test]
async fn only_an_active_device_exports_and_others_use_nothing_up() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let (second, pending) = (world.further(&alice, "two").await, world.pending(&alice, "three").await);
    let before = export(&second).await;
    // The devices that wait are the user's, too.
    assert_eq!(of_kind(&before, "DeviceRecord").len(), 3);
    alice.revoke(second.id()).await.unwrap();
    for (device, refused_as) in [(&second, "401 device-revoked"), (&pending, "403 device-pending")] {
        world.calls.reset();
        assert_eq!(refused(device.export_next(&mut ExportProgress::default()).await), refused_as);
        assert_eq!(world.calls.made(), ["GetItem"]);
    }
    world.erase().await;
}

/// A device that registered before there was a list of devices is in the device set alone.
#[tokio::test]
async fn a_device_that_is_not_listed_is_exported() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let _second = world.further(&alice, "two").await;
    let whole = export(&alice).await;
    world.remove_partition("C#alice").await;
    let (mut listed, unlisted) = (counts(whole.iter().map(kind)), export(&alice).await);
    assert_eq!(listed.remove("ListedDevice"), Some(2));
    assert_eq!(counts(unlisted.iter().map(kind)), listed);
}

/// The calls are those that `docs/decisions/0039-export.md` counts: three for each page, and for an
/// account with one device a page of each of its five parts, one of the device, and one after it.
#[tokio::test]
async fn what_an_export_costs() {
    let world = World::new().await;
    let bob = world.user_with("bob", BARE).await;
    world.calls.reset();
    export(&bob).await;
    assert_eq!(world.calls.made(), ["GetItem", "UpdateItem", "Query"].repeat(7));
}
