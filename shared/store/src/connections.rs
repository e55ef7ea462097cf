//! Connections, opened before they are needed.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::LazySqs;
use crate::error::call;
use crate::resources::{PARTITION_KEY, SORT_KEY};

/// Opens the connections that the first request will use: in Lambda's init, where a TLS handshake takes a tenth of
/// what it takes later.
///
/// One GetItem of an item that never is (half a read unit), and one GetQueueAttributes where there is a queue to
/// send to. A failure is logged and is not the caller's: the first request will say what is wrong.
pub async fn open_connections(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &str,
    sqs: &LazySqs,
    queue: Option<&str>,
) {
    let nothing = || AttributeValue::S("-".to_owned());
    let table = async {
        let asked =
            dynamodb.get_item().table_name(table).key(PARTITION_KEY, nothing()).key(SORT_KEY, nothing());
        if let Err(error) = asked.send().await.map_err(call("GetItem")) {
            tracing::warn!(%error, "no connection to the table yet");
        }
    };
    let queue = async {
        let Some(url) = queue else { return };
        let asked = sqs.get_queue_attributes().queue_url(url);
        if let Err(error) = asked.send().await.map_err(call("GetQueueAttributes")) {
            tracing::warn!(%error, "no connection to the queue yet");
        }
    };
    tokio::join!(table, queue);
}
