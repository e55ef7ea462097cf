//! One device of one user, and the calls that it makes to its server.
//!
//! Each method of [`Device`] makes one HTTP call, unless it says otherwise, and returns the answer
//! as a type. The numbers of sections are those of `docs/protocol.md`.
//!
//! # Errors
//!
//! Every call can fail with [`ClientError::Transport`] if there is no answer, with
//! [`ClientError::NotSignedIn`] if it needs tokens and the device has none, with
//! [`ClientError::Problem`] if the server refuses it, and with [`ClientError::Unexpected`] if the
//! answer does not follow the protocol. The methods name only the errors that they add to these,
//! and the slugs of the problems to expect.

mod blocks;
mod chain;
mod export;
mod group_states;
mod inbox;
mod live;
mod outbox;
mod packages;
mod pending;
mod profile;
mod registration;
mod session;

use std::sync::{Mutex, PoisonError};

use eko_protocol::Invalid;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{NewDevice, possession_base};
use eko_protocol::id::DeviceId;
use eko_protocol::key::Signature;
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::clock::ClockReading;
use crate::{Auth, Body, ClientError, ClockDifference, DeviceKeys, Environment, Exchange, Reach, Transport};

pub use export::{ExportDocument, ExportProgress};
pub use group_states::{GroupStateAnswer, GroupStatePage};
pub use inbox::{EntryContent, MailboxEntry, MailboxPage};
pub use live::ServerFrame;
pub use outbox::{OutgoingEnvelope, ReportOutcome, SendOutcome};
pub use packages::{PoolCount, TakenPackages};
pub use pending::PendingDevice;
pub use registration::{JoinKind, RegistrationProof, RegistrationStatus, SignInOutcome};
pub use session::DeviceTokens;

/// The most redirects of a WebFinger request that are followed.
const MOST_REDIRECTS: usize = 3;

/// A device: its keys, its tokens, and the transport to its server.
pub struct Device<T> {
    transport: T,
    origin: Origin,
    user: UserName,
    id: DeviceId,
    name: Option<String>,
    keys: DeviceKeys,
    /// Signed once, because the chain and the server must see the same bytes.
    possession: Signature,
    /// Behind a lock, so that tokens can be replaced through a shared reference.
    tokens: Mutex<Option<DeviceTokens>>,
    environment: Environment,
    reach: Reach,
    /// The comparison of the clock with the server's when it last answered with its time.
    clock: Mutex<Option<ClockReading>>,
}

/// The parts of a device that a program keeps, so that the device survives the process.
pub struct SavedDevice {
    /// The server.
    pub origin: Origin,
    /// The user.
    pub user: UserName,
    /// The device's id.
    pub id: DeviceId,
    /// The signature that the device made over its addresses and keys when it was new.
    pub possession: Signature,
    /// The name by which its owner recognises it.
    pub name: Option<String>,
    /// The keys of the device.
    pub keys: DeviceKeys,
    /// The tokens of the device, while it is signed in.
    pub tokens: Option<DeviceTokens>,
}

impl<T: Transport> Device<T> {
    /// Returns a new device of `user` on the server at `origin`, with a fresh id and these keys.
    /// Makes no call.
    pub fn new(
        transport: T,
        origin: Origin,
        user: UserName,
        keys: DeviceKeys,
        environment: Environment,
    ) -> Self {
        let id = environment.device_id();
        let (actor, device) = (origin.actor(&user), origin.device(&user, &id));
        let base = possession_base(&actor, &device, &keys.identity().public(), keys.registration_id());
        let possession = keys.identity().sign(&base, &environment);
        let saved = SavedDevice { origin, user, id, possession, name: None, keys, tokens: None };
        Self::restore(transport, saved, environment)
    }

    /// Returns a device that was made before, as it was saved. Makes no call.
    pub fn restore(transport: T, saved: SavedDevice, environment: Environment) -> Self {
        let SavedDevice { origin, user, id, possession, name, keys, tokens } = saved;
        let (tokens, reach) = (Mutex::new(tokens), Reach::of(origin.clone()));
        let clock = Mutex::default();
        Self { transport, origin, user, id, name, keys, possession, tokens, environment, reach, clock }
    }

    /// Gives the device a name, by which its owner recognises it. The registration sends it in the
    /// clear.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Also fetches from these servers on this machine. Without this, a device fetches from no
    /// server on this machine but its own, because other users name the servers that it fetches
    /// from.
    #[must_use]
    pub fn with_local_servers(mut self, servers: Vec<Origin>) -> Self {
        self.reach.add_local(servers);
        self
    }

    /// Returns the way to servers.
    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// Returns the server's origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the user's name.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Returns the user's actor id.
    pub fn actor(&self) -> String {
        self.origin.actor(&self.user)
    }

    /// Returns the device's id.
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Returns the device's address: the URL that names it on all servers.
    pub fn address(&self) -> String {
        self.origin.device(&self.user, &self.id)
    }

    /// Returns the device's keys.
    pub fn keys(&self) -> &DeviceKeys {
        &self.keys
    }

