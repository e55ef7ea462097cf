//! A server that passes the ID tokens of its users on to another server.
//!
//! Server B names the public issuer and audience of server A as its own. Alice, who has an account at
//! A, tries B, so B gets ID tokens that are good but for their nonces. B controls nothing else: not
//! the issuer, not A, and no key of Alice's.

use eko_client::device::{JoinKind, RegistrationProof};
use eko_client::{Device, DeviceKeys, Environment, IdToken, SignInChallenge};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::sign_in_base;
use eko_protocol::key::NonceRandom;
use eko_protocol::multibase;
use eko_testkit::{
    BARE, ChainChanges as _, DirectTransport, StoredState, World, post_registration, refused, seeded,
};
use http::StatusCode;
use serde_json::{Value, json};

/// The detail of a refusal for another nonce.
const OTHER: &str = "the ID token was made for another device or another server: its nonce is another one";
/// The detail of a refusal for no nonce.
const NONE: &str = "the ID token has no nonce, so it is for no device";

/// Server A with Alice, and what B has got from her.
struct RelayScene {
    world: World,
    /// Alice's device at A.
    alice: Device<DirectTransport>,
    /// The ID token that Alice's client got for its sign-in at B.
    relayed: IdToken,
    before: StoredState,
}

impl RelayScene {
    async fn new() -> Self {
        let world = World::new().await;
        let alice = world.user_with("alice", BARE).await;
        let there = at(&world, "https://b.example", "alice");
        let relayed = world.id_token(&there).await;
        let before = world.stored().await;
        Self { world, alice, relayed, before }
    }

    /// Returns a device of B's own, by which B takes Alice's place at A.
    fn false_device(&self, name: &str) -> Device<DirectTransport> {
        at(&self.world, self.world.state.origin().as_str(), name)
    }

    /// Posts a body with an ID token to A, and asserts that it is refused with this detail, and that
    /// nothing was stored or spent.
    async fn refuses(&self, what: &str, token: &IdToken, body: &Value, detail: &str) {
        let answer = post_registration(&self.alice, token, body).await;
        let problem = answer.json().unwrap();
        assert_eq!((answer.status, &problem["detail"]), (StatusCode::UNAUTHORIZED, &json!(detail)), "{what}");
        assert_eq!(self.world.stored().await.difference(&self.before), [], "{what}");
        assert_eq!(self.world.queued().await, (0, 0), "{what}");
    }
}

/// Returns a device of this name at the server of this origin.
fn at(world: &World, origin: &str, name: &str) -> Device<DirectTransport> {
    let environment = Environment { clock: world.clock(), random: seeded(format!("{origin}/{name}/b")) };
    let keys = DeviceKeys::generate(BARE, &environment).unwrap();
    let (origin, name) = (Origin::parse(origin).unwrap(), UserName::parse(name).unwrap());
    Device::new(world.transport(), origin, name, keys, environment)
}

