//! A device that is not active gets nothing done.

use eko_messaging::{MessagingError, Refusal};
use eko_protocol::key_package::{LocalPackages, RequestedDevices};

use crate::server::{ORIGIN, TestServer, device, devices, envelope};

#[tokio::test]
async fn a_pending_or_unknown_device_neither_sends_nor_takes() {
    let server = TestServer::new().await;
    let (alice, bob) = (server.user("alice", &[1]).await, server.user("bob", &[1]).await);
    server.pending(&alice, 2).await;
    let create = envelope(&format!("{ORIGIN}/user/alice"), &bob, &[1], 1);
    for (number, expected) in [(2, Refusal::DevicePending), (3, Refusal::DeviceRevoked)] {
        let id = device(number);
        let sent = server.messaging.send_local(alice.at(&id), &create, &bob.name, None).await;
        let wanted = LocalPackages { user: bob.name.clone(), devices: RequestedDevices::All };
        let taken = server.messaging.take_for_device(alice.at(&id), wanted).await;
        for refused in [sent.map(drop), taken.map(drop)] {
            let Err(MessagingError::Refused(refusal)) = refused else { panic!("{refused:?}") };
            assert_eq!(refusal, expected);
        }
    }
    assert_eq!(server.waiting().await, 0, "nothing is queued");
}

#[tokio::test]
async fn an_active_device_takes_a_package_of_each_device() {
    let server = TestServer::new().await;
    let (alice, bob) = (server.user("alice", &[1]).await, server.user("bob", &[1, 2]).await);
    let wanted = LocalPackages { user: bob.name.clone(), devices: RequestedDevices::All };
    let collection = server.messaging.take_for_device(alice.at(&device(1)), wanted).await.unwrap();
    let items = collection["items"].as_array().unwrap();
    let taken =
        items.iter().map(|item| item["device"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
    assert_eq!(taken.collect::<std::collections::BTreeSet<_>>(), devices(&[1, 2]));
    let unknown = RequestedDevices::Named(vec![device(9)]);
    let refused = server
        .messaging
        .take_for_device(alice.at(&device(1)), LocalPackages { user: bob.name.clone(), devices: unknown })
        .await;
    let Err(MessagingError::Refused(Refusal::Invalid(invalid))) = refused else { panic!("{refused:?}") };
    assert_eq!(invalid.pointer, "/object/0");
}
