//! Reading a request, with DynamoDB's own error when it has the wrong shape.
//!
//! dynoxide validates while it deserialises and says in the text of serde's error which kind of AWS error is
//! meant; its HTTP server reads the kind out of the text again (`serde_errors` there, version 3.2). That half
//! is not public, so it is repeated here, in the words of the kinds alone.

use dynoxide::DynoxideError;
use serde::de::DeserializeOwned;

/// Deserialises the request of `operation`.
pub(super) fn read<Q: DeserializeOwned>(operation: &str, body: &[u8]) -> dynoxide::Result<Q> {
    serde_json::from_slice(body).map_err(|error| classify(operation, &error.to_string()))
}

fn classify(operation: &str, message: &str) -> DynoxideError {
    if let Some(text) = message.strip_prefix("VALIDATION_REQUEST:") {
        return DynoxideError::ValidationException(envelope(operation, without_position(text)));
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

/// Three operations put their request errors into a sentence of their own.
fn envelope(operation: &str, text: &str) -> String {
    match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" => format!("1 validation error detected: {text}"),
        _ => text.to_owned(),
    }
}

/// Without serde_json's ` at line 1 column 20`, which AWS has not.
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
        for (operation, message, said, validation) in cases {
            let error = classify(operation, message);
            assert_eq!(error.to_string(), said);
            assert_eq!(matches!(error, DynoxideError::ValidationException(_)), validation, "{message}");
        }
    }
}
