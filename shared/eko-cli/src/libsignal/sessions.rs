//! The record of one session, as a store for libsignal.

use async_trait::async_trait;
use eko_client::SessionError;
use libsignal_protocol_syft::{ProtocolAddress, SessionRecord, SessionStore, SignalProtocolError};

use super::failure::carried;

/// The session with one device.
pub(super) struct OneSession<'a> {
    with: &'a ProtocolAddress,
    record: Option<SessionRecord>,
}

impl<'a> OneSession<'a> {
    /// Creates the store from a session record, or without one if there is no session yet.
    pub(super) fn of(with: &'a ProtocolAddress, record: Option<&[u8]>) -> Result<Self, SessionError> {
        let record = record.map(SessionRecord::deserialize).transpose();
        let record = record.map_err(|error| SessionError::Broken(error.to_string()))?;
        Ok(Self { with, record })
    }

    /// Returns the session record.
    pub(super) fn record(self) -> Result<Vec<u8>, SessionError> {
        let record = self.record.ok_or_else(|| SessionError::NoSession(self.with.name().to_owned()))?;
        record.serialize().map_err(|error| SessionError::Broken(error.to_string()))
    }

    fn check(&self, address: &ProtocolAddress) -> Result<(), SignalProtocolError> {
        if address == self.with {
            Ok(())
        } else {
            Err(carried(SessionError::Broken(format!("the session with {address} is not at hand"))))
        }
    }
}

#[async_trait(?Send)]
impl SessionStore for OneSession<'_> {
    async fn load_session(
        &self,
        address: &ProtocolAddress,
    ) -> Result<Option<SessionRecord>, SignalProtocolError> {
        self.check(address)?;
        Ok(self.record.clone())
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: &SessionRecord,
    ) -> Result<(), SignalProtocolError> {
        self.check(address)?;
        self.record = Some(record.clone());
        Ok(())
    }
}
