//! The reading of a `Take` request (`docs/protocol.md`, section 4), for the functions that accept
//! one.

use eko_protocol::Invalid;
use eko_protocol::key_package::{LocalPackages, RemotePackages, RequestedDevices, TakeActivity, TakeTarget};
use serde_json::Value;

use crate::caller::Caller;
use crate::{AppState, Problem};

/// Reads a `Take` that a device of this server sends. Its `actor` must be the caller.
///
/// # Errors
/// [`Problem::Invalid`] if it is not well formed; [`Problem::NotYours`] at `/actor`.
pub fn parse_own(state: &AppState, caller: &Caller, activity: &Value) -> Result<TakeActivity, Problem> {
    let mut take = TakeActivity::parse(activity, state.origin())?;
    if let TakeTarget::Remote(RemotePackages::OfHandle(handle)) = &take.target
        && state.is_at_home(handle)
    {
        let user = handle.user().ok_or(Invalid::at("/object", "is no name of a user here"))?;
        take.target = TakeTarget::Local(LocalPackages { user, devices: RequestedDevices::All });
    }
    if take.actor == state.origin().actor(&caller.user) {
        Ok(take)
    } else {
        Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")))
    }
}

/// Returns the packages that a `Take` asks for if they are of a user of this server.
///
/// # Errors
/// [`Problem::Invalid`] at `/object` for packages of another server.
pub fn local_packages(take: TakeActivity) -> Result<LocalPackages, Problem> {
    match take.target {
        TakeTarget::Local(packages) => Ok(packages),
        TakeTarget::Remote(_) => Err(Invalid::at("/object", "is on another server").into()),
    }
}
