//! The device chain of a user (`docs/protocol.md`, section 3): nodes, the bytes that they sign, and
//! the rules for appending one.
//!
//! Each node adds, revokes or resets devices, or says that the user has moved to another account. It holds the hash of the node before it and the
//! signature of a device, so that a server cannot change which devices a user has.
//!
//! ```text
//! node 0                node 1                   node 2
//! AddDevice phone       AddDevice laptop         RevokeDevice phone
//! by phone itself       by phone                 by laptop
//!                  ◄─── previous: SHA-256  ◄──── previous: SHA-256     head: SHA-256 of node 2
//! ```
//!
//! The server stores the chain's [`ChainPosition`] and the active devices. It decides about a new
//! node with [`verify_append`] and [`verify_registration`], without a replay. Clients replay the
//! whole chain with [`ChainState::replay`]. Both rest on [`verify_next`] and [`check_membership`].

mod append;
mod build;
mod error;
mod joining;
mod moving;
mod node;
mod rejection;
mod signing;
mod state;
mod verify;
mod wire;

pub use append::{
    AppendContext, AppendError, DeviceSetChange, NodeSubject, verify_append, verify_registration,
};
pub use build::{NewDevice, NextNode, UnsignedNode};
pub use error::{ChainError, ReplayError};
pub use joining::{JOINING_SECRET_BYTES, JoiningKeys, JoiningVerdict};
pub use moving::{MoveError, check_move};
pub use node::{Addition, ChainNode, MoveTarget, NodeKind, Proof};
pub use rejection::DeviceRejection;
pub use signing::{possession_base, proof_base, rejection_base, sign_in_base};
pub use state::{ActiveDevice, ChainState, root};
pub use verify::{ChainPosition, DeviceStanding, check_membership, verify_next, verify_possession};
