//! The function behind the queue `deliveries`: it puts letters and reports into the mailboxes of
//! devices, and posts them to sockets. It counts mailboxes, and erases revoked devices and deleted accounts
//! (`docs/protocol.md`, sections 3, 6, 8 and 10).
//!
//! A message that fails becomes visible in the queue again. After five receives it goes to the
//! dead-letter queue.

use eko_messaging::QueueMessage;
pub use eko_messaging::deliver::STEP_TIME;
use eko_service::AppState;
use eko_service::config::Needs;

/// The settings that this function needs.
pub const NEEDS: Needs =
    Needs { seldom_deliveries: true, sockets: true, pushes: true, parcels: true, ..Needs::NOTHING };

/// Delivers a batch of messages. Returns the ids of those that failed.
///
/// The calls are listed at [`deliver`](eko_messaging::Messaging::deliver).
pub async fn handle(state: AppState, batch: Vec<QueueMessage>) -> Vec<String> {
    state.messaging().deliver(&batch).await
}
