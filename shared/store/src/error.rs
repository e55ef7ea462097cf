//! The one error of the store: something is broken or out of reach.

use std::error::Error;

/// The result of every verb.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The store is broken, unreachable or over its capacity. Never a condition that did not hold: that is a
/// value. Clients get 503 and no detail; the detail is for the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A call to AWS failed after the SDK's own retries.
    #[error("{operation} failed: {source}")]
    Call {
        /// The AWS operation, `UpdateItem`.
        operation: &'static str,
        /// What the SDK said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The service took part of a batch only, or lost races again and again.
    #[error("{operation} gave up: {detail}")]
    GaveUp {
        /// The AWS operation.
        operation: &'static str,
        /// What was left.
        detail: String,
    },
    /// A stored item has not the shape that this code writes.
    #[error("stored item is not readable: {0}")]
    Corrupt(String),
}

/// Wraps an SDK error with the operation that it came from.
pub(crate) fn call<E>(operation: &'static str) -> impl FnOnce(E) -> StoreError
where
    E: Error + Send + Sync + 'static,
{
    move |error| StoreError::Call { operation, source: Box::new(Chain(error)) }
}

/// Prints an SDK error with its causes; its own `Display` is only "service error".
#[derive(Debug)]
struct Chain<E>(E);

impl<E: Error> std::fmt::Display for Chain<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<E: Error + 'static> Error for Chain<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
