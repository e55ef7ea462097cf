//! The identity keys of a session's two ends, as a store for libsignal.

use async_trait::async_trait;
use eko_client::SessionError;
use eko_client::sessions::{LocalDevice, PeerDevice};
use libsignal_protocol_syft::{
    Direction, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore, PrivateKey, ProtocolAddress,
    SignalProtocolError,
};

use super::convert;
use super::failure::{carried, explained};

/// The identity keys of this device and of the other one. No other key is trusted, and none is
/// learned.
pub(super) struct SessionIdentities<'a> {
    own: LocalDevice<'a>,
    pair: IdentityKeyPair,
    peer: &'a str,
    theirs: IdentityKey,
}

impl<'a> SessionIdentities<'a> {
    /// Creates the store.
    pub(super) fn of(own: LocalDevice<'a>, peer: PeerDevice<'a>) -> Result<Self, SessionError> {
        let private = PrivateKey::deserialize(own.identity.secret());
        let private = private.map_err(|error| explained(error.into()))?;
        let pair = IdentityKeyPair::new(convert::identity(&own.identity.public())?, private);
        Ok(Self { own, pair, peer: peer.address, theirs: convert::identity(peer.identity)? })
    }

    fn is_theirs(&self, address: &ProtocolAddress, identity: &IdentityKey) -> bool {
        address.name() == self.peer && *identity == self.theirs
    }
}

#[async_trait(?Send)]
impl IdentityKeyStore for SessionIdentities<'_> {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair, SignalProtocolError> {
        Ok(self.pair)
    }

    async fn get_local_registration_id(&self) -> Result<u32, SignalProtocolError> {
        Ok(self.own.registration_id.get().into())
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> Result<IdentityChange, SignalProtocolError> {
        if self.is_theirs(address, identity) {
            Ok(IdentityChange::NewOrUnchanged)
        } else {
            Err(carried(SessionError::WrongIdentity(address.name().to_owned())))
        }
    }

    async fn is_trusted_identity(
        &self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
        _: Direction,
    ) -> Result<bool, SignalProtocolError> {
        Ok(self.is_theirs(address, identity))
    }

    async fn get_identity(
        &self,
        address: &ProtocolAddress,
    ) -> Result<Option<IdentityKey>, SignalProtocolError> {
        Ok((address.name() == self.peer).then_some(self.theirs))
    }
}
