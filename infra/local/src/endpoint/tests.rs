//! The AWS SDK's own clients against the endpoint, over sockets.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_ssm::types::ParameterType;
use eko_store::resources::{self, DELIVERIES};

use super::*;

struct Account {
    engines: Engines,
    url: String,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    ssm: aws_sdk_ssm::Client,
}

/// Clients of fresh engines; they end with the test's runtime.
async fn account() -> Account {
    let engines = Engines::in_memory().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(engines.clone(), listener));
    let credentials = Credentials::new("local", "local", None, None, "local");
    macro_rules! client {
        ($sdk:ident) => {
            $sdk::Client::from_conf(
                $sdk::Config::builder()
                    .behavior_version($sdk::config::BehaviorVersion::latest())
                    .region($sdk::config::Region::from_static("us-east-1"))
                    .credentials_provider(credentials.clone())
                    .endpoint_url(&url)
                    .build(),
            )
        };
    }
    let (dynamodb, sqs, ssm) = (client!(aws_sdk_dynamodb), client!(aws_sdk_sqs), client!(aws_sdk_ssm));
    Account { engines, url, dynamodb, sqs, ssm }
}

#[tokio::test]
async fn an_item_is_put_and_found() {
    let account = account().await;
    resources::create_table(&account.dynamodb, "eko").await.unwrap();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = account.dynamodb.put_item().table_name("eko").item("pk", text("a")).item("sk", text("b"));
    put.clone().send().await.unwrap();
    let got = account.dynamodb.get_item().table_name("eko").key("pk", text("a")).key("sk", text("b"));
    assert_eq!(got.send().await.unwrap().item.unwrap().len(), 2);
    let error = put.condition_expression("attribute_not_exists(pk)").send().await.unwrap_err();
    assert!(error.into_service_error().is_conditional_check_failed_exception());
}

#[tokio::test]
async fn a_message_goes_through_a_queue_whose_url_leads_back_here() {
    let account = account().await;
    let urls = resources::create_queue(&account.sqs, &DELIVERIES).await.unwrap();
    assert_eq!(urls.queue, format!("{}/000000000000/deliveries", account.url));
    account.sqs.send_message().queue_url(&urls.queue).message_body("m").send().await.unwrap();
    let receive = account.sqs.receive_message().queue_url(&urls.queue);
    let got = receive.send().await.unwrap().messages.unwrap();
    assert_eq!(got[0].body(), Some("m"));
    let error = account.sqs.get_queue_url().queue_name("none").send().await.unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
    let listed = account.sqs.list_queues().send().await.unwrap();
    assert_eq!(listed.queue_urls.unwrap(), [urls.queue, urls.dlq]);
}

#[tokio::test]
async fn parameters_are_those_that_were_put_in() {
    let account = account().await;
    account.engines.put_parameter("/eko/a", "old");
    account.engines.put_parameter("/eko/a", "secret");
    let ask = account.ssm.get_parameters().names("/eko/a").names("/eko/b");
    let got = ask.clone().with_decryption(true).send().await.unwrap();
    assert_eq!(got.invalid_parameters(), ["/eko/b"]);
    let [parameter] = got.parameters() else { panic!("{got:?}") };
    assert_eq!((parameter.name(), parameter.value()), (Some("/eko/a"), Some("secret")));
    assert_eq!((parameter.r#type(), parameter.version()), (Some(&ParameterType::SecureString), 2));
    let sealed = ask.send().await.unwrap();
    assert_ne!(sealed.parameters()[0].value(), Some("secret"));
    let twice = account.ssm.get_parameters().names("/eko/a").names("/eko/a").send().await.unwrap_err();
    assert_eq!(twice.code(), Some("ValidationException"));
    let unknown = account.ssm.delete_parameter().name("/eko/a").send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("UnknownOperationException"));
}
