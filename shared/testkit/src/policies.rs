//! The actions that the roles of the functions allow, read from `infra/template.yaml` as IAM reads
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use eko_store::resources::PARTITION_KEY;
use serde_json::{Map, Value, json};

use crate::template::{Template, arn_of, pattern};

/// An action of a function on a resource that the template creates or names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action {
    /// The folder of the function, such as `outbox`.
    pub function: String,
    /// The name of the action in IAM: `dynamodb:PutItem`, `sqs:SendMessage`.
    pub action: String,
    /// The name of a resource or a parameter in the template: `Table`, `Deliveries`,
    /// `TokenKeysParameter`. For connections of the WebSocket API, the method too: `LiveApi POST`.
    pub resource: String,
    /// The partition keys of the items, as the template's conditions have them: `U#*` for a kind of
    /// item, `-` for one partition. `None` for actions that are about no item.
    pub items: Option<String>,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} on {}", self.function, self.action, self.resource)?;
        self.items.as_ref().map_or(Ok(()), |items| write!(f, ", items {items}"))
    }
}

/// The policies of all functions.
#[derive(Debug)]
pub struct Policies {
    allowed: BTreeSet<Action>,
    table: String,
    /// The name of the WebSocket API.
    live_api: String,
    /// The names of the queues' resources, by the last part of the queues' names.
    queues: BTreeMap<String, String>,
}

