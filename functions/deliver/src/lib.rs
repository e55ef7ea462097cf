//! The function behind the queue `deliveries`: letters and reports go to the devices' mailboxes (`docs/protocol.md`,
//! section 6).
//!
//! A message that fails comes back by itself. A message that keeps failing ends in the dead-letter queue.

use eko_messaging::QueueMessage;
use eko_service::AppState;
use eko_service::config::Needs;

/// The settings that this function needs.
pub const NEEDS: Needs = Needs::NOTHING;

/// Delivers a batch. Returns the ids of the messages that failed.
pub async fn handle(state: AppState, batch: Vec<QueueMessage>) -> Vec<String> {
    state.messaging().deliver(&batch).await
}
