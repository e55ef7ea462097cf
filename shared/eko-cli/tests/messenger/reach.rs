//! Tests of URLs that a server or a contact names: nothing of this machine is fetched for them.

use eko_client::messenger::{MessengerError, Notice};
use eko_client::{ClientError, TransportError};
use eko_protocol::address::{Handle, Origin};
use eko_testkit::{Internet, World};

use crate::people::{first, say};
use crate::test_network::{FalseAnswer, TestNetwork};

/// A service of this machine that an attacker would like to reach.
const SERVICE: &str = "http://127.0.0.1:9000";

/// Returns the requests that went to another server than the one at `own`.
fn astray(wire: &TestNetwork, own: &Origin) -> Vec<String> {
    wire.asked.lock().unwrap().iter().filter(|url| !own.owns(url)).cloned().collect()
}

#[tokio::test]
async fn an_author_on_this_machine_is_not_looked_up() {
    let local = Origin::parse("http://localhost:8080").unwrap();
    for origin in [local, Origin::parse("https://eko.example").unwrap()] {
        let world = World::with(|config| config.origin = origin.clone()).await;
        let wire = TestNetwork::to(&[&world]);
        let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
        say(&bob, &alice.me(), "hello").await;
        world.deliver().await;
        // The server puts an author on this machine in the place of Bob.
        let (true_author, false_author) = (bob.me().actor(), format!("{SERVICE}/user/bob"));
        wire.tamper(move |passing| {
            let body = String::from_utf8(passing.answer.to_vec()).ok()?;
            let body = body.replace(&true_author, &false_author).into_bytes();
            (passing.endpoint == ("GET", "/user/alice/inbox")).then_some(FalseAnswer { status: 200, body })
        });
        let received = alice.receive().await.unwrap();
        let [Notice::Unreadable { actor, why }] = &received.notices[..] else {
            panic!("{:?}", received.notices)
        };
        assert_eq!(actor, &format!("{SERVICE}/user/bob"));
        assert!(why.to_string().contains("is not federated with"), "{why}");
        assert_eq!(astray(&wire, &origin), [""; 0]);
        world.deliver().await;
    }
}

#[tokio::test]
async fn a_handle_of_this_machine_is_looked_up_only_if_its_server_was_named() {
    let world = World::with(|config| config.origin = Origin::parse("http://localhost:8080").unwrap()).await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let handle = Handle::parse("@bob@127.0.0.1:9000").unwrap();
    let refused = alice.find(&handle).await.unwrap_err();
    assert!(matches!(refused, MessengerError::Client(ClientError::Unfetchable(_))), "{refused}");
    assert_eq!(astray(&wire, world.state.origin()), [""; 0]);
    let alice = alice.with_local_servers(vec![Origin::parse(SERVICE).unwrap()]);
    let asked = alice.find(&handle).await.unwrap_err();
    assert!(
        matches!(asked, MessengerError::Client(ClientError::Transport(TransportError::Connect(_)))),
        "{asked}"
    );
    assert_eq!(astray(&wire, world.state.origin()).len(), 1);
}

/// Nobody's server decides whether they can be removed from a group, or found in the history.
#[tokio::test]
async fn a_user_whom_this_device_knows_is_found_without_their_server() {
    let internet = Internet::new();
    let (a, _) = World::online(&internet, "a.example").await;
    let (b, _) = World::online(&internet, "b.example").await;
    let wire = TestNetwork::to(&[&a, &b]);
    let alice = first(&a, &wire, "alice").await;
    let [carol, dave] = [first(&b, &wire, "carol").await, first(&b, &wire, "dave").await];
    let found = alice.find(&carol.me().handle()).await.unwrap();
    assert_eq!(found, carol.me());
    alice.create_group("Friday", &[found, dave.me()]).await.unwrap();
    let theirs = b.state.origin().clone();
    wire.drop_requests(move |request| {
        let is_theirs = theirs.owns(&request.uri().to_string());
        is_theirs.then(|| FalseAnswer { status: 404, body: Vec::new() })
    });
    wire.asked.lock().unwrap().clear();
    for person in [carol.me(), dave.me()] {
        assert_eq!(alice.find(&person.handle()).await.unwrap(), person);
    }
    assert_eq!(astray(&wire, a.state.origin()), [""; 0]);
    let nobody = Handle::parse("@nobody@b.example").unwrap();
    assert!(matches!(alice.find(&nobody).await, Err(MessengerError::NoSuchPerson(_))));
    wire.honest();
    for world in [&a, &b] {
        world.deliver().await;
    }
}
