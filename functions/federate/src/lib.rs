//! The function behind the queue `federation`: activities that wait for another server (`docs/protocol.md`, sections
//! 5 and 7).

use eko_messaging::QueueMessage;
use eko_service::Federated;
use eko_service::config::Needs;

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { signing_key: true, deliveries: true, parcels: true, ..Needs::NOTHING };

/// Tries the parcels of a batch. Returns the ids of the messages that stay in the queue.
pub async fn handle(state: Federated, batch: Vec<QueueMessage>) -> Vec<String> {
    state.messaging().try_parcels(state.federates(), batch).await
}
