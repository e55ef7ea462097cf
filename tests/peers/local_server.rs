//! A local server that runs in this process and listens on loopback, and devices of its users.

use std::sync::Mutex;
use std::time::Duration;

use eko_client::device::{EntryContent, JoinKind, MailboxEntry, RegistrationStatus};
use eko_client::{Auth, Body, Device, DeviceKeys, Environment, Exchange, HttpTransport, IdToken};
use eko_local::server::{AUDIENCE, BoundServer, ISSUER_PATH, ServerOptions};
use eko_protocol::address::{Origin, UserName};
use eko_testkit::{BARE, ChainChanges as _};
use http::Method;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The pause between two looks for something that must come, and the number of looks before giving
/// up.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: usize = 600;

/// The servers that were started in this process.
static STARTED: Mutex<Vec<Origin>> = Mutex::new(Vec::new());

/// A running local server, with its state in memory.
pub(crate) struct LocalServer {
    pub(crate) origin: Origin,
    stop: oneshot::Sender<()>,
    running: JoinHandle<usize>,
}

impl LocalServer {
    /// Starts the server on a free port.
    pub(crate) async fn start() -> Self {
        let mut options = ServerOptions::default();
        // A test plays within seconds what takes people an hour.
        options.limits.sender_budget = 6_000;
        let server = BoundServer::bind(&options).await.unwrap();
        let origin = server.origin.clone();
        STARTED.lock().unwrap().push(origin.clone());
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(async { server.run(stopped).await.unwrap() });
        Self { origin, stop, running }
    }

    /// Returns the servers that were started in this process. A client names those on its own
    /// machine from which it fetches.
    pub(crate) fn started() -> Vec<Origin> {
        STARTED.lock().unwrap().clone()
    }

    /// Stops the server, and asserts that nothing is left that waits for another server.
    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        assert_eq!(self.running.await.unwrap(), 0, "activities that were not delivered");
    }

    /// Registers the first device of a new user.
    pub(crate) async fn user(&self, name: &str) -> Device<HttpTransport> {
        user(&self.origin, &self.issuer(), name).await
    }

    /// Registers another device of a user and has it approved; the notice of it is discarded.
    pub(crate) async fn further(&self, approver: &Device<HttpTransport>) -> Device<HttpTransport> {
        let name = approver.user().as_str();
        let device = new_device(&self.origin, name);
        let token = id_token(&self.issuer(), &device).await;
        device.register(&token, device.as_further()).await.unwrap();
        let notice = entry(approver).await;
        approver.discard(&notice.address).await.unwrap();
        approver.approve(device.id()).await.unwrap();
        device
    }

    /// Returns the text of an ID token of the server's development issuer, which takes anyone at their
    /// word.
    pub(crate) async fn issue(&self, name: &str, nonce: &str) -> String {
        issue(&self.issuer(), name, nonce).await
    }

    /// Returns the URL of the server's development issuer.
    pub(crate) fn issuer(&self) -> String {
        format!("{}{ISSUER_PATH}", self.origin)
    }
}

/// Registers the first device of a new user at the server `origin`. The user signs in at the
/// development issuer `issuer`.
pub(crate) async fn user(origin: &Origin, issuer: &str, name: &str) -> Device<HttpTransport> {
    let device = new_device(origin, name);
    let registered = device.register(&id_token(issuer, &device).await, JoinKind::First).await.unwrap();
    assert_eq!(registered.status, RegistrationStatus::Active);
    device
}

fn new_device(origin: &Origin, name: &str) -> Device<HttpTransport> {
    let environment = Environment::system();
    let keys = DeviceKeys::generate(BARE, &environment).unwrap();
    let name = UserName::parse(name).unwrap();
    Device::new(HttpTransport::new().unwrap(), origin.clone(), name, keys, environment)
}

/// Returns an ID token of a device's user, made for this device.
async fn id_token(issuer: &str, device: &Device<HttpTransport>) -> IdToken {
    let challenge = device.challenge();
    challenge.answered(&issue(issuer, device.user().as_str(), challenge.nonce()).await)
}

async fn issue(issuer: &str, name: &str, nonce: &str) -> String {
    let form = format!("grant_type=password&username={name}&client_id={AUDIENCE}&nonce={nonce}");
    let body = Body::Raw(Some("application/x-www-form-urlencoded"), form.into());
    let url = format!("{issuer}/token");
    let answer =
        Exchange::send(&HttpTransport::new().unwrap(), Method::POST, &url, body, None).await.unwrap();
    answer.json().unwrap()["id_token"].as_str().unwrap().to_owned()
}

/// Returns a fresh envelope id on the origin of its author.
pub(crate) fn envelope_id(author: &str) -> String {
    Environment::system().envelope_id(&Origin::of(author).unwrap()).to_string()
}

/// Posts an activity to the outbox of a device's user, and returns the status and the body of the
/// answer.
pub(crate) async fn send(device: &Device<HttpTransport>, activity: &Value) -> (u16, Value) {
    let url = device.origin().outbox(device.user());
    let answer = device.call(Method::POST, &url, Body::Json(activity), Auth::Device).await.unwrap();
    (answer.status.as_u16(), answer.json().unwrap_or_default())
}

/// Waits for the first entry of a device's mailbox, and returns it.
pub(crate) async fn entry(device: &Device<HttpTransport>) -> MailboxEntry {
    let look = async || device.fetch().await.unwrap().entries.into_iter().next();
    eventually("an entry in the mailbox", look).await
}

/// Waits for the first message in a device's mailbox, discards it, and returns the envelope's id
/// and the content.
pub(crate) async fn message(device: &Device<HttpTransport>) -> (String, Vec<u8>) {
    let MailboxEntry { address, content: EntryContent::Message(message), .. } = entry(device).await else {
        panic!("the entry is no message")
    };
    device.discard(&address).await.unwrap();
    (message.letter.header.id.as_str().to_owned(), message.ciphertext)
}

/// Calls `look` again and again until it returns a value. Panics after 30 seconds, naming `what`.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("waited for {what} in vain");
}
