//! Tests of sealing, of the commitment to a key, of the JSON of attachments, and of the names that files are saved under.

mod committing;

use std::path::{Component, Path};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Environment;
use crate::content::tests::{any_json, repeatable, replaced};

fn sealed(bytes: &[u8]) -> Attachment {
    seal(bytes, "a.png", "image/png", &repeatable(1)).unwrap().inline().unwrap()
}

fn inline(attachment: &Attachment) -> &[u8] {
    match &attachment.url {
        AttachmentLocation::Inline(bytes) => bytes,
        AttachmentLocation::Https(url) => panic!("{url}"),
    }
}

fn file_name(name: &str) -> String {
    Attachment { name: name.to_owned(), ..sealed(b"") }.file_name()
}

#[test]
fn it_is_what_the_contract_says() {
    let attachment = sealed(b"file");
    let bytes = inline(&attachment);
    assert_eq!(bytes.len(), 12 + 32 + 4 + 16);
    let value = attachment.to_value();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    assert_eq!(value["eko:digest"], hex::encode(digest));
    assert_eq!((&value["type"], &value["name"]), (&json!("Document"), &json!("a.png")));
    assert_eq!((&value["mediaType"], &value["eko:size"]), (&json!("image/png"), &json!(4)));
    assert!(value["url"].as_str().unwrap().starts_with("data:application/octet-stream;base64,"));
    assert!(!format!("{attachment:?}").contains(value["eko:key"].as_str().unwrap()));
}

/// The bytes were sealed by Node's `crypto`: `hkdfSync` and `aes-256-gcm`, with the key 0, 1, … 31
/// and a nonce of twelve 7.
#[test]
fn it_opens_what_another_library_sealed() {
    let sealed = hex::decode(
        "0707070707070707070707073d374c1a47be383b03b4f291f52e7159864b1297fa243eea33f0889097fb484a\
         e5b0026ad0c692ec7f955e5a2e6d01825f2cc74b85",
    )
    .unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &sealed);
    let value = json!({
        "type": ["Object", "Document"], "name": "a", "mediaType": "text/plain", "eko:size": 5,
        "eko:key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "eko:digest": hex::encode(digest),
        "url": "https://files.example/x",
    });
    assert_eq!(open(&sealed, &Attachment::parse(&value).unwrap()), Ok(b"Hello".to_vec()));
}

#[test]
fn each_check_has_its_reason() {
    let attachment = sealed(b"file");
    let bytes = inline(&attachment).to_vec();
    assert_eq!(open(&bytes, &attachment), Ok(b"file".to_vec()));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(open(&changed, &attachment), Err(AttachmentError::OtherBytes));
    }
    let other_size = Attachment { size: 5, ..attachment.clone() };
    assert_eq!(open(&bytes, &other_size), Err(AttachmentError::OtherSize));
    let other_key = Attachment { key: AttachmentKey::new([1; 32]), ..attachment.clone() };
    assert_eq!(open(&bytes, &other_key), Err(AttachmentError::WrongKey));
    // The writer of a message also writes the digest, so it may be the digest of bytes that are no
    // sealed file.
    for short in [&b""[..], b"short", &[0; 43], &bytes[..44], &bytes[..59]] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, short);
        let digest = <[u8; 32]>::try_from(digest.as_ref()).unwrap();
        let attachment = Attachment { digest, ..attachment.clone() };
        assert_eq!(open(short, &attachment), Err(AttachmentError::WrongKey));
    }
}

#[test]
fn keys_and_nonces_are_fresh() {
    let environment = Environment::system();
    let draw = || seal(b"file", "a", "a/b", &environment).unwrap();
    let (one, other) = (draw(), draw());
    assert_ne!(one.bytes()[..12], other.bytes()[..12]);
    assert_ne!(one.inline().unwrap().key, other.inline().unwrap().key);
}

#[test]
fn lengths_have_limits() {
    let environment = repeatable(1);
    let seal = |length: usize| super::seal(&vec![0; length], "a", "a/b", &environment);
    assert!(seal(INLINE_MAX - OVERHEAD).unwrap().inline().is_ok());
    let longer = seal(INLINE_MAX - OVERHEAD + 1).unwrap();
    assert_eq!(longer.clone().inline(), Err(AttachmentError::NotInline));
    assert!(longer.at("https://files.example/x").is_ok());
    assert_eq!(seal(MAX_BYTES as usize + 1), Err(AttachmentError::TooLong));
}

#[test]
fn what_cannot_be_sent_is_not_sealed() {
    let environment = repeatable(1);
    let long = "x".repeat(256);
    for (name, media_type) in [
        ("", "a/b"),
        ("a\n", "a/b"),
        (long.as_str(), "a/b"),
        ("a", ""),
        ("a", "a"),
        ("a", "a/"),
        ("a", "/b"),
        ("a", "a/b/c"),
        ("a", "a/b; charset=utf-8"),
        ("a", "ä/b"),
        ("a", long.as_str()),
    ] {
        let error = seal(b"", name, media_type, &environment).unwrap_err();
        assert!(matches!(error, AttachmentError::Invalid(_)), "{name:?} {media_type:?}: {error}");
    }
    for url in ["", "data:,", "data:application/octet-stream;base64,", "http://files.example/x"] {
        let sealed = seal(b"", "a", "a/b", &environment).unwrap();
        assert!(sealed.at(url).is_err(), "{url}");
    }
}

