//! The deployment template: its routes, table, queues and functions are those of the code.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeDefinition, KeySchemaElement};
use eko_protocol::address::Origin;
use eko_service::config::{
    Config, Needs, SIGNING_KEY_PARAMETER, Secrets, TOKEN_KEYS_PARAMETER, VAPID_KEY_PARAMETER,
};
use eko_store::resources::{DLQ_RETENTION_SECONDS, QUEUES, dlq_name};
use eko_testkit::World;
use eko_testkit::template::{FUNCTION, Template, arn_of, pattern, referred};
use serde_json::{Value, json};

use crate::code::{FunctionRoute, functions, routes};
use crate::read;

/// The template's variables that no function reads.
const UNREAD: [&str; 1] = ["SECRETS_REVISION"];

/// The variables of `docs/operate.md` that have no parameter.
const WITHOUT_PARAMETER: [&str; 4] =
    ["ACCOUNT_RECEIPTS", "REMOTE_SEND_MS", "SERVER_RECEIPTS", "SIGNATURE_WINDOW_SECONDS"];

/// The settings that each function needs, as its own constant lists them.
pub(crate) const NEEDS: [(&str, Needs); 11] = [
    ("auth", eko_auth::NEEDS),
    ("deliver", eko_deliver::NEEDS),
    ("devices", eko_devices::NEEDS),
    ("discovery", eko_discovery::NEEDS),
    ("federate", eko_federate::NEEDS),
    ("group-state", eko_group_state::NEEDS),
    ("inbox", eko_inbox::NEEDS),
    ("key-packages", eko_key_packages::NEEDS),
    ("outbox", eko_outbox::NEEDS),
    ("push", eko_push::NEEDS),
    ("socket", eko_socket::NEEDS),
];

#[test]
fn the_api_routes_what_the_code_routes() {
    let template = Template::read();
    let mut deployed = BTreeSet::new();
    let is_live = |route: &Value| referred(&route["ApiId"]) == template.live_api();
    let routes_of_http = template.resources("AWS::ApiGatewayV2::Route").into_iter();
    for (name, route) in routes_of_http.filter(|(_, route)| !is_live(route)) {
        let (method, path) = route["RouteKey"].as_str().unwrap().split_once(' ').unwrap();
        let target = pattern(&route["Target"]).strip_prefix("integrations/${").unwrap();
        let integration = target.strip_suffix('}').unwrap();
        let integration = template.resource("AWS::ApiGatewayV2::Integration", integration);
        let function = template.binary(arn_of(&integration["IntegrationUri"])).to_owned();
        let route = FunctionRoute { path: path.to_owned(), method: method.to_owned(), function };
        assert!(deployed.insert(route), "{name} is there twice");
    }
    assert_eq!(deployed, routes());
}

/// The function `socket` gets everything that happens on a WebSocket.
#[test]
fn the_sockets_are_of_one_function() {
    let template = Template::read();
    let live = template.live_api();
    let routes = template.resources("AWS::ApiGatewayV2::Route").into_iter();
    let mut keys = BTreeSet::new();
    for (name, route) in routes.filter(|(_, route)| referred(&route["ApiId"]) == live) {
        let integration = pattern(&route["Target"]).strip_prefix("integrations/${").unwrap();
        let integration = integration.strip_suffix('}').unwrap();
        let integration = template.resource("AWS::ApiGatewayV2::Integration", integration);
        assert_eq!(referred(&integration["ApiId"]), live, "{name}");
        let uri = pattern(&integration["IntegrationUri"]);
        let (_, function) = uri.split_once("/functions/${").unwrap();
        let function = function.strip_suffix(".Arn}/invocations").unwrap();
        assert_eq!(template.binary(function), "socket", "{name}");
        keys.insert(route["RouteKey"].as_str().unwrap());
    }
    assert_eq!(keys, BTreeSet::from(["$connect", "$default", "$disconnect"]));
    let stages = template.resources("AWS::ApiGatewayV2::Stage").into_iter();
    let stages = stages.filter(|(_, stage)| referred(&stage["ApiId"]) == live);
    let names: Vec<&Value> = stages.map(|(_, stage)| &stage["StageName"]).collect();
    assert_eq!(names, ["live"]);
}

