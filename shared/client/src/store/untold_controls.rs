//! Changes of groups that a former account has not told all members, for the account to which its user moves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DeviceStoreError, Transaction};

/// The name under which the store keeps the changes that a former account has not told.
const UNTOLD: &str = "untold_controls";
/// The envelopes of the former store that wait or have failed, and hold no note of its user `?1`. Those that have
/// failed have no content any more.
const OPEN: &str = "SELECT id, recipient, plaintext, state = 5 FROM former.envelopes AS open \
                    WHERE state IN (1, 5, 6) AND silent = 0 AND resent_to IS NULL \
                    AND NOT EXISTS (SELECT 1 FROM former.messages AS notes \
                    WHERE notes.id = open.message AND notes.actor = ?1) ORDER BY made, id";

/// An activity of a former account that one of its recipients lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UntoldControl {
    /// The id of the envelope of the former account.
    envelope: String,
    /// The actor id of the recipient.
    pub(crate) recipient: String,
    /// The activity, as its envelope has it, in hexadecimal digits.
    activity: String,
}

impl UntoldControl {
    /// Returns the bytes of the activity.
    pub(crate) fn plaintext(&self) -> Result<Vec<u8>, DeviceStoreError> {
        hex::decode(&self.activity).map_err(|_| DeviceStoreError::Corrupt("untold control"))
    }
}

impl Transaction<'_> {
    /// Brings over what the former account has not told. What waited before and has failed since stays: the
    /// former device may have met the end of its account.
    pub(super) fn bring_untold_controls(&self, me: &str) -> Result<(), DeviceStoreError> {
        let before = self.untold_controls()?.into_iter().map(|untold| (untold.envelope.clone(), untold));
        let mut before: BTreeMap<String, UntoldControl> = before.collect();
        let mut statement = self.inner.prepare(OPEN)?;
        let rows =
            statement.query_map([me], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let mut untold = Vec::new();
        for row in rows {
            let (envelope, recipient, plaintext, has_failed): (String, String, Option<Vec<u8>>, bool) = row?;
            match (before.remove(&envelope), plaintext) {
                (Some(known), _) => untold.push(known),
                (None, Some(plaintext)) if !has_failed => {
                    untold.push(UntoldControl { envelope, recipient, activity: hex::encode(plaintext) });
                }
                (None, _) => {}
            }
        }
        self.put_json(UNTOLD, &untold)
    }

    /// Returns what the former account has not told.
    pub(crate) fn untold_controls(&self) -> Result<Vec<UntoldControl>, DeviceStoreError> {
        Ok(self.json(UNTOLD)?.unwrap_or_default())
    }

    /// Takes what the former account has not told. It is to be told in this transaction.
    pub(crate) fn take_untold_controls(&self) -> Result<Vec<UntoldControl>, DeviceStoreError> {
        let untold = self.untold_controls()?;
        self.delete(UNTOLD)?;
        Ok(untold)
    }

    /// Returns the recipients and the content of the envelopes that wait and are not silent.
    pub(crate) fn waiting_plaintexts(&self) -> Result<Vec<(String, Vec<u8>)>, DeviceStoreError> {
        let sql = "SELECT recipient, plaintext FROM envelopes WHERE state = 1 AND silent = 0 \
                   AND resent_to IS NULL AND plaintext IS NOT NULL ORDER BY made, id";
        let mut statement = self.inner.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
