//! SSM's Parameter Store with the one operation by which functions read secrets: `GetParameters`.
//!
//! The parameters are in memory only. Whoever embeds the engines sets them at each start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::AwsAnswer;

/// The part of `X-Amz-Target` before the dot.
pub(crate) const TARGET: &str = "AmazonSSM";

/// The largest number of names in one request.
const MOST: usize = 10;

/// The embedded Parameter Store. Every parameter is a `SecureString`.
#[derive(Default)]
pub(crate) struct ParameterEngine {
    parameters: RwLock<BTreeMap<String, StoredParameter>>,
}

/// A parameter's value, and the number of times that it was set.
struct StoredParameter {
    value: String,
    version: i64,
}

/// The request of `GetParameters`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParameters {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

/// The response of `GetParameters`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ParametersAnswer<'a> {
    parameters: Vec<AnsweredParameter<'a>>,
    invalid_parameters: BTreeSet<&'a str>,
}

/// A parameter in the response.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AnsweredParameter<'a> {
    name: &'a str,
    r#type: &'static str,
    value: &'a str,
    version: i64,
    data_type: &'static str,
}

impl ParameterEngine {
    /// Sets a parameter. Its version counts up.
    pub(crate) fn put(&self, name: &str, value: &str) {
        let mut parameters = self.parameters.write().unwrap_or_else(PoisonError::into_inner);
        let version = parameters.get(name).map_or(1, |stored| stored.version + 1);
        parameters.insert(name.to_owned(), StoredParameter { value: value.to_owned(), version });
    }

    /// Answers one request.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> AwsAnswer {
        let answer = match operation {
            "GetParameters" => self.get(body),
            _ => AwsAnswer::unknown_operation(),
        };
        AwsAnswer { content_type: "application/x-amz-json-1.1", ..answer }
    }

    fn get(&self, body: &[u8]) -> AwsAnswer {
        let request: GetParameters = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => return refusal("SerializationException", &error.to_string()),
        };
        let names: BTreeSet<&str> = request.names.iter().map(String::as_str).collect();
        if names.is_empty() || request.names.len() > MOST {
            return refusal("ValidationException", "names must be between 1 and 10 in number");
        }
        if names.len() != request.names.len() {
            return refusal("ValidationException", "a name is there twice");
        }
        let stored = self.parameters.read().unwrap_or_else(PoisonError::into_inner);
        let mut answer = ParametersAnswer { parameters: Vec::new(), invalid_parameters: BTreeSet::new() };
        for name in names {
            let Some(StoredParameter { value, version }) = stored.get(name) else {
                answer.invalid_parameters.insert(name);
                continue;
            };
            // AWS answers a ciphertext here, which is as useless.
            let value = if request.with_decryption { value } else { "(encrypted)" };
            let (r#type, data_type) = ("SecureString", "text");
            answer.parameters.push(AnsweredParameter { name, r#type, value, version: *version, data_type });
        }
        match serde_json::to_vec(&answer) {
            Ok(body) => AwsAnswer::ok(body),
            Err(error) => AwsAnswer::error(
                500,
                json!({ "__type": "InternalServerError", "message": error.to_string() }).to_string(),
            ),
        }
    }
}

/// Makes the answer to an invalid request.
fn refusal(kind: &str, message: &str) -> AwsAnswer {
    AwsAnswer::error(400, json!({ "__type": kind, "message": message }).to_string())
}
