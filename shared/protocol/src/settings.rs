//! The settings of an account (`docs/protocol.md`, section 6).

use serde_json::{Value, json};

use crate::Invalid;
use crate::json::text;

/// The setting that says whose first envelopes come into a user's mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhoMayWrite {
    /// Everybody's.
    #[default]
    Everyone,
    /// Those of actors whom the user knows; few of others, as requests.
    Known,
    /// Those of actors whom the user knows, and nobody else's.
    Nobody,
}

impl WhoMayWrite {
    /// Reads the setting.
    ///
    /// # Errors
    /// [`Invalid`] for any other text than `everyone`, `known` and `nobody`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        [Self::Everyone, Self::Known, Self::Nobody]
            .into_iter()
            .find(|setting| setting.as_str() == text)
            .ok_or_else(|| Invalid::whole("must be everyone, known or nobody"))
    }

    /// Returns the text that [`WhoMayWrite::parse`] reads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Known => "known",
            Self::Nobody => "nobody",
        }
    }
}

/// The settings of an account.
///
/// ```
/// use eko_protocol::settings::{AccountSettings, WhoMayWrite};
/// use serde_json::json;
///
/// let settings = AccountSettings::parse(&json!({"whoMayWrite": "known"}))?;
/// assert_eq!(settings, AccountSettings { who_may_write: WhoMayWrite::Known });
/// assert_eq!(AccountSettings::parse(&settings.to_value())?, settings);
/// assert_eq!(AccountSettings::parse(&json!({})).unwrap_err().pointer, "/whoMayWrite");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountSettings {
    /// Whose first envelopes come.
    pub who_may_write: WhoMayWrite,
}

impl AccountSettings {
    /// Reads the settings: `{"whoMayWrite": "everyone"}`.
    ///
    /// # Errors
    /// [`Invalid`] for a member that is missing or has another value.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let who_may_write = WhoMayWrite::parse(text(value, "whoMayWrite")?);
        Ok(Self { who_may_write: who_may_write.map_err(|fault| fault.under("/whoMayWrite"))? })
    }

    /// Writes the settings.
    pub fn to_value(self) -> Value {
        json!({ "whoMayWrite": self.who_may_write.as_str() })
    }
}
