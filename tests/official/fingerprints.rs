//! Fingerprints: the test vectors that other tests compare with are those of Signal's library.

use std::path::Path;

use crate::official::node;

#[tokio::test]
async fn vectors_are_what_libsignal_shows() {
    let output = node("vectors.mjs").await.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/client/tests/vectors/fingerprints.json");
    let committed = std::fs::read_to_string(file).unwrap();
    assert_eq!(committed, String::from_utf8(output.stdout).unwrap());
}
