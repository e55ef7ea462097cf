//! Coverage (`docs/protocol.md`, section 5): what is answered to an envelope, and what a retry of
//! it does.

mod expiry;
mod missing;
mod retries;
mod stale;
