//! Exchanges and documents as the page prints them: members in an order for readers, lines that
//! fit, and a placeholder for every value that is long or random (`docs/protocol.md`, section 15).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eko_protocol::{multibase, vocabulary};
use http::{HeaderMap, Method, Request, Response, header};
use serde_json::{Map, Value};

/// Columns of a line at most, unless one value is longer.
const WIDTH: usize = 98;

/// Bytes that are shown in base64; more are replaced.
const SHOWN_BYTES: usize = 23;

/// Members that come first, in this order; the others follow by name, and then [`LAST`].
const FIRST: [&str; 63] = [
    "@context",
    "type",
    "rel",
    "subject",
    "title",
    "status",
    "id",
    "owner",
    "actor",
    "to",
    "from",
    "partOf",
    "device",
    "username",
    "deviceId",
    "deviceName",
    "seq",
    "previous",
    "preferredUsername",
    "webfinger",
    "name",
    "url",
    "inbox",
    "outbox",
    "published",
    "creator",
    "nonce",
    "epoch",
    "state",
    "length",
    "keyId",
    "key",
    "signature",
    "identityKey",
    "registrationId",
    "keyPackage",
    "protocolVersion",
    "version",
    "origin",
    "issuer",
    "signedPreKeyId",
    "signedPreKey",
    "signedPreKeySignature",
    "lastResortKyberPreKey",
    "preKeyId",
    "preKey",
    "preKeys",
    "kyberPreKeyId",
    "kyberPreKey",
    "kyberPreKeySignature",
    "kyberPreKeys",
    "cryptosuite",
    "proofPurpose",
    "verificationMethod",
    "accessToken",
    "tokenType",
    "expiresIn",
    "refreshToken",
    "members",
    "admins",
    "grants",
    "groupMasterKey",
    "mediaType",
];

/// Members that come last, in this order.
const LAST: [&str; 18] = [
    "possession",
    "proof",
    "totalItems",
    "object",
    "messages",
    "items",
    "orderedItems",
    "next",
    "eko:change",
    "eko:added",
    "eko:previous",
    "eko:device",
    "eko:mac",
    "node",
    "signIn",
    "eko:deviceSet",
    "eko:entry",
    "eko:received",
];

/// Headers of an answer that section 2 says of every answer, or that section 15 leaves out.
const LEFT_OUT: [&str; 8] = [
    "access-control-allow-origin",
    "access-control-expose-headers",
    "content-length",
    "date",
    "host",
    "transfer-encoding",
    "vary",
    "x-request-id",
];

/// Prints a request.
pub(crate) fn request(request: &Request<Bytes>) -> String {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let first = format!("{} {target} HTTP/1.1", request.method());
    let is_deletion = request.method() == Method::DELETE && target.matches('/').count() == 2;
    let token = if target == "/auth/devices" || is_deletion { "<ID token>" } else { "<access token>" };
    message(first, headers(request.headers(), &LEFT_OUT[4..5], token), request.headers(), request.body())
}

/// Prints an answer.
pub(crate) fn response(response: &Response<Bytes>) -> String {
    let first = format!("HTTP/1.1 {}", response.status());
    message(first, headers(response.headers(), &LEFT_OUT, ""), response.headers(), response.body())
}

fn message(first: String, headers: Vec<String>, types: &HeaderMap, body: &Bytes) -> String {
    let mut lines = vec![first];
    lines.extend(headers);
    let json = types.get(header::CONTENT_TYPE).is_some_and(|value| value.to_str().unwrap().contains("json"));
    if !body.is_empty() {
        lines.push(String::new());
        let text = std::str::from_utf8(body).unwrap();
        lines.push(if json { document(&serde_json::from_str(text).unwrap()) } else { text.to_owned() });
    }
    lines.join("\n")
}

fn headers(headers: &HeaderMap, left_out: &[&str], token: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let rank = |name: &str| match name {
        "authorization" => 0,
        "accept" => 1,
        "content-type" => 2,
        "location" => 3,
        _ => 4,
    };
    let mut names: Vec<&str> = headers.keys().map(header::HeaderName::as_str).collect();
    names.sort_by_key(|name| (rank(name), *name));
    for name in names.into_iter().filter(|name| !left_out.contains(name)) {
        let value = headers[name].to_str().unwrap();
        let shown = match name {
            "authorization" => format!("Bearer {token}"),
            "signature" => without_base64(value, "<signature>"),
            "digest" | "content-digest" => without_base64(value, "<digest>"),
            _ => value.to_owned(),
        };
        lines.push(format!("{}: {shown}", capitalised(name)));
    }
    lines
}

