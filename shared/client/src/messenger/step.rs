/// What a messenger is about to do, for a progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressStep {
    /// It asks for someone's device list.
    Chain {
        /// Whose.
        actor: String,
    },
    /// It takes key packages, to begin sessions.
    Take {
        /// Whose.
        actor: String,
        /// Of how many devices.
        devices: usize,
    },
    /// It sends an envelope.
    Send {
        /// To whom.
        actor: String,
        /// For how many devices.
        devices: usize,
    },
    /// The recipient has other devices than were thought: it encrypts anew.
    Again {
        /// Whose devices.
        actor: String,
        /// How many lack the message.
        missing: usize,
        /// How many are gone.
        stale: usize,
    },
    /// It publishes more of its own keys.
    Publish,
}
