//! Users with messengers, on servers of the test's own.

use eko_cli::LibSignal;
use eko_client::device::{RegistrationStatus, SignInOutcome};
use eko_client::messenger::{
    JoinState, MessageDraft, MessengerError, Notice, Person, PreparedSignIn, ReceivedBatch, SentActivity,
    SignInRequest,
};
use eko_client::store::EnvelopeState;
use eko_client::{DeviceStore, Environment, JoiningCode, KeyCounts, Messenger};
use eko_protocol::address::UserName;
use eko_testkit::{World, seeded};

use crate::test_network::TestNetwork;

/// The numbers of keys. They are small, since each Kyber key takes milliseconds to make.
pub(crate) const COUNTS: KeyCounts = KeyCounts { pre_keys: 10, kyber_pre_keys: 5, last_resort: true };

/// The messenger of a device on the test's network.
pub(crate) type TestMessenger = Messenger<TestNetwork, LibSignal>;

/// Returns the request of a user's sign-in.
pub(crate) fn request(world: &World, user: &str, reset: bool) -> SignInRequest {
    let issuer = world.state.config().oidc.clone();
    SignInRequest {
        origin: world.state.origin().clone(),
        issuer: issuer.issuer,
        audience: issuer.audience,
        user: UserName::parse(user).unwrap(),
        device_name: None,
        counts: COUNTS,
        reset,
    }
}

/// Signs a device in, with an ID token of the user that is made for it.
pub(crate) async fn sign_in(
    world: &World,
    wire: &TestNetwork,
    store: DeviceStore,
    environment: Environment,
    request: SignInRequest,
) -> Result<(TestMessenger, SignInOutcome), MessengerError> {
    let user = request.user.clone();
    let prepared = PreparedSignIn::new(wire.clone(), store, environment, request)?;
    let id_token = world.issue(user.as_str(), Some(prepared.challenge().nonce())).await;
    prepared.complete(LibSignal, &id_token).await
}

/// Signs a device in, and returns whether it is active or pending. It has no name, which the devices of a user
/// would tell each other.
pub(crate) async fn device(
    world: &World,
    wire: &TestNetwork,
    user: &str,
    label: &str,
) -> (TestMessenger, RegistrationStatus) {
    device_called(world, wire, user, label, None).await
}

/// Signs a device with a name in, and returns whether it is active or pending.
pub(crate) async fn device_called(
    world: &World,
    wire: &TestNetwork,
    user: &str,
    label: &str,
    name: Option<&str>,
) -> (TestMessenger, RegistrationStatus) {
    let environment = Environment { clock: world.clock(), random: seeded(format!("{user}/{label}")) };
    let request = SignInRequest { device_name: name.map(str::to_owned), ..request(world, user, false) };
    let store = DeviceStore::in_memory().unwrap();
    let (client, registered) = sign_in(world, wire, store, environment, request).await.unwrap();
    (client, registered.status)
}

/// Signs in a user's first device.
pub(crate) async fn first(world: &World, wire: &TestNetwork, user: &str) -> TestMessenger {
    let (client, status) = device(world, wire, user, "one").await;
    assert_eq!(status, RegistrationStatus::Active);
    client
}

/// Signs in another device of a user, and approves it.
pub(crate) async fn further(
    world: &World,
    wire: &TestNetwork,
    approver: &TestMessenger,
    label: &str,
) -> TestMessenger {
    let signed_in = device(world, wire, approver.me().user.as_str(), label).await;
    approved(world, approver, signed_in).await
}

/// Approves a device that has signed in.
pub(crate) async fn approved(
    world: &World,
    approver: &TestMessenger,
    (client, status): (TestMessenger, RegistrationStatus),
) -> TestMessenger {
    assert_eq!(status, RegistrationStatus::Pending);
    world.deliver().await;
    let notices = approver.receive().await.unwrap().notices;
    let [Notice::DeviceWaits(waiting)] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(approver.approve(&code_of(&client)).await.unwrap().device, waiting.device);
    assert_eq!(client.join().await.unwrap(), JoinState::Joined);
    client
}

/// Returns the joining code that a pending device shows.
pub(crate) fn code_of(client: &TestMessenger) -> JoiningCode {
    client.joining_code().unwrap().unwrap()
}

pub(crate) fn text(text: &str) -> MessageDraft {
    MessageDraft { text: text.to_owned(), attachments: Vec::new() }
}

/// Sends a text, and asserts that it was accepted for every device.
pub(crate) async fn say(from: &TestMessenger, to: &Person, words: &str) -> SentActivity {
    let sent = from.send(to, text(words)).await.unwrap();
    assert_eq!(sent.state(&from.me()), EnvelopeState::Accepted, "{:?}", sent.envelopes);
    sent
}

/// Looks into a device's mailbox until no message waits for another one, and returns the texts. The
/// user accepts whoever writes as a contact.
pub(crate) async fn hear(world: &World, client: &TestMessenger) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let received = client.receive().await.unwrap();
        heard.extend(shown(client, &received));
        if welcome(client) {
            continue;
        }
        match received.look_again_ms {
            Some(ms) => world.advance(ms - world.now_ms()),
            None => return heard,
        }
    }
}

/// Accepts everybody who wrote as a contact. Returns false if nobody new did.
pub(crate) fn welcome(client: &TestMessenger) -> bool {
    let requests = client.requests().unwrap();
    for request in &requests {
        client.accept_contact(&request.person).unwrap();
    }
    !requests.is_empty()
}

/// Makes two users contacts of each other, without a message.
pub(crate) async fn befriend(one: &TestMessenger, other: &TestMessenger) {
    know(one, &other.me()).await;
    know(other, &one.me()).await;
}

/// Makes a person a contact of a user, without a message.
pub(crate) async fn know(client: &TestMessenger, person: &Person) {
    client.verification(person).await.unwrap();
    client.accept_contact(person).unwrap();
}

/// Notes that the received messages were shown, and returns their texts.
pub(crate) fn shown(client: &TestMessenger, received: &ReceivedBatch) -> Vec<String> {
    if let Some(last) = received.messages.last() {
        client.note_shown(last.position).unwrap();
    }
    received.messages.iter().map(|message| message.content.text.clone()).collect()
}
