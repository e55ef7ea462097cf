//! An attachment: sealed under a key and a nonce that are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::Environment;
use eko_client::attachment::{open, seal};
use serde_json::{Value, json};

use super::{hex, hkdf, sha256};
use crate::cast::{environment, stopped};

pub(super) fn vectors() -> Value {
    let seeds = environment("attachment", stopped());
    let (key, nonce): ([u8; 32], [u8; 12]) = (seeds.bytes(), seeds.bytes());
    let drawn = AtomicUsize::new(0);
    // The library draws the key first and then the nonce.
    let given = Environment {
        clock: stopped(),
        random: Arc::new(move |bytes: &mut [u8]| match drawn.fetch_add(1, Ordering::Relaxed) {
            0 => bytes.copy_from_slice(&key),
            1 => bytes.copy_from_slice(&nonce),
            _ => panic!("a third draw"),
        }),
    };
    let file = b"A small file.\n";
    let sealed = seal(file, "small.txt", "text/plain", &given).unwrap();
    let bytes = sealed.bytes().to_vec();
    assert_eq!(bytes[..12], nonce);
    assert_eq!(bytes.len(), 12 + 32 + file.len() + 16);
    let (content_key, commitment) =
        (hkdf(&key, "eko-attachment-v1 key"), hkdf(&key, "eko-attachment-v1 commitment"));
    assert_eq!(bytes[12..44], commitment);
    let attachment = sealed.inline().unwrap();
    assert_eq!(open(&bytes, &attachment).unwrap(), file);
    assert_eq!(hex(attachment.digest), sha256(&bytes));
    json!({
        "file": hex(file),
        "key": hex(key),
        "contentKey": hex(content_key),
        "commitment": hex(commitment),
        "nonce": hex(nonce),
        "sealed": hex(&bytes),
        "digest": sha256(&bytes),
        "attachment": attachment.to_value(),
    })
}
