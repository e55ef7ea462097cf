//! Conditional writes of one item. A condition that does not hold is a value, not an error.

use std::error::Error;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;

use crate::Result;
use crate::attribute::Item;
use crate::error::call;

/// The outcome of a conditional write of one item.
#[derive(Debug)]
pub(crate) enum ConditionalWrite<T> {
    /// The condition held and the item is written. Holds the operation's output.
    Done(T),
    /// The condition did not hold and nothing is written.
    Refused {
        /// The item as it is stored, if it exists and the write asked for it with
        /// `ReturnValuesOnConditionCheckFailure`. Some engines leave it out all the same, so that
        /// `None` says nothing about the item: it has to be read.
        stored: Option<Item>,
    },
}

impl<T> ConditionalWrite<T> {
    /// True if the condition held.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

/// An error of an operation that can carry a condition. Implemented for the operations that the
/// store uses with one.
pub(crate) trait ConditionalError: Error + Send + Sync + 'static {
    /// The name of the AWS operation, for [`StoreError::Call`](crate::StoreError::Call).
    const OPERATION: &'static str;

    /// Returns the error's detail if the condition did not hold, and `None` for any other error.
    fn refusal(&self) -> Option<&ConditionalCheckFailedException>;
}

impl ConditionalError for UpdateItemError {
    const OPERATION: &'static str = "UpdateItem";

    fn refusal(&self) -> Option<&ConditionalCheckFailedException> {
        match self {
            Self::ConditionalCheckFailedException(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl ConditionalError for PutItemError {
    const OPERATION: &'static str = "PutItem";

    fn refusal(&self) -> Option<&ConditionalCheckFailedException> {
        match self {
            Self::ConditionalCheckFailedException(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// Separates a condition that did not hold from a call that failed.
///
/// The SDK repeats a call whose answer was lost. The repetition may find the effect of the first
/// call and be refused by it: [`ConditionalWrite::Refused`] alone does not prove that another
/// writer won.
///
/// # Errors
///
/// [`StoreError::Call`](crate::StoreError::Call) if the call failed for another reason.
pub(crate) fn conditional<T, E: ConditionalError>(
    sent: std::result::Result<T, SdkError<E>>,
) -> Result<ConditionalWrite<T>> {
    match sent {
        Ok(output) => Ok(ConditionalWrite::Done(output)),
        Err(error) => match error.as_service_error().and_then(E::refusal) {
            Some(refusal) => Ok(ConditionalWrite::Refused { stored: refusal.item().cloned() }),
            None => Err(call(E::OPERATION)(error)),
        },
    }
}
