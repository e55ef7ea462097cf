//! Tests of the behaviour of SQS that the project relies on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName as System, QueueAttributeName as Attribute,
    SendMessageBatchRequestEntry as Entry,
};
use eko_engines::Engines;

use super::{ManualClock, queues};

pub(crate) async fn receive(client: &Client, url: &str) -> Vec<Message> {
    let receive = client.receive_message().queue_url(url).max_number_of_messages(10);
    let receive = receive.message_system_attribute_names(System::All).message_attribute_names("All");
    receive.send().await.unwrap().messages.unwrap_or_default()
}

pub(crate) async fn create(client: &Client, name: &str) -> String {
    client.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

pub(crate) fn receives(message: &Message) -> &str {
    &message.attributes().unwrap()[&System::ApproximateReceiveCount]
}

async fn send(client: &Client, url: &str, body: &str) {
    client.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

async fn count(client: &Client, url: &str) -> [String; 3] {
    let attributes = client.get_queue_attributes().queue_url(url).attribute_names(Attribute::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    [
        Attribute::ApproximateNumberOfMessages,
        Attribute::ApproximateNumberOfMessagesNotVisible,
        Attribute::ApproximateNumberOfMessagesDelayed,
    ]
    .map(|name| attributes[&name].clone())
}

fn world() -> (ManualClock, Client) {
    let clock = ManualClock::default();
    let client = queues(&Engines::in_memory_with_clock(clock.engine_clock()).unwrap());
    (clock, client)
}

#[tokio::test]
async fn a_message_arrives_whole_and_is_deleted() {
    let (_, client) = world();
    let url = create(&client, "q").await;
    let text = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let bytes = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255]));
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("{\"a\": \"ä\"}")
        .message_attributes("trace.id", text)
        .message_attributes("b", bytes.build().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("3aaa8ac1d0d5add0331e0bf820f77342"));
    let messages = receive(&client, &url).await;
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.body(), Some("{\"a\": \"ä\"}"));
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["trace.id"].string_value(), Some("v"));
    assert_eq!(attributes["b"].binary_value(), Some(&Blob::new([0, 255])));
    assert_eq!(receives(message), "1");
    assert_eq!(message.attributes().unwrap()[&System::SentTimestamp], "1800000000000");

    let delete = client.delete_message().queue_url(&url).receipt_handle(message.receipt_handle().unwrap());
    delete.clone().send().await.unwrap();
    delete.send().await.expect("deleting twice is no error");
    assert_eq!(count(&client, &url).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_received_message_is_out_of_sight_for_the_visibility_timeout() {
    let (clock, client) = world();
    let url = create(&client, "q").await;
    send(&client, &url, "m").await;
    assert_eq!(count(&client, &url).await, ["1", "0", "0"]);
    assert_eq!(receive(&client, &url).await.len(), 1);
    assert_eq!(count(&client, &url).await, ["0", "1", "0"]);
    clock.forward(29);
    assert_eq!(receive(&client, &url).await.len(), 0);
    clock.forward(1);
    let again = receive(&client, &url).await;
    assert_eq!(receives(&again[0]), "2");
    let first = &again[0].attributes().unwrap()[&System::ApproximateFirstReceiveTimestamp];
    assert_eq!(first, "1800000000000");

    // The consumer makes the timeout longer, then ends it.
    let change = |seconds| {
        let handle = again[0].receipt_handle().unwrap();
        client.change_message_visibility().queue_url(&url).receipt_handle(handle).visibility_timeout(seconds)
    };
    change(100).send().await.unwrap();
    clock.forward(99);
    assert_eq!(receive(&client, &url).await.len(), 0);
    change(0).send().await.unwrap();
    assert_eq!(count(&client, &url).await, ["1", "0", "0"]);
    let late = change(10).send().await.unwrap_err().into_service_error();
    assert!(late.is_message_not_inflight(), "{late:?}");
    assert_eq!(receives(&receive(&client, &url).await[0]), "3");
}

#[tokio::test]
async fn a_message_is_hidden_for_twelve_hours_after_its_receive_at_most() {
    let (clock, client) = world();
    let url = create(&client, "q").await;
    send(&client, &url, "m").await;
    let received = receive(&client, &url).await;
    let change = |seconds| {
        let handle = received[0].receipt_handle().unwrap();
        client.change_message_visibility().queue_url(&url).receipt_handle(handle).visibility_timeout(seconds)
    };
    clock.forward(10);
    let beyond = change(43_191).send().await.unwrap_err().into_service_error();
    assert_eq!(beyond.meta().code(), Some("InvalidParameterValue"), "{beyond:?}");
    change(43_190).send().await.unwrap();
    clock.forward(43_189);
    assert_eq!(receive(&client, &url).await.len(), 0);
    clock.forward(1);
    assert_eq!(receive(&client, &url).await.len(), 1, "each receive begins twelve new hours");
}

#[tokio::test]
async fn a_delayed_message_comes_late() {
    let (clock, client) = world();
    let url = create(&client, "q").await;
    client.send_message().queue_url(&url).message_body("m").delay_seconds(60).send().await.unwrap();
    assert_eq!(count(&client, &url).await, ["0", "0", "1"]);
    clock.forward(59);
    assert_eq!(receive(&client, &url).await.len(), 0);
    clock.forward(1);
    assert_eq!(receive(&client, &url).await.len(), 1);
}

#[tokio::test]
async fn a_stale_handle_leaves_the_message_to_who_has_it() {
    let (clock, client) = world();
    let url = create(&client, "q").await;
    let delete = |message: &Message| {
        client.delete_message().queue_url(&url).receipt_handle(message.receipt_handle().unwrap())
    };
    send(&client, &url, "m").await;
    let first = receive(&client, &url).await;
    clock.forward(30);
    let second = receive(&client, &url).await;
    delete(&first[0]).send().await.expect("as on AWS, no error");
    assert_eq!(count(&client, &url).await, ["0", "1", "0"]);
    let stale = client.change_message_visibility().queue_url(&url).visibility_timeout(0);
    let stale = stale.receipt_handle(first[0].receipt_handle().unwrap()).send().await;
    assert!(stale.unwrap_err().into_service_error().is_message_not_inflight());

    // The timeout is over, but nobody has received the message since. The handle still deletes it.
    clock.forward(30);
    assert_eq!(count(&client, &url).await, ["1", "0", "0"]);
    delete(&second[0]).send().await.unwrap();
    assert_eq!(count(&client, &url).await, ["0", "0", "0"]);

    let other = create(&client, "other").await;
    let foreign = client.delete_message().queue_url(&other);
    let foreign = foreign.receipt_handle(second[0].receipt_handle().unwrap()).send().await;
    assert!(foreign.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
}

#[tokio::test]
async fn what_is_received_too_often_goes_to_the_dead_letters() {
    let (clock, client) = world();
    let dead = create(&client, "dead").await;
    let arn = client.get_queue_attributes().queue_url(&dead).attribute_names(Attribute::QueueArn);
    let arn = arn.send().await.unwrap().attributes.unwrap().remove(&Attribute::QueueArn).unwrap();
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"3"}}"#);
    let create = client.create_queue().queue_name("q").attributes(Attribute::RedrivePolicy, policy);
    let url = create.send().await.unwrap().queue_url.unwrap();
    send(&client, &url, "poison").await;
    send(&client, &url, "good").await;
    for receive_count in ["1", "2", "3"] {
        for message in receive(&client, &url).await {
            if message.body() == Some("good") {
                let handle = message.receipt_handle().unwrap();
                client.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
            } else {
                assert_eq!(receives(&message), receive_count);
            }
        }
        clock.forward(30);
    }
    assert_eq!(receive(&client, &url).await.len(), 0);
    assert_eq!(count(&client, &url).await, ["0", "0", "0"]);
    assert_eq!(count(&client, &dead).await, ["1", "0", "0"]);
    let message = receive(&client, &dead).await.remove(0);
    assert_eq!(message.body(), Some("poison"));
    assert_eq!(message.attributes().unwrap()[&System::SentTimestamp], "1800000000000");
}

