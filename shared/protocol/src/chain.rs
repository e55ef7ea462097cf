//! A user's device chain (`docs/protocol.md`, section 3): nodes, what they sign, and who may append.
//!
//! The server keeps the chain's [`ChainPosition`] and the active devices, and judges a new node with
//! [`verify_next`] and [`check_membership`]: nothing is replayed. Clients and tests replay the whole with
//! [`ChainState::replay`].

mod build;
mod error;
mod node;
mod signing;
mod state;
mod verify;
mod wire;

pub use build::{NewDevice, UnsignedNode};
pub use error::{ChainError, ReplayError};
pub use node::{Addition, ChainNode, NodeKind, Proof};
pub use signing::{possession_base, proof_base, sign_in_base};
pub use state::{ActiveDevice, ChainState};
pub use verify::{ChainPosition, DeviceStanding, check_membership, verify_next, verify_possession};
