//! A user whose client says what the test wants it to say: the activities of a malicious sender.

use std::sync::{Arc, Mutex};

use eko_cli::LibSignal;
use eko_client::content::{pad, unpad};
use eko_client::messenger::{PreparedSignIn, SignInRequest};
use eko_client::sessions::{
    DecryptedMessage, EncryptedMessage, LocalDevice, PeerDevice, PrivateKeys, SessionError,
};
use eko_client::{DeviceStore, Environment, Messenger, SignalSessions};
use eko_protocol::key_package::KeyPackage;
use eko_testkit::{World, seeded};
use serde_json::Value;

use crate::people::request;
use crate::test_network::TestNetwork;

/// The messenger of a malicious user.
pub(crate) type Forger = Messenger<TestNetwork, ForgingSessions>;

type ChangeFn = Box<dyn Fn(&mut Value) + Send + Sync>;

/// The sessions of libsignal, which change every activity before they encrypt it.
#[derive(Clone, Default)]
pub(crate) struct ForgingSessions {
    change: Arc<Mutex<Option<ChangeFn>>>,
    /// Every activity that was decrypted.
    pub(crate) heard: Arc<Mutex<Vec<Value>>>,
    /// Every activity that was encrypted, with the address of the device that it was for.
    pub(crate) said: Arc<Mutex<Vec<(String, Value)>>>,
}

impl ForgingSessions {
    /// Changes activities from now on.
    pub(crate) fn forge(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        *self.change.lock().unwrap() = Some(Box::new(change));
    }

    /// Signs in the first device of a user with these sessions.
    pub(crate) async fn first(&self, world: &World, wire: &TestNetwork, user: &str) -> Forger {
        let environment = Environment { clock: world.clock(), random: seeded(format!("{user}/forger")) };
        self.sign_in(world, wire, environment, request(world, user, false)).await
    }

    /// Signs in a device with these sessions.
    pub(crate) async fn sign_in(
        &self,
        world: &World,
        wire: &TestNetwork,
        environment: Environment,
        request: SignInRequest,
    ) -> Forger {
        let (store, user) = (DeviceStore::in_memory().unwrap(), request.user.clone());
        let prepared = PreparedSignIn::new(wire.clone(), store, environment, request).unwrap();
        let id_token = world.issue(user.as_str(), Some(prepared.challenge().nonce())).await;
        prepared.complete(self.clone(), &id_token).await.unwrap().0
    }
}

impl SignalSessions for ForgingSessions {
    fn begin(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        package: &KeyPackage,
        record: Option<&[u8]>,
    ) -> Result<Vec<u8>, SessionError> {
        LibSignal.begin(own, peer, package, record)
    }

    fn usable(&self, record: &[u8], now_ms: i64) -> Result<bool, SessionError> {
        LibSignal.usable(record, now_ms)
    }

    fn encrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: &[u8],
        plaintext: &[u8],
    ) -> Result<EncryptedMessage, SessionError> {
        let mut activity: Value = serde_json::from_slice(unpad(plaintext).unwrap()).unwrap();
        if let Some(change) = &*self.change.lock().unwrap() {
            change(&mut activity);
        }
        let padded = pad(activity.to_string().as_bytes()).unwrap();
        self.said.lock().unwrap().push((peer.address.to_owned(), activity));
        LibSignal.encrypt(own, peer, record, &padded)
    }

    fn decrypt(
        &self,
        own: LocalDevice<'_>,
        peer: PeerDevice<'_>,
        record: Option<&[u8]>,
        keys: &dyn PrivateKeys,
        content: &[u8],
    ) -> Result<DecryptedMessage, SessionError> {
        let message = LibSignal.decrypt(own, peer, record, keys, content)?;
        let activity = unpad(&message.plaintext).ok().and_then(|text| serde_json::from_slice(text).ok());
        self.heard.lock().unwrap().extend(activity);
        Ok(message)
    }
}
