//! The error of the store, and the result type of its verbs.

use std::error::Error;

/// The result of a verb of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// An error of the store: it is broken, unreachable or over its capacity.
///
/// A condition that does not hold is a value of the verb, never an error. A client whose request
/// causes an error gets status 503 without the detail; the detail goes to the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A call to AWS failed after the SDK's own retries. The call may have taken effect: only its
    /// answer may be lost.
    #[error("{operation} failed: {source}")]
    Call {
        /// The name of the AWS operation, for example `UpdateItem`.
        operation: &'static str,
        /// The SDK's error with its causes.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store stopped repeating an operation: AWS processed only a part of a batch each time, or
    /// other writers won each time.
    #[error("{operation} gave up: {detail}")]
    GaveUp {
        /// The name of the AWS operation, for example `BatchGetItem`.
        operation: &'static str,
        /// The reason, or the part that was not processed.
        detail: String,
    },
    /// A stored item or a queued message does not have the shape that this code writes. Only this
    /// crate can make this error, because ids are parsed here and nowhere else.
    #[error("stored item is not readable: {0}")]
    #[non_exhaustive]
    Corrupt(String),
}

/// Returns a function that wraps an SDK error into [`StoreError::Call`] of this operation.
pub(crate) fn call<E>(operation: &'static str) -> impl FnOnce(E) -> StoreError
where
    E: Error + Send + Sync + 'static,
{
    move |error| StoreError::Call { operation, source: Box::new(ErrorWithCauses(error)) }
}

/// An SDK error that prints its causes too. The SDK's own text is only "service error".
#[derive(Debug)]
struct ErrorWithCauses<E>(E);

impl<E: Error> std::fmt::Display for ErrorWithCauses<E> {
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

impl<E: Error + 'static> Error for ErrorWithCauses<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
