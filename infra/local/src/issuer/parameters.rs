//! The parameters of a query or a form, by the rules of RFC 6749.

use std::collections::HashMap;

use url::form_urlencoded;

/// The parameters of a request. Each has one value.
pub(super) struct RequestParameters(HashMap<String, String>);

impl RequestParameters {
    /// Parses `application/x-www-form-urlencoded`.
    ///
    /// Returns `None` if a parameter is there twice. A parameter without a value is left out (RFC
    /// 6749 section 3.1).
    pub(super) fn read(encoded: &[u8]) -> Option<Self> {
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Some(Self(parameters))
    }

    /// Returns the value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the value of a parameter, or an empty text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}
