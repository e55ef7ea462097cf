//! Requests that are wrong in one way each: the answer is a problem with the right status, type and
//! pointer, and nothing is stored.

mod bodies;
mod envelopes;
mod paths;
mod registrations;
mod takes;
mod tokens;

use eko_client::transport::Transport as _;
use eko_client::{Auth, Body, Device, Exchange};
use eko_testkit::{DirectTransport, StoredState, World, refusal};
use http::Method;
use serde_json::Value;

const ACTIVITY: &str = "application/activity+json";

/// A server with Alice, who has a message in her mailbox, and Bob, who has two devices and a
/// pending one.
struct BadInputScene {
    world: World,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
    second: Device<DirectTransport>,
    /// The state of the store before any bad input.
    before: StoredState,
}

impl BadInputScene {
    /// Starts the server, which federates with nobody.
    async fn new() -> Self {
        let world = World::with(|config| {
            config.limits.sender_budget = 100_000;
            config.federation = None;
        })
        .await;
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let second = world.further(&bob, "two").await;
        world.pending(&bob, "three").await;
        world.send(&bob, &[&alice]).await;
        world.deliver().await;
        let before = world.stored().await;
        Self { world, alice, bob, second, before }
    }

    /// Sends a POST from Alice's device and returns the answer in one line.
    async fn post(&self, path: &str, body: Body<'_>, auth: Auth<'_>) -> String {
        self.ask(&Method::POST, path, body, auth).await
    }

    /// Sends a request from Alice's device and returns the answer in one line.
    async fn ask(&self, method: &Method, path: &str, body: Body<'_>, auth: Auth<'_>) -> String {
        refusal(&self.alice.call(method.clone(), path, body, auth).await.unwrap())
    }

    /// Posts an activity from Alice's device with its access token and returns the answer in one
    /// line.
    async fn post_activity(&self, path: &str, activity: &Value) -> String {
        self.post(path, Body::Json(activity), Auth::Device).await
    }

    /// Sends a GET from Alice's device and returns the answer in one line.
    async fn get(&self, path: &str, auth: Auth<'_>) -> String {
        refusal(&self.alice.call(Method::GET, path, Body::Empty, auth).await.unwrap())
    }

    /// Sends a request as it is, without Alice's device, and returns the answer in one line.
    async fn raw(&self, request: http::request::Builder, body: &str) -> String {
        let response =
            self.world.transport().send(request.body(body.to_owned().into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        refusal(&Exchange { status: parts.status, headers: parts.headers, body })
    }

    /// Asserts that the store is as it was before; `what` says what was sent.
    async fn assert_unchanged(&self, what: &str) {
        assert_eq!(self.world.stored().await.difference(&self.before), [], "{what} was stored");
    }
}
