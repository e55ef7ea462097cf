//! Lost answers of DynamoDB and SQS: each piece of work comes out the same, whichever of its calls
//! was performed without an answer, and whether or not the process died there.

mod devices;
mod messages;
mod sessions;
mod sockets;

use eko_client::{ClientError, Device};
use eko_store::resources::DELIVERIES;
use eko_testkit::{DirectTransport, World};

/// A server with a user's device, and another device.
type Pair = (World, Device<DirectTransport>, Device<DirectTransport>);

/// Returns an error as its text.
fn told<T>(result: Result<T, ClientError>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

/// Lets the visibility timeout of the queue pass, so that messages come back whose receiver died,
/// and delivers them.
async fn deliver_later(world: &World) {
    world.advance(i64::from(DELIVERIES.visibility_seconds) * 1000);
    world.deliver().await;
}
