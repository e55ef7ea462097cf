//! The recovery of an account's store, for `eko recover` and for a sign-in that takes over a damaged one.

use eko_client::DeviceStore;
use eko_client::messenger::is_readable;
use eko_client::store::{DeviceStoreError, RecoveredStore, StoreFault, StoredForm};
use eko_protocol::address::{Handle, Origin, UserName};

use crate::failure::CommandFailure;
use crate::home::AccountFolder;
use crate::libsignal::LibSignal;
use crate::partial_handle::PartialHandle;

/// True if a store that fails with this error can be recovered.
pub(crate) fn is_damaged(error: &DeviceStoreError) -> bool {
    matches!(error.fault(), StoreFault::Damaged | StoreFault::Emptied)
}

/// True if no command meets anything in a store that it cannot read.
///
/// # Errors
/// The store cannot be read.
pub(crate) fn is_sound(store: &DeviceStore) -> Result<bool, DeviceStoreError> {
    store.is_sound(&reads)
}

fn reads(form: StoredForm<'_>) -> bool {
    is_readable(&LibSignal, form)
}

/// Returns the server and the name of a handle's user.
///
/// # Errors
/// The handle is none of an Eko server.
pub(crate) fn owner(handle: &Handle) -> Result<(Origin, UserName), CommandFailure> {
    let none = || CommandFailure::new(format!("{handle} is no user of an Eko server"));
    let user = handle.user().ok_or_else(none)?;
    let who = PartialHandle { user: user.clone(), host: Some(handle.authority().to_owned()) };
    Ok((Origin::parse(&who.server(None)).map_err(|_| none())?, user))
}

/// Copies what can be read of an account's store into the store [`AccountFolder::recovered`] of `into`.
///
/// # Errors
/// Another version of `eko` wrote the store; the other one cannot be written.
pub(crate) fn recover(
    damaged: &AccountFolder,
    into: &AccountFolder,
) -> Result<RecoveredStore, CommandFailure> {
    let (origin, user) = owner(&damaged.handle)?;
    let store: DeviceStore = into.begin_recovery()?;
    Ok(store.recover(&damaged.database(), &origin, &user, &reads)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_messenger_and_its_library_cannot_read_is_told_from_the_rest() {
        let value = |name, value: &'static str| reads(StoredForm::Value { name, value: value.as_bytes() });
        assert!(value("keys_checked", "12") && !value("keys_checked", "1x"));
        assert!(value("hides_typing", "true") && !value("hides_typing", "1"));
        assert!(value("state_keys_early", "null") && !value("state_keys_early", "{}"));
        assert!(!value("state_keys_passed_on", "null") && !value("chain_changed", "true"));
        assert!(value("read_up_to device actor", "7") && !value("read_up_to device actor", "{}"));
        assert!(!value("unpublished", "[]") && !value("known_at_server", "{}"));
        assert!(!reads(StoredForm::Session(b"\xffrecord")));
    }
}
