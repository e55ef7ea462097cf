//! Tests of the requests that SQS refuses, each with its error.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchError;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as Change, DeleteMessageBatchRequestEntry as Delete,
    QueueAttributeName as Attribute, SendMessageBatchRequestEntry as Entry,
};
use eko_engines::Engines;

use super::queues;
use super::sqs::{create, receive};

fn entry(id: &str, body: impl Into<String>) -> Entry {
    Entry::builder().id(id).message_body(body).build().unwrap()
}

async fn batch(client: &Client, url: &str, entries: Vec<Entry>) -> SendMessageBatchError {
    let sent = client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
    sent.unwrap_err().into_service_error()
}

#[tokio::test]
async fn a_batch_fails_as_a_whole_for_what_concerns_the_whole() {
    let client = queues(&Engines::in_memory().unwrap());
    let url = create(&client, "q").await;
    assert!(batch(&client, &url, vec![]).await.is_empty_batch_request());
    let eleven = (0..11).map(|i| entry(&i.to_string(), "m")).collect();
    assert!(batch(&client, &url, eleven).await.is_too_many_entries_in_batch_request());
    let twice = vec![entry("a", "m"), entry("a", "m")];
    assert!(batch(&client, &url, twice).await.is_batch_entry_ids_not_distinct());
    assert!(batch(&client, &url, vec![entry("a b", "m")]).await.is_invalid_batch_entry_id());
    let half = "x".repeat(524_288);
    let long = vec![entry("a", half.clone()), entry("b", half.clone() + "x")];
    assert!(batch(&client, &url, long).await.is_batch_request_too_long());
    assert!(batch(&client, "http://q/none", vec![entry("a", "m")]).await.is_queue_does_not_exist());
    assert_eq!(receive(&client, &url).await.len(), 0, "nothing of a refused batch is sent");

    let whole = vec![entry("a", half.clone()), entry("b", half)];
    let whole = client.send_message_batch().queue_url(&url).set_entries(Some(whole)).send().await.unwrap();
    assert_eq!(whole.successful().len(), 2);
}

#[tokio::test]
async fn an_entry_fails_alone_for_what_concerns_it_alone() {
    let client = queues(&Engines::in_memory().unwrap());
    let url = create(&client, "q").await;
    let late = Entry::builder().id("late").message_body("m").delay_seconds(901).build().unwrap();
    let entries = vec![entry("bad", "\u{0}"), entry("good", "m"), late];
    let sent = client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!(sent.successful().iter().map(|s| s.id()).collect::<Vec<_>>(), ["good"]);
    let failed: Vec<_> = sent.failed().iter().map(|f| (f.id(), f.code(), f.sender_fault())).collect();
    assert_eq!(failed, [("bad", "InvalidMessageContents", true), ("late", "InvalidParameterValue", true)]);

    let message = receive(&client, &url).await.remove(0);
    let handle = message.receipt_handle().unwrap();
    let change = |id: &str, handle: &str| {
        Change::builder().id(id).receipt_handle(handle).visibility_timeout(60).build().unwrap()
    };
    let changed = client
        .change_message_visibility_batch()
        .queue_url(&url)
        .entries(change("good", handle))
        .entries(change("bad", "nonsense"))
        .send()
        .await
        .unwrap();
    assert_eq!((changed.successful().len(), changed.failed()[0].id()), (1, "bad"));
    let delete = |id: &str, handle: &str| Delete::builder().id(id).receipt_handle(handle).build().unwrap();
    let deleted = client
        .delete_message_batch()
        .queue_url(&url)
        .entries(delete("good", handle))
        .entries(delete("bad", "nonsense"))
        .send()
        .await
        .unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));
}

