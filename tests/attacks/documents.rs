//! Activities with a good signature that are no plain JSON documents, or lack the shape that they
//! must have.

use serde_json::{Value, json};

use crate::scene::{AttackScene, SCHEMES};

/// The paths that read signed activities of other servers.
const PATHS: [&str; 2] = ["/inbox", "/user/bob/inbox"];

#[tokio::test]
async fn that_are_restructured_or_broken() {
    let scene = AttackScene::new().await;
    let actor = scene.eve.actor.clone();
    let right = scene.envelope(&actor, 1).to_string();
    let with = |member: &str| format!("{{{member},{}", right.strip_prefix('{').unwrap());
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let depth = format!("422 invalid #/x{}", "/0".repeat(31));
    let depth_of_objects = format!("422 invalid #/x{}", "/a".repeat(31));
    let cases = [
        ("nothing", String::new(), "400 not-json"),
        ("half", right[..right.len() / 2].to_owned(), "400 not-json"),
        ("two documents", right.repeat(2), "400 not-json"),
        ("a comment", format!("/* */{right}"), "400 not-json"),
        ("two marks of order", format!("\u{feff}\u{feff}{right}"), "400 not-json"),
        ("a mark of order within", right.replacen(':', ":\u{feff}", 1), "400 not-json"),
        ("@graph", with(r#""@graph":[]"#), "422 invalid #/@graph"),
        ("@graph, escaped", with(r#""\u0040graph":[]"#), "422 invalid #/@graph"),
        ("@reverse", with(r#""x":[{"@reverse":{}}]"#), "422 invalid #/x/0/@reverse"),
        ("@included", with(r#""@included":{}"#), "422 invalid #/@included"),
        (
            "an alias",
            right.replace(r#""https://www.w3.org/ns/activitystreams""#, r#"{"kind":"@type"}"#),
            "422 invalid #/@context/kind",
        ),
        (
            "another meaning",
            right.replace(r#""https://www.w3.org/ns/activitystreams""#, r#"[{"actor":{"@id":"x:y"}}]"#),
            "422 invalid #/@context/0/actor",
        ),
        ("actor twice", with(&format!(r#""actor":"{actor}""#)), "422 invalid #/actor"),
        ("actor twice, escaped", with(&format!(r#""\u0061ctor":"{actor}""#)), "422 invalid #/actor"),
        ("type twice", with(r#""type":"Like""#), "422 invalid #/type"),
        ("depth", with(&format!(r#""x":{}"#, deep(10_000))), depth.as_str()),
        ("depth of objects", with(&format!(r#""x":{objects}"#)), depth_of_objects.as_str()),
        ("depth without an end", format!(r#"{{"x":{}"#, "[".repeat(10_000)), depth.as_str()),
        ("a number beyond all", with(r#""x":1e400"#), "400 not-json"),
        ("not a number", with(r#""x":NaN"#), "400 not-json"),
        ("a lone surrogate", with(r#""x":"\ud800""#), "400 not-json"),
        ("surrogates the wrong way", with(r#""x":"\udc00\ud800""#), "400 not-json"),
        ("a bare NUL", with("\"x\":\"\u{0}\""), "400 not-json"),
        ("an array", format!("[{right}]"), "422 invalid #/actor"),
        ("a text", json!(right).to_string(), "422 invalid #/actor"),
        ("null", "null".to_owned(), "422 invalid #/actor"),
    ];
    for path in PATHS {
        for scheme in SCHEMES {
            for (name, body, expected) in &cases {
                let request = scene.signed_bytes(scheme, path, &actor, body.clone());
                assert_eq!(scene.send(request).await, *expected, "{path} {scheme:?}: {name}");
            }
        }
    }
    for path in PATHS {
        let bytes = [right.as_bytes(), b"\xff"].concat();
        let request = scene.signed_bytes(SCHEMES[0], path, &actor, bytes);
        assert_eq!(scene.send(request).await, "400 not-json", "{path}: no UTF-8");
    }
    scene.assert_unchanged("a document that is none").await;
    assert_eq!(scene.dialled(), [], "nobody is asked about what cannot be read");
}

#[tokio::test]
async fn of_another_size_or_kind() {
    let scene = AttackScene::new().await;
    let actor = scene.eve.actor.clone();
    let right = scene.envelope(&actor, 1).to_string();
    for path in PATHS {
        let limit = 5 << 19;
        let long = format!("{}{right}", " ".repeat(limit + 1 - right.len()));
        let request = scene.signed_bytes(SCHEMES[1], path, &actor, long);
        assert_eq!(scene.send(request).await, "413 body-too-large", "{path}");
        for media_type in ["text/html", "text/plain", "image/png", "multipart/form-data; boundary=x", ""] {
            let mut request = scene.signed_bytes(SCHEMES[1], path, &actor, right.clone());
            request.headers_mut().insert("content-type", media_type.parse().unwrap());
            assert_eq!(scene.send(request).await, "415 unsupported-media-type", "{path}: {media_type}");
        }
        for (header, second) in [("content-type", "text/plain"), ("content-encoding", "gzip")] {
            let mut request = scene.signed_bytes(SCHEMES[1], path, &actor, right.clone());
            request.headers_mut().append(header, second.parse().unwrap());
            assert_eq!(scene.send(request).await, "415 unsupported-media-type", "{path}: and {second}");
        }
        let mut packed = scene.signed_bytes(SCHEMES[1], path, &actor, b"\x1f\x8b\x08\x00".to_vec());
        packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        assert_eq!(scene.send(packed).await, "415 unsupported-media-type", "{path}: packed");
    }
    scene.assert_unchanged("a document of another size").await;
    assert_eq!(scene.dialled(), []);
}

#[tokio::test]
async fn with_members_of_another_shape() {
    let scene = AttackScene::new().await;
    let bob = scene.bob.actor();
    let object = scene.envelope(&scene.eve.actor, 1)["object"].clone();
    let message = object["messages"][0].clone();
    let cases: Vec<(&str, &str, Value, &str)> = vec![
        ("type", "an array of others", json!(["Note", "Like"]), "422 invalid #"),
        ("type", "an object", json!({ "Create": 1 }), "422 invalid #"),
        ("to", "two", json!([bob, bob]), "422 invalid #/to"),
        ("to", "none", json!([]), "422 invalid #/to"),
        ("to", "deeper", json!([[bob]]), "422 invalid #/to"),
        ("to", "an object", json!({ "href": bob }), "422 invalid #/to"),
        ("to", "NUL", json!(format!("{bob}\u{0}")), "422 invalid #/to"),
        ("to", "a line", json!(format!("{bob}\r\nHost: x")), "422 invalid #/to"),
        ("to", "upper case", json!("https://eko.example/user/BOB"), "404 not-found"),
        ("to", "upper-case host", json!("https://EKO.example/user/bob"), "422 invalid #/to"),
        ("to", "an escape", json!("https://eko.example/user/%62ob"), "422 invalid #/to"),
        ("to", "a dot segment", json!("https://eko.example/user/x/../bob"), "422 invalid #/to"),
        ("to", "a slash", json!(format!("{bob}/")), "404 not-found"),
        ("to", "a homoglyph", json!("https://eko.example/user/b\u{043e}b"), "422 invalid #/to"),
        ("id", "an array", json!(["https://b.example/1", "https://b.example/1"]), "422 invalid #/id"),
        ("id", "NUL", json!("https://b.example/1\u{0}"), "422 invalid #/id"),
        ("object", "two", json!([object, object]), "422 invalid #"),
        ("object", "an address", json!("https://b.example/message/1"), "202"),
        ("object/id", "a number", json!(1), "422 invalid #/object/id"),
        (
            "object/id",
            "no hex",
            json!("urn:uuid:0000000G-0000-4000-8000-000000000001"),
            "422 invalid #/object/id",
        ),
        ("object/id", "NUL", json!("urn:uuid:\u{0}"), "422 invalid #/object/id"),
        ("object/messages", "an object", json!({ "0": message }), "422 invalid #/object/messages/0/to"),
        ("object/messages", "none", json!([]), "422 invalid #/object/messages"),
        (
            "object/messages",
            "the same twice",
            json!([message, message]),
            "422 invalid #/object/messages/1/to",
        ),
        ("object/messages", "500", json!(vec![message.clone(); 500]), "422 invalid #/object/messages"),
        ("object/messages/0", "an array", json!(["a", "b", "c"]), "422 invalid #/object/messages/0"),
        (
            "object/messages/0/to",
            "an array",
            json!([scene.bob.address(), scene.bob.address()]),
            "422 invalid #/object/messages/0/to",
        ),
        ("object/messages/0/from", "an array", json!(["x"]), "422 invalid #/object/messages/0/from"),
        ("object/messages/0/content", "no base64", json!("!"), "422 invalid #/object/messages/0/content"),
        ("object/messages/0/content", "nothing", json!(""), "422 invalid #/object/messages/0/content"),
        ("object/messages/0/content", "an array", json!([1, 2]), "422 invalid #/object/messages/0/content"),
        ("object/expires", "the past", json!("2020-01-01T00:00:00Z"), "422 invalid #/object/expires"),
        ("object/expires", "a number", json!(1e300), "422 invalid #/object/expires"),
        ("object/expires", "no time", json!("9999999-01-01T00:00:00Z"), "422 invalid #/object/expires"),
        (
            "object/eko:deviceSet",
            "beyond all",
            json!({ "length": -1, "head": "" }),
            "422 invalid #/object/eko:deviceSet/length",
        ),
    ];
    for (path, name, value, expected) in cases {
        let mut envelope = scene.envelope(&scene.eve.actor, 1);
        let (parent, member) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = if parent.is_empty() { String::new() } else { format!("/{parent}") };
        match (envelope.pointer_mut(&parent).unwrap(), member.parse::<usize>()) {
            (Value::Array(items), Ok(index)) => items[index] = value,
            (object, _) => object[member] = value,
        }
        assert_eq!(scene.deliver(&envelope).await, expected, "{path}: {name}");
    }
    scene.assert_unchanged("an envelope of another shape").await;
}
