//! The steps of a messenger, for a progress display.

/// The step that a messenger is about to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressStep {
    /// Reading a user's device chain.
    Chain {
        /// The user's actor id.
        actor: String,
    },
    /// Taking key packages, to begin sessions.
    Take {
        /// The actor id of the devices' user.
        actor: String,
        /// The number of devices.
        devices: usize,
    },
    /// Sending an envelope.
    Send {
        /// The actor id of the recipient.
        actor: String,
        /// The number of devices that it has a ciphertext for.
        devices: usize,
    },
    /// Encrypting again, because the recipient has other devices than this device knew of.
    Again {
        /// The actor id of the recipient.
        actor: String,
        /// The number of devices that lack a ciphertext.
        missing: usize,
        /// The number of devices that are not active any more.
        stale: usize,
    },
    /// Publishing keys of this device.
    Publish,
}