#[tokio::test]
async fn a_message_has_a_size_and_plain_characters() {
    let client = queues(&Engines::in_memory().unwrap());
    let url = create(&client, "q").await;
    let send = |body: String| client.send_message().queue_url(&url).message_body(body).send();
    send("x".repeat(1_048_576)).await.unwrap();
    let long = send("x".repeat(1_048_577)).await.unwrap_err().into_service_error();
    assert_eq!(long.code(), Some("InvalidParameterValue"));
    assert!(
        send("\u{ffff}".to_owned()).await.unwrap_err().into_service_error().is_invalid_message_contents()
    );
    let empty = send(String::new()).await.unwrap_err().into_service_error();
    assert_eq!(empty.code(), Some("MissingParameter"));
    let group = client.send_message().queue_url(&url).message_body("m").message_group_id("g").send().await;
    assert!(group.unwrap_err().into_service_error().is_unsupported_operation());
}

#[tokio::test]
async fn a_queue_is_made_once_with_known_attributes() {
    let client = queues(&Engines::in_memory().unwrap());
    let create = |name: &str, attribute: Attribute, value: &str| {
        client.create_queue().queue_name(name).attributes(attribute, value).send()
    };
    let url = create("q", Attribute::VisibilityTimeout, "60").await.unwrap().queue_url.unwrap();
    let again = create("q", Attribute::VisibilityTimeout, "60").await.unwrap().queue_url.unwrap();
    assert_eq!(url, again);
    let other = create("q", Attribute::VisibilityTimeout, "61").await.unwrap_err().into_service_error();
    assert!(other.is_queue_name_exists(), "{other:?}");
    let range = create("r", Attribute::DelaySeconds, "901").await.unwrap_err().into_service_error();
    assert!(range.is_invalid_attribute_value(), "{range:?}");
    let name = create("r", Attribute::from("Colour"), "red").await.unwrap_err().into_service_error();
    assert!(name.is_invalid_attribute_name(), "{name:?}");
    let fifo = create("r.fifo", Attribute::FifoQueue, "true").await.unwrap_err().into_service_error();
    assert!(fifo.is_unsupported_operation(), "{fifo:?}");
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:local:000000000000:none","maxReceiveCount":3}"#;
    let dead = create("r", Attribute::RedrivePolicy, policy).await.unwrap_err().into_service_error();
    assert_eq!(dead.code(), Some("InvalidParameterValue"));

    client
        .set_queue_attributes()
        .queue_url(&url)
        .attributes(Attribute::VisibilityTimeout, "5")
        .send()
        .await
        .unwrap();
    let visibility =
        client.get_queue_attributes().queue_url(&url).attribute_names(Attribute::VisibilityTimeout);
    let visibility = visibility.send().await.unwrap().attributes.unwrap();
    assert_eq!(visibility.len(), 1);
    assert_eq!(visibility[&Attribute::VisibilityTimeout], "5");
}

#[tokio::test]
async fn queues_are_found_listed_emptied_and_deleted() {
    let client = queues(&Engines::in_memory().unwrap());
    for name in ["a1", "a2", "a3", "b"] {
        create(&client, name).await;
    }
    let page = client.list_queues().queue_name_prefix("a").max_results(2).send().await.unwrap();
    assert_eq!(page.queue_urls().len(), 2);
    let rest = client.list_queues().queue_name_prefix("a").max_results(2);
    let rest = rest.set_next_token(page.next_token).send().await.unwrap();
    assert_eq!((rest.queue_urls().len(), rest.next_token()), (1, None));

    let url = client.get_queue_url().queue_name("b").send().await.unwrap().queue_url.unwrap();
    client.send_message().queue_url(&url).message_body("m").send().await.unwrap();
    client.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(receive(&client, &url).await.len(), 0);
    client.delete_queue().queue_url(&url).send().await.unwrap();
    let gone = client.get_queue_url().queue_name("b").send().await.unwrap_err().into_service_error();
    assert!(gone.is_queue_does_not_exist(), "{gone:?}");
    let tags = client.list_queue_tags().queue_url(&url).send().await.unwrap_err().into_service_error();
    assert_eq!(tags.code(), Some("UnknownOperationException"));
}
