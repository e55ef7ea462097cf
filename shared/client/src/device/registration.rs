//! Registering a device and signing it in again (section 10).

use eko_protocol::chain::{ChainPosition, NextNode, sign_in_base};
use eko_protocol::deletion::deletion_base;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::json::shape;
use eko_protocol::key::NonceRandom;
use eko_protocol::multibase;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Device;
use crate::joining::JoiningCode;
use crate::{Auth, Body, ClientError, Exchange, IdToken, SignInChallenge, Transport};

/// The way in which a device comes into its user's chain.
#[derive(Debug, Clone)]
pub enum JoinKind {
    /// As the user's first device. It claims the name and starts the chain.
    First,
    /// As the first device of an account that takes over from the account with this actor id. It claims
    /// the name and starts the chain, whose first node names that account.
    FirstAfter(String),
    /// As a further device, which waits until an active one approves it. Holds the code by which
    /// the two recognise each other.
    Further(JoiningCode),
    /// As the only device left. It revokes all others, and every correspondent sees that.
    Reset,
}

/// The part of a registration by which others know the device.
#[derive(Debug)]
pub enum RegistrationProof<'a> {
    /// The node that makes the device active: the first of the chain, or a reset.
    Node(Value),
    /// The MAC of a further device, under the key of this code.
    JoiningMac(&'a JoiningCode),
}

/// The status of a registered device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationStatus {
    /// The device is in the device set.
    Active,
    /// The device waits for approval.
    Pending,
}

/// The outcome of a registration or a sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SignInOutcome {
    /// The status of the device.
    pub status: RegistrationStatus,
    /// The user's device set at that moment.
    #[serde(rename = "eko:deviceSet")]
    pub device_set: DeviceSetRef,
}

impl<T: Transport> Device<T> {
    /// POST `/auth/devices`: registers the device for the user whom the ID token names, and keeps
    /// the tokens. A reset reads the chain first.
    ///
    /// # Errors
    /// The problem `name-taken`, `account-exists`, `device-id-used` or `stale-head`.
    pub async fn register(
        &self,
        id_token: &IdToken,
        joining: JoinKind,
    ) -> Result<SignInOutcome, ClientError> {
        let mut body = match joining {
            JoinKind::First => self.registration(RegistrationProof::Node(self.first_node()?)),
            JoinKind::FirstAfter(old) => {
                self.registration(RegistrationProof::Node(self.first_node_after(&old)?))
            }
            JoinKind::Further(code) => self.registration(RegistrationProof::JoiningMac(&code)),
            JoinKind::Reset => {
                let (_, state) = self.chain(&self.user).await?;
                self.registration(RegistrationProof::Node(self.reset_node(&state.position)?))
            }
        };
        self.present_id_token(id_token, &mut body, StatusCode::CREATED).await
    }

    /// Draws a challenge: the nonce that the ID token of this device must have.
    pub fn challenge(&self) -> SignInChallenge {
        let random = NonceRandom::from(self.environment.bytes::<32>());
        SignInChallenge::new(&self.origin, &self.keys.identity().public(), random)
    }

