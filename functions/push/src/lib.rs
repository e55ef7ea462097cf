//! The function behind the queue `pushes`: it wakes absent devices through push services
//! (`docs/protocol.md`, section 8).

mod state;

use eko_messaging::QueueMessage;
use eko_service::config::Needs;

pub use state::PushServiceState;

/// The settings that this function needs.
pub const NEEDS: Needs = Needs { vapid_key: true, pushes: true, ..Needs::NOTHING };

/// Carries out a batch of orders. Returns the ids of the messages that stay in the queue.
///
/// The calls are listed at [`push`](eko_messaging::Messaging::push).
pub async fn handle(state: PushServiceState, batch: Vec<QueueMessage>) -> Vec<String> {
    match state.service() {
        Some(service) => state.messaging().push(service, &batch).await,
        // A server that sends no pushes any more drops the orders.
        None => Vec::new(),
    }
}
