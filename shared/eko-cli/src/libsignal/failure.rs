//! Errors of libsignal, and errors of this project on their way through libsignal.

use std::error::Error;

use eko_client::SessionError;
use libsignal_protocol_syft::SignalProtocolError;

/// Wraps an error of a store, so that libsignal passes it through.
pub(super) fn carried(error: SessionError) -> SignalProtocolError {
    SignalProtocolError::for_application_callback("Eko's stores")(error)
}

/// Converts an error of libsignal. An error that [`carried`] has wrapped comes out unchanged.
pub(super) fn explained(error: SignalProtocolError) -> SessionError {
    use SignalProtocolError as E;
    match error {
        E::ApplicationCallbackError(_, source) => {
            let source: &(dyn Error + 'static) = &*source;
            let own = source.downcast_ref::<SessionError>().cloned();
            own.unwrap_or_else(|| SessionError::Broken(source.to_string()))
        }
        E::SessionNotFound(address) => SessionError::NoSession(address.name().to_owned()),
        E::UntrustedIdentity(address) => SessionError::WrongIdentity(address.name().to_owned()),
        E::DuplicatedMessage(..) => SessionError::Duplicate,
        E::InvalidMessage(..)
        | E::InvalidProtobufEncoding
        | E::CiphertextMessageTooShort(_)
        | E::LegacyCiphertextVersion(_)
        | E::UnrecognizedCiphertextVersion(_)
        | E::UnrecognizedMessageVersion(_)
        | E::NoKeyTypeIdentifier
        | E::BadKeyType(_)
        | E::BadKeyLength(..)
        | E::BadKEMKeyType(_)
        | E::WrongKEMKeyType(..)
        | E::BadKEMKeyLength(..)
        | E::BadKEMCiphertextLength(..) => SessionError::Unreadable(error.to_string()),
        // The rest are errors of the record or the arguments, and errors of features that are not
        // used.
        _ => SessionError::Broken(error.to_string()),
    }
}
