//! The function behind the queue `federation`: it posts activities to other servers
//! (`docs/protocol.md`, section 7).

use eko_messaging::QueueMessage;
use eko_service::FederatedState;
use eko_service::config::Needs;

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { signing_key: true, deliveries: true, parcels: true, ..Needs::NOTHING };

/// Tries the parcels of a batch of messages. Returns the ids of the messages that stay in the
/// queue.
///
/// The calls are listed at [`try_parcels`](eko_messaging::Messaging::try_parcels).
pub async fn handle(state: FederatedState, batch: Vec<QueueMessage>) -> Vec<String> {
    state.messaging().try_parcels(state.federates(), batch).await
}
