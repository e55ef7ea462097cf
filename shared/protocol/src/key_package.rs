//! Key packages (`docs/protocol.md`, section 4): the keys that a device publishes, the packages in
//! which others get them, and the activities `Add`, `Check` and `Take`.
//!
//! | Type | Direction |
//! |---|---|
//! | [`PublishedKeys`] | from a device to its server: at registration, or with `Add` |
//! | [`Publication`], [`publication_base`] | from a device to its server: `Add` |
//! | [`parse_check`], [`check_digest`] | from a device to its server: `Check`, do both hold the same keys? |
//! | [`TakeActivity`] | from a client or a server to a server: consume one-time keys |
//! | [`PackageCollection`], [`KeyPackage`] | the answer |

mod collection;
mod digest;
mod package;
mod pre_key;
mod publication;
mod publish;
mod take;

pub use collection::PackageCollection;
pub use digest::{check_digest, parse_check};
pub use package::KeyPackage;
pub use pre_key::{KyberPreKey, OneTimePreKey, SignedPreKey};
pub use publication::{Publication, PublicationKind, publication_base};
pub use publish::{PublishedKeys, check_jump};
pub use take::{LocalPackages, RemotePackages, RequestedDevices, TakeActivity, TakeTarget};
