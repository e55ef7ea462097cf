//! The function behind the queue `federation`: it posts activities to other servers, and fetches
//! actors that are too slow for the request that named them (`docs/protocol.md`, section 7).

use eko_messaging::QueueMessage;
use eko_service::FederatedState;
use eko_service::config::Needs;
use eko_store::fetches::PlannedFetch;
use eko_store::waiting::WakeOrder;

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { signing_key: true, deliveries: true, parcels: true, ..Needs::NOTHING };

/// Tries the parcels of a batch of messages, makes the planned fetches in it, and wakes what waits
/// for servers that are back. Returns the ids
/// of the messages that stay in the queue.
///
/// The calls are listed at [`try_parcels`](eko_messaging::Messaging::try_parcels) and
/// [`fetch_planned`](eko_federation::Federation::fetch_planned).
pub async fn handle(state: FederatedState, batch: Vec<QueueMessage>) -> Vec<String> {
    let mut planned = Vec::new();
    let mut parcels = Vec::new();
    let mut failed = Vec::new();
    for message in batch {
        if let Some(fetch) = PlannedFetch::parse(&message.body) {
            planned.push(fetch);
        } else if let Some(order) = WakeOrder::parse(&message.body) {
            if !state.messaging().wake(&order).await {
                failed.push(message.id);
            }
        } else {
            parcels.push(message);
        }
    }
    let fetches = async {
        // A server that does not federate any more asks nobody.
        if let Some(federation) = state.federates() {
            federation.fetch_planned(planned, state.now_ms()).await;
        }
    };
    let (waiting, ()) = tokio::join!(state.messaging().try_parcels(state.federates(), parcels), fetches);
    failed.extend(waiting);
    failed
}
