//! The key packages that a `Take` to this server asks for.

use eko_protocol::Invalid;
use eko_protocol::key_package::{LocalPackages, TakeTarget};

use crate::Problem;

/// Returns the packages if they are of a user of this server.
///
/// # Errors
/// 422 at `/object` for packages of another server.
pub fn of_this_server(target: TakeTarget) -> Result<LocalPackages, Problem> {
    match target {
        TakeTarget::Local(packages) => Ok(packages),
        TakeTarget::Remote(_) => Err(Invalid::at("/object", "is on another server").into()),
    }
}
