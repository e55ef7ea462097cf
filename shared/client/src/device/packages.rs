//! Publishing key packages and taking those of others (section 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::activity::activity_type;
use eko_protocol::address::{Handle, Origin, UserName};
use eko_protocol::chain::ChainState;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::json::shape;
use eko_protocol::key_package::{
    KeyPackage, PackageCollection, PublicationKind, PublishedKeys, check_digest, publication_base,
};
use eko_protocol::vocabulary::context;
use eko_protocol::{multibase, timestamp};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Device;
use crate::{Auth, Body, ClientError, DeviceKeys, Exchange, Transport};

/// The one-time keys of a device that the server has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct PoolCount {
    /// The number of Curve25519 prekeys.
    #[serde(rename = "eko:preKeyCount")]
    pub pre_keys: u64,
    /// The number of Kyber prekeys, without the last-resort key.
    #[serde(rename = "eko:kyberPreKeyCount")]
    pub kyber_pre_keys: u64,
}

/// Key packages of one user's devices. Each belongs to a device of that user and is signed by the
/// identity key in it. [`TakenPackages::check`] compares that key with the user's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenPackages {
    /// The packages.
    pub packages: Vec<KeyPackage>,
    /// The user's device set when they were taken.
    pub device_set: Option<DeviceSetRef>,
}

impl TakenPackages {
    /// Checks every package against the user's verified chain: its device must be active, with the
    /// same identity key and registration id.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] at the first package that contradicts the chain.
    pub fn check(&self, origin: &Origin, chain: &ChainState) -> Result<(), ClientError> {
        for package in &self.packages {
            let active = origin.parse_device(&package.device).and_then(|(_, id)| chain.active.get(&id));
            let same = active.is_some_and(|active| {
                active.identity_key == package.identity_key
                    && active.registration_id == package.registration_id
            });
            if !same {
                let reason = format!("{} is not what the chain of {} says", package.id, chain.actor);
                return Err(ClientError::Untrusted(reason));
            }
        }
        Ok(())
    }
}

impl<T: Transport> Device<T> {
    /// POST `/user/{name}/keyPackages` with `Add`: publishes keys of this device, all or none.
    ///
    /// # Errors
    /// The problem `invalid` at the first key that is wrong.
    pub async fn publish(&self, keys: &PublishedKeys) -> Result<PoolCount, ClientError> {
        let now_ms = self.environment.now_ms();
        self.add(&self.add_activity(&json!(keys), PublicationKind::Addition, now_ms)?).await
    }

    /// POST `/user/{name}/keyPackages` with `Add` and `eko:replacesAll`: drops all keys that the
    /// server has of this device, and publishes these.
    ///
    /// `published_ms` is the time that the publication states. The repetition of a call whose
    /// answer was lost has the same time, so that the server recognises it.
    ///
    /// # Errors
    /// The problem `invalid` at the first key that is wrong, or at `/published` if the time is more
    /// than a day away or before the last replacement; `too-many` within an hour of the last one.
    pub async fn replace_keys(
        &self,
        keys: &PublishedKeys,
        published_ms: i64,
    ) -> Result<PoolCount, ClientError> {
        self.add(&self.add_activity(&json!(keys), PublicationKind::Replacement, published_ms)?).await
    }

    /// Returns the body of an `Add` of the keys in `object`, signed by this device.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if a number in `object` is greater than JSON can carry exactly.
    pub fn add_activity(
        &self,
        object: &Value,
        kind: PublicationKind,
        published_ms: i64,
    ) -> Result<Value, ClientError> {
        let published = timestamp::format(published_ms);
        let base = publication_base(&self.actor(), &self.address(), object, &published, kind)?;
        let signature = self.keys.identity().sign(&base, &self.environment);
        let mut activity = json!({
            "@context": context(),
            "type": "Add",
            "actor": self.actor(),
            "published": published,
            "object": object,
            "eko:signature": multibase::encode(&signature),
        });
        if kind == PublicationKind::Replacement {
            activity["eko:replacesAll"] = json!(true);
        }
        Ok(activity)
    }

    async fn add(&self, activity: &Value) -> Result<PoolCount, ClientError> {
        let answer = self.post(&self.origin.key_packages(&self.user), activity, StatusCode::OK).await?;
        shape(&answer.json()?).map_err(|fault| answer.unexpected(fault.to_string()))
    }

    /// POST `/user/{name}/keyPackages` with `Check`: returns true if the server has this device's
    /// newest signed keys.
    pub async fn check_keys(&self) -> Result<bool, ClientError> {
        self.check_these_keys(&self.keys).await
    }

