//! What an engine answers, before it becomes the SDK's response or one over loopback HTTP.

/// The answer to one AWS JSON request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type: of AWS JSON 1.0, or 1.1 where a service speaks that.
    pub content_type: &'static str,
    /// The JSON body.
    pub body: Vec<u8>,
    /// The value of `x-amzn-query-error`, the name under which SQS errors are known to its older protocol;
    /// the SDK takes an SQS error's code from here.
    pub query_error: Option<String>,
}

impl Answer {
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, content_type: "application/x-amz-json-1.0", body, query_error: None }
    }

    pub(crate) fn error(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, ..Self::ok(body.into()) }
    }

    /// As DynamoDB says it: a type and nothing else.
    pub(crate) fn unknown_operation() -> Self {
        Self::error(400, r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#)
    }
}
