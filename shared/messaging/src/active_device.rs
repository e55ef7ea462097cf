//! The check that the calling device is active.
//!
//! An access token proves which device calls. That the device has not been revoked since is seen in
//! the store, in an item that the verb reads anyway.

use eko_protocol::id::DeviceId;
use eko_store::device::DeviceStatus;
use eko_store::devices::UserDevices;

use crate::Refusal;

/// Returns the caller's device set if the calling device is in it.
///
/// `devices` is the set as the store has it, `None` if the user does not exist (any more).
///
/// # Errors
/// [`Refusal::DevicePending`] or [`Refusal::DeviceRevoked`].
pub fn require_active(
    devices: Option<UserDevices>,
    device: &DeviceId,
) -> std::result::Result<UserDevices, Refusal> {
    let devices = devices.ok_or(Refusal::DeviceRevoked)?;
    require_status(Some(devices.status_of(device)))?;
    Ok(devices)
}

/// Checks the status of the calling device. `None` means that the store has no such device.
///
/// # Errors
/// [`Refusal::DevicePending`] or [`Refusal::DeviceRevoked`].
pub fn require_status(status: Option<DeviceStatus>) -> std::result::Result<(), Refusal> {
    match status {
        Some(DeviceStatus::Active) => Ok(()),
        Some(DeviceStatus::Pending) => Err(Refusal::DevicePending),
        Some(DeviceStatus::Revoked) | None => Err(Refusal::DeviceRevoked),
    }
}