/// Returns the body of each kind of request of this device to A: a reset, a further device, and a
/// first registration under another name.
async fn bodies(device: &Device<DirectTransport>) -> [(&'static str, Value); 3] {
    let position = device.chain(device.user()).await.unwrap().1.position;
    let reset = device.registration(RegistrationProof::Node(device.reset_node(&position).unwrap()));
    let further = device.registration(RegistrationProof::JoiningMac(&device.joining_code()));
    let first = device.registration(RegistrationProof::Node(device.first_node().unwrap()));
    [("a reset", reset), ("a further device", further), ("a first node", first)]
}

/// Returns the body of a repeated sign-in of `device`, signed by `signer` over this token.
fn again(device: &Device<DirectTransport>, signer: &Device<DirectTransport>, token: &IdToken) -> Value {
    let base = sign_in_base(token.text().as_bytes());
    let signature = signer.keys().identity().sign(&base, signer.environment());
    json!({
        "deviceId": device.id(),
        "identityKey": device.keys().identity().public(),
        "registrationId": device.keys().registration_id(),
        "signIn": multibase::encode(&signature),
    })
}

/// The takeover: B posts Alice's token to A with a `ResetDevices` node, and owns her account.
#[tokio::test]
async fn a_token_for_another_server_resets_registers_and_signs_in_nobody() {
    let scene = RelayScene::new().await;
    let thief = scene.false_device("alice");
    for (what, body) in bodies(&thief).await {
        scene.refuses(what, &scene.relayed, &body, OTHER).await;
    }
    let body = again(&scene.alice, &thief, &scene.relayed);
    scene.refuses("a sign-in again", &scene.relayed, &body, OTHER).await;
    // Even with the signature of Alice's own device.
    let body = again(&scene.alice, &scene.alice, &scene.relayed);
    scene.refuses("a sign-in again that Alice has signed", &scene.relayed, &body, OTHER).await;
    assert_eq!(scene.alice.chain(scene.alice.user()).await.unwrap().0.len(), 1);
    scene.alice.fetch().await.unwrap();
}

/// Somebody without an account at A tries B, and B claims a name at A for them.
#[tokio::test]
async fn a_token_for_another_server_claims_no_name() {
    let scene = RelayScene::new().await;
    let carol = at(&scene.world, "https://b.example", "carol");
    let relayed = scene.world.id_token(&carol).await;
    let thief = scene.false_device("carol");
    let body = thief.registration(RegistrationProof::Node(thief.first_node().unwrap()));
    scene.refuses("a first registration", &relayed, &body, OTHER).await;
    // The name and the subject are free for Carol.
    let carol = scene.false_device("carol");
    carol.register(&scene.world.id_token(&carol).await, JoinKind::First).await.unwrap();
}

/// B computes what A will compute, with random bytes of its own choice, for keys of its own. The
/// token has the nonce that Alice's client chose.
#[tokio::test]
async fn no_random_bytes_make_a_token_fit() {
    let scene = RelayScene::new().await;
    let (thief, origin) = (scene.false_device("alice"), scene.world.state.origin());
    let (_, reset) = bodies(&thief).await.into_iter().next().unwrap();
    let keys = [thief.keys().identity().public(), scene.alice.keys().identity().public()];
    for (key, byte) in keys.iter().flat_map(|key| [0, 7, 0xFF].map(|byte| (key, byte))) {
        let random = NonceRandom::from([byte; 32]);
        let token = SignInChallenge::new(origin, key, random).answered(scene.relayed.text());
        scene.refuses("other random bytes", &token, &reset, OTHER).await;
    }
}

/// A client that binds nothing, as there were before the nonce, gives B a token without one, or with
/// one of its own making.
#[tokio::test]
async fn a_token_that_is_bound_to_nothing_is_refused() {
    let scene = RelayScene::new().await;
    let thief = scene.false_device("alice");
    let challenge = thief.challenge();
    for nonce in [None, Some("7"), Some("n-0S6_WzA2Mj")] {
        let token = challenge.answered(&scene.world.issue("alice", nonce).await);
        for (what, body) in bodies(&thief).await {
            scene.refuses(what, &token, &body, if nonce.is_none() { NONE } else { OTHER }).await;
        }
        let body = again(&scene.alice, &scene.alice, &token);
        scene.refuses("a sign-in again", &token, &body, if nonce.is_none() { NONE } else { OTHER }).await;
    }
    // In upper case the nonce is another text.
    let upper = scene.world.issue("alice", Some(&challenge.nonce().to_uppercase())).await;
    let (_, reset) = bodies(&thief).await.into_iter().next().unwrap();
    scene.refuses("a nonce in upper case", &challenge.answered(&upper), &reset, OTHER).await;
}

/// A thief has an ID token that Alice's device got for A itself, from a log or a screen.
#[tokio::test]
async fn a_stolen_token_is_good_for_the_key_that_it_names_only() {
    let scene = RelayScene::new().await;
    let stolen = scene.world.id_token(&scene.alice).await;
    let thief = scene.false_device("alice");
    for (what, body) in bodies(&thief).await {
        scene.refuses(what, &stolen, &body, OTHER).await;
    }
    // The thief names Alice's key, which signs nothing for the thief.
    let identity = json!(scene.alice.keys().identity().public());
    for (what, mut body) in bodies(&thief).await {
        body["identityKey"] = identity.clone();
        let answer = post_registration(&scene.alice, &stolen, &body).await;
        let pointer = answer.json().unwrap()["pointer"].clone();
        assert_eq!((answer.status.as_u16(), pointer), (422, json!("/possession")), "{what}");
    }
    // A sign-in again is for the key that is registered, whatever key the token is for.
    let for_thief = scene.world.id_token(&thief).await;
    let mut body = again(&scene.alice, &thief, &for_thief);
    body["identityKey"] = json!(thief.keys().identity().public());
    let answer = post_registration(&scene.alice, &for_thief, &body).await;
    assert_eq!(answer.json().unwrap()["pointer"], "/identityKey");
    assert_eq!(scene.world.stored().await.difference(&scene.before), []);
    assert_eq!(refused(thief.sign_in_again(&for_thief).await), "404 not-found");
}

/// The other origin differs in the port or the scheme only.
#[tokio::test]
async fn a_neighbouring_origin_is_another_server() {
    let scene = RelayScene::new().await;
    for origin in ["https://eko.example:8443", "https://www.eko.example", "https://eko.example.b.example"] {
        let token = scene.world.id_token(&at(&scene.world, origin, "alice")).await;
        let body = again(&scene.alice, &scene.alice, &token);
        scene.refuses(origin, &token, &body, OTHER).await;
    }
    let token = scene.world.id_token(&scene.alice).await;
    scene.alice.sign_in_again(&token).await.unwrap();
}