/// The template is compared with the table that the local server creates, described by DynamoDB's
/// own terms.
#[tokio::test]
async fn the_table_is_the_one_of_the_local_server() {
    let world = World::new().await;
    let dynamodb = &world.cloud.clients.dynamodb;
    let name = world.cloud.names().table;
    let table = dynamodb.describe_table().table_name(&name).send().await.unwrap().table.unwrap();
    let ttl = dynamodb.describe_time_to_live().table_name(&name).send().await.unwrap();
    let ttl = ttl.time_to_live_description.unwrap();
    let keys = table.key_schema.unwrap();
    let key = |key: &KeySchemaElement| json!({ "AttributeName": key.attribute_name, "KeyType": key.key_type.as_str() });
    let attributes = table.attribute_definitions.unwrap();
    let attribute = |attribute: &AttributeDefinition| {
        let kind = attribute.attribute_type.as_str();
        json!({ "AttributeName": attribute.attribute_name, "AttributeType": kind })
    };

    let template = Template::read();
    let (_, deployed) = template.only("AWS::DynamoDB::Table");
    assert_eq!(deployed["KeySchema"], keys.iter().map(key).collect::<Value>());
    assert_eq!(deployed["AttributeDefinitions"], attributes.iter().map(attribute).collect::<Value>());
    assert_eq!(
        deployed["TimeToLiveSpecification"],
        json!({ "AttributeName": ttl.attribute_name, "Enabled": true })
    );
    let billing = table.billing_mode_summary.unwrap().billing_mode.unwrap();
    assert_eq!(deployed["BillingMode"], billing.as_str());
}

#[test]
fn the_queues_are_those_of_the_local_server() {
    let template = Template::read();
    let mappings = template.resources("AWS::Lambda::EventSourceMapping");
    for spec in QUEUES {
        let (name, queue) = queue_of(&template, spec.name);
        assert_eq!(queue["VisibilityTimeout"], spec.visibility_seconds, "{name}");
        assert_eq!(queue["MessageRetentionPeriod"], spec.retention_seconds, "{name}");
        assert_eq!(queue["RedrivePolicy"]["maxReceiveCount"], spec.max_receives, "{name}");
        let (dlq_resource, dlq) = queue_of(&template, &dlq_name(spec.name));
        assert_eq!(arn_of(&queue["RedrivePolicy"]["deadLetterTargetArn"]), dlq_resource, "{name}");
        assert_eq!(dlq["MessageRetentionPeriod"], DLQ_RETENTION_SECONDS, "{dlq_resource}");

        let mut sources = mappings.iter().filter(|(_, source)| arn_of(&source["EventSourceArn"]) == name);
        let (source, mapping) = sources.next().unwrap();
        assert!(sources.next().is_none(), "two functions take from {name}");
        assert_eq!(mapping["BatchSize"], spec.batch_size, "{source}");
        assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{source}");
        let function = template.resource(FUNCTION, referred(&mapping["FunctionName"]));
        let timeout = function["Timeout"].as_u64().unwrap();
        assert_eq!(
            u64::from(spec.visibility_seconds),
            6 * timeout,
            "{name}: six times the function's timeout"
        );
        let takes = template.binary(referred(&mapping["FunctionName"]));
        let due = [("deliveries", "deliver"), ("federation", "federate"), ("pushes", "push")];
        assert!(due.contains(&(spec.name, takes)), "{takes} takes from {name}");
    }
    assert_eq!(template.resources("AWS::SQS::Queue").len(), 2 * QUEUES.len());
    assert_eq!(mappings.len(), QUEUES.len());
}

/// A step of an erasure ends while there is time to queue the next one.
#[test]
fn the_function_deliver_has_more_time_than_a_step() {
    let template = Template::read();
    let functions = template.functions();
    let (_, _, deliver) = functions.iter().find(|(binary, ..)| *binary == "deliver").unwrap();
    let timeout = Duration::from_secs(deliver["Timeout"].as_u64().unwrap());
    assert!(eko_deliver::STEP_TIME + Duration::from_secs(1) < timeout);
}

/// Returns the queue of this name inside a deployment, with its name in the template.
fn queue_of<'a>(template: &'a Template, name: &str) -> (&'a str, &'a Value) {
    let due = format!("${{AWS::StackName}}-{name}");
    let queues = template.resources("AWS::SQS::Queue").into_iter();
    let mut found = queues.filter(|(_, queue)| pattern(&queue["QueueName"]) == due);
    found.next().unwrap_or_else(|| panic!("no queue is called {due}"))
}

#[test]
fn functions_are_given_what_they_need_and_no_more() {
    let template = Template::read();
    let in_folders: Vec<String> = functions().into_iter().collect();
    assert_eq!(NEEDS.map(|(function, _)| function).as_slice(), in_folders);
    let mut deployed: Vec<&str> = template.functions().into_iter().map(|(binary, ..)| binary).collect();
    deployed.sort_unstable();
    assert_eq!(deployed, in_folders);

    let (read, globals) = (variables_read(), variables(template.globals()));
    for variable in ["ORIGIN", "TABLE"] {
        assert!(globals.contains(variable), "{variable} is not given to every function");
    }
    for (binary, name, function) in template.functions() {
        let given = &variables(function) | &globals;
        let (_, needs) = NEEDS.iter().find(|(function, _)| *function == binary).unwrap();
        for (variable, due) in [
            (TOKEN_KEYS_PARAMETER, needs.token_keys),
            (SIGNING_KEY_PARAMETER, needs.signing_key),
            ("OIDC_ISSUER", needs.issuer),
            ("OIDC_AUDIENCE", needs.issuer),
            ("DELIVERIES_URL", needs.deliveries || needs.seldom_deliveries),
            ("FEDERATION_URL", needs.parcels),
            ("SOCKETS_URL", needs.sockets),
            ("LIVE_URL", needs.live),
            (VAPID_KEY_PARAMETER, needs.vapid_key),
            ("PUSHES_URL", needs.pushes),
        ] {
            assert_eq!(given.contains(variable), due, "{name}: {variable}");
        }
        let unread: BTreeSet<&str> = given.difference(&read).map(String::as_str).collect();
        assert_eq!(unread, BTreeSet::from(UNREAD), "{name}");
        for (variable, queue) in
            [("DELIVERIES_URL", "deliveries"), ("FEDERATION_URL", "federation"), ("PUSHES_URL", "pushes")]
        {
            if given.contains(variable) {
                let url = &function["Environment"]["Variables"][variable];
                // A function without the signing key knows by this variable whether to federate.
                let url = url["Fn::If"].get(1).unwrap_or(url);
                assert_eq!(referred(url), queue_of(&template, queue).0, "{name}: {variable}");
            }
        }
    }
}

