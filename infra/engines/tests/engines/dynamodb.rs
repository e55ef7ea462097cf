//! Tests of the behaviour of DynamoDB that the store relies on.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, ConditionCheck, Delete, KeySchemaElement, KeyType,
    KeysAndAttributes, Put, PutRequest, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure as OnFailure, ScalarAttributeType, TimeToLiveSpecification,
    TransactWriteItem, WriteRequest,
};
use eko_engines::Engines;

use super::{ManualClock, table};

pub(crate) async fn create(client: &Client) {
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let attribute = |name: &str| {
        let text = ScalarAttributeType::S;
        AttributeDefinition::builder().attribute_name(name).attribute_type(text).build().unwrap()
    };
    client
        .create_table()
        .table_name("eko")
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .send()
        .await
        .unwrap();
    let ttl = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build().unwrap();
    client.update_time_to_live().table_name("eko").time_to_live_specification(ttl).send().await.unwrap();
}

pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

async fn fresh() -> Client {
    let client = table(&Engines::in_memory().unwrap());
    create(&client).await;
    client
}

#[tokio::test]
async fn an_item_comes_back_as_it_was_put() {
    let client = fresh().await;
    let item = HashMap::from([
        ("pk".to_owned(), s("a")),
        ("sk".to_owned(), s("1")),
        ("n".to_owned(), n(7)),
        ("b".to_owned(), AttributeValue::B(Blob::new([0, 255]))),
        ("ss".to_owned(), AttributeValue::Ss(vec!["x".to_owned(), "y".to_owned()])),
        ("m".to_owned(), AttributeValue::M(HashMap::from([("k".to_owned(), AttributeValue::Bool(true))]))),
    ]);
    let put = client
        .put_item()
        .table_name("eko")
        .set_item(Some(item.clone()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .unwrap();
    assert_eq!(put.consumed_capacity().unwrap().capacity_units(), Some(1.0));

    let get = client.get_item().table_name("eko").key("pk", s("a")).key("sk", s("1")).send().await.unwrap();
    assert_eq!(get.item, Some(item));
    let keys = KeysAndAttributes::builder()
        .keys(HashMap::from([("pk".to_owned(), s("a")), ("sk".to_owned(), s("1"))]))
        .keys(HashMap::from([("pk".to_owned(), s("none")), ("sk".to_owned(), s("1"))]))
        .consistent_read(true)
        .build()
        .unwrap();
    let batch = client.batch_get_item().request_items("eko", keys).send().await.unwrap();
    assert_eq!(batch.responses.unwrap()["eko"].len(), 1);
}

#[tokio::test]
async fn a_failed_condition_gives_the_item_back() {
    let client = fresh().await;
    let put = |n1| {
        client
            .put_item()
            .table_name("eko")
            .item("pk", s("a"))
            .item("sk", s("1"))
            .item("n", n(n1))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    };
    put(1).send().await.unwrap();
    let error = put(2).send().await.unwrap_err().into_service_error();
    let PutItemError::ConditionalCheckFailedException(failed) = error else { panic!("{error:?}") };
    assert_eq!(failed.item().unwrap()["n"], n(1));

    let delete = client
        .delete_item()
        .table_name("eko")
        .key("pk", s("a"))
        .key("sk", s("1"))
        .condition_expression("attribute_exists(pk)")
        .return_values(ReturnValue::AllOld);
    assert_eq!(delete.clone().send().await.unwrap().attributes().unwrap()["n"], n(1));
    assert!(delete.send().await.unwrap_err().into_service_error().is_conditional_check_failed_exception());

    let update = client
        .update_item()
        .table_name("eko")
        .key("pk", s("a"))
        .key("sk", s("1"))
        .update_expression("SET n = :n")
        .condition_expression("n = :old")
        .expression_attribute_values(":n", n(2))
        .expression_attribute_values(":old", n(1))
        .return_values_on_condition_check_failure(OnFailure::AllOld);
    let error = update.clone().send().await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception());
    put(9).send().await.unwrap();
    let error = update.send().await.unwrap_err().into_service_error();
    use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
    let UpdateItemError::ConditionalCheckFailedException(failed) = error else { panic!("{error:?}") };
    assert_eq!(failed.item().unwrap()["n"], n(9));
}

#[tokio::test]
async fn a_cancelled_transaction_says_why_for_each_item() {
    let client = fresh().await;
    client
        .put_item()
        .table_name("eko")
        .item("pk", s("a"))
        .item("sk", s("1"))
        .item("n", n(1))
        .send()
        .await
        .unwrap();
    let put = Put::builder()
        .table_name("eko")
        .item("pk", s("b"))
        .item("sk", s("1"))
        .condition_expression("attribute_not_exists(pk)")
        .build()
        .unwrap();
    let check = ConditionCheck::builder()
        .table_name("eko")
        .key("pk", s("a"))
        .key("sk", s("1"))
        .condition_expression("n = :n")
        .expression_attribute_values(":n", n(2))
        .return_values_on_condition_check_failure(OnFailure::AllOld)
        .build()
        .unwrap();
    let delete = Delete::builder().table_name("eko").key("pk", s("c")).key("sk", s("1")).build().unwrap();
    let error = client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put).build())
        .transact_items(TransactWriteItem::builder().condition_check(check).build())
        .transact_items(TransactWriteItem::builder().delete(delete).build())
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { panic!("{error:?}") };
    let reasons: Vec<_> =
        cancelled.cancellation_reasons().iter().map(|r| r.code().unwrap_or("None")).collect();
    assert_eq!(reasons, ["None", "ConditionalCheckFailed", "None"]);
    assert_eq!(cancelled.cancellation_reasons()[1].item().unwrap()["n"], n(1));
    let get = client.get_item().table_name("eko").key("pk", s("b")).key("sk", s("1")).send().await.unwrap();
    assert_eq!(get.item, None, "nothing of a cancelled transaction stays");
}

