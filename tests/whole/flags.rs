//! Reports of messages on one server: what its operator learns, and what the reporter does not.

use eko_client::Device;
use eko_client::device::ReportOutcome;
use eko_client::{Auth, Body, Exchange};
use eko_protocol::flag::Flag;
use eko_protocol::franking::franking_tag;
use eko_protocol::id::EnvelopeId;
use eko_protocol::vocabulary::in_context;
use eko_testkit::{DirectTransport, FrankedContent, World, refusal};
use http::Method;
use serde_json::Value;

/// A change of a true report, by which it becomes a false one. The other report is a true one too.
type Forgery = fn(&mut Flag, &Flag);

async fn world() -> (World, Device<DirectTransport>, Device<DirectTransport>) {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    (world, alice, bob)
}

/// Has Alice send a message to Bob, and returns the report that he can make.
async fn message(
    world: &World,
    alice: &Device<DirectTransport>,
    bob: &Device<DirectTransport>,
    text: &str,
) -> Flag {
    let franked = FrankedContent::new(&alice.actor(), &bob.actor(), text);
    alice.send(&franked.envelope(alice, &[bob])).await.unwrap();
    world.deliver().await;
    franked.flag(world.messages(bob).await.last().unwrap())
}

async fn post(device: &Device<DirectTransport>, body: &Value) -> Exchange {
    let path = device.origin().outbox(device.user());
    device.call(Method::POST, &path, Body::Json(&in_context(body.clone())), Auth::Device).await.unwrap()
}

#[tokio::test]
async fn a_true_report_is_verified_and_forged_ones_are_not() {
    let (world, alice, bob) = world().await;
    let carol = world.user("carol").await;
    let truth = message(&world, &alice, &bob, "a threat").await;
    let later = {
        world.advance(1_000);
        message(&world, &alice, &bob, "hello").await
    };
    let forgeries: [(&str, Forgery); 8] = [
        ("a text that was never sent", |flag, _| {
            flag.evidence.content = flag.evidence.content.replace("threat", "joke")
        }),
        ("the same, with its own tag", |flag, _| {
            flag.evidence.content = flag.evidence.content.replace("threat", "joke");
            flag.evidence.tag = franking_tag(&flag.evidence.key, flag.evidence.content.as_bytes());
        }),
        ("another sender", |flag, _| {
            flag.author = "https://eko.example/user/carol".to_owned();
            flag.evidence.content = flag.evidence.content.replace("user/alice", "user/carol");
            flag.evidence.tag = franking_tag(&flag.evidence.key, flag.evidence.content.as_bytes());
        }),
        ("another sender, the same content", |flag, _| {
            flag.author = "https://eko.example/user/carol".to_owned()
        }),
        ("another time", |flag, later| flag.evidence.activity = later.evidence.activity.clone()),
        ("another envelope", |flag, _| {
            flag.evidence.envelope = EnvelopeId::parse("https://eko.example/message/1").unwrap();
        }),
        ("another device", |flag, _| flag.evidence.device.push('0')),
        ("the franking of another message", |flag, later| {
            (flag.evidence.tag, flag.evidence.mac) = (later.evidence.tag, later.evidence.mac);
        }),
    ];
    world.calls.reset();
    let accepted = post(&bob, &truth.to_value(None)).await;
    let calls = world.calls.made();
    assert_eq!((accepted.status.as_u16(), accepted.body.len()), (202, 0));
    assert_eq!(calls, ["GetItem", "GetItem", "UpdateItem", "TransactWriteItems"]);
    assert_eq!(world.flags().await, ["verified"]);
    for (what, forge) in forgeries {
        let mut forged = truth.clone();
        forge(&mut forged, &later);
        world.calls.reset();
        let answer = post(&bob, &forged.to_value(None)).await;
        // The reporter does not learn what the server thinks of it.
        assert_eq!((answer.status, answer.body.len()), (accepted.status, 0), "{what}");
        assert_eq!(world.calls.made(), calls, "{what}");
        assert_eq!(
            world.flags().await.iter().filter(|standing| *standing == "verified").count(),
            1,
            "{what}"
        );
    }
    assert_eq!(world.flags().await.len(), 9);
    // Carol has not got it. Whoever shows it to her cannot have her report it.
    assert_eq!(carol.report_message(&truth).await.unwrap(), ReportOutcome::Accepted);
    assert_eq!(world.flags().await.iter().filter(|standing| *standing == "verified").count(), 1);
    // What is reported twice on one day is stored once, and the reporter is told so.
    let other_words = Flag { reason: Some("in other words".to_owned()), ..truth.clone() };
    assert_eq!(bob.report_message(&other_words).await.unwrap(), ReportOutcome::Repeated);
    assert_eq!(world.flags().await.len(), 10);
}

