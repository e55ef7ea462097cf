//! SSM's Parameter Store, as far as a function reads its secrets from it: `GetParameters`.
//!
//! The parameters are whoever embeds the engines to put in, at each start; nothing is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::Answer;

/// What stands before the dot in `X-Amz-Target`.
pub(crate) const TARGET: &str = "AmazonSSM";
/// Names in one request at most.
const MOST: usize = 10;

/// The embedded Parameter Store; every parameter is a `SecureString`.
#[derive(Default)]
pub(crate) struct Engine {
    parameters: RwLock<BTreeMap<String, Kept>>,
}

struct Kept {
    value: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParameters {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Got<'a> {
    parameters: Vec<Parameter<'a>>,
    invalid_parameters: BTreeSet<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter<'a> {
    name: &'a str,
    r#type: &'static str,
    value: &'a str,
    version: i64,
    data_type: &'static str,
}

impl Engine {
    pub(crate) fn put(&self, name: &str, value: &str) {
        let mut parameters = self.parameters.write().unwrap_or_else(PoisonError::into_inner);
        let version = parameters.get(name).map_or(1, |kept| kept.version + 1);
        parameters.insert(name.to_owned(), Kept { value: value.to_owned(), version });
    }

    /// Answers one request.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Answer {
        let answer = match operation {
            "GetParameters" => self.get(body),
            _ => Answer::unknown_operation(),
        };
        Answer { content_type: "application/x-amz-json-1.1", ..answer }
    }

    fn get(&self, body: &[u8]) -> Answer {
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
        let kept = self.parameters.read().unwrap_or_else(PoisonError::into_inner);
        let mut got = Got { parameters: Vec::new(), invalid_parameters: BTreeSet::new() };
        for name in names {
            let Some(Kept { value, version }) = kept.get(name) else {
                got.invalid_parameters.insert(name);
                continue;
            };
            // What AWS gives undecrypted is of no use either.
            let value = if request.with_decryption { value } else { "(encrypted)" };
            let (r#type, data_type) = ("SecureString", "text");
            got.parameters.push(Parameter { name, r#type, value, version: *version, data_type });
        }
        match serde_json::to_vec(&got) {
            Ok(body) => Answer::ok(body),
            Err(error) => Answer::error(
                500,
                json!({ "__type": "InternalServerError", "message": error.to_string() }).to_string(),
            ),
        }
    }
}

fn refusal(kind: &str, message: &str) -> Answer {
    Answer::error(400, json!({ "__type": kind, "message": message }).to_string())
}
