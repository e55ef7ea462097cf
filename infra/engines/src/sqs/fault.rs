//! The errors of SQS, each with the names by which clients know it.

use std::borrow::Cow;

use serde_json::json;

use crate::answer::AwsAnswer;

/// An error of SQS. Its text is the message that the client sees.
#[derive(Debug, thiserror::Error)]
pub(super) enum SqsFault {
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    #[error("Unknown Attribute {0}.")]
    InvalidAttributeName(String),
    #[error("Invalid value for the parameter {0}.")]
    InvalidAttributeValue(String),
    #[error("There should be at least one entry in the request.")]
    EmptyBatchRequest,
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
         It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    #[error("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes.")]
    BatchRequestTooLong { limit: usize, sent: usize },
    #[error("The message contains characters outside the allowed set.")]
    InvalidMessageContents,
    #[error("{0}")]
    InvalidParameterValue(Cow<'static, str>),
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    #[error("The input receipt handle is invalid.")]
    ReceiptHandleIsInvalid,
    #[error("The message referred to isn't in flight.")]
    MessageNotInflight,
    #[error("The embedded SQS does not support {0}.")]
    UnsupportedOperation(&'static str),
    #[error("The operation is not one of the embedded SQS.")]
    UnknownOperation,
    #[error("{0}")]
    Serialization(String),
    #[error("We encountered an internal error. Please try again.")]
    Storage(#[from] rusqlite::Error),
}

impl SqsFault {
    /// Makes the error for an invalid parameter.
    pub(super) fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidParameterValue(reason.into())
    }

    /// Returns the name of the error's shape in the JSON protocol, and its code in the older query
    /// protocol. SDKs still tell errors apart by the code.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::QueueDoesNotExist => ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
            Self::QueueNameExists(_) => ("QueueNameExists", "QueueAlreadyExists"),
            Self::InvalidAttributeName(_) => ("InvalidAttributeName", "InvalidAttributeName"),
            Self::InvalidAttributeValue(_) => ("InvalidAttributeValue", "InvalidAttributeValue"),
            Self::EmptyBatchRequest => ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
            Self::TooManyEntriesInBatchRequest(_) => {
                ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
            }
            Self::BatchEntryIdsNotDistinct(_) => {
                ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
            }
            Self::InvalidBatchEntryId => {
                ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId")
            }
            Self::BatchRequestTooLong { .. } => {
                ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong")
            }
            Self::InvalidMessageContents => ("InvalidMessageContents", "InvalidMessageContents"),
            Self::InvalidParameterValue(_) => ("InvalidParameterValueException", "InvalidParameterValue"),
            Self::MissingParameter(_) => ("MissingParameterException", "MissingParameter"),
            Self::ReceiptHandleIsInvalid => ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
            Self::MessageNotInflight => ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
            Self::UnsupportedOperation(_) => {
                ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation")
            }
            Self::UnknownOperation => ("UnknownOperationException", "UnknownOperationException"),
            Self::Serialization(_) => ("SerializationException", "SerializationException"),
            Self::Storage(_) => ("InternalFailure", "InternalFailure"),
        }
    }

    /// Returns the code in the query protocol, which a failed entry of a batch has too.
    pub(super) fn code(&self) -> &'static str {
        self.names().1
    }

    /// True if the request is at fault, not the engine.
    pub(super) fn is_senders(&self) -> bool {
        !matches!(self, Self::Storage(_))
    }

    /// Returns the answer to a request that fails with this error.
    pub(super) fn answer(&self) -> AwsAnswer {
        let (shape, code) = self.names();
        let body = json!({ "__type": format!("com.amazonaws.sqs#{shape}"), "message": self.to_string() });
        let (status, party) = if self.is_senders() { (400, "Sender") } else { (500, "Receiver") };
        AwsAnswer {
            error_header: Some(("x-amzn-query-error", format!("{code};{party}"))),
            ..AwsAnswer::error(status, body.to_string())
        }
    }
}