    /// Returns the device's keys for changes: to make more of them.
    pub fn keys_mut(&mut self) -> &mut DeviceKeys {
        &mut self.keys
    }

    /// Returns the name that its owner gave the device.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the signature over its addresses and keys that the device made when it was new.
    pub(crate) fn possession(&self) -> &Signature {
        &self.possession
    }

    /// Returns the source of time and randomness.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the description of the device that its registration and its chain node carry.
    pub fn described(&self) -> NewDevice {
        NewDevice {
            id: self.id.clone(),
            identity_key: self.keys.identity().public(),
            registration_id: self.keys.registration_id(),
            possession: self.possession,
        }
    }

    /// Returns the tokens, while the device is signed in.
    pub fn tokens(&self) -> Option<DeviceTokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the tokens.
    pub fn set_tokens(&self, tokens: Option<DeviceTokens>) {
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Sends any request to a path of the server, or to a URL on it, and returns the answer unread.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if the URL is on another server: then nothing is sent.
    /// [`ClientError::NotSignedIn`] if [`Auth::Device`] is asked for and there are no tokens.
    /// [`ClientError::Transport`] if there is no answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Body<'_>,
        auth: Auth<'_>,
    ) -> Result<Exchange, ClientError> {
        let url = if path.starts_with('/') { format!("{}{path}", self.origin) } else { path.to_owned() };
        if !self.origin.owns(&url) {
            return Err(Invalid::whole(format!("{url} is not on {}", self.origin)).into());
        }
        let token = match auth {
            Auth::Nobody => None,
            Auth::Token(token) => Some(token.to_owned()),
            Auth::Device => Some(self.tokens().ok_or(ClientError::NotSignedIn)?.access),
        };
        let answer = Exchange::send(&self.transport, method, &url, body, token.as_deref()).await?;
        self.note_clock(&answer);
        Ok(answer)
    }

    /// Returns the difference between this machine's clock and the server's, once the server has answered
    /// with its time.
    pub fn clock_difference(&self) -> Option<ClockDifference> {
        let server = self.origin.authority().to_owned();
        self.clock_reading().map(|reading| ClockDifference { server, ahead_ms: reading.ahead_ms })
    }

    /// Returns the time by which it is judged how old something is that is kept for some time: that of this
    /// machine's clock or of the server's, whichever is earlier. So neither a clock that is ahead nor a server
    /// that lies about the time has anything deleted early. Returns `None` if the server has not said its time
    /// within a day by this machine's clock.
    pub(crate) fn retention_ms(&self) -> Option<i64> {
        self.clock_reading()?.retention_ms(self.environment.now_ms())
    }

    fn clock_reading(&self) -> Option<ClockReading> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_clock(&self, answer: &Exchange) {
        if let Some(reading) = ClockReading::of(answer, self.environment.now_ms()) {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        }
    }

    /// GETs a URL that may be anyone's, without a token, and returns the answer unread. Every URL
    /// that another user, another server or a file names is fetched here.
    ///
    /// # Errors
    /// [`ClientError::Unfetchable`] if the URL is neither on the own server nor on a public one:
    /// then nothing is sent. [`ClientError::Transport`] if there is no answer.
    pub async fn fetch_public(&self, url: &str) -> Result<Exchange, ClientError> {
        self.reach.check(url)?;
        let answer = Exchange::send(&self.transport, Method::GET, url, Body::Empty, None).await?;
        if self.origin.owns(url) {
            self.note_clock(&answer);
        }
        Ok(answer)
    }

    /// Does as [`fetch_public`](Self::fetch_public), and follows at most [`MOST_REDIRECTS`] redirects. A
    /// domain may delegate its handles so. Each address is checked as one that others name.
    ///
    /// # Errors
    /// Those of [`fetch_public`](Self::fetch_public), of any of the addresses.
    pub(crate) async fn fetch_redirected(&self, url: &str) -> Result<Exchange, ClientError> {
        let mut url = Url::parse(url).map_err(|_| ClientError::Unfetchable(url.to_owned()))?;
        let mut answer = self.fetch_public(url.as_str()).await?;
        for _ in 0..MOST_REDIRECTS {
            let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = answer.headers.get(LOCATION).filter(|_| is_redirect);
            let target = location.and_then(|location| url.join(location.to_str().ok()?).ok());
            let Some(target) = target else { break };
            answer = self.fetch_public(target.as_str()).await?;
            url = target;
        }
        Ok(answer)
    }

    /// POSTs a document as this device, and expects the status `due`.
    async fn post(&self, url: &str, body: &Value, due: StatusCode) -> Result<Exchange, ClientError> {
        self.call(Method::POST, url, Body::Json(body), Auth::Device).await?.expect(due)
    }

    /// GETs a document, and expects status 200.
    async fn get(&self, url: &str, auth: Auth<'_>) -> Result<Exchange, ClientError> {
        self.call(Method::GET, url, Body::Empty, auth).await?.expect(StatusCode::OK)
    }
}

#[cfg(test)]
pub(crate) mod tests;
