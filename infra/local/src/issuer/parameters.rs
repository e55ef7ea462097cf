//! Parameters of a query or a form, read as RFC 6749 wants.

use std::collections::HashMap;

use url::form_urlencoded;

/// The parameters of one request, each there at most once.
pub(super) struct Parameters(HashMap<String, String>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`. A parameter that is there twice makes the request invalid;
    /// one without a value counts as not there (RFC 6749 section 3.1).
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

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value, or nothing as empty text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}
