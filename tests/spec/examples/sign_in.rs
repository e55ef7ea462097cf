//! Section 10: registration, tokens, and the development issuer of local mode.

use bytes::Bytes;
use eko_client::device::JoinKind;
use eko_client::transport::HttpTransport;
use eko_local::server::{BoundServer, ISSUER_PATH, ServerOptions};
use eko_protocol::address::Origin;
use eko_protocol::json::canonical;
use eko_protocol::key::NonceRandom;
use eko_protocol::sign_in;
use eko_testkit::{ChainChanges as _, World, read_jwt};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Examples, actor, fetch, get};
use crate::cast::{ALICE, ALICE_LAPTOP, ALICE_TABLET};
use crate::recorder::{RecordedExchange, Recorder};

pub(super) async fn play(examples: &mut Examples) {
    let world = World::new().await;
    let [phone, tablet, laptop] = [ALICE, ALICE_TABLET, ALICE_LAPTOP].map(|role| actor(&world, &role));
    let (token, identity) = (world.id_token(&phone).await, phone.described().identity_key);
    let members =
        json!({ "identityKey": identity, "origin": phone.origin().as_str(), "random": token.random() });
    examples.document("nonce", &members);
    let hashed = [b"eko-oidc-v1\0".to_vec(), canonical(&members).unwrap()].concat();
    let digest: String = Sha256::digest(hashed).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(read_jwt(token.text()).1["nonce"], digest);
    phone.register(&token, JoinKind::First).await.unwrap();
    examples.exchange("register", &phone.last());
    tablet.register(&world.id_token(&tablet).await, tablet.as_further()).await.unwrap();
    examples.exchange("register-further", &tablet.last());
    phone.sign_in_again(&world.id_token(&phone).await).await.unwrap();
    examples.exchange("sign-in-again", &phone.last());
    phone.refresh().await.unwrap();
    examples.exchange("refresh", &phone.last());
    phone.logout().await.unwrap();
    examples.exchange("logout", &phone.last());
    world.advance(60_000);
    laptop.register(&world.id_token(&laptop).await, JoinKind::Reset).await.unwrap();
    examples.exchange("register-reset", &laptop.last());
    world.deliver().await;
    examples.exchange("export", &fetch(&laptop, "/user/alice/export").await);
    world.advance(3_600_000);
    laptop.delete_account(&world.id_token(&laptop).await).await.unwrap();
    examples.exchange("delete-account", &laptop.last());
    examples.exchange("tombstone", &get(&world, "/user/alice").await);
    world.erase().await;

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
    let nonce = sign_in::nonce(
        &Origin::parse("http://localhost:8080").unwrap(),
        &ALICE.identity().public(),
        &NonceRandom::from([7; 32]),
    );
    let form = format!("grant_type=password&client_id=eko-local&username=alice&nonce={nonce}");
    let request = http::Request::post(format!("{origin}{ISSUER_PATH}/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form));
    examples.exchange("dev-token", &shown(recorder.play(request.unwrap()).await));
    running.abort();
}