/// A device cannot give its own envelopes a MAC, and one without a tag gets none.
#[tokio::test]
async fn only_the_server_vouches() {
    let (world, alice, bob) = world().await;
    let franked = FrankedContent::new(&alice.actor(), &bob.actor(), "hello");
    let mut create = alice.create_activity(&franked.envelope(&alice, &[&bob]));
    create["object"]["eko:franking"]["mac"] = franked.key.to_base64().into();
    assert_eq!(post(&alice, &create).await.status, 201);
    world.advance(1_000);
    world.send(&alice, &[&bob]).await;
    world.deliver().await;
    let messages = world.messages(&bob).await;
    let franking = messages[0].letter.header.franking.unwrap();
    assert_ne!(franking.mac.unwrap().to_base64(), franked.key.to_base64());
    assert_eq!(messages[1].letter.header.franking, None);
    bob.report_message(&franked.flag(&messages[0])).await.unwrap();
    assert_eq!(world.flags().await, ["verified"]);
    // The same envelope, sent again, has the same MAC.
    assert_eq!(post(&alice, &create).await.status, 201);
    world.deliver().await;
    assert_eq!(world.messages(&bob).await, messages);
}

#[tokio::test]
async fn what_is_no_report_is_refused() {
    let (world, alice, bob) = world().await;
    let truth = message(&world, &alice, &bob, "a threat").await;
    let refused = async |device: &Device<DirectTransport>, change: fn(&mut Value)| {
        let mut body = truth.to_value(None);
        change(&mut body);
        refusal(&post(device, &body).await)
    };
    assert_eq!(refused(&alice, |_| {}).await, "422 invalid #/object");
    let other = |body: &mut Value| body["actor"] = "https://eko.example/user/alice".into();
    assert_eq!(refused(&bob, other).await, "403 not-yours #/actor");
    let other = |body: &mut Value| body["eko:evidence"]["to"] = "https://eko.example/user/alice".into();
    assert_eq!(refused(&bob, other).await, "422 invalid #/eko:evidence/to");
    let without = |body: &mut Value| body["eko:evidence"] = Value::Null;
    assert_eq!(refused(&bob, without).await, "422 invalid #/eko:evidence");
    let pending = world.pending(&bob, "two").await;
    assert_eq!(refused(&pending, |_| {}).await, "403 device-pending");
    assert!(world.flags().await.is_empty());
    world.deliver().await;
}

/// A server without a signing key vouches for nobody. Messages go on, and their reports are stored.
#[tokio::test]
async fn a_server_without_a_key() {
    let world = World::with(|config| config.federation = None).await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let franked = FrankedContent::new(&alice.actor(), &bob.actor(), "hello");
    alice.send(&franked.envelope(&alice, &[&bob])).await.unwrap();
    world.deliver().await;
    assert_eq!(world.messages(&bob).await[0].letter.header.franking, None);
    // What Bob makes up himself is stored, and not believed.
    let other = self::world().await;
    let flag = message(&other.0, &other.1, &other.2, "hello").await;
    bob.report_message(&flag).await.unwrap();
    assert_eq!(world.flags().await, ["false"]);
}
