//! Users and their devices, made as clients make them.

use eko_client::device::{JoinKind, RegistrationStatus};
use eko_client::{Auth, Body, Device, DeviceKeys, Environment, Exchange, IdToken, KeyCounts};
use eko_protocol::address::UserName;
use eko_protocol::id::DeviceId;
use eko_store::device::DeviceAddress;
use eko_store::fill::{FullFor, FullMark};
use http::Method;
use serde_json::{Value, json};

use crate::{ChainChanges as _, DirectTransport, World, seeded};

/// The keys of a device. They are few, because each Kyber key takes milliseconds.
pub const COUNTS: KeyCounts = KeyCounts { pre_keys: 3, kyber_pre_keys: 2, last_resort: true };

/// The keys of a device from which nobody takes any. Making them takes no time.
pub const BARE: KeyCounts = KeyCounts { pre_keys: 0, kyber_pre_keys: 0, last_resort: false };

/// Posts the body of a registration to `/auth/devices` with an ID token, and returns the answer,
/// whatever its status. The member `nonceRandom` is added, which belongs to the ID token.
pub async fn post_registration(
    device: &Device<DirectTransport>,
    id_token: &IdToken,
    body: &Value,
) -> Exchange {
    let mut body = body.clone();
    body["nonceRandom"] = json!(id_token.random());
    let auth = Auth::Token(id_token.text());
    device.call(Method::POST, "/auth/devices", Body::Json(&body), auth).await.expect("an answer")
}

impl World {
    /// Makes a device of `user` that is not registered. Its keys and ids depend on user and `label`
    /// only.
    pub fn device(&self, user: &str, label: &str, counts: KeyCounts) -> Device<DirectTransport> {
        let environment = Environment { clock: self.clock(), random: seeded(format!("{user}/{label}")) };
        let keys = DeviceKeys::generate(counts, &environment).expect("keys");
        let name = UserName::parse(user).expect("a user name");
        let origin = self.state.origin().clone();
        Device::new(self.transport(), origin, name, keys, environment).with_name(label)
    }

    /// Registers a new user with a first device, whose label is `one`.
    pub async fn user(&self, user: &str) -> Device<DirectTransport> {
        self.user_with(user, COUNTS).await
    }

    /// Does as [`World::user`], with these numbers of keys.
    pub async fn user_with(&self, user: &str, counts: KeyCounts) -> Device<DirectTransport> {
        let device = self.device(user, "one", counts);
        let token = self.id_token(&device).await;
        let registered = device.register(&token, JoinKind::First).await.expect("a first device");
        assert_eq!(registered.status, RegistrationStatus::Active);
        device
    }

    /// Registers another device of a user, without one-time keys. The device is pending.
    pub async fn pending(&self, of: &Device<DirectTransport>, label: &str) -> Device<DirectTransport> {
        let device = self.device(of.user().as_str(), label, BARE);
        let token = self.id_token(&device).await;
        let registered = device.register(&token, device.as_further()).await.expect("a further device");
        assert_eq!(registered.status, RegistrationStatus::Pending);
        device
    }

    /// Registers another device of a user, and lets `approver` approve it. The notice of it is
    /// delivered and discarded.
    pub async fn further(&self, approver: &Device<DirectTransport>, label: &str) -> Device<DirectTransport> {
        let device = self.pending(approver, label).await;
        self.deliver().await;
        self.empty(approver).await;
        approver.approve(device.id()).await.expect("an approval");
        device
    }

    /// Discards everything in a device's mailbox.
    pub async fn empty(&self, device: &Device<DirectTransport>) {
        for entry in device.fetch().await.expect("a page").entries {
            device.discard(&entry.address).await.expect("a discarded entry");
        }
    }

    /// Marks a device's mailbox as full for everyone, for an hour.
    pub async fn mark_full(&self, user: &UserName, device: &DeviceId) {
        let mark = FullMark {
            until_ms: self.now_ms() + 3_600_000,
            whom: FullFor { all_others: true, ..FullFor::default() },
        };
        let address = DeviceAddress::new(user, device);
        self.state.store().mark_mailbox(address, Some(&mark), self.now_ms()).await.expect("a mark");
    }
}
