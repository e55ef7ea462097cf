//! Content negotiation (RFC 9110, section 12.5.1): from the `Accept` of a request to the
//! representation that is answered. Every answer that depends on `Accept` says so in `Vary`.

use axum::response::Response;
use headers_accept::Accept;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mediatype::{MediaType, MediaTypeList, ReadParams, names};
use serde_json::Value;

use crate::respond::{ACTIVITY_JSON, JSON, LD_JSON, document};

/// The representation of an actor that a request prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// A JSON document, as `application/activity+json`.
    Activity,
    /// A JSON document, as `application/ld+json` with the profile of ActivityStreams.
    LinkedData,
    /// A page for a person, as `text/html`.
    Page,
}

/// The media types by which the two representations in JSON are asked for. The server prefers those
/// that stand first.
const DOCUMENT: [(&str, Representation); 3] = [
    (ACTIVITY_JSON, Representation::Activity),
    ("application/ld+json", Representation::LinkedData),
    (JSON, Representation::Activity),
];

/// The media types of a resource that also has a page.
const DOCUMENT_AND_PAGE: [(&str, Representation); 4] =
    [DOCUMENT[0], DOCUMENT[1], DOCUMENT[2], ("text/html", Representation::Page)];

impl Representation {
    /// Returns the representation of a document that a request prefers. The document has no page.
    pub fn of_document(headers: &HeaderMap) -> Self {
        preferred(headers, &DOCUMENT, Self::Activity)
    }

    /// Returns the representation of a document with a page that a request prefers.
    pub fn of_document_and_page(headers: &HeaderMap) -> Self {
        preferred(headers, &DOCUMENT_AND_PAGE, Self::Activity)
    }

    /// Returns the media type of this representation.
    fn media_type(self) -> &'static str {
        match self {
            Self::Activity => ACTIVITY_JSON,
            Self::LinkedData => LD_JSON,
            Self::Page => "text/html; charset=utf-8",
        }
    }
}

/// Answers 200 with an ActivityStreams document, in the representation that the request prefers.
pub fn negotiated(headers: &HeaderMap, body: &Value) -> Response {
    let media_type = Representation::of_document(headers).media_type();
    vary(document(StatusCode::OK, media_type, body))
}

/// Says that a response depends on `Accept`, so that a cache keeps its variants apart.
pub fn vary(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Returns the value of the offered media type that a request prefers, or else `otherwise`: if the
/// request names no media type, or none of these (RFC 9110, section 12.5.1, leaves that to the
/// server). The offered types have no parameters.
pub fn preferred<T: Copy>(headers: &HeaderMap, offered: &[(&'static str, T)], otherwise: T) -> T {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<String> = lines.flat_map(MediaTypeList::new).flatten().map(plain_range).collect();
    let Ok(accept) = ranges.join(",").parse::<Accept>() else { return otherwise };
    let parsed: Vec<MediaType> = offered.iter().filter_map(|(name, _)| MediaType::parse(name).ok()).collect();
    let best = accept.negotiate(&parsed).map(ToString::to_string);
    let offer = offered.iter().find(|(name, _)| best.as_deref() == Some(name));
    offer.map_or(otherwise, |(_, value)| *value)
}

/// Writes a media range with its quality only. Other parameters, such as `charset` or `profile`, tell
/// no two representations apart, and a server that sends one must not be answered with a page.
fn plain_range(range: MediaType<'_>) -> String {
    match range.get_param(names::Q) {
        Some(quality) => format!("{};q={}", range.essence(), quality.unquoted_str()),
        None => range.essence().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Representation::{Activity, LinkedData, Page};
    use super::*;

    fn of_document_and_page(accept: &str) -> Representation {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Representation::of_document_and_page(&headers)
    }

    #[test]
    fn quality_and_case_and_ranges_decide() {
        for (accept, expected) in [
            ("application/activity+json", Activity),
            ("Application/Activity+JSON", Activity),
            ("application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"", LinkedData),
            ("application/ld+json", LinkedData),
            ("application/ld+json;q=0.9, text/html;q=0.8", LinkedData),
            ("application/activity+json, application/ld+json", Activity),
            ("application/json", Activity),
            ("text/html", Page),
            ("TEXT/HTML", Page),
            ("text/*", Page),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", Page),
            ("text/html;q=0.5, application/activity+json", Activity),
            ("text/html, application/activity+json;q=0.5", Page),
            ("text/html;q=0, */*", Activity),
            ("application/activity+json;q=0, */*;q=0.1", LinkedData),
            ("*/*", Activity),
            ("application/*", Activity),
            ("image/png", Activity),
            // What cannot be read is left out, and the rest counts.
            ("text/html, rubbish", Page),
            ("application/activity+json, , text/html;q=0.5,", Activity),
            ("text/html, *; q=.2", Page),
            ("rubbish", Activity),
            ("", Activity),
            ("*/*;q=0", Activity),
            ("text/html;q=0", Activity),
            ("text/html;Q=0.1, application/activity+json", Activity),
            ("text/html;q=0.1, application/activity+json;q=\"0.5\"", Activity),
            // A parameter tells no two representations apart.
            ("application/activity+json; charset=utf-8, text/html;q=0.5", Activity),
            ("application/activity+json;profile=\"x\", */*;q=0.1", Activity),
            (
                "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"; charset=utf-8, text/html",
                LinkedData,
            ),
            (
                "application/ld+json;profile=\"https://a.example https://www.w3.org/ns/activitystreams\", */*",
                LinkedData,
            ),
            ("text/html; charset=utf-8, application/activity+json;q=0.5", Page),
        ] {
            assert_eq!(of_document_and_page(accept), expected, "{accept}");
        }
        assert_eq!(Representation::of_document_and_page(&HeaderMap::new()), Activity);
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, "application/activity+json;q=0.1".parse().unwrap());
        headers.append(header::ACCEPT, "text/html".parse().unwrap());
        assert_eq!(Representation::of_document_and_page(&headers), Page);
        assert_eq!(Representation::of_document(&headers), Activity);
    }
}
