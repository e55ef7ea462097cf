//! Device chains of users on other servers, read through the own server.

use eko_protocol::address::UserName;
use eko_testkit::{ChainChanges as _, Internet, Stranger, StrangerAnswer, World, refused};
use http::header;

use crate::ServerPair;

#[tokio::test]
async fn a_chain_of_another_servers_user() {
    let pair = ServerPair::new().await;
    let second = pair.b.further(&pair.bob, "two").await;
    pair.bob.revoke(second.id()).await.unwrap();
    let (there, bob) = (pair.bob.origin(), pair.bob.user());
    let direct = pair.bob.chain(bob).await.unwrap();
    assert_eq!(direct.0.len(), 3);
    let before = pair.a.stored().await;
    assert_eq!(pair.alice.chain_through_home(there, bob).await.unwrap(), direct);
    // The chain grows, and the next read shows it: nothing is kept.
    pair.b.further(&pair.bob, "three").await;
    let grown = pair.alice.chain_through_home(there, bob).await.unwrap();
    assert_eq!((grown.0.len(), &grown.0[..3]), (4, &direct.0[..]));
    assert_eq!(pair.a.stored().await.difference(&before), []);
    let nobody = UserName::parse("nobody").unwrap();
    assert_eq!(refused(pair.alice.chain_through_home(there, &nobody).await), "404 not-found");
    pair.settle().await;
    pair.b.erase().await;
}

/// A device reads every chain in the same way, those of its own server too.
#[tokio::test]
async fn a_chain_of_the_own_server() {
    let world = World::with(|config| config.federation = None).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let read = alice.chain_through_home(bob.origin(), bob.user()).await.unwrap();
    assert_eq!(read, alice.chain(bob.user()).await.unwrap());
    let nobody = UserName::parse("nobody").unwrap();
    assert_eq!(refused(alice.chain_through_home(bob.origin(), &nobody).await), "404 not-found");
    // This server does not federate, so it asks nobody else.
    let other = eko_protocol::address::Origin::parse("https://b.example").unwrap();
    assert_eq!(refused(alice.chain_through_home(&other, bob.user()).await), "422 invalid #/id");
}

/// The other server sees a request of Alice's server, and nothing of Alice or her device.
#[tokio::test]
async fn the_other_server_does_not_learn_who_asks() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let alice = a.user("alice").await;
    let eve = Stranger::new(&internet, "eve.example").await;
    eve.document("/user/eve/devices", StrangerAnswer::status(404));
    let there = eko_protocol::address::Origin::parse(&eve.origin).unwrap();
    let read = alice.chain_through_home(&there, &UserName::parse("eve").unwrap()).await;
    assert_eq!(refused(read), "404 not-found");
    let asked = eve.asked();
    assert_eq!((asked.len(), asked[0].target.as_str()), (1, "/user/eve/devices"));
    let mut names: Vec<&str> = asked[0].headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
    let agent = asked[0].headers[header::USER_AGENT].to_str().unwrap();
    assert!(agent.starts_with("eko-messages/") && agent.ends_with("(+https://a.example)"), "{agent}");
    assert!(asked[0].body.is_empty());
}
