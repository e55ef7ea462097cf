//! Random bytes that are the same in every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eko_service::state::Random;
use sha2::{Digest, Sha256};

/// Returns a source of bytes that depend on `seed` and on the number of bytes drawn before. For
/// tests only.
pub fn seeded(seed: impl Into<String>) -> Random {
    let seed: String = seed.into();
    let drawn = AtomicU64::new(0);
    Arc::new(move |bytes| {
        for chunk in bytes.chunks_mut(32) {
            let count = drawn.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::new().chain_update(&seed).chain_update(count.to_be_bytes()).finalize();
            let length = chunk.len();
            chunk.copy_from_slice(block.get(..length).unwrap_or_default());
        }
    })
}
