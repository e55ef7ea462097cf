//! The documents of this project as linked data, read by PyLD.

use std::process::Command;

use crate::peer::{PYTHON, folder, required};

/// Every example of `docs/protocol.md`, every vector and every snapshot is expanded and compacted
/// again. Nothing is lost, nothing has no meaning, and every address is a link.
#[test]
fn every_document_is_linked_data() {
    let python = required(PYTHON, "the Python of a venv with tests/peers/requirements.txt");
    let output = Command::new(python).arg(folder().join("linked_data.py")).output().unwrap();
    let (told, faults) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{faults}");
    let count: usize = told.split(' ').next().unwrap().parse().unwrap();
    assert!(count > 90, "{told}");
}
