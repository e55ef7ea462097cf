//! Test vectors: each file of `docs/vectors` is made again from fixed seeds and compared.
//!
//! XEdDSA is computed a second time from the curve's own operations, and hashes and MACs from the
//! canonical texts that the files hold.

mod attachment;
mod chain;
mod coverage;
mod fingerprint;
mod group;
mod group_state;
mod http_signatures;
mod joining;
mod key_package;
mod padding;
mod signatures;
mod xeddsa;

use std::collections::BTreeSet;

use eko_protocol::address::Origin;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::page::path;
use crate::writes;

/// The server of the vectors.
fn origin() -> Origin {
    Origin::parse("https://eko.example").unwrap()
}

/// Writes bytes in lower-case hex.
fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns SHA-256 of bytes in lower-case hex.
fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(Sha256::digest(bytes))
}

/// Returns HMAC-SHA-256 (RFC 2104) under a key of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5C)).chain_update(inner).finalize().into()
}

/// Returns 32 bytes of HKDF-SHA-256 (RFC 5869) without a salt: one block of output.
fn hkdf(secret: &[u8], info: &str) -> [u8; 32] {
    let pseudorandom = hmac(&[0; 32], secret);
    hmac(&pseudorandom, format!("{info}\u{1}").as_bytes())
}

/// Returns the text of canonical JSON, or of other bytes that are text.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_files_are_what_the_code_makes() {
    let made: [(&str, Value); 17] = [
        ("attachment", attachment::vectors()),
        ("chain", chain::vectors()),
        ("coverage", coverage::vectors()),
        ("fingerprint", fingerprint::vectors()),
        ("group", group::vectors()),
        ("group-state", group_state::vectors()),
        ("head", signatures::head()),
        ("http-signatures", http_signatures::vectors()),
        ("joining", joining::vectors(&chain::nodes())),
        ("key-package", key_package::vectors()),
        ("moving", chain::moving()),
        ("padding", padding::vectors()),
        ("possession", signatures::possession()),
        ("publication", signatures::publications()),
        ("rejection", signatures::rejection()),
        ("sign-in", signatures::sign_in()),
        ("xeddsa", xeddsa::vectors()),
    ];
    let folder = path("docs/vectors");
    let mut faults = Vec::new();
    for (name, value) in &made {
        let file = folder.join(format!("{name}.json"));
        let due = format!("{}\n", serde_json::to_string_pretty(value).unwrap());
        if writes() {
            std::fs::write(&file, &due).unwrap();
        }
        match std::fs::read_to_string(&file) {
            Ok(found) if found == due => {}
            Ok(_) => faults.push(format!("docs/vectors/{name}.json is not what the code makes")),
            Err(error) => faults.push(format!("docs/vectors/{name}.json: {error}")),
        }
    }
    let names: BTreeSet<String> = made.iter().map(|(name, _)| format!("{name}.json")).collect();
    let entries =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = entries.filter(|name| name.ends_with(".json")).collect();
    assert_eq!(files, names, "files that nothing makes, or that are not there");
    let readme = std::fs::read_to_string(path("docs/vectors/README.md")).unwrap();
    faults.extend(
        names.iter().filter(|name| !readme.contains(*name)).map(|name| format!("README.md lacks {name}")),
    );
    assert!(faults.is_empty(), "{}\n\nEKO_WRITE_SPEC=1 writes the files", faults.join("\n"));
}
