//! Differences between AWS and other engines that a world may use. Tests that depend on one ask for
//! it, and leave a part out. The embedded engines have none of them.

use std::io::Write as _;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use aws_sdk_sqs::types::QueueAttributeName;
use eko_store::resources::{PARTITION_KEY, SORT_KEY};

use crate::World;

/// The largest message of SQS, in bytes.
const MESSAGE_BYTES: usize = 1 << 20;

impl World {
    /// True if the queues accept smaller messages only than SQS, which accepts 1 MiB
    /// (`SetQueueAttributes`, `MaximumMessageSize`).
    pub async fn takes_small_messages_only(&self) -> bool {
        if self.backend.endpoints().sqs.is_none() {
            return false;
        }
        let name = QueueAttributeName::MaximumMessageSize;
        let ask = self.aside.sqs.get_queue_attributes().queue_url(&self.cloud.deliveries.queue);
        let answer = ask.attribute_names(name.clone()).send().await.expect("the queue's attributes");
        let most = answer.attributes.and_then(|attributes| attributes.get(&name)?.parse::<usize>().ok());
        let is_small = most.is_none_or(|most| most < MESSAGE_BYTES);
        if is_small {
            left_out(&format!("messages have {} bytes at most, SQS's 1048576", most.unwrap_or_default()));
        }
        is_small
    }

    /// True if a page of a Query may be larger than DynamoDB's, which ends at 1 MB. Call it after
    /// such a page.
    pub fn answers_large_pages(&self) -> bool {
        let is_elsewhere = self.backend.endpoints().dynamodb.is_some();
        if is_elsewhere {
            left_out("a Query answers more than 1 MB");
        }
        is_elsewhere
    }

    /// True if the queues have a clock of their own. A test cannot bring forward a message that was
    /// queued with a delay there.
    pub fn keeps_delays(&self) -> bool {
        let is_elsewhere = self.backend.endpoints().sqs.is_some();
        if is_elsewhere {
            left_out("a delayed message cannot be brought forward");
        }
        is_elsewhere
    }

    /// True if a transaction that is repeated with its token is performed again. In DynamoDB it is
    /// not (`TransactWriteItems`, `ClientRequestToken`).
    pub async fn repeats_transactions(&self) -> bool {
        if self.backend.endpoints().dynamodb.is_none() {
            return false;
        }
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = Put::builder()
            .table_name(self.cloud.names().table)
            .item(PARTITION_KEY, text("probe"))
            .item(SORT_KEY, text("probe"))
            .condition_expression("attribute_not_exists(pk)");
        let put = TransactWriteItem::builder().put(put.build().expect("a put")).build();
        let write = self.aside.dynamodb.transact_write_items().transact_items(put);
        let write = write.client_request_token("probe");
        write.clone().send().await.expect("a transaction");
        let repeats = write.send().await.is_err();
        if repeats {
            left_out("TransactWriteItems knows no ClientRequestToken");
        }
        repeats
    }
}

/// Reports on standard error that a test leaves a part out. It avoids the printing macros, whose
/// output the test harness captures.
fn left_out(why: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "left out of {}: {why}", thread.name().unwrap_or("a test"));
}
