//! The actors whom the server takes for known though the user does not know them: a device that was revoked may
//! have told it of them. They take the places of others.

use std::collections::BTreeMap;

use eko_protocol::json::{has_type, text};
use eko_protocol::timestamp;
use serde_json::Value;

use super::known::{FELLOWS, REFUSED, ToldFellow};
use super::{Messenger, MessengerError};
use crate::device::ExportProgress;
use crate::store::DeviceStoreError;
use crate::stored_time::is_over;
use crate::{SignalSessions, Transport};

/// The name under which the store keeps when this device has last compared, or first had a reason to.
pub(super) const COMPARED: &str = "known_compared";
/// The time between the first reason and the comparison, and between two of them. Meanwhile the other devices
/// tell this one of the user's contacts.
const COMPARED_AFTER_MS: i64 = 24 * 3_600_000;
/// The age of what is undone. What is younger another device may have told, of a contact whom this device
/// does not know yet.
const LEAST_AGE_MS: i64 = 24 * 3_600_000;
/// The most pages of the export that are read. All known actors are on its first ones.
const MOST_PAGES: usize = 16;

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Once the server has refused somebody for a day, reads whom it takes for known. Whoever is neither a
    /// contact nor a member of a group is forgotten like a former member.
    pub(super) async fn compare_known(&self) -> Result<(), MessengerError> {
        let now_ms = self.now_ms();
        let is_due = self.store.write(|tx| {
            let is_full =
                tx.json::<BTreeMap<String, i64>>(REFUSED)?.is_some_and(|refused| !refused.is_empty());
            if !is_full {
                return Ok(false);
            }
            let compared_ms = tx.json::<i64>(COMPARED)?;
            let is_over = compared_ms.is_some_and(|ms| is_over(now_ms, ms, COMPARED_AFTER_MS));
            if is_over || compared_ms.is_none() {
                tx.put_json(COMPARED, &now_ms)?;
            }
            Ok::<_, DeviceStoreError>(is_over)
        })?;
        if !is_due {
            return Ok(());
        }
        let listed = self.known_at_server().await?;
        Ok(self.store.write(|tx| {
            let known = self.known_people(tx)?;
            let mut fellows: BTreeMap<String, ToldFellow> = tx.json(FELLOWS)?.unwrap_or_default();
            for (actor, since_ms) in &listed {
                if !known.has(actor) && is_over(now_ms, *since_ms, LEAST_AGE_MS) {
                    let stray = ToldFellow { group: String::new(), gone_ms: Some(0), is_undone: false };
                    fellows.entry(actor.clone()).or_insert(stray);
                }
            }
            tx.put_json(FELLOWS, &fellows)
        })?)
    }

    /// Returns whom the server takes for known, and since when, in epoch milliseconds.
    async fn known_at_server(&self) -> Result<Vec<(String, i64)>, MessengerError> {
        let (mut progress, mut listed, mut count) = (ExportProgress::default(), Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let items = self.export_next(&mut progress).await?;
            listed.extend(items.iter().filter_map(known_actor));
            let set = items.iter().find(|item| has_type(item, "DeviceSet"));
            count = count.or(set.and_then(|set| set["knownActors"].as_u64()));
            let is_complete =
                count.is_some_and(|count| u64::try_from(listed.len()).is_ok_and(|n| n >= count));
            if progress.is_over() || is_complete {
                break;
            }
        }
        Ok(listed)
    }
}

/// Reads an item of the export that is a known actor. That of a stranger has no time.
fn known_actor(item: &Value) -> Option<(String, i64)> {
    if !has_type(item, "KnownActor") {
        return None;
    }
    let since_ms = timestamp::parse(text(item, "known").ok()?).ok()?;
    Some((text(item, "party").ok()?.to_owned(), since_ms))
}
