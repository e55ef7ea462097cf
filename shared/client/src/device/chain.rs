//! Reading and changing device chains (section 3).

use eko_protocol::activity::context;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::{
    ChainNode, ChainState, NewDevice, NextNode, ReplayError, UnsignedNode, rejection_base,
};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::id::DeviceId;
use eko_protocol::json::shape;
use eko_protocol::multibase;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Device, PendingDevice};
use crate::{ClientError, Exchange, Transport};

impl<T: Transport> Device<T> {
    /// GET `/user/{name}/devices`: reads and verifies a user's whole chain.
    ///
    /// # Errors
    /// [`ClientError::FalseChain`] if a node breaks a rule; [`ClientError::Problem`] with status
    /// 404 if there is no such user.
    pub async fn chain(&self, user: &UserName) -> Result<(Vec<ChainNode>, ChainState), ClientError> {
        self.chain_at(&self.origin, user).await
    }

    /// Reads and verifies the chain of a user of another server. It asks that server itself: the
    /// chain is public, and another server's word for it would prove nothing.
    ///
    /// # Errors
    /// [`ClientError::Unfetchable`] if that server may not be asked; [`ClientError::FalseChain`] if
    /// a node breaks a rule; [`ClientError::Problem`] with status 404 if there is no such user.
    pub async fn chain_at(
        &self,
        origin: &Origin,
        user: &UserName,
    ) -> Result<(Vec<ChainNode>, ChainState), ClientError> {
        // The request carries no token, so it may go to any server.
        let url = origin.devices(user);
        let answer = self.fetch_public(&url).await?.expect(StatusCode::OK)?;
        let body = answer.json()?;
        let items = body.get("orderedItems").and_then(Value::as_array);
        let items = items.ok_or_else(|| answer.unexpected("has no orderedItems"))?;
        let nodes = items.iter().map(ChainNode::parse).collect::<Result<Vec<_>, _>>();
        let nodes = nodes.map_err(|fault| answer.unexpected(fault.to_string()))?;
        let state = replay(origin, user, &nodes)?;
        if device_set(&answer, &body)? != state.device_set().reference() {
            return Err(answer.unexpected("eko:deviceSet is not the head of this chain"));
        }
        Ok((nodes, state))
    }

    /// Approves a pending device of this user. It reads the list of pending devices and the chain,
    /// checks that the device holds its key, and appends an `AddDevice` node that this device
    /// signs.
    ///
    /// Only the user can tell whether the device is theirs, by comparing fingerprints.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if the device is not pending or does not hold its key; the
    /// problem `stale-head` if another node was appended first.
    pub async fn approve(&self, device: &DeviceId) -> Result<DeviceSetRef, ClientError> {
        let pending = self.pending_devices().await?;
        let waiting = pending.into_iter().find(|pending| pending.device.id == *device);
        let waiting =
            waiting.ok_or_else(|| ClientError::Untrusted(format!("{device} does not wait for approval")))?;
        self.approve_this(&waiting).await
    }

    /// Approves a pending device as it was shown to the user: with the key whose fingerprint they
    /// compared, whatever the server shows under that id now.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if the device does not hold its key; the problem `stale-head` if
    /// another node was appended first.
    pub async fn approve_this(&self, waiting: &PendingDevice) -> Result<DeviceSetRef, ClientError> {
        let device = &waiting.device;
        waiting
            .verify(&self.origin, &self.user)
            .map_err(|error| ClientError::Untrusted(format!("{}: {error}", device.id)))?;
        let (_, state) = self.chain(&self.user).await?;
        let now_ms = self.environment.now_ms();
        let node = NextNode::new(&self.origin, &self.user, &state.position, now_ms).add(device);
        self.append(&self.sign_node(node)?).await
    }

    /// Revokes a device of this user, possibly itself: reads the chain and appends a `RevokeDevice`
    /// node.
    ///
    /// # Errors
    /// The problem `invalid` if the device is not active, or `stale-head` if another node was
    /// appended first.
    pub async fn revoke(&self, device: &DeviceId) -> Result<DeviceSetRef, ClientError> {
        let (_, state) = self.chain(&self.user).await?;
        let now_ms = self.environment.now_ms();
        let node = NextNode::new(&self.origin, &self.user, &state.position, now_ms).revoke(device);
        self.append(&self.sign_node(node)?).await
    }

    /// Turns a pending device of this user away. It reads the list of pending devices and the chain,
    /// and sends a `Reject` that this device signs. The chain does not change.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] if the device is not pending; the problem `stale-head` if a node
    /// was appended meanwhile.
    pub async fn turn_away(&self, device: &DeviceId) -> Result<(), ClientError> {
        let pending = self.pending_devices().await?;
        let waiting = pending.into_iter().find(|pending| pending.device.id == *device);
        let waiting =
            waiting.ok_or_else(|| ClientError::Untrusted(format!("{device} does not wait for approval")))?;
        let (_, state) = self.chain(&self.user).await?;
        let set = state.device_set().reference();
        let set = set.ok_or_else(|| ClientError::Untrusted("the own chain is empty".to_owned()))?;
        let body = self.rejection(&waiting.device, &set);
        self.post(&self.origin.devices(&self.user), &body, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// Returns the body of a `Reject` of a pending device, signed by this device.
    pub fn rejection(&self, waiting: &NewDevice, set: &DeviceSetRef) -> Value {
        let address = self.origin.device(&self.user, &waiting.id);
        let base = rejection_base(&self.actor(), &address, waiting, set);
        let signature = self.keys.identity().sign(&base, &self.environment);
        json!({
            "@context": context(&self.origin),
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
    let set = body.get("eko:deviceSet").map(shape::<DeviceSetRef>).transpose();
    set.map_err(|fault| answer.unexpected(fault.under("/eko:deviceSet").to_string()))
}