#[tokio::test]
async fn what_is_too_old_is_gone() {
    let clock = ManualClock::default();
    let engines = Engines::in_memory_with_clock(clock.engine_clock()).unwrap();
    let client = queues(&engines);
    let create = client.create_queue().queue_name("q").attributes(Attribute::MessageRetentionPeriod, "60");
    let url = create.send().await.unwrap().queue_url.unwrap();
    send(&client, &url, "received never").await;
    clock.forward(60);
    send(&client, &url, "fresh").await;
    assert_eq!(receive(&client, &url).await[0].body(), Some("fresh"));
    send(&client, &url, "swept").await;
    clock.forward(60);
    assert_eq!(engines.sweep_ttl().unwrap(), 2);
    assert_eq!(count(&client, &url).await, ["0", "0", "0"]);
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_arrives() {
    let client = queues(&Engines::in_memory().unwrap());
    let url = create(&client, "q").await;
    let poll = |seconds| client.receive_message().queue_url(&url).wait_time_seconds(seconds).send();
    let start = Instant::now();
    assert!(poll(1).await.unwrap().messages.is_none());
    assert!(start.elapsed() >= Duration::from_millis(900));

    let waiting = tokio::spawn(poll(20));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    send(&client, &url, "m").await;
    assert_eq!(waiting.await.unwrap().unwrap().messages().len(), 1);
    assert!(start.elapsed() < Duration::from_secs(5));

    // A poll also wakes for a message that becomes visible while it waits.
    client.send_message().queue_url(&url).message_body("m").delay_seconds(1).send().await.unwrap();
    assert_eq!(poll(20).await.unwrap().messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_messages_go_to_sixteen_consumers_exactly_once() {
    let client = queues(&Engines::in_memory().unwrap());
    let url = Arc::new(create(&client, "q").await);
    let consumers: Vec<_> = (0..16)
        .map(|consumer| {
            let (client, url) = (client.clone(), Arc::clone(&url));
            tokio::spawn(async move {
                let mut bodies = Vec::new();
                loop {
                    let poll = client.receive_message().queue_url(&*url).wait_time_seconds(1);
                    let poll = poll.max_number_of_messages(1 + consumer % 10).send().await.unwrap();
                    if poll.messages().is_empty() {
                        return bodies;
                    }
                    for message in poll.messages.unwrap() {
                        let delete = client.delete_message().queue_url(&*url);
                        delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
                        bodies.push(message.body.unwrap());
                    }
                }
            })
        })
        .collect();
    for batch in 0..50 {
        let entry = |i: i32| {
            let body = format!("{batch}-{i}");
            Entry::builder().id(i.to_string()).message_body(body).build().unwrap()
        };
        let entries = Some((0..10).map(entry).collect());
        client.send_message_batch().queue_url(&*url).set_entries(entries).send().await.unwrap();
    }
    let mut bodies = Vec::new();
    for consumer in consumers {
        bodies.extend(consumer.await.unwrap());
    }
    assert_eq!(bodies.len(), 500);
    assert_eq!(bodies.iter().collect::<HashSet<_>>().len(), 500);
    assert_eq!(count(&client, &url).await, ["0", "0", "0"]);
}