    /// Returns the body of a registration, without the member `nonceRandom`, which belongs to the ID
    /// token.
    pub fn registration(&self, proof: RegistrationProof<'_>) -> Value {
        let mut body = json!(self.keys.first());
        let (node, joining_mac) = match proof {
            RegistrationProof::Node(node) => (Some(node), None),
            RegistrationProof::JoiningMac(code) => {
                (None, Some(code.keys().joining_mac(&self.origin, &self.user, &self.described())))
            }
        };
        let members = [
            ("username", json!(self.user)),
            ("deviceId", json!(self.id)),
            ("deviceName", json!(self.name)),
            ("identityKey", json!(self.keys.identity().public())),
            ("registrationId", json!(self.keys.registration_id())),
            ("possession", json!(multibase::encode(&self.possession))),
            ("node", json!(node)),
            ("joiningMac", json!(joining_mac)),
        ];
        if let Some(body) = body.as_object_mut() {
            body.extend(members.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v)));
        }
        body
    }

    /// Returns the first node of a chain, by which this device adds itself.
    ///
    /// # Errors
    /// Those of [`Device::sign_node`].
    pub fn first_node(&self) -> Result<Value, ClientError> {
        let now_ms = self.environment.now_ms();
        let position = ChainPosition::default();
        self.sign_node(NextNode::new(&self.origin, &self.user, &position, now_ms).begin(&self.described()))
    }

    /// Returns the first node of the chain of an account that takes over from the account with the actor
    /// id `old`.
    ///
    /// # Errors
    /// Those of [`Device::sign_node`].
    pub fn first_node_after(&self, old: &str) -> Result<Value, ClientError> {
        let (position, now_ms) = (ChainPosition::default(), self.environment.now_ms());
        let next = NextNode::new(&self.origin, &self.user, &position, now_ms);
        self.sign_node(next.begin_moved(&self.described(), old))
    }

    /// Returns a node that makes this device the only one of the chain that ends at `position`.
    ///
    /// # Errors
    /// Those of [`Device::sign_node`].
    pub fn reset_node(&self, position: &ChainPosition) -> Result<Value, ClientError> {
        let now_ms = self.environment.now_ms();
        self.sign_node(NextNode::new(&self.origin, &self.user, position, now_ms).reset(&self.described()))
    }

    /// POST `/auth/devices` with `signIn`: gets fresh tokens for a device that is registered. The
    /// device proves that it holds its identity key, by a signature over this very ID token.
    ///
    /// # Errors
    /// The problem `device-revoked` or `not-found`.
    pub async fn sign_in_again(&self, id_token: &IdToken) -> Result<SignInOutcome, ClientError> {
        let base = sign_in_base(id_token.text().as_bytes());
        let proof = self.keys.identity().sign(&base, &self.environment);
        let mut body = json!({
            "username": self.user,
            "deviceId": self.id,
            "identityKey": self.keys.identity().public(),
            "registrationId": self.keys.registration_id(),
            "signIn": multibase::encode(&proof),
        });
        self.present_id_token(id_token, &mut body, StatusCode::OK).await
    }

    /// DELETE `/user/{name}`: deletes the account of the device's user, with everything that the server
    /// has of it. The sign-in of the ID token is at most ten minutes old. The device proves that it holds
    /// its identity key, by a signature over this very ID token. An account that is gone already counts as
    /// deleted.
    ///
    /// # Errors
    /// The problem `device-revoked`, `not-owner`, `unauthenticated`, `stale-head` or `too-many`.
    pub async fn delete_account(&self, id_token: &IdToken) -> Result<(), ClientError> {
        let proof = self.keys.identity().sign(&deletion_base(id_token.text().as_bytes()), &self.environment);
        let body = json!({
            "deviceId": self.id,
            "identityKey": self.keys.identity().public(),
            "nonceRandom": id_token.random(),
            "deletion": multibase::encode(&proof),
        });
        let path = format!("/user/{}", self.user);
        let (body, auth) = (Body::Json(&body), Auth::Token(id_token.text()));
        self.call(Method::DELETE, &path, body, auth).await?.expect(StatusCode::NO_CONTENT)?;
        Ok(())
    }

    async fn present_id_token(
        &self,
        id_token: &IdToken,
        body: &mut Value,
        due: StatusCode,
    ) -> Result<SignInOutcome, ClientError> {
        body["nonceRandom"] = json!(id_token.random());
        let (body, auth) = (Body::Json(body), Auth::Token(id_token.text()));
        let answer: Exchange = self.call(Method::POST, "/auth/devices", body, auth).await?.expect(due)?;
        let registered = shape(&answer.json()?).map_err(|fault| answer.unexpected(fault.to_string()))?;
        self.keep_tokens(&answer)?;
        Ok(registered)
    }
}
