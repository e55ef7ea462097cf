//! Tests of what a user does in two steps: the process dies between them, and the next one finds what it needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eko_client::messenger::MessengerError;
use eko_client::store::DeviceEnd;
use eko_protocol::block::BlockedParty;
use eko_testkit::World;
use serde_json::Value;

use crate::people::{befriend, code_of, device_called, first, further};
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, TestNetwork};

/// The chain has the device, and nobody says its name again.
#[tokio::test]
async fn the_name_of_a_device_is_known_if_the_process_dies_after_its_approval() {
    let world = World::new().await;
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let wire = TestNetwork::to(&[&world]);
    let (tablet, _) = device_called(&world, &wire, "alice", "tablet", Some("tablet")).await;
    let code = code_of(&tablet);
    let is_appended = Arc::new(AtomicBool::new(false));
    let appended = Arc::clone(&is_appended);
    user.line.tamper(move |passing| {
        if passing.endpoint == ("POST", "/user/alice/devices") {
            appended.store(true, Ordering::Relaxed);
        }
        None
    });
    tokio::select! {
        biased;
        done = alice.approve(&code) => panic!("{done:?}"),
        held = user.line.hold_together(move |_| is_appended.load(Ordering::Relaxed), 1) => {
            assert_eq!(held, ["/user/alice/devices"]);
        }
    }
    drop(alice);
    user.line.honest();
    let alice = user.open();
    let active = alice.devices().await.unwrap().active;
    let named = active.iter().find(|it| it.id == *tablet.device().id()).unwrap();
    assert_eq!(named.name.as_deref(), Some("tablet"));
    world.deliver().await;
    tablet.receive().await.unwrap();
    alice.receive().await.unwrap();
    world.deliver().await;
}

/// The server has deleted the account, and this device has not noted it.
#[tokio::test]
async fn a_deletion_is_known_if_the_process_dies_before_it_is_noted() {
    for is_repeated in [false, true] {
        let world = World::new().await;
        let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
        // A younger account is not deleted.
        world.advance(3_600_000);
        let issuer = world.state.config().oidc.clone();
        let challenge = alice.deletion_challenge().unwrap();
        let token = world.issue("alice", Some(challenge.nonce())).await;
        user.line.tamper(|passing| {
            (passing.endpoint == ("DELETE", "/user/alice"))
                .then(|| FalseAnswer { status: 503, body: b"the line is bad".to_vec() })
        });
        alice.delete_account(&issuer.issuer, &issuer.audience, &token).await.unwrap_err();
        assert_eq!(alice.device_end().unwrap(), None);
        drop(alice);
        user.line.honest();
        world.erase().await;
        let alice = user.open();
        if is_repeated {
            assert_eq!(alice.deletion_challenge().unwrap().nonce(), challenge.nonce());
            let token = world.issue("alice", Some(challenge.nonce())).await;
            alice.delete_account(&issuer.issuer, &issuer.audience, &token).await.unwrap();
        } else {
            let error = alice.receive().await.unwrap_err();
            assert!(matches!(error, MessengerError::AccountDeleted), "{error}");
        }
        assert_eq!(user.open().device_end().unwrap(), Some(DeviceEnd::Deleted));
        world.erase().await;
    }
}

/// The other devices are told of the end of a block before the server is. The process dies before it has told
/// them, and before it has told the server.
#[tokio::test]
async fn the_end_of_a_block_reaches_everybody_if_the_process_dies() {
    for dies_before_telling_devices in [true, false] {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
        let mallory = first(&world, &wire, "mallory").await;
        befriend(&alice, &mallory).await;
        let phone = further(&world, &wire, &alice, "phone").await;
        let whom = mallory.me().actor();
        let party = BlockedParty::parse(&whom).unwrap();
        assert!(alice.change_block(&party, false).await.unwrap());
        for device in [&phone, &alice] {
            world.deliver().await;
            device.receive().await.unwrap();
        }
        assert!(phone.is_blocked(&whom).unwrap());
        if dies_before_telling_devices {
            tokio::select! {
                biased;
                held = user.line.hold_together(|path| path == "/user/alice/outbox", 1) => {
                    assert_eq!(held.len(), 1);
                }
                done = alice.change_block(&party, true) => panic!("{done:?}"),
            }
        } else {
            user.line.drop_requests(|request| {
                let body: Value = serde_json::from_slice(request.body()).ok()?;
                (body["type"] == "Undo").then(|| FalseAnswer { status: 503, body: Vec::new() })
            });
            assert!(!alice.change_block(&party, true).await.unwrap());
        }
        let at_server = async || phone.device().blocks().await.unwrap().len();
        world.deliver().await;
        phone.receive().await.unwrap();
        assert_eq!(phone.is_blocked(&whom).unwrap(), dies_before_telling_devices);
        assert_eq!(at_server().await, 1);
        drop(alice);
        user.line.honest();
        // What a process has claimed is freed with its end.
        let alice = user.open();
        for device in [&alice, &phone] {
            device.receive().await.unwrap();
            world.deliver().await;
        }
        assert!(!phone.is_blocked(&whom).unwrap() && !alice.is_blocked(&whom).unwrap());
        assert_eq!(at_server().await, 0);
    }
}
