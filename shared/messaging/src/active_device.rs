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