fn capitalised(name: &str) -> String {
    let part = |part: &str| match part {
        "www" => "WWW".to_owned(),
        part => part[..1].to_uppercase() + &part[1..],
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

/// The text with every long run of base64 replaced.
fn without_base64(text: &str, placeholder: &str) -> String {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let mut shown = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !is_base64(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(run);
        // `SHA-256=` stands before the digest without a mark between them.
        let (name, word) = word.split_once('=').filter(|(_, word)| word.len() > 2).unwrap_or(("", word));
        shown.push_str(name);
        shown.push_str(if name.is_empty() { "" } else { "=" });
        shown.push_str(if word.len() >= 43 { placeholder } else { word });
        let mut after = after.chars();
        shown.extend(after.next());
        rest = after.as_str();
    }
    shown
}

/// Prints a document.
pub(crate) fn document(value: &Value) -> String {
    let mut text = String::new();
    print(&shown("", value), 0, 0, &mut text);
    text
}

/// The contexts of documents, with what the page shows for each.
fn contexts() -> [(&'static str, Value); 5] {
    [
        ("<context>", vocabulary::context()),
        ("<context of a node>", vocabulary::node_context()),
        ("<context of an appended node>", vocabulary::appended_context()),
        ("<context of an actor>", vocabulary::actor_context()),
        ("<context of content>", vocabulary::content_context()),
    ]
}

/// The value with placeholders.
fn shown(member: &str, value: &Value) -> Value {
    if member == "@context" {
        let known = contexts().into_iter().find(|(_, context)| context == value);
        return known.map_or_else(|| value.clone(), |(placeholder, _)| placeholder.into());
    }
    match value {
        Value::String(text) => Value::String(shown_text(member, text)),
        Value::Array(items) => items.iter().map(|item| shown(member, item)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), shown(name, member)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn shown_text(member: &str, text: &str) -> String {
    match member {
        "accessToken" => return "<access token>".to_owned(),
        "refreshToken" => return "<refresh token>".to_owned(),
        "id_token" => return "<ID token>".to_owned(),
        "access_token" => return "<token>".to_owned(),
        "publicKeyPem" => return "<PEM>".to_owned(),
        "instance" => return "urn:uuid:<UUID>".to_owned(),
        _ => {}
    }
    if let Some(sealed) = text.strip_prefix("data:application/octet-stream;base64,") {
        let length = STANDARD.decode(sealed).unwrap().len();
        return format!("data:application/octet-stream;base64,<base64, {length} bytes>");
    }
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return "<hex, 32 bytes>".to_owned();
    }
    if multibase::decode(text).is_ok() {
        return "<base58, 64 bytes>".to_owned();
    }
    match STANDARD.decode(text) {
        Ok(bytes) if bytes.len() > SHOWN_BYTES => format!("<base64, {} bytes>", bytes.len()),
        _ => text.to_owned(),
    }
}

/// Prints a value behind `column` characters of its line; on one line where it fits.
fn print(value: &Value, indent: usize, column: usize, text: &mut String) {
    let inline = one_line(value);
    let (open, close, items): (_, _, Vec<(String, &Value)>) = match value {
        Value::Object(members) if !members.is_empty() => (
            '{',
            '}',
            ordered(members)
                .into_iter()
                .map(|(name, value)| (format!("{}: ", quoted(name)), value))
                .collect(),
        ),
        Value::Array(items) if !items.is_empty() => {
            ('[', ']', items.iter().map(|item| (String::new(), item)).collect())
        }
        _ => return text.push_str(&inline),
    };
    if indent > 0 && column + inline.chars().count() < WIDTH {
        return text.push_str(&inline);
    }
    text.push(open);
    let count = items.len();
    for (index, (name, item)) in items.into_iter().enumerate() {
        text.push('\n');
        text.push_str(&" ".repeat(indent + 2));
        text.push_str(&name);
        print(item, indent + 2, indent + 2 + name.chars().count(), text);
        if index + 1 < count {
            text.push(',');
        }
    }
    text.push('\n');
    text.push_str(&" ".repeat(indent));
    text.push(close);
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", quoted(name), one_line(value));
            format!("{{ {} }}", ordered(members).into_iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn quoted(name: &str) -> String {
    Value::String(name.to_owned()).to_string()
}

fn ordered(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let position = |list: &[&str], name: &str| list.iter().position(|other| *other == name);
    let rank = |name: &str| match (position(&FIRST, name), position(&LAST, name)) {
        (Some(place), _) => (0, place),
        (_, Some(place)) => (2, place),
        _ => (1, 0),
    };
    // A JSON-LD context is a list of terms: it stays in the order of their names.
    let is_context = members.contains_key("@vocab");
    let mut members: Vec<_> = members.iter().collect();
    if is_context {
        return members;
    }
    members.sort_by_key(|(name, _)| (rank(name), (*name).clone()));
    members
}

#[test]
fn placeholders() {
    let cases = [
        ("publicKeyPem", "x", "<PEM>"),
        ("", "BXEuCES0RMMEQOzY0PpWyaWC6HM5cxVHeJX5/E6ierw2", "<base64, 33 bytes>"),
        ("", "c2hvcnQ=", "c2hvcnQ="),
        ("", "https://eko.example/user/alice", "https://eko.example/user/alice"),
    ];
    for (member, text, placeholder) in cases {
        assert_eq!(shown_text(member, text), placeholder);
    }
    assert_eq!(shown_text("", &"0a".repeat(32)), "<hex, 32 bytes>");
    let digest = "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=";
    assert_eq!(without_base64(digest, "<digest>"), "SHA-256=<digest>");
    assert_eq!(without_base64(r#"keyId="a",signature="AAEC""#, "<s>"), r#"keyId="a",signature="AAEC""#);
}