impl Policies {
    /// Returns the policies of the template, which is read once in this process.
    pub fn deployed() -> &'static Self {
        static DEPLOYED: OnceLock<Policies> = OnceLock::new();
        DEPLOYED.get_or_init(|| Self::of(&Template::read()))
    }

    /// Reads the policies of a template, with everything that its parameters can turn on.
    fn of(template: &Template) -> Self {
        let queues = template.resources("AWS::SQS::Queue").into_iter().map(|(resource, queue)| {
            let name =
                pattern(&queue["QueueName"]).strip_prefix("${AWS::StackName}-").expect("a queue's name");
            (name.to_owned(), resource.to_owned())
        });
        let mut policies = Self {
            allowed: BTreeSet::new(),
            table: template.only("AWS::DynamoDB::Table").0.to_owned(),
            live_api: template.live_api().to_owned(),
            queues: queues.collect(),
        };
        for (function, name, properties) in template.functions() {
            assert!(properties.get("Policies").is_none(), "{name} has policies beside its role's");
            let role = template.resource("AWS::IAM::Role", arn_of(&properties["Role"]));
            assert!(role.get("ManagedPolicyArns").is_none(), "{name} has policies that others write");
            for policy in list(&role["Policies"]) {
                for statement in list(&policy["PolicyDocument"]["Statement"]) {
                    branches(statement).into_iter().for_each(|one| policies.allow(function, one));
                }
            }
        }
        policies
    }

    /// Adds the actions that a statement allows.
    ///
    /// Every statement about the table restricts the items by their partition keys.
    fn allow(&mut self, function: &str, statement: &Value) {
        let members: Vec<&String> = statement.as_object().into_iter().flat_map(Map::keys).collect();
        let is_conditional = members == ["Action", "Condition", "Effect", "Resource"];
        let is_known = is_conditional || members == ["Action", "Effect", "Resource"];
        assert!(is_known, "{function} has a statement of another kind: {members:?}");
        assert_eq!(statement["Effect"], "Allow", "{function}");
        let resources: BTreeSet<String> =
            branches(&statement["Resource"]).into_iter().map(|one| self.resource(one)).collect();
        let [resource] = &Vec::from_iter(resources)[..] else {
            panic!("{function} has more than a resource")
        };
        assert_eq!(is_conditional, *resource == self.table, "{function}: a condition on {resource}");
        let items = if is_conditional { leading_keys(function, statement) } else { vec![None] };
        for action in list(&statement["Action"]) {
            let action = action.as_str().expect("an action");
            assert!(!action.contains('*'), "{function} may do {action}");
            for items in &items {
                let allowed = Action {
                    function: function.to_owned(),
                    action: action.to_owned(),
                    resource: resource.clone(),
                    items: items.clone(),
                };
                assert!(!self.allowed.contains(&allowed), "{allowed} is there twice");
                self.allowed.insert(allowed);
            }
        }
    }

    /// Returns the resource of an ARN: the one whose attribute it is, the parameter at its end, or
    /// the connections.
    fn resource(&self, arn: &Value) -> String {
        if arn.get("Fn::GetAtt").is_some() {
            return arn_of(arn).to_owned();
        }
        let end = pattern(arn).rsplit_once("${AWS::AccountId}:").expect("an ARN of this account").1;
        let stage = format!("${{{}}}/live/", self.live_api);
        let method = end.strip_prefix(&stage).and_then(|end| end.strip_suffix("/@connections/*"));
        match (end, method) {
            (_, Some(method)) => self.connections(method),
            ("table/${UseTable}", None) => self.table.clone(),
            (end, None) => {
                let parameter = end.strip_prefix("parameter${").and_then(|end| end.strip_suffix('}'));
                parameter.expect("a parameter").to_owned()
            }
        }
    }

    /// Returns the resource of the calls to connections by one method.
    fn connections(&self, method: &str) -> String {
        format!("{} {method}", self.live_api)
    }

    /// Returns all actions that are allowed.
    pub fn allowed(&self) -> &BTreeSet<Action> {
        &self.allowed
    }

    /// Returns the actions that a request performs. `target` is its `X-Amz-Target`.
    pub(crate) fn needed(&self, function: &str, target: &str, request: &Value) -> BTreeSet<Action> {
        let action = |action: String, resource: &str, items: Option<String>| Action {
            function: function.to_owned(),
            action,
            resource: resource.to_owned(),
            items,
        };
        match target.split_once('.') {
            // Requests to DynamoDB are about the one table.
            Some(("DynamoDB_20120810", operation)) => table_requests(operation, request)
                .into_iter()
                .map(|(verb, key)| action(format!("dynamodb:{verb}"), &self.table, Some(items_of(&key))))
                .collect(),
            Some(("AmazonSQS", operation)) => {
                let url = request["QueueUrl"].as_str().unwrap_or_default();
                let name = url.rsplit('/').next().unwrap_or_default();
                // At another engine, a prefix stands before the name of the queue.
                let own = name.rsplit('-').next().unwrap_or_default();
                let queue = self.queues.get(own).map_or(name, String::as_str);
                let operation = operation.strip_suffix("Batch").unwrap_or(operation);
                BTreeSet::from([action(format!("sqs:{operation}"), queue, None)])
            }
            Some(("ApiGatewayManagement", operation)) => {
                let method = if operation == "DeleteConnection" { "DELETE" } else { "POST" };
                let resource = self.connections(method);
                BTreeSet::from([action("execute-api:ManageConnections".to_owned(), &resource, None)])
            }
            _ => BTreeSet::from([action(target.to_owned(), "?", None)]),
        }
    }
}

