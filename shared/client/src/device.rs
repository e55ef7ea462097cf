//! One device of one user, and what it can do: each method is one HTTP call, or says which it makes.

mod chain;
mod inbox;
mod outbox;
mod packages;
mod pending;
mod registration;
mod session;

use std::sync::{Mutex, PoisonError};

use eko_protocol::Invalid;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{NewDevice, possession_base};
use eko_protocol::id::DeviceId;
use eko_protocol::key::Signature;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::{Auth, Body, ClientError, DeviceKeys, Environment, Exchange, Transport};

pub use inbox::{EntryContent, MailboxEntry, MailboxPage};
pub use outbox::{OutgoingEnvelope, SendOutcome};
pub use packages::{PoolCount, TakenPackages};
pub use pending::PendingDevice;
pub use registration::{JoinKind, RegistrationStatus, SignInOutcome};
pub use session::DeviceTokens;

/// A device: its keys, its tokens, and the way to its server.
pub struct Device<T> {
    transport: T,
    origin: Origin,
    user: UserName,
    id: DeviceId,
    name: Option<String>,
    keys: DeviceKeys,
    /// Signed once: chain and server must see the same bytes.
    possession: Signature,
    /// Behind a lock, so that a refresh needs no exclusive access to the device.
    tokens: Mutex<Option<DeviceTokens>>,
    environment: Environment,
}

/// What a program keeps of a device, so that it goes on after the process has ended.
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
    /// Its keys.
    pub keys: DeviceKeys,
    /// Its tokens, while it is signed in.
    pub tokens: Option<DeviceTokens>,
}

impl<T: Transport> Device<T> {
    /// A new device of `user` at the server at `origin`, with a fresh id and these keys. Makes no call.
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
        let tokens = Mutex::new(None);
        Self { transport, origin, user, id, name: None, keys, possession, tokens, environment }
    }

    /// Returns a device that was made before, as it was saved. Makes no call.
    pub fn restore(transport: T, saved: SavedDevice, environment: Environment) -> Self {
        let SavedDevice { origin, user, id, possession, name, keys, tokens } = saved;
        Self { transport, origin, user, id, name, keys, possession, tokens: Mutex::new(tokens), environment }
    }

    /// The same, with a name for its owner to recognise it by; sent at registration, in the clear.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The server.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The user.
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// The user's actor id.
    pub fn actor(&self) -> String {
        self.origin.actor(&self.user)
    }

    /// The device's id.
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// The device's address.
    pub fn address(&self) -> String {
        self.origin.device(&self.user, &self.id)
    }

    /// The device's keys.
    pub fn keys(&self) -> &DeviceKeys {
        &self.keys
    }

    /// The device's keys, to make more of them.
    pub fn keys_mut(&mut self) -> &mut DeviceKeys {
        &mut self.keys
    }

    /// What it told its owner's other devices to be called.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What it signed when it was made.
    pub(crate) fn possession(&self) -> &Signature {
        &self.possession
    }

    /// The way to servers.
    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// Time and randomness.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What it tells of itself when it registers, and what the chain says of it.
    pub fn described(&self) -> NewDevice {
        NewDevice {
            id: self.id.clone(),
            identity_key: self.keys.identity().public(),
            registration_id: self.keys.registration_id(),
            possession: self.possession,
        }
    }

    /// The tokens, while it is signed in.
    pub fn tokens(&self) -> Option<DeviceTokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the tokens.
    pub fn set_tokens(&self, tokens: Option<DeviceTokens>) {
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Sends anything to a path of the server, or to a URL on it, and answers whatever comes back.
    ///
    /// # Errors
    /// There is no answer; no token where [`Auth::Device`] wants one; a URL on another server, to which
    /// nothing is sent.
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
        Ok(Exchange::send(&self.transport, method, &url, body, token.as_deref()).await?)
    }

    /// POSTs a document as this device; anything but `due` is an error.
    async fn post(&self, url: &str, body: &Value, due: StatusCode) -> Result<Exchange, ClientError> {
        self.call(Method::POST, url, Body::Json(body), Auth::Device).await?.expect(due)
    }

    /// GETs a document; anything but 200 is an error.
    async fn get(&self, url: &str, auth: Auth<'_>) -> Result<Exchange, ClientError> {
        self.call(Method::GET, url, Body::Empty, auth).await?.expect(StatusCode::OK)
    }
}

#[cfg(test)]
mod tests;
