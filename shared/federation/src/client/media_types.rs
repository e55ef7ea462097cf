//! Media types of the documents that are fetched.

/// The media types that a fetch asks for and accepts. With it, an uploaded file or a web page of a
/// server cannot pass for a document of that server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaTypes {
    /// The value of the `Accept` header.
    pub accept: &'static str,
    /// The accepted media types in lower case, without parameters.
    pub essences: &'static [&'static str],
}

impl MediaTypes {
    /// The media types of ActivityPub objects (ActivityPub, section 3.2).
    pub const ACTIVITY: Self = Self {
        accept: r#"application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams""#,
        essences: &["application/activity+json", "application/ld+json"],
    };

    /// The media types of WebFinger answers (RFC 7033, section 4.4). Many servers answer plain
    /// JSON.
    pub const WEBFINGER: Self = Self {
        accept: "application/jrd+json, application/json",
        essences: &["application/jrd+json", "application/json"],
    };

    /// The media types of an OpenID provider's documents: plain JSON, and JWK sets (RFC 7517,
    /// section 8.5.2).
    pub const OPENID: Self = Self {
        accept: "application/json, application/jwk-set+json",
        essences: &["application/json", "application/jwk-set+json"],
    };

    /// True if a `Content-Type` is one of these. Its parameters are ignored.
    pub fn takes(self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        self.essences.iter().any(|taken| taken.eq_ignore_ascii_case(essence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        for content_type in [
            "application/activity+json",
            "Application/Activity+JSON; charset=utf-8",
            r#"application/ld+json ; profile="https://www.w3.org/ns/activitystreams""#,
        ] {
            assert!(MediaTypes::ACTIVITY.takes(content_type), "{content_type}");
        }
        for content_type in [
            "",
            "text/html",
            "image/png",
            "application/json",
            "application/activity+jsonx",
            "text/html; application/activity+json",
            "text/html, application/activity+json",
            "application/activity+json, text/html",
        ] {
            assert!(!MediaTypes::ACTIVITY.takes(content_type), "{content_type}");
        }
    }

    #[test]
    fn accept_headers_are_header_values() {
        for types in [MediaTypes::ACTIVITY, MediaTypes::WEBFINGER, MediaTypes::OPENID] {
            let accept = http::HeaderValue::from_static(types.accept);
            assert_eq!(accept.to_str().ok(), Some(types.accept));
            assert!(types.essences.iter().all(|essence| types.accept.contains(essence)));
        }
    }
}
