//! Two people talk through a local server.
//!
//! ```console
//! $ cargo run                                    # the local server
//! $ cargo run -p eko-client --example talk       # in a second terminal
//! ```
//!
//! The example is a whole program on [`eko_client`]: it asks a server what it speaks, signs two new
//! users in, and has them send, receive and acknowledge. Another server's address may be the
//! argument.
//!
//! The sessions in it are a TOY. They make bytes that nobody reads at a glance, but whoever knows
//! the addresses of both devices can read them, and the server knows both. A real client gives the
//! [`Messenger`] a Signal library instead, as the package `eko-cli` does with libsignal. This
//! example does not, because libsignal's licence, AGPL-3.0, would cover it.

use std::error::Error;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use eko_client::capabilities::Capabilities;
use eko_client::messenger::{MessageDraft, Notice, Person, PreparedSignIn, SignInRequest};
use eko_client::sessions::{DecryptedMessage, EncryptedMessage, LocalDevice, PeerDevice, PrivateKeys};
use eko_client::store::{EnvelopeState, StoredMessage};
use eko_client::{
    Body, DeviceStore, Environment, Exchange, HttpTransport, KeyCounts, Messenger, SessionError,
    SignalSessions,
};
use eko_protocol::address::UserName;
use eko_protocol::key_package::KeyPackage;
use http::{Method, StatusCode};

/// The address of the local server, unless the argument is another.
const LOCAL_SERVER: &str = "http://localhost:8080";

/// The media type of the request for an ID token.
const FORM: &str = "application/x-www-form-urlencoded";

/// The pause between two looks into a mailbox.
const PAUSE: Duration = Duration::from_millis(200);

type Client = Messenger<HttpTransport, ToySessions>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| LOCAL_SERVER.to_owned());
    let capabilities = Capabilities::fetch(&HttpTransport::new()?, &server).await?;
    println!("{} speaks Eko {}.", capabilities.origin, capabilities.protocol_version);

    // New names in each run, so that the server need not be a fresh one.
    let run = hex::encode(Environment::system().bytes::<4>());
    let alice = sign_in(&capabilities, &format!("alice_{run}")).await?;
    let bob = sign_in(&capabilities, &format!("bob_{run}")).await?;
    println!("{} and {} have signed in.", alice.me().handle(), bob.me().handle());

    // Alice knows Bob's handle only. His server says who that is.
    let to_bob = alice.find(&bob.me().handle()).await?;
    send(&alice, &to_bob, "Hello, Bob!").await?;
    let hello = next_message(&bob).await?;
    println!("Bob reads: {}", hello.content.text);

    send(&bob, &alice.me(), "Hello, Alice! It works.").await?;
    let reply = next_message(&alice).await?;
    println!("Alice reads: {}", reply.content.text);

    wait_for_receipt(&bob).await?;
    println!("Bob hears that his message has arrived.");
    Ok(())
}

/// Signs a new user in with a new device, whose store ends with this process.
async fn sign_in(capabilities: &Capabilities, name: &str) -> Result<Client, Box<dyn Error>> {
    let request = SignInRequest {
        origin: capabilities.origin.clone(),
        issuer: capabilities.issuer.clone(),
        audience: capabilities.audience.clone(),
        user: UserName::parse(name)?,
        device_name: Some("the example".to_owned()),
        counts: KeyCounts { pre_keys: 10, kyber_pre_keys: 10, last_resort: true },
        reset: false,
    };
    let (store, environment) = (DeviceStore::in_memory()?, Environment::system());
    let prepared = PreparedSignIn::new(HttpTransport::new()?, store, environment, request)?;
    let id_token = id_token(capabilities, name, prepared.challenge().nonce()).await?;
    Ok(prepared.complete(ToySessions, &id_token).await?.0)
}

/// Asks the local server's development issuer for an ID token. It believes any name. A real client
/// sends its user to the issuer's page instead.
async fn id_token(capabilities: &Capabilities, name: &str, nonce: &str) -> Result<String, Box<dyn Error>> {
    let http = HttpTransport::new()?;
    let discovery = format!("{}/.well-known/openid-configuration", capabilities.issuer.trim_end_matches('/'));
    let issuer = Exchange::send(&http, Method::GET, &discovery, Body::Empty, None).await?;
    let issuer = issuer.expect(StatusCode::OK)?.json()?;
    let endpoint = issuer["token_endpoint"].as_str().ok_or("the issuer has no token endpoint")?;
    let audience = &capabilities.audience;
    let form = format!("grant_type=password&username={name}&client_id={audience}&nonce={nonce}");
    let body = Body::Raw(Some(FORM), form.into());
    let tokens = Exchange::send(&http, Method::POST, endpoint, body, None).await?;
    let tokens = tokens.expect(StatusCode::OK)?.json()?;
    Ok(tokens["id_token"].as_str().ok_or("the issuer gives no ID token")?.to_owned())
}

