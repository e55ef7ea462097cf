//! Reading and changing device chains (section 3).

use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{
    ChainNode, ChainPosition, ChainState, MoveTarget, NewDevice, NextNode, ReplayError, UnsignedNode,
    rejection_base,
};
use eko_protocol::chain_request::ChainRequest;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::json::{optional, required_list, shape};
use eko_protocol::multibase;
use eko_protocol::vocabulary::context;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Device, PendingDevice};
use crate::joining::JoiningCode;
use crate::{Auth, Body, ClientError, Exchange, Transport};

impl<T: Transport> Device<T> {
    /// GET `/user/{name}/devices`: reads and verifies a user's whole chain.
    ///
    /// # Errors
    /// [`ClientError::FalseChain`] if a node breaks a rule; [`ClientError::Problem`] with status
    /// 404 if there is no such user.
    pub async fn chain(&self, user: &UserName) -> Result<(Vec<ChainNode>, ChainState), ClientError> {
        self.chain_at(&self.origin, user).await
    }

    /// Reads and verifies the chain of a user of another server. It asks that server itself, which
    /// learns this device's address and that it is online. [`Device::chain_through_home`] avoids
    /// that.
    ///
    /// # Errors
    /// [`ClientError::Unfetchable`] if that server may not be asked; [`ClientError::FalseChain`] if
    /// a node breaks a rule; [`ClientError::Problem`] with status 404 if there is no such user;
    /// [`ClientError::Deleted`] if the account was deleted.
    pub async fn chain_at(
        &self,
        origin: &Origin,
        user: &UserName,
    ) -> Result<(Vec<ChainNode>, ChainState), ClientError> {
        // The request carries no token, so it may go to any server.
        let url = origin.devices(user);
        let answer = self.fetch_public(&url).await?.unless_deleted(&url)?;
        verified(origin, user, &answer.expect(StatusCode::OK)?)
    }

    /// POST `/user/{name}/proxy`: reads the chain of a user of any server through the own server,
    /// and verifies it. The other server learns neither this device's address nor when it is
    /// online. Nobody is trusted for it, since a chain proves itself.
    ///
    /// # Errors
    /// [`ClientError::FalseChain`] if a node breaks a rule; [`ClientError::Problem`] with the slug
    /// `not-found` if there is no such user, `not-federated` if the own server does not ask that
    /// one, `remote-failed` or `remote-unreachable` if that one gives no chain, and `too-many` if
    /// this user has read too often.
    pub async fn chain_through_home(
        &self,
        origin: &Origin,
        user: &UserName,
    ) -> Result<(Vec<ChainNode>, ChainState), ClientError> {
        let request = ChainRequest { origin: origin.clone(), user: user.clone() };
        let body = Body::Raw(Some("application/x-www-form-urlencoded"), request.to_form().into());
        let url = self.origin.proxy(&self.user);
        let answer = self.call(Method::POST, &url, body, Auth::Device).await?;
        verified(origin, user, &answer.expect(StatusCode::OK)?)
    }

    /// Returns the signed node by which this device approves a pending one, as the next node of
    /// `chain`. The caller has verified the chain and knows that it is this user's. The node
    /// carries the MAC by which the new device recognises that.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if the pending device does not hold its key, or if it is not the
    /// device that has the joining code.
    pub fn approval(
        &self,
        chain: &[ChainNode],
        pending: &PendingDevice,
        code: &JoiningCode,
    ) -> Result<Value, ClientError> {
        let (new, keys) = (&pending.device, code.keys());
        let untrusted = |why: &str| ClientError::Untrusted(format!("{}: {why}", new.id));
        pending.verify(&self.origin, &self.user).map_err(|error| untrusted(&error.to_string()))?;
        if !keys.registered(&self.origin, &self.user, new, &pending.joining_mac) {
            return Err(untrusted("is not the device that has this joining code"));
        }
        let mac = keys.approval_mac(&self.origin, &self.user, new, chain);
        let (mac, last) = mac.zip(chain.last()).ok_or_else(|| untrusted("there is no chain to add it to"))?;
        let (position, now_ms) = (last.position(), self.environment.now_ms());
        self.sign_node(NextNode::new(&self.origin, &self.user, &position, now_ms).approve(new, &mac))
    }

