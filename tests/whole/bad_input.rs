//! What bad input gets: the right status, a problem with a stable type and a pointer, and nothing stored.

mod bodies;
mod envelopes;
mod paths;
mod registrations;
mod takes;
mod tokens;

use eko_client::transport::Transport as _;
use eko_client::{Auth, Body, Device, Exchange};
use eko_testkit::{Direct, Stored, World, refusal};
use http::Method;

const ACTIVITY: &str = "application/activity+json";

/// Alice with her mailbox, Bob with two devices, somebody who waits, and what was stored when all was well.
struct Scene {
    world: World,
    alice: Device<Direct>,
    bob: Device<Direct>,
    second: Device<Direct>,
    before: Stored,
}

impl Scene {
    async fn new() -> Self {
        let world = World::with(|config| {
            config.sender_budget = 100_000;
            config.federation = None;
        })
        .await;
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let second = world.further(&bob, "two").await;
        let waiting = world.pending(&bob, "three").await;
        world.send(&bob, &[&alice]).await;
        world.deliver().await;
        drop(waiting);
        let before = world.stored().await;
        Self { world, alice, bob, second, before }
    }

    async fn post(&self, path: &str, body: Body<'_>, auth: Auth<'_>) -> String {
        refusal(&self.alice.call(Method::POST, path, body, auth).await.unwrap())
    }

    async fn get(&self, path: &str, auth: Auth<'_>) -> String {
        refusal(&self.alice.call(Method::GET, path, Body::Empty, auth).await.unwrap())
    }

    /// Any request at all.
    async fn raw(&self, request: http::request::Builder, body: &str) -> String {
        let response =
            self.world.transport().send(request.body(body.to_owned().into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        refusal(&Exchange { status: parts.status, headers: parts.headers, body })
    }

    async fn unchanged(&self, what: &str) {
        assert_eq!(self.world.stored().await.difference(&self.before), [], "{what} was stored");
    }
}
