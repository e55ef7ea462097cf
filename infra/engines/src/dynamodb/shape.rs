//! Deserializes a request. A request of the wrong shape gets the error that DynamoDB would answer.
//!
//! dynoxide validates while it deserializes, and writes the kind of the AWS error into the text of
//! serde's error. Its HTTP server reads the kind out of that text (module `serde_errors`, version
//! 3.2). The server's function is not public, so this module has its own.

use dynoxide::DynoxideError;
use serde::de::DeserializeOwned;

/// Deserializes the request of `operation`.
pub(super) fn read<Q: DeserializeOwned>(operation: &str, body: &[u8]) -> dynoxide::Result<Q> {
    serde_json::from_slice(body).map_err(|error| classify(operation, &error.to_string()))
}

/// Returns the AWS error for the text of an error of serde.
fn classify(operation: &str, message: &str) -> DynoxideError {
    if let Some(text) = message.strip_prefix("VALIDATION_REQUEST:") {
        return DynoxideError::ValidationException(introduced(operation, without_position(text)));
    }
    if let Some(text) = message.strip_prefix("VALIDATION:") {
        return DynoxideError::ValidationException(without_position(text).to_owned());
    }
    if let Some(text) = message.strip_prefix("VALIDATION_AS_READ:") {
        return DynoxideError::ValidationException(text.to_owned());
    }
    if let Some(text) = message.strip_prefix("SERIALIZATION_AS_READ:") {
        return DynoxideError::SerializationException(text.to_owned());
    }
    let text = without_position(message.strip_prefix("SERIALIZATION:").unwrap_or(message)).to_owned();
    let lacks_a_value = ["missing field", "unknown variant", "invalid type: null", "Supplied AttributeValue"];
    if !message.starts_with("SERIALIZATION:") && lacks_a_value.iter().any(|part| text.contains(part)) {
        return DynoxideError::ValidationException(text);
    }
    DynoxideError::SerializationException(text)
}

/// Adds the words that DynamoDB puts before the validation errors of three operations.
fn introduced(operation: &str, text: &str) -> String {
    match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" => format!("1 validation error detected: {text}"),
        _ => text.to_owned(),
    }
}

/// Removes the position that serde_json appends (` at line 1 column 20`). AWS answers none.
fn without_position(text: &str) -> &str {
    text.rfind(" at line ").map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_in_the_prefix_or_in_the_words() {
        let cases = [
            (
                "PutItem",
                "VALIDATION_REQUEST:bad at line 1 column 2",
                "1 validation error detected: bad",
                true,
            ),
            ("Query", "VALIDATION_REQUEST:bad", "bad", true),
            ("Query", "VALIDATION:bad at line 1 column 2", "bad", true),
            ("Query", "missing field `TableName` at line 1 column 2", "missing field `TableName`", true),
            ("Query", "SERIALIZATION:odd at line 1 column 2", "odd", false),
            (
                "Query",
                "invalid type: integer `1`, expected a string",
                "invalid type: integer `1`, expected a string",
                false,
            ),
        ];
        for (operation, message, expected, validation) in cases {
            let error = classify(operation, message);
            assert_eq!(error.to_string(), expected);
            assert_eq!(matches!(error, DynoxideError::ValidationException(_)), validation, "{message}");
        }
    }
}
