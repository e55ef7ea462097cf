//! The transport to the sockets of devices: the connections of an API Gateway WebSocket API.
//!
//! A post that succeeds is no acknowledgement. The peer may be gone all the same, and the entry
//! stays in the mailbox until the device acknowledges it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::error::DisplayErrorContext;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;

use crate::live::ConnectionId;

/// The client of the connections, made when it is first used.
pub type LazyConnections = Arc<
    LazyLock<
        aws_sdk_apigatewaymanagement::Client,
        Box<dyn FnOnce() -> aws_sdk_apigatewaymanagement::Client + Send>,
    >,
>;

/// The longest time that a post may take, repetitions included. A slow socket is left to fetch.
pub const POST_TIME: Duration = Duration::from_millis(1_500);

/// The most tries of one post.
pub const POST_TRIES: u32 = 2;

/// The connections of a WebSocket API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sockets {
    client: LazyConnections,
}

/// The outcome of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostOutcome {
    /// The gateway has taken the frame.
    Sent,
    /// There is no such connection.
    Gone,
    /// The connection's buffer is full, or the gateway has no capacity.
    Busy,
    /// The gateway is out of reach, slow, or refuses the frame.
    Failed,
}

impl Sockets {
    /// Creates the transport over this client. Makes no call.
    pub fn new(client: LazyConnections) -> Self {
        Self { client }
    }

    /// Posts a frame to a connection. One PostToConnection, or two if the first one fails.
    pub async fn post(&self, connection: &ConnectionId, frame: &str) -> PostOutcome {
        let data = Blob::new(frame);
        let post = self.client.post_to_connection().connection_id(connection.as_str()).data(data);
        match post.send().await {
            Ok(_) => PostOutcome::Sent,
            Err(error) => match error.as_service_error() {
                Some(PostToConnectionError::GoneException(_)) => PostOutcome::Gone,
                Some(PostToConnectionError::LimitExceededException(_)) => PostOutcome::Busy,
                _ => {
                    let error = DisplayErrorContext(&error);
                    tracing::warn!(%connection, %error, "a frame is not posted");
                    PostOutcome::Failed
                }
            },
        }
    }

    /// Closes a connection. One DeleteConnection. A connection that cannot be closed ends by the
    /// gateway's own limits; nothing is posted to it any more.
    pub async fn close(&self, connection: &ConnectionId) {
        let close = self.client.delete_connection().connection_id(connection.as_str());
        if let Err(error) = close.send().await
            && !error.as_service_error().is_some_and(|error| error.is_gone_exception())
        {
            let error = DisplayErrorContext(&error);
            tracing::warn!(%connection, %error, "a connection is not closed");
        }
    }
}

/// Returns the time-outs of the client.
pub fn post_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(POST_TIME).build()
}