    /// Returns true if the server has the newest signed keys of `keys`, which this device may have
    /// made since it was opened.
    pub async fn check_these_keys(&self, keys: &DeviceKeys) -> Result<bool, ClientError> {
        let digest = check_digest(&keys.identity().public(), keys.signed_pre_key(), keys.last_resort());
        let body = json!({ "type": activity_type("Check"), "digest": STANDARD.encode(digest) });
        match self.post(&self.origin.key_packages(&self.user), &body, StatusCode::OK).await {
            Ok(_) => Ok(true),
            Err(ClientError::Problem(problem)) if problem.slug() == "keys-differ" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// GET `/user/{name}/keyPackages`: reads the packages without one-time keys. Consumes nothing.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if a signature is wrong or a package is of another user.
    pub async fn key_packages(&self, user: &UserName) -> Result<TakenPackages, ClientError> {
        let answer = self.get(&self.origin.key_packages(user), Auth::Nobody).await?;
        self.read_packages(&answer, &self.origin, user)
    }

    /// POST `/user/{name}/keyPackages` with `Take`: takes a package of every active device, with
    /// one-time keys as long as there are any.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if a signature is wrong or a package is of another user.
    pub async fn take(&self, user: &UserName) -> Result<TakenPackages, ClientError> {
        let object = json!(self.origin.key_packages(user));
        self.take_at(&self.origin.key_packages(user), &self.origin, user, object).await
    }

    /// POST `/user/{name}/keyPackages` with `Take`: takes packages of these devices only.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if a signature is wrong or a package is of another user; the
    /// problem `invalid` if a device is not active.
    pub async fn take_devices(
        &self,
        user: &UserName,
        devices: &[DeviceId],
    ) -> Result<TakenPackages, ClientError> {
        let packages: Vec<_> = devices.iter().map(|device| self.origin.key_package(user, device)).collect();
        self.take_at(&self.origin.key_packages(user), &self.origin, user, json!(packages)).await
    }

    /// POST `/user/{name}/outbox` with `Take`: takes a package of every active device through the
    /// own outbox, which also reaches other servers.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if a signature is wrong or a package is of another user.
    pub async fn take_through_outbox(&self, user: &UserName) -> Result<TakenPackages, ClientError> {
        let object = json!(self.origin.key_packages(user));
        self.take_at(&self.origin.outbox(&self.user), &self.origin, user, object).await
    }

    /// POST `/user/{name}/outbox` with `Take`: takes packages of a user of the server at `origin`.
    /// The own server looks the handle up and asks the other one.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if a signature is wrong or a package is of another user; the
    /// problems `not-found`, `not-federated`, `remote-unreachable` and `remote-failed` of the other
    /// server.
    pub async fn take_from(&self, origin: &Origin, user: &UserName) -> Result<TakenPackages, ClientError> {
        let object = json!(Handle::new(user.clone(), origin).acct());
        self.take_at(&self.origin.outbox(&self.user), origin, user, object).await
    }

    /// POST `/user/{name}/outbox` with `Take`: takes packages of these devices of a user of the
    /// server at `origin`.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if a signature is wrong or a package is of another user; the
    /// problem `invalid` if a device is not active, and those of [`Device::take_from`].
    pub async fn take_devices_from(
        &self,
        origin: &Origin,
        user: &UserName,
        devices: &[DeviceId],
    ) -> Result<TakenPackages, ClientError> {
        let packages: Vec<_> = devices.iter().map(|device| origin.key_package(user, device)).collect();
        self.take_at(&self.origin.outbox(&self.user), origin, user, json!(packages)).await
    }

    /// Returns the body of a `Take` of the address of a collection, or of an array of packages'
    /// addresses.
    pub fn take_activity(&self, object: Value) -> Value {
        json!({
            "@context": context(),
            "type": activity_type("Take"),
            "actor": self.actor(),
            "object": object,
        })
    }

    async fn take_at(
        &self,
        url: &str,
        origin: &Origin,
        user: &UserName,
        object: Value,
    ) -> Result<TakenPackages, ClientError> {
        let body = self.take_activity(object);
        let answer = self.call(Method::POST, url, Body::Json(&body), Auth::Device).await?;
        self.read_packages(&answer.expect(StatusCode::OK)?, origin, user)
    }

    fn read_packages(
        &self,
        answer: &Exchange,
        origin: &Origin,
        user: &UserName,
    ) -> Result<TakenPackages, ClientError> {
        let body = answer.json()?;
        let read = PackageCollection::parse(&body, origin);
        let read = read.map_err(|fault| answer.unexpected(fault.to_string()))?;
        for package in &read.packages {
            let untrusted = |reason: String| ClientError::Untrusted(format!("{}: {reason}", package.id));
            let device = origin.parse_device(&package.device);
            if device.as_ref().is_none_or(|(owner, _)| owner != user)
                || device != origin.parse_key_package(&package.id)
            {
                return Err(untrusted("is not of a device of this user".to_owned()));
            }
            package.verify().map_err(|fault| untrusted(fault.to_string()))?;
        }
        Ok(TakenPackages { packages: read.packages, device_set: read.device_set })
    }
}
