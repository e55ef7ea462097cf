//! Tests of a data folder: it keeps table and queues, and belongs to one process.

use std::process::{Command, Stdio};

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use eko_engines::{Engines, Error};

use super::dynamodb::{create as create_table, s};
use super::sqs::{create, receive, receives};
use super::{ManualClock, queues, table};

#[tokio::test]
async fn a_reopened_folder_has_items_messages_and_receive_counts() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let engine_clock = clock.engine_clock();
    {
        let engines = Engines::open_with_clock(dir.path(), engine_clock.clone()).unwrap();
        let (table, queues) = (table(&engines), queues(&engines));
        create_table(&table).await;
        table.put_item().table_name("eko").item("pk", s("a")).item("sk", s("1")).send().await.unwrap();
        let url = create(&queues, "q").await;
        queues.send_message().queue_url(&url).message_body("m").send().await.unwrap();
        assert_eq!(receives(&receive(&queues, &url).await[0]), "1");
        engines.flush().unwrap();
        // The message is in flight, and its consumer is gone.
    }
    let engines = Engines::open_with_clock(dir.path(), engine_clock).unwrap();
    let (table, queues) = (table(&engines), queues(&engines));
    let got = table.get_item().table_name("eko").key("pk", s("a")).key("sk", s("1")).send().await.unwrap();
    assert!(got.item.is_some());
    let url = queues.get_queue_url().queue_name("q").send().await.unwrap().queue_url.unwrap();
    assert_eq!(receive(&queues, &url).await.len(), 0);
    clock.forward(30);
    assert_eq!(receives(&receive(&queues, &url).await[0]), "2");
}

#[test]
fn a_folder_belongs_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = Engines::open(dir.path()).unwrap();
    let second = Engines::open(dir.path()).unwrap_err();
    assert!(matches!(second, Error::InUse(_)), "{second}");
    assert!(second.to_string().ends_with("is in use by another process"));
    drop(first);
    Engines::open(dir.path()).unwrap();
}

/// Kills a process while it sends. Everything that it reported as sent is there, and the folder is
/// not locked.
///
/// The process is this test binary, which runs [`sender`] alone.
#[tokio::test]
async fn a_killed_process_loses_nothing_and_locks_nothing() {
    use std::io::{BufRead, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::sender", "--nocapture", "--test-threads=1"])
        .env("EKO_ENGINES_SENDER", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let sent = lines.filter_map(|line| line.strip_prefix("sent ").and_then(|n| n.parse().ok()));
    let last: usize = sent.take(200).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    let engines = Engines::open(dir.path()).unwrap();
    let (table, queues) = (table(&engines), queues(&engines));
    let url = queues.get_queue_url().queue_name("q").send().await.unwrap().queue_url.unwrap();
    let count = queues.get_queue_attributes().queue_url(&url).attribute_names(Attribute::All);
    let count = count.send().await.unwrap().attributes.unwrap();
    let messages: usize = count[&Attribute::ApproximateNumberOfMessages].parse().unwrap();
    let items = table.scan().table_name("eko").send().await.unwrap().count();
    assert!(messages >= last && usize::try_from(items).unwrap() >= last, "{messages}, {items}, {last}");
}

/// Sends messages and reports each, until the process is killed. Does nothing unless the test above
/// started it.
#[tokio::test]
async fn sender() {
    let Some(dir) = std::env::var_os("EKO_ENGINES_SENDER") else { return };
    let engines = Engines::open(dir.as_ref()).unwrap();
    let (table, queues) = (table(&engines), queues(&engines));
    create_table(&table).await;
    let url = create(&queues, "q").await;
    for n in 1.. {
        table
            .put_item()
            .table_name("eko")
            .item("pk", s("a"))
            .item("sk", s(n.to_string()))
            .send()
            .await
            .unwrap();
        queues.send_message().queue_url(&url).message_body("m").send().await.unwrap();
        println!("\nsent {n}");
    }
}
