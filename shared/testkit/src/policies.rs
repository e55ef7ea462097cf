//! The actions that the roles of the functions allow, read from `infra/template.yaml` as IAM reads
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::template::{Template, arn_of, pattern};

/// An action of a function on a resource that the template creates or names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action {
    /// The folder of the function, such as `outbox`.
    pub function: String,
    /// The name of the action in IAM: `dynamodb:PutItem`, `sqs:SendMessage`.
    pub action: String,
    /// The name of a resource or a parameter in the template: `Table`, `Deliveries`,
    /// `TokenKeysParameter`.
    pub resource: String,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} on {}", self.function, self.action, self.resource)
    }
}

/// The policies of all functions.
#[derive(Debug)]
pub struct Policies {
    allowed: BTreeSet<Action>,
    table: String,
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
    fn allow(&mut self, function: &str, statement: &Value) {
        let members: Vec<&String> = statement.as_object().into_iter().flat_map(Map::keys).collect();
        assert_eq!(members, ["Action", "Effect", "Resource"], "{function} has a statement of another kind");
        assert_eq!(statement["Effect"], "Allow", "{function}");
        let resources: BTreeSet<&str> =
            branches(&statement["Resource"]).into_iter().map(|one| self.resource(one)).collect();
        let [resource] = Vec::from_iter(resources)[..] else { panic!("{function} has more than a resource") };
        let resource = resource.to_owned();
        for action in list(&statement["Action"]) {
            let action = action.as_str().expect("an action");
            assert!(!action.contains('*'), "{function} may do {action}");
            let allowed = Action {
                function: function.to_owned(),
                action: action.to_owned(),
                resource: resource.clone(),
            };
            assert!(!self.allowed.contains(&allowed), "{allowed} is there twice");
            self.allowed.insert(allowed);
        }
    }

    /// Returns the resource of an ARN: the one whose attribute it is, or the parameter at its end.
    fn resource<'a>(&'a self, arn: &'a Value) -> &'a str {
        if arn.get("Fn::GetAtt").is_some() {
            return arn_of(arn);
        }
        let end = pattern(arn).rsplit_once("${AWS::AccountId}:").expect("an ARN of this account").1;
        match end {
            "table/${UseTable}" => &self.table,
            end => {
                end.strip_prefix("parameter${").and_then(|end| end.strip_suffix('}')).expect("a parameter")
            }
        }
    }

    /// Returns all actions that are allowed.
    pub fn allowed(&self) -> &BTreeSet<Action> {
        &self.allowed
    }

    /// Returns the actions that a request performs. `target` is its `X-Amz-Target`.
    pub(crate) fn needed(&self, function: &str, target: &str, request: &Value) -> BTreeSet<Action> {
        let action = |action: String, resource: &str| Action {
            function: function.to_owned(),
            action,
            resource: resource.to_owned(),
        };
        match target.split_once('.') {
            // Requests to DynamoDB are about the one table.
            Some(("DynamoDB_20120810", "TransactWriteItems")) => {
                let parts = list(&request["TransactItems"]).iter().filter_map(Value::as_object);
                let verb = |part: &String| match part.as_str() {
                    "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
                    verb => format!("dynamodb:{verb}Item"),
                };
                parts.flat_map(Map::keys).map(|part| action(verb(part), &self.table)).collect()
            }
            Some(("DynamoDB_20120810", operation)) => {
                BTreeSet::from([action(format!("dynamodb:{operation}"), &self.table)])
            }
            Some(("AmazonSQS", operation)) => {
                let url = request["QueueUrl"].as_str().unwrap_or_default();
                let name = url.rsplit('/').next().unwrap_or_default();
                // At another engine, a prefix stands before the name of the queue.
                let own = name.rsplit('-').next().unwrap_or_default();
                let queue = self.queues.get(own).map_or(name, String::as_str);
                let operation = operation.strip_suffix("Batch").unwrap_or(operation);
                BTreeSet::from([action(format!("sqs:{operation}"), queue)])
            }
            _ => BTreeSet::from([action(target.to_owned(), "?")]),
        }
    }
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