#[tokio::test]
async fn an_update_counts_adds_and_keeps_what_was_first() {
    let client = fresh().await;
    let update = |device: &str, at| {
        client
            .update_item()
            .table_name("eko")
            .key("pk", s("a"))
            .key("sk", s("1"))
            .update_expression(
                "SET since = if_not_exists(since, :at), c = if_not_exists(c, :zero) + :one ADD d :d",
            )
            .expression_attribute_values(":at", n(at))
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":d", AttributeValue::Ss(vec![device.to_owned()]))
            .return_values(ReturnValue::AllNew)
    };
    update("x", 10).send().await.unwrap();
    update("y", 20).send().await.unwrap();
    let new = update("y", 30).send().await.unwrap().attributes.unwrap();
    assert_eq!(new["since"], n(10));
    assert_eq!(new["c"], n(3));
    assert_eq!(new["d"], AttributeValue::Ss(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(new["pk"], s("a"));

    // DynamoDB removes the attribute with the last member of the set.
    let less = client
        .update_item()
        .table_name("eko")
        .key("pk", s("a"))
        .key("sk", s("1"))
        .update_expression("DELETE d :d REMOVE c")
        .expression_attribute_values(":d", AttributeValue::Ss(vec!["x".to_owned(), "y".to_owned()]))
        .return_values(ReturnValue::AllNew)
        .send()
        .await
        .unwrap()
        .attributes
        .unwrap();
    assert!(!less.contains_key("d") && !less.contains_key("c"));
}

#[tokio::test]
async fn a_batch_is_written_and_a_range_read_in_order_by_pages() {
    let client = fresh().await;
    let write = |sk: i32| {
        let put = PutRequest::builder().item("pk", s("a")).item("sk", s(format!("M#{sk}"))).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    let batch =
        client.batch_write_item().request_items("eko", (1..=9).map(write).collect()).send().await.unwrap();
    assert!(batch.unprocessed_items.unwrap_or_default().is_empty());

    let query = client
        .query()
        .table_name("eko")
        .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
        .expression_attribute_values(":pk", s("a"))
        .expression_attribute_values(":from", s("M#3"))
        .expression_attribute_values(":to", s("M#7"))
        .limit(3);
    let first = query.clone().send().await.unwrap();
    let keys = |items: &[HashMap<String, AttributeValue>]| -> Vec<String> {
        items.iter().map(|item| item["sk"].as_s().unwrap().clone()).collect()
    };
    assert_eq!(keys(first.items()), ["M#3", "M#4", "M#5"]);
    let second = query.set_exclusive_start_key(first.last_evaluated_key).send().await.unwrap();
    assert_eq!(keys(second.items()), ["M#6", "M#7"]);
}

#[tokio::test]
async fn errors_are_typed_and_an_invalid_request_names_itself() {
    let client = fresh().await;
    let missing = client.get_item().table_name("no-table").key("pk", s("a")).key("sk", s("1")).send().await;
    assert!(missing.unwrap_err().into_service_error().is_resource_not_found_exception());
    let invalid = client.get_item().table_name("eko").key("pk", s("a")).send().await;
    let invalid = invalid.unwrap_err().into_service_error();
    assert_eq!(invalid.code(), Some("ValidationException"));
    let shape = client.put_item().table_name("eko").send().await.unwrap_err().into_service_error();
    assert_eq!(shape.code(), Some("ValidationException"));
    assert!(shape.message().unwrap().starts_with("1 validation error detected: "), "{shape:?}");
    let unknown = client.list_backups().send().await.unwrap_err().into_service_error();
    assert_eq!(unknown.code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn a_sweep_takes_what_is_past_its_ttl() {
    let clock = ManualClock::default();
    let engine_clock = clock.engine_clock();
    let now = engine_clock() / 1000;
    let engines = Engines::in_memory_with_clock(engine_clock).unwrap();
    let client = table(&engines);
    create(&client).await;
    for (sk, ttl) in [("old", now + 5), ("new", now + 500)] {
        client
            .put_item()
            .table_name("eko")
            .item("pk", s("a"))
            .item("sk", s(sk))
            .item("ttl", n(ttl))
            .send()
            .await
            .unwrap();
    }
    assert_eq!(engines.sweep_ttl().unwrap(), 0);
    clock.forward(10);
    assert_eq!(engines.sweep_ttl().unwrap(), 1);
    assert_eq!(client.scan().table_name("eko").send().await.unwrap().count(), 1);
}

/// Lets sixteen tasks take one-time keys at once. None is given out twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_deletes_under_a_condition_is_one() {
    let client = fresh().await;
    for key in 0..20 {
        client
            .put_item()
            .table_name("eko")
            .item("pk", s("a"))
            .item("sk", s(format!("K#{key:02}")))
            .send()
            .await
            .unwrap();
    }
    let takers: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                loop {
                    let query = client.query().table_name("eko").key_condition_expression("pk = :pk");
                    let found =
                        query.expression_attribute_values(":pk", s("a")).limit(1).send().await.unwrap();
                    let sk = found.items()[0]["sk"].clone();
                    let delete = client.delete_item().table_name("eko").key("pk", s("a")).key("sk", sk);
                    let delete = delete.condition_expression("attribute_exists(pk)");
                    if let Ok(done) = delete.return_values(ReturnValue::AllOld).send().await {
                        return done.attributes.unwrap()["sk"].as_s().unwrap().clone();
                    }
                }
            })
        })
        .collect();
    let mut keys = Vec::new();
    for taker in takers {
        keys.push(taker.await.unwrap());
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 16);
}
