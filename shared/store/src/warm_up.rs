//! Opening connections to AWS before the first request needs them.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::LazySqs;
use crate::error::call;
use crate::resources::{PARTITION_KEY, SORT_KEY};

/// Opens the connections that the first request will use. Lambda's init runs it, because a TLS
/// handshake takes a tenth of the time there.
///
/// One GetItem of an item that never exists (half a read unit), and beside it one
/// GetQueueAttributes if the function sends to a queue. A failure is logged and not returned: the
/// first request will meet it again and report it.
pub async fn open_connections(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    sqs: &LazySqs,
    queue: Option<&str>,
) {
    let absent = || AttributeValue::S("-".to_owned());
    let table = async {
        let get = dynamodb.get_item().table_name(table).key(PARTITION_KEY, absent()).key(SORT_KEY, absent());
        if let Err(error) = get.send().await.map_err(call("GetItem")) {
            tracing::warn!(%error, "no connection to the table yet");
        }
    };
    let queue = async {
        let Some(url) = queue else { return };
        let get = sqs.get_queue_attributes().queue_url(url);
        if let Err(error) = get.send().await.map_err(call("GetQueueAttributes")) {
            tracing::warn!(%error, "no connection to the queue yet");
        }
    };
    tokio::join!(table, queue);
}
