//! The fixture for envelopes to one server that is not ours.

use eko_client::device::{OutgoingEnvelope, SendOutcome};
use eko_client::{ClientError, Device};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use eko_testkit::{DirectTransport, Internet, Stranger, StrangerAnswer, World};
use serde_json::{Value, json};

/// A server with alice@a.example, and another server's actor, eve@eve.example, that answers as a
/// test scripts it.
pub(crate) struct StrangerScene {
    pub(crate) internet: Internet,
    pub(crate) a: World,
    pub(crate) alice: Device<DirectTransport>,
    pub(crate) eve: Stranger,
}

impl StrangerScene {
    /// Starts the server, and puts the other one on the same internet.
    pub(crate) async fn new() -> Self {
        let internet = Internet::new();
        let (a, _) = World::online(&internet, "a.example").await;
        let alice = a.user("alice").await;
        let mut eve = Stranger::new(&internet, "eve.example").await;
        // The actor has the URL that an Eko server would give it, so that the client library's
        // addresses fit.
        eve.actor = "https://eve.example/user/eve".to_owned();
        let mut document = eve.actor_document();
        document["inbox"] = json!("https://eve.example/user/eve/inbox");
        eve.document("/user/eve", StrangerAnswer::activity(200, &document));
        Self { internet, a, alice, eve }
    }

    /// Makes an envelope for a device of Eve's.
    pub(crate) fn envelope(&self) -> OutgoingEnvelope {
        let device = DeviceId::parse("00000000-0000-4000-8000-000000000001").unwrap();
        let id = self.alice.envelope_id();
        let there = Origin::parse("https://eve.example").unwrap();
        OutgoingEnvelope::new(UserName::parse("eve").unwrap(), id, vec![(device, vec![7; 100])]).at(&there)
    }

    /// Has Alice send an envelope.
    pub(crate) async fn send(&self, outgoing: &OutgoingEnvelope) -> Result<SendOutcome, ClientError> {
        self.alice.send(outgoing).await
    }

    /// Returns a report of Eve's on an envelope of Alice's.
    pub(crate) fn report(&self, kind: &str, outgoing: &OutgoingEnvelope) -> Value {
        json!({
            "type": kind, "actor": self.eve.actor, "to": self.alice.actor(), "object": outgoing.id,
            "summary": "as it happens",
        })
    }

    /// Returns the `Create` of an envelope of Eve's for the device of a user.
    pub(crate) fn create_for(&self, user: &Device<DirectTransport>, number: usize) -> Value {
        let message = json!({
            "to": user.address(),
            "from": format!("{}/device/1", self.eve.actor),
            "content": "c2VhbGVk",
        });
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "type": "Create",
            "actor": self.eve.actor,
            "to": user.actor(),
            "object": {
                "type": ["Object", "SignalEnvelope"],
                "id": format!("urn:uuid:00000000-0000-4000-8000-{number:012}"),
                "messages": [message],
            },
        })
    }

    /// Pumps the server's queues until nothing moves.
    pub(crate) async fn settle(&self) {
        while self.a.federate().await + self.a.deliver().await > 0 {}
    }
}
