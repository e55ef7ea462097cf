//! The answer of an engine. The caller turns it into a response of the SDK or of HTTP.

/// The answer to one AWS JSON request.
#[derive(Debug, Clone)]
pub struct AwsAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The content type: AWS JSON 1.0 for DynamoDB and SQS, AWS JSON 1.1 for SSM.
    pub content_type: &'static str,
    /// The JSON body.
    pub body: Vec<u8>,
    /// The value of `x-amzn-query-error`: the name of an SQS error in the older query protocol. The
    /// SDK reads the code of an SQS error from this header.
    pub query_error: Option<String>,
}

impl AwsAnswer {
    /// Makes a successful answer.
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, content_type: "application/x-amz-json-1.0", body, query_error: None }
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
