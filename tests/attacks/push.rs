//! Push services that a user's own device names: they lead inside, redirect, never answer, or never
//! end. The server connects to no forbidden address, and other pushes are sent.

use eko_client::{Auth, Body, Device};
use eko_federation::client::PrivateHosts;
use eko_testkit::{Browser, DirectTransport, Internet, PushAnswer, PushSite, World};
use http::Method;

use crate::addresses::{TrapKind, traps};

/// Alice, and Bob whose device subscribes at whatever a test names.
struct PushAttack {
    internet: Internet,
    world: World,
    site: PushSite,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
}

impl PushAttack {
    async fn new() -> Self {
        Self::allowing("").await
    }

    /// Starts a scene whose operator lets these hosts be at private addresses.
    async fn allowing(hosts: &str) -> Self {
        let internet = Internet::new();
        let private = PrivateHosts::list(hosts).unwrap();
        let world = World::at(&internet, "eko.example", |config| {
            config.limits.sender_budget = 100_000;
            config.push.as_mut().unwrap().private = private;
        })
        .await;
        let site = PushSite::online(&internet, "push.example").await;
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        internet.forget();
        Self { internet, world, site, alice, bob }
    }

    /// Posts a subscription of Bob's device. Returns the status.
    async fn subscribe(&self, browser: &Browser) -> u16 {
        let body = Body::Json(&browser.subscription());
        self.bob.call(Method::POST, "/user/bob/push", body, Auth::Device).await.unwrap().status.as_u16()
    }

    /// Sends Bob a message and carries out the order.
    async fn send(&self) {
        self.world.send(&self.alice, &[&self.bob]).await;
        self.world.deliver().await;
        self.world.push().await;
    }
}

#[tokio::test]
async fn an_endpoint_inside_is_refused_or_never_dialled() {
    let scene = PushAttack::new().await;
    for trap in traps(&scene.internet) {
        let status = scene.subscribe(&Browser::at(&format!("{}/push/1", trap.base))).await;
        assert_eq!(status, if trap.kind == TrapKind::Resolves { 204 } else { 422 }, "{trap:?}");
        scene.send().await;
        assert_eq!(scene.internet.dialled(), [], "{trap:?}");
        // An order that the guard refuses does not come back.
        assert_eq!(scene.world.pushes().await, (0, 0), "{trap:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scene = PushAttack::new().await;
    assert_eq!(scene.subscribe(&scene.site.browser("1")).await, 204);
    scene.internet.name("inside.example", &["169.254.169.254"]);
    scene.site.answer([PushAnswer::Redirect("https://inside.example/latest/".to_owned())]);
    scene.send().await;
    assert_eq!(scene.internet.resolved(), ["push.example"]);
    assert_eq!(scene.world.pushes().await, (0, 0));
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read() {
    let scene = PushAttack::new().await;
    assert_eq!(scene.subscribe(&scene.site.browser("1")).await, 204);
    scene.site.answer([PushAnswer::Endless]);
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

/// A service that never answers costs its own order five seconds. An order beside it is carried
/// out, and the silent one comes back.
#[tokio::test]
async fn silence_delays_nobody_else() {
    let scene = PushAttack::new().await;
    let silent = PushSite::online(&scene.internet, "silent.example").await;
    assert_eq!(scene.subscribe(&silent.browser("1")).await, 204);
    let carol = scene.world.user("carol").await;
    let body = scene.site.browser("2").subscription();
    let answer = carol.call(Method::POST, "/user/carol/push", Body::Json(&body), Auth::Device).await;
    assert_eq!(answer.unwrap().status, 204);
    silent.answer([PushAnswer::Silence]);
    scene.world.send(&scene.alice, &[&scene.bob]).await;
    scene.world.send(&scene.alice, &[&carol]).await;
    scene.world.deliver().await;
    assert_eq!(scene.world.push().await, 2);
    assert_eq!((silent.requests(), scene.site.taken().len()), (1, 1));
    assert_eq!(scene.world.pushes().await, (1, 0));
    scene.world.advance(30_000);
    scene.world.push().await;
    assert_eq!(silent.taken().len(), 1);
}

/// A push service in the operator's own network, as UnifiedPush has them.
#[tokio::test]
async fn only_a_host_that_the_operator_lists_may_be_inside() {
    let scene = PushAttack::allowing("ntfy.lan").await;
    let inside = PushSite::at(&scene.internet, "ntfy.lan", "10.0.0.7:443".parse().unwrap()).await;
    assert_eq!(scene.subscribe(&inside.browser("1")).await, 204);
    scene.send().await;
    assert_eq!(inside.taken().len(), 1);
    assert_eq!(scene.internet.dialled(), ["10.0.0.7:443".parse().unwrap()]);
    // The list has hosts, not addresses, and covers no name below them.
    assert_eq!(scene.subscribe(&Browser::at("https://10.0.0.7/push/1")).await, 422);
    scene.internet.name("x.ntfy.lan", &["10.0.0.7"]);
    assert_eq!(scene.subscribe(&Browser::at("https://x.ntfy.lan/push/1")).await, 204);
    scene.send().await;
    assert_eq!(scene.internet.dialled().len(), 1);
}
