//! Section 10: registration, tokens, and the development issuer of local mode.

use bytes::Bytes;
use eko_client::device::JoinKind;
use eko_client::transport::HttpTransport;
use eko_local::server::{BoundServer, ISSUER_PATH, ServerOptions};
use eko_testkit::{ChainChanges as _, World};

use super::{Examples, actor, get};
use crate::cast::{ALICE, ALICE_LAPTOP, ALICE_TABLET};
use crate::recorder::{RecordedExchange, Recorder};

pub(super) async fn play(examples: &mut Examples) {
    let world = World::new().await;
    let [phone, tablet, laptop] = [ALICE, ALICE_TABLET, ALICE_LAPTOP].map(|role| actor(&world, &role));
    phone.register(&world.id_token("alice").await, JoinKind::First).await.unwrap();
    examples.exchange("register", &phone.last());
    tablet.register(&world.id_token("alice").await, tablet.as_further()).await.unwrap();
    examples.exchange("register-further", &tablet.last());
    phone.sign_in_again(&world.id_token("alice").await).await.unwrap();
    examples.exchange("sign-in-again", &phone.last());
    phone.refresh().await.unwrap();
    examples.exchange("refresh", &phone.last());
    phone.logout().await.unwrap();
    examples.exchange("logout", &phone.last());
    world.advance(60_000);
    laptop.register(&world.id_token("alice").await, JoinKind::Reset).await.unwrap();
    examples.exchange("register-reset", &laptop.last());
    world.deliver().await;

    // No function has the development issuer.
    assert_eq!(
        get(&world, &format!("{ISSUER_PATH}/.well-known/openid-configuration")).await.response.status(),
        404
    );
    issuer(examples).await;
}

/// The development issuer, as it runs in local mode.
async fn issuer(examples: &mut Examples) {
    let server = BoundServer::bind(&ServerOptions::default()).await.unwrap();
    let origin = server.origin.to_string();
    let running = tokio::spawn(server.run(std::future::pending()));
    let recorder = Recorder::new(HttpTransport::new().unwrap());
    let shown = |mut recorded: RecordedExchange| {
        let body = String::from_utf8(recorded.response.body().to_vec()).unwrap();
        *recorded.response.body_mut() = body.replace(&origin, "http://localhost:8080").into();
        recorded
    };
    let request = http::Request::get(format!("{origin}{ISSUER_PATH}/.well-known/openid-configuration"));
    let configuration = recorder.play(request.body(Bytes::new()).unwrap()).await;
    examples.exchange("dev-discovery", &shown(configuration));
    let request = http::Request::post(format!("{origin}{ISSUER_PATH}/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from_static(b"grant_type=password&client_id=eko-local&username=alice"));
    examples.exchange("dev-token", &shown(recorder.play(request.unwrap()).await));
    running.abort();
}
