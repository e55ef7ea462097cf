//! The function behind the queue `deliveries`: what was accepted goes to the devices' mailboxes
//! (`docs/protocol.md`, section 6).
//!
//! A batch of up to ten messages becomes one BatchWriteItem for each 25 entries; a report for all of a
//! user's devices costs a GetItem of the device set more. A message that fails comes back by itself, and one
//! that keeps failing ends in the dead-letter queue. Entries have the same keys each time, so that a message
//! delivered twice changes nothing.

use std::collections::BTreeSet;

use eko_protocol::address::UserName;
use eko_protocol::id::{DeviceId, EntryKey};
use eko_service::AppState;
use eko_service::QueueMessage;
use eko_service::config::Needs;
use eko_store::deliveries::{Delivery, Report};
use eko_store::mailbox::{Addressed, Content, Entry};
use eko_store::{Result, StoreError};

/// What this function has to be told.
pub const NEEDS: Needs = Needs::NOTHING;

/// Delivers a batch; answers the ids of the messages that failed.
pub async fn handle(state: AppState, batch: Vec<QueueMessage>) -> Vec<String> {
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    let mut entries: Vec<Addressed> = Vec::new();
    let mut sources: Vec<usize> = Vec::new();
    for (index, message) in batch.iter().enumerate() {
        match entries_of(&state, &message.body).await {
            Ok(more) => {
                sources.extend(more.iter().map(|_| index));
                entries.extend(more);
            }
            Err(error) => {
                tracing::error!(message = message.id, %error, "not delivered");
                failed.insert(index);
            }
        }
    }
    let unwritten = state.store().put_entries(&entries).await;
    failed.extend(unwritten.into_iter().filter_map(|entry| sources.get(entry)));
    failed.into_iter().filter_map(|index| batch.get(index)).map(|message| message.id.clone()).collect()
}

async fn entries_of(state: &AppState, body: &str) -> Result<Vec<Addressed>> {
    let delivery = serde_json::from_str(body).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    match delivery {
        Delivery::Envelope(envelope) => envelope.entries(),
        Delivery::Report(report) => report_entries(state, report).await,
    }
}

/// A report's entries: for the device that it names, or for every active one.
async fn report_entries(state: &AppState, report: Report) -> Result<Vec<Addressed>> {
    let corrupt = |e: eko_protocol::Invalid| StoreError::Corrupt(e.to_string());
    let user = UserName::parse(&report.to).map_err(corrupt)?;
    let key = EntryKey::parse(&report.entry).map_err(corrupt)?;
    let devices: Vec<DeviceId> = match &report.device {
        Some(device) => vec![DeviceId::parse(device).map_err(corrupt)?],
        None => state
            .store()
            .device_set(&user)
            .await?
            .map(|set| set.active.into_keys().collect())
            .unwrap_or_default(),
    };
    let content = Content::Report(report.activity.to_string().into_bytes());
    let entry = Entry { key, ttl: report.ttl, content };
    let one = |device| Addressed { user: user.clone(), device, entry: entry.clone() };
    Ok(devices.into_iter().map(one).collect())
}
