//! Tests of `export`: all messages are in the file, and no key.

use std::os::unix::fs::PermissionsExt;

use super::people::{ReportedFailure, lines, signed_in, text};
use super::test_home::server;

#[tokio::test]
async fn everything_that_was_said_and_no_keys() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let file = alice.path().join("note.txt");
    std::fs::write(&file, "in the file").unwrap();
    alice.eko(&["send", "@bob", "Hello \u{202e}Bob", "--attach", file.to_str().unwrap()]).await.done();
    alice.eko(&["groups", "create", "Friday", "@bob"]).await.done();
    bob.hears().await;
    bob.eko(&["groups", "join", "Friday"]).await.done();
    bob.eko(&["send", "--group", "Friday", "Good evening"]).await.done();

    let to = bob.path().join("all.jsonl");
    let to = to.to_str().unwrap();
    let said = bob.object(&["export", to]).await;
    assert_eq!((&said["messages"], &said["groups"], &said["people"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(std::fs::metadata(to).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(to).unwrap();
    let objects = lines(&written);
    let types: Vec<&str> = objects.iter().map(|object| text(object, "type")).collect();
    assert_eq!(types, ["export", "person", "group", "message", "message"]);
    assert_eq!(text(&objects[1], "trust"), "first-use");
    assert_eq!(text(&objects[3], "text"), "Hello \u{202e}Bob");
    assert_eq!(text(&objects[4], "text"), "Good evening");
    let attached = &objects[3]["attachments"][0];
    assert_eq!((text(attached, "name"), attached.get("base64")), ("note.txt", None));
    // Control characters are escaped, so that they neither command a terminal nor get lost.
    assert!(written.contains("\\u202e") && !written.contains('\u{202e}'));
    for key in ["groupMasterKey", "privateKey", "\"key\"", "refresh", "identity"] {
        assert!(!written.contains(key), "{key}");
    }

    // An existing file is not overwritten.
    let ReportedFailure { code, what, .. } = bob.fails(&["export", to]).await;
    assert_eq!((code, what), (2, format!("{to} is there already")));
    assert_eq!(std::fs::read_to_string(to).unwrap(), written);

    let shown = bob.eko(&["export", "--files"]).await.done();
    let with_files = lines(&shown);
    assert_eq!(with_files.len(), 5);
    assert_eq!(text(&with_files[3]["attachments"][0], "base64"), "aW4gdGhlIGZpbGU=");
}