/// A parameter that is left alone changes nothing: its default is that of the code.
#[test]
fn limits_have_the_defaults_of_the_code() {
    let template = Template::read();
    let default = Config::new(Origin::parse("https://eko.example").unwrap()).limits;
    for (_, name, function) in template.functions() {
        let get = |variable: &str| {
            let of_function = &function["Environment"]["Variables"][variable];
            let global = &template.globals()["Environment"]["Variables"][variable];
            match variable {
                "ORIGIN" => Some("https://eko.example".to_owned()),
                "TABLE" => Some("given".to_owned()),
                _ => [of_function, global].into_iter().find(|value| !value.is_null()).and_then(|value| {
                    let default = template.default_of(value["Ref"].as_str()?);
                    default
                        .as_str()
                        .map(str::to_owned)
                        .or_else(|| default.as_u64().map(|number| number.to_string()))
                }),
            }
        };
        let config = Config::from_env(Needs::NOTHING, get, Secrets::default()).unwrap();
        assert_eq!(config.limits, default, "{name}");
    }
}

/// Every number that the code reads is a parameter, or stands on the page for operators.
#[test]
fn every_limit_can_be_set() {
    let template = Template::read();
    let mut given = variables(template.globals());
    for (_, _, function) in template.functions() {
        given.append(&mut variables(function));
    }
    let read_by_code = variables_read();
    let missing: Vec<&str> = read_by_code.difference(&given).map(String::as_str).collect();
    let due = BTreeSet::from(WITHOUT_PARAMETER).into_iter().chain(["DANGER_ALLOW_LOOPBACK_HTTP"]);
    assert_eq!(BTreeSet::from_iter(missing), due.collect());
    let page = read("docs/operate.md");
    for variable in WITHOUT_PARAMETER {
        assert!(page.contains(&format!("`{variable}`")), "{variable}");
    }
}

/// The environment for watch has only variables that a function reads, AWS sets or the SDK reads.
#[test]
fn watch_gives_what_functions_read() {
    let environment = read("infra/local/watch.env");
    let lines = environment.lines().filter(|line| !line.starts_with('#'));
    let given: BTreeSet<String> = lines.map(|line| line.split_once('=').unwrap().0.to_owned()).collect();
    let read = variables_read();
    let unread: Vec<&String> = given.difference(&read).filter(|name| !name.starts_with("AWS_")).collect();
    assert!(unread.is_empty(), "{unread:?}");
}

/// Returns the names of the environment variables of a function, or of the template's global
/// section.
fn variables(properties: &Value) -> BTreeSet<String> {
    let variables = properties["Environment"]["Variables"].as_object();
    variables.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Returns the names of the variables that a configuration is read from.
fn variables_read() -> BTreeSet<String> {
    let all = Needs {
        token_keys: true,
        issuer: true,
        signing_key: true,
        deliveries: true,
        seldom_deliveries: true,
        sockets: true,
        live: true,
        vapid_key: true,
        pushes: true,
        parcels: true,
    };
    let asked = RefCell::new(BTreeSet::from(
        [TOKEN_KEYS_PARAMETER, SIGNING_KEY_PARAMETER, VAPID_KEY_PARAMETER].map(str::to_owned),
    ));
    let get = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        match name {
            "ORIGIN" => Some("https://eko.example".to_owned()),
            "VAPID_CONTACT" => Some("mailto:operator@eko.chat".to_owned()),
            "TABLE" | "DELIVERIES_URL" | "FEDERATION_URL" | "PUSHES_URL" | "OIDC_ISSUER"
            | "OIDC_AUDIENCE" => Some("given".to_owned()),
            _ => None,
        }
    };
    let secrets = Secrets {
        token_keys: None,
        signing_key: Some("a key".to_owned()),
        vapid_key: Some("a key".to_owned()),
    };
    Config::from_env(all, get, secrets).unwrap();
    asked.into_inner()
}