async fn send(from: &Client, to: &Person, text: &str) -> Result<(), Box<dyn Error>> {
    let draft = MessageDraft { text: text.to_owned(), attachments: Vec::new() };
    let sent = from.send(to, draft).await?;
    match sent.state(&from.me()) {
        EnvelopeState::Failed | EnvelopeState::Refused => {
            Err(format!("not sent: {:?}", sent.envelopes).into())
        }
        _ => Ok(()),
    }
}

/// Looks into the mailbox until there is a message.
async fn next_message(client: &Client) -> Result<StoredMessage, Box<dyn Error>> {
    loop {
        let mut received = client.receive().await?;
        // What a stranger writes waits for this.
        for request in client.requests()? {
            client.accept_contact(&request.person)?;
        }
        if !received.messages.is_empty() {
            let message = received.messages.remove(0);
            client.note_shown(message.position)?;
            return Ok(message);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks into the mailbox until there is a receipt of a device of the recipient.
async fn wait_for_receipt(client: &Client) -> Result<(), Box<dyn Error>> {
    let is_receipt = |notice: &Notice| matches!(notice, Notice::Settled(envelope) if envelope.state == EnvelopeState::Delivered);
    while !client.receive().await?.notices.iter().any(is_receipt) {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Stands in for a Signal library. It keeps nothing secret.
///
/// A ciphertext is a nonce of 16 bytes, then the plaintext XORed with hashes of both addresses, the
/// nonce and a counter. A record counts the messages of a session.
struct ToySessions;

/// The length of a nonce in bytes.
const NONCE: usize = 16;

impl SignalSessions for ToySessions {
    fn begin(
        &self,
        _: LocalDevice<'_>,
        _: PeerDevice<'_>,
        _: &KeyPackage,
        record: Option<&[u8]>,
    ) -> Result<Vec<u8>, SessionError> {
        Ok(record.map_or_else(|| vec![0], <[u8]>::to_vec))
    }

    fn usable(&self, _: &[u8], _: i64) -> Result<bool, SessionError> {
        Ok(true)
    }

    fn encrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: &[u8],
        plaintext: &[u8],
    ) -> Result<EncryptedMessage, SessionError> {
        let nonce: [u8; NONCE] = own.environment.bytes();
        let mut content = nonce.to_vec();
        content.extend(hidden(plaintext, [own.address, peer.address], &nonce));
        Ok(EncryptedMessage { record: counted(record), content })
    }

    fn decrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: Option<&[u8]>,
        _: &dyn PrivateKeys,
        content: &[u8],
    ) -> Result<DecryptedMessage, SessionError> {
        let parts = content.split_at_checked(NONCE);
        let (nonce, rest) = parts.ok_or_else(|| SessionError::Unreadable("it is too short".to_owned()))?;
        Ok(DecryptedMessage {
            record: counted(record.unwrap_or(&[0])),
            plaintext: hidden(rest, [peer.address, own.address], nonce),
            // A Signal library says here which prekeys a first message has used up.
            one_time: None,
            kyber: None,
        })
    }
}

/// Hides bytes or, given hidden ones, shows them.
fn hidden(bytes: &[u8], [from, to]: [&str; 2], nonce: &[u8]) -> Vec<u8> {
    let stream = (0u64..).flat_map(|block| {
        let mut context = Context::new(&SHA256);
        for part in [from.as_bytes(), to.as_bytes(), nonce, &block.to_le_bytes()] {
            context.update(part);
        }
        context.finish().as_ref().to_vec()
    });
    bytes.iter().zip(stream).map(|(byte, mask)| byte ^ mask).collect()
}

/// Returns a record that counts one message more.
fn counted(record: &[u8]) -> Vec<u8> {
    record.iter().map(|count| count.wrapping_add(1)).collect()
}