#[test]
fn every_member_is_checked() {
    let value = sealed(b"file").to_value();
    let inline = |bytes: usize| format!("data:application/octet-stream;base64,{}", "AAAA".repeat(bytes / 3));
    for (name, other) in [
        ("type", json!("Image")),
        ("name", json!("")),
        ("name", json!("a\u{0}")),
        ("mediaType", json!("image")),
        ("eko:size", json!(5)),
        ("eko:size", json!(-1)),
        ("eko:size", json!(MAX_BYTES + 1)),
        ("eko:key", json!("AAAA")),
        ("eko:digest", json!("ab")),
        ("eko:digest", json!("AB".repeat(32))),
        ("url", json!("file:///etc/passwd")),
        ("url", json!("http://files.example/x")),
        ("url", json!("https://u:p@files.example/x")),
        ("url", json!("https://files.example/x#y")),
        ("url", json!("https://FILES.example/x")),
        ("url", json!("https://files.example")),
        ("url", json!("https://files.example/a b")),
        ("url", json!(format!("https://files.example/{}", "x".repeat(2048)))),
        ("url", json!("data:text/html;base64,AAAA")),
        ("url", json!("data:application/octet-stream;base64,_")),
        ("url", json!(inline(3))),
        ("url", json!(inline(INLINE_MAX + 3))),
    ] {
        let mut changed = value.clone();
        changed[name] = other.clone();
        assert!(Attachment::parse(&changed).is_err(), "{name}: {other}");
        changed.as_object_mut().unwrap().remove(name);
        assert_eq!(Attachment::parse(&changed).unwrap_err().pointer, format!("/{name}"));
    }
    let mut elsewhere = value.clone();
    elsewhere["url"] = json!("https://files.example/x?signature=%2B");
    assert!(Attachment::parse(&elsewhere).is_ok());
}

#[test]
fn names_to_save_under() {
    let long = format!("{}.tar", "ä".repeat(150));
    for (name, expected) in [
        ("a.png", "a.png"),
        ("Ferien 2026 (1).jpg", "Ferien 2026 (1).jpg"),
        ("گزارش\u{200c}ها.pdf", "گزارش\u{200c}ها.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\Windows\\x.dll", "C__Windows_x.dll"),
        ("..", "attachment"),
        (".", "attachment"),
        ("\u{202e}", "attachment"),
        (" ", "attachment"),
        (".bashrc", "bashrc"),
        (". .bashrc", "bashrc"),
        ("\u{200b}.bashrc", "bashrc"),
        ("-rf", "_-rf"),
        ("~", "_~"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("nul .txt", "_nul .txt"),
        ("COM1.txt", "_COM1.txt"),
        ("lpt².txt", "_lpt².txt"),
        ("COM10.txt", "COM10.txt"),
        ("console.log", "console.log"),
        ("a.txt:stream", "a.txt_stream"),
        ("a.txt.", "a.txt"),
        ("a.txt . ", "a.txt"),
        ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
        ("a\u{a0}\u{3000}b", "a b"),
        (&long, &format!("{}.tar", "ä".repeat(98))),
    ] {
        assert_eq!(file_name(name), expected, "{name:?}");
    }
}

fn hostile_name() -> impl Strategy<Value = String> {
    let part = "(\\.|\\.\\.|/|\\\\|:| |-|~|CON|nul|com1|\u{202e}|\u{200b}|\u{0}|\n|_|a|\\.txt|ä{80}|.{0,9})";
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_name_is_one_visible_segment(name in hostile_name()) {
        let safe = file_name(&name);
        let parts: Vec<_> = Path::new(&safe).components().collect();
        prop_assert_eq!(parts, [Component::Normal(safe.as_ref())]);
        prop_assert!(safe.len() <= 200 && !safe.starts_with(['.', '-', '~', ' ']) && !safe.ends_with(['.', ' ']));
        let reserved = "/\\:*?\"<>|\u{202e}\u{200b}";
        prop_assert!(!safe.contains(|c: char| c.is_control() || reserved.contains(c)));
        let stem = safe.split('.').next().unwrap_or_default().trim_end().to_lowercase();
        prop_assert!(!["con", "nul", "com1"].contains(&stem.as_str()), "{}", safe);
        prop_assert_eq!(file_name(&safe), safe);
    }

    #[test]
    fn what_is_sealed_is_opened(bytes in proptest::collection::vec(any::<u8>(), 0..2000), seed in any::<u64>()) {
        let sealed = seal(&bytes, "a", "a/b", &repeatable(seed)).unwrap();
        let kept = sealed.bytes().to_vec();
        for attachment in [sealed.clone().inline().unwrap(), sealed.at("https://files.example/x").unwrap()] {
            prop_assert_eq!(open(&kept, &attachment), Ok(bytes.clone()));
            prop_assert_eq!(Attachment::parse(&attachment.to_value()), Ok(attachment));
        }
    }

    #[test]
    fn any_bytes_are_opened_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        let digest = <[u8; 32]>::try_from(digest.as_ref()).unwrap();
        prop_assert_eq!(open(&bytes, &Attachment { digest, ..sealed(b"") }), Err(AttachmentError::WrongKey));
    }

    #[test]
    fn any_json_is_read_without_panic(place in any::<usize>(), other in any_json()) {
        let value = replaced(sealed(b"file").to_value(), place, other);
        if let Ok(attachment) = Attachment::parse(&value) {
            prop_assert_eq!(Attachment::parse(&attachment.to_value()), Ok(attachment));
        }
    }

    #[test]
    fn any_address_is_read_without_panic(
        text in "(https://|data:application/octet-stream;base64,)?[a-zA-Z0-9.@:/?#%+=\\[\\]-]{0,30}",
    ) {
        if let Ok(place) = AttachmentLocation::parse(&text) {
            prop_assert_eq!(place.to_url(), text);
        }
    }
}

#[test]
fn a_value_of_another_kind_is_refused() {
    for value in [Value::Null, json!([]), json!("Document"), json!({})] {
        assert!(Attachment::parse(&value).is_err(), "{value}");
    }
}