    /// Returns the signed node by which this device revokes a device of this user, possibly itself,
    /// as the next node of the chain that ends at `position`. The caller has verified that chain.
    ///
    /// # Errors
    /// Those of [`Device::sign_node`].
    pub fn revocation(&self, position: &ChainPosition, device: &DeviceId) -> Result<Value, ClientError> {
        let now_ms = self.environment.now_ms();
        self.sign_node(NextNode::new(&self.origin, &self.user, position, now_ms).revoke(device))
    }

    /// Returns the signed node by which this device moves its user to another account, as the last node of
    /// the chain that ends at `position`. The caller has verified both chains.
    ///
    /// # Errors
    /// Those of [`Device::sign_node`].
    pub fn departure(&self, position: &ChainPosition, target: &MoveTarget) -> Result<Value, ClientError> {
        let now_ms = self.environment.now_ms();
        self.sign_node(NextNode::new(&self.origin, &self.user, position, now_ms).move_to(&self.id, target))
    }

    /// POST `/user/{name}/devices` with `Reject`: turns a pending device of this user away. The
    /// chain does not change. `known` is the device set of the chain that the caller has verified.
    ///
    /// # Errors
    /// The problem `invalid` if the device is not pending, or `stale-head` if `known` is not the
    /// set of today.
    pub async fn reject(&self, waiting: &NewDevice, known: &DeviceSetRef) -> Result<(), ClientError> {
        let body = self.rejection(waiting, known);
        self.post(&self.origin.devices(&self.user), &body, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// Returns the body of a `Reject` of a pending device, signed by this device.
    pub fn rejection(&self, waiting: &NewDevice, set: &DeviceSetRef) -> Value {
        let address = self.origin.device(&self.user, &waiting.id);
        let base = rejection_base(&self.actor(), &address, waiting, set);
        let signature = self.keys.identity().sign(&base, &self.environment);
        json!({
            "@context": context(),
            "type": "Reject",
            "object": address,
            "eko:deviceSet": set,
            "eko:signature": multibase::encode(&signature),
        })
    }

    /// Returns a node with this device's proof.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] if the chain is longer than a JSON number can count.
    pub fn sign_node(&self, node: UnsignedNode) -> Result<Value, ClientError> {
        let signature = self.keys.identity().sign(&node.signing_bytes()?, &self.environment);
        Ok(node.finish(&self.id, &signature))
    }

    /// POST `/user/{name}/devices`: appends a node as it is. Returns the device set after it.
    ///
    /// # Errors
    /// The problem `stale-head` if the node does not follow the chain's head, or `invalid` if it
    /// breaks a rule.
    pub async fn append(&self, node: &Value) -> Result<DeviceSetRef, ClientError> {
        let url = self.origin.devices(&self.user);
        let answer = self.post(&url, node, StatusCode::CREATED).await?;
        let set = device_set(&answer, &answer.json()?)?;
        let set = set.ok_or_else(|| answer.unexpected("has no eko:deviceSet"))?;
        // The head is the hash of the node that was sent, so the server's answer can be checked.
        if set.head != ChainNode::parse(node)?.hash() {
            return Err(answer.unexpected("eko:deviceSet is not the node that was appended"));
        }
        Ok(set)
    }
}

/// Reads and verifies the chain that an answer holds.
fn verified(
    origin: &Origin,
    user: &UserName,
    answer: &Exchange,
) -> Result<(Vec<ChainNode>, ChainState), ClientError> {
    let body = answer.json()?;
    let items = required_list(&body, "orderedItems").map_err(|fault| answer.unexpected(fault.to_string()))?;
    let nodes = items.iter().map(ChainNode::parse).collect::<Result<Vec<_>, _>>();
    let nodes = nodes.map_err(|fault| answer.unexpected(fault.to_string()))?;
    let state = replay(origin, user, &nodes)?;
    if device_set(answer, &body)? != state.device_set().reference() {
        return Err(answer.unexpected("eko:deviceSet is not the head of this chain"));
    }
    Ok((nodes, state))
}

fn replay(origin: &Origin, user: &UserName, nodes: &[ChainNode]) -> Result<ChainState, ClientError> {
    let actor = origin.actor(user);
    ChainState::replay(origin, user, nodes).map_err(|ReplayError { index, error }| ClientError::FalseChain {
        actor,
        index,
        error,
    })
}

/// Reads the device set of an answer, if it has one.
fn device_set(answer: &Exchange, body: &Value) -> Result<Option<DeviceSetRef>, ClientError> {
    let set = optional(body, "eko:deviceSet").and_then(|set| set.map(shape::<DeviceSetRef>).transpose());
    set.map_err(|fault| answer.unexpected(fault.under("/eko:deviceSet").to_string()))
}
