//! Names and addresses (`docs/protocol.md`, section 1): user names, handles, origins, and the URLs
//! under an origin.

mod handle;
mod origin;
mod path;
mod url_text;
mod user_name;

pub use handle::Handle;
pub use origin::{Origin, host_of};
pub(crate) use url_text::check_url;
pub use user_name::UserName;
