//! The check that the calling device is active.
//!
//! An access token proves which device calls. That the device has not been revoked since is seen in
//! the store, in an item that the verb reads anyway.

use eko_protocol::id::DeviceId;
use eko_store::device::DeviceStatus;
use eko_store::devices::{Absence, OfUser, UserDevices};

use crate::Refusal;

/// Returns the caller's device set if the calling device is in it.
///
/// `devices` is the set as the store has it.
///
/// # Errors
/// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`] or [`Refusal::AccountDeleted`].
pub fn require_active(
    devices: OfUser<UserDevices>,
    device: &DeviceId,
) -> std::result::Result<UserDevices, Refusal> {
    let devices = require_present(devices)?;
    require_status(Some(devices.status_of(device)))?;
    Ok(devices)
}

/// Returns the caller's device set, whether the calling device is in it or not.
///
/// # Errors
/// [`Refusal::DeviceRevoked`] or [`Refusal::AccountDeleted`].
pub fn require_present(devices: OfUser<UserDevices>) -> std::result::Result<UserDevices, Refusal> {
    devices.stored().map_err(|absence| match absence {
        Absence::Unknown => Refusal::DeviceRevoked,
        Absence::Deleted { .. } => Refusal::AccountDeleted,
    })
}

/// Checks that the caller's account has not moved. An account that has moved only reads, and can be
/// deleted.
///
/// # Errors
/// [`Refusal::AccountMoved`].
pub fn require_here(devices: &UserDevices) -> std::result::Result<(), Refusal> {
    match &devices.moved_to {
        Some(actor) => Err(Refusal::AccountMoved(actor.clone())),
        None => Ok(()),
    }
}

/// Returns the caller's device set if the calling device is in it and may send: it is active, and its
/// user has not moved.
///
/// # Errors
/// Those of [`require_active`], and [`Refusal::AccountMoved`].
pub fn require_sending(
    devices: OfUser<UserDevices>,
    device: &DeviceId,
) -> std::result::Result<UserDevices, Refusal> {
    let devices = require_active(devices, device)?;
    require_here(&devices)?;
    Ok(devices)
}

/// Returns the device set of a user to whom something is sent, or of whom keys are taken.
///
/// # Errors
/// [`Refusal::UnknownUser`], [`Refusal::UserDeleted`] or [`Refusal::UserMoved`].
pub(crate) fn require_reachable(devices: OfUser<UserDevices>) -> std::result::Result<UserDevices, Refusal> {
    let devices = devices.stored()?;
    match moved(&devices) {
        Some(refusal) => Err(refusal),
        None => Ok(devices),
    }
}

/// Returns the refusal of what is for a user who has moved, or `None` if the user has not.
pub(crate) fn moved(devices: &UserDevices) -> Option<Refusal> {
    devices.moved_to.clone().map(|actor| Refusal::UserMoved(Some(actor)))
}

/// Checks the status of the calling device. `None` means that the store has no such device.
///
/// # Errors
/// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`] or [`Refusal::AccountDeleted`].
pub fn require_status(status: Option<DeviceStatus>) -> std::result::Result<(), Refusal> {
    match status {
        Some(DeviceStatus::Active) => Ok(()),
        Some(DeviceStatus::Pending) => Err(Refusal::DevicePending),
        Some(DeviceStatus::Revoked) | None => Err(Refusal::DeviceRevoked),
        Some(DeviceStatus::Deleted) => Err(Refusal::AccountDeleted),
    }
}
