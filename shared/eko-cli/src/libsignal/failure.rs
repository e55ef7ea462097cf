use std::error::Error;

use eko_client::SessionError;
use libsignal_protocol_syft::SignalProtocolError;

/// A failure of our own, for libsignal to carry through.
pub(super) fn carried(error: SessionError) -> SignalProtocolError {
    SignalProtocolError::for_application_callback("Eko's stores")(error)
}

/// What a failure of libsignal's means to a client.
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
        // The state, the arguments, and what only sealed senders and groups have.
        _ => SessionError::Broken(error.to_string()),
    }
}
