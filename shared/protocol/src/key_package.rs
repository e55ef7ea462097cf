//! Key packages: what a device publishes, what others get, how they ask for it (`docs/protocol.md`, section
//! 4).

mod collection;
mod digest;
mod package;
mod pre_key;
mod publish;
mod take;

pub use collection::PackageCollection;
pub use digest::{check_digest, parse_check};
pub use package::KeyPackage;
pub use pre_key::{KyberPreKey, OneTimePreKey, SignedPreKey};
pub use publish::PublishedKeys;
pub use take::{TakeActivity, Target};
