//! The answer of an engine. The caller turns it into a response of the SDK or of HTTP.

/// The answer to one AWS request.
#[derive(Debug, Clone)]
pub struct AwsAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The content type: AWS JSON 1.0 for DynamoDB and SQS, AWS JSON 1.1 for SSM, JSON for
    /// connections.
    pub content_type: &'static str,
    /// The JSON body.
    pub body: Vec<u8>,
    /// The header from which the SDK reads the code of an error: its name and value. SQS has
    /// `x-amzn-query-error`, the connections have `x-amzn-errortype`.
    pub error_header: Option<(&'static str, String)>,
}

impl AwsAnswer {
    /// Makes a successful answer.
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, content_type: "application/x-amz-json-1.0", body, error_header: None }
    }

    /// Makes an answer with an error's status and body.
    pub(crate) fn error(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, ..Self::ok(body.into()) }
    }

    /// Makes the answer to an operation that the engine does not have, as DynamoDB words it.
    pub(crate) fn unknown_operation() -> Self {
        Self::error(400, r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#)
    }
}
