//! Tests of who may write: the server is told whom the user knows, and only if that matters.

use eko_client::messenger::Notice;
use eko_protocol::settings::WhoMayWrite;
use eko_testkit::World;

use crate::people::{befriend, first, further, hear, say};
use crate::test_network::TestNetwork;

#[tokio::test]
async fn known_people_write_as_before_and_others_ask() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let mallory = first(&world, &wire, "mallory").await;
    befriend(&alice, &bob).await;
    alice.let_write(WhoMayWrite::Known).await.unwrap();
    assert_eq!(alice.who_may_write().await.unwrap(), WhoMayWrite::Known);
    for number in 0..5 {
        say(&bob, &alice.me(), &format!("{number}")).await;
        say(&mallory, &alice.me(), &format!("buy {number}")).await;
    }
    world.deliver().await;
    let received = alice.receive().await.unwrap();
    assert_eq!(received.messages.len(), 5);
    assert_eq!(received.notices, [Notice::Request { actor: mallory.me().actor() }]);
    let [request] = <[_; 1]>::try_from(alice.requests().unwrap()).unwrap();
    assert_eq!(request.messages.len(), 3);
    world.deliver().await;
    // Whom Alice writes to may answer.
    say(&alice, &mallory.me(), "no").await;
    say(&mallory, &alice.me(), "a pity").await;
    world.deliver().await;
    assert!(hear(&world, &alice).await.contains(&"a pity".to_owned()));
    world.deliver().await;
    for device in [&bob, &mallory] {
        device.receive().await.unwrap();
    }
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
}

/// Another device reads the setting, and then tells the server of those whom it meets.
#[tokio::test]
async fn another_device_keeps_to_the_setting() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, carol) = (first(&world, &wire, "alice").await, first(&world, &wire, "carol").await);
    let phone = further(&world, &wire, &alice, "two").await;
    alice.let_write(WhoMayWrite::Nobody).await.unwrap();
    world.advance(25 * 3_600_000);
    phone.receive().await.unwrap();
    say(&phone, &carol.me(), "hello").await;
    world.deliver().await;
    assert_eq!(hear(&world, &carol).await, ["hello"]);
    say(&carol, &phone.me(), "so it is").await;
    world.deliver().await;
    assert_eq!(hear(&world, &phone).await, ["so it is"]);
    world.deliver().await;
    alice.receive().await.unwrap();
    carol.receive().await.unwrap();
    world.deliver().await;
}