/// Returns the items that a statement's condition allows. A condition of another kind is not
/// understood, and neither is a pattern that could match the keys of two kinds of items.
fn leading_keys(function: &str, statement: &Value) -> Vec<Option<String>> {
    let patterns = list(&statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
    let condition = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": patterns } });
    assert_eq!(statement["Condition"], condition, "{function} has a condition of another kind");
    assert!(!patterns.is_empty(), "{function} has a statement about no item");
    let pattern = |pattern: &Value| {
        let pattern = pattern.as_str().expect("a pattern");
        let fixed = pattern.strip_suffix("#*").unwrap_or(pattern);
        assert!(!fixed.contains(['*', '?', '#']), "{function} has the pattern {pattern}");
        Some(pattern.to_owned())
    };
    patterns.iter().map(pattern).collect()
}

/// Returns the pattern that matches a partition key and all keys of its kind.
fn items_of(partition: &str) -> String {
    partition.split_once('#').map_or_else(|| partition.to_owned(), |(kind, _)| format!("{kind}#*"))
}

/// Returns what a request to DynamoDB is for IAM: the name of each action, with the partition key
/// of its item (`dynamodb:LeadingKeys`).
fn table_requests(operation: &str, request: &Value) -> Vec<(String, String)> {
    let partition = |key: &Value| key[PARTITION_KEY]["S"].as_str().unwrap_or("?").to_owned();
    // Writes name a key or, if they put an item, the item.
    let written =
        |write: &Value| partition(if write["Key"].is_object() { &write["Key"] } else { &write["Item"] });
    let tables = || request["RequestItems"].as_object().into_iter().flat_map(Map::values);
    let keys: Vec<String> = match operation {
        "TransactWriteItems" => {
            let parts = list(&request["TransactItems"]).iter().filter_map(Value::as_object).flatten();
            let verb = |part: &String| {
                if part == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{part}Item") }
            };
            return parts.map(|(part, write)| (verb(part), written(write))).collect();
        }
        "BatchGetItem" => tables().flat_map(|table| list(&table["Keys"])).map(partition).collect(),
        "BatchWriteItem" => {
            let writes = tables().flat_map(list).filter_map(Value::as_object).flat_map(Map::values);
            writes.map(written).collect()
        }
        "Query" => {
            let condition = request["KeyConditionExpression"].as_str().unwrap_or_default();
            let name = condition.strip_prefix("pk = ").and_then(|rest| rest.split_whitespace().next());
            let value = &request["ExpressionAttributeValues"][name.unwrap_or_default()];
            vec![value["S"].as_str().unwrap_or("?").to_owned()]
        }
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" => vec![written(request)],
        _ => vec!["?".to_owned()],
    };
    keys.into_iter().map(|key| (operation.to_owned(), key)).collect()
}

/// Returns the items of a list, or none of anything else.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the value, or the values that an `!If` may take.
fn branches(value: &Value) -> Vec<&Value> {
    match value["Fn::If"].as_array().map(Vec::as_slice) {
        Some([_, branches @ ..]) => branches.iter().filter(|one| one["Ref"] != "AWS::NoValue").collect(),
        _ => vec![value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_needs_an_action_for_each_kind_of_item() {
        let key = |pk: &str| json!({ "pk": { "S": pk }, "sk": { "S": "DEVICE" } });
        let query = |condition: &str| json!({ "KeyConditionExpression": condition, "ExpressionAttributeValues": { ":p": { "S": "U#bob" } } });
        let requests = [
            ("GetItem", json!({ "Key": key("U#bob") }), "GetItem U#*"),
            ("GetItem", json!({ "Key": key("-") }), "GetItem -"),
            ("PutItem", json!({ "Item": key("R#acct:bob@b.example") }), "PutItem R#*"),
            ("Query", query("pk = :p AND sk > :s"), "Query U#*"),
            // What is not understood is not allowed.
            ("Query", query(":p = pk"), "Query ?"),
            ("Scan", json!({}), "Scan ?"),
            (
                "BatchGetItem",
                json!({ "RequestItems": { "eko": { "Keys": [key("U#bob"), key("U#eve"), key("D#bob#1")] } } }),
                "BatchGetItem D#*, BatchGetItem U#*",
            ),
            (
                "BatchWriteItem",
                json!({ "RequestItems": { "eko": [
                    { "PutRequest": { "Item": key("D#bob#1") } }, { "DeleteRequest": { "Key": key("F#1") } },
                ] } }),
                "BatchWriteItem D#*, BatchWriteItem F#*",
            ),
            (
                "TransactWriteItems",
                json!({ "TransactItems": [
                    { "Put": { "Item": key("U#bob") } }, { "ConditionCheck": { "Key": key("D#bob#1") } },
                    { "Update": { "Key": key("S#1") } }, { "Delete": { "Key": key("D#bob#1") } },
                ] }),
                "ConditionCheckItem D#*, DeleteItem D#*, PutItem U#*, UpdateItem S#*",
            ),
        ];
        for (operation, request, due) in requests {
            let needed =
                Policies::deployed().needed("auth", &format!("DynamoDB_20120810.{operation}"), &request);
            let told = needed.iter().map(|one| {
                let action = one.action.strip_prefix("dynamodb:").unwrap();
                format!("{action} {}", one.items.as_deref().unwrap())
            });
            assert_eq!(Vec::from_iter(told).join(", "), due);
        }
    }
}
