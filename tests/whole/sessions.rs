//! Sign-in, tokens and their ends (`docs/protocol.md`, section 10).

mod foreign_tokens;
mod former;
mod refresh;
mod sign_in;

use eko_client::Device;
use eko_testkit::{BARE, DirectTransport, World};

/// Makes a device with the least keys, which has not registered.
fn first_device(world: &World, user: &str) -> Device<DirectTransport> {
    world.device(user, "one", BARE)
}
