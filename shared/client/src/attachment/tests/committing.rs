//! Bytes that AES-GCM opens under two keys, to two files: the attack that a commitment prevents. The
//! one file could be shown to the recipient, and the other one to whom the recipient reports it.

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use super::*;
use crate::attachment::file_keys::{cipher, commitment};

const NONCE: [u8; 12] = [7; 12];

/// Multiplies in the field of GHASH (NIST SP 800-38D, section 6.3).
fn times(x: u128, y: u128) -> u128 {
    let (mut product, mut power) = (0, x);
    for bit in (0..128).rev() {
        if y >> bit & 1 == 1 {
            product ^= power;
        }
        power = if power & 1 == 1 { power >> 1 ^ 0xE1 << 120 } else { power >> 1 };
    }
    product
}

/// Returns the inverse in that field: the power of 2^128 - 2.
fn inverse(x: u128) -> u128 {
    let (mut product, mut square) = (1 << 127, x);
    for _ in 1..128 {
        square = times(square, square);
        product = times(product, square);
    }
    product
}

/// Encrypts one block with the content key that follows from `key`.
fn block(key: &AttachmentKey, block: u128) -> u128 {
    let mut content_key = [0; 32];
    let extracted = Salt::none(HKDF_SHA256).extract(key.as_bytes());
    extracted.expand(&[b"eko-attachment-v1 key"], HKDF_SHA256).unwrap().fill(&mut content_key).unwrap();
    let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, &content_key).unwrap()).unwrap();
    let mut bytes = block.to_be_bytes();
    cipher.encrypt(&mut bytes).unwrap();
    u128::from_be_bytes(bytes)
}

/// Returns a ciphertext of one block and the tag that is right for it under both keys.
fn colliding(one: &AttachmentKey, other: &AttachmentKey) -> Vec<u8> {
    let mut first = [0; 16];
    first[..12].copy_from_slice(&NONCE);
    first[15] = 1;
    let first = u128::from_be_bytes(first);
    // The lengths, of associated data and of the ciphertext, are the last block of GHASH. So the tag
    // of a ciphertext c is c·h² + lengths·h + mask.
    let lengths = 128;
    let (h, g) = (block(one, 0), block(other, 0));
    let (mask_h, mask_g) = (block(one, first), block(other, first));
    let wanted = times(lengths, h ^ g) ^ mask_h ^ mask_g;
    let ciphertext = times(wanted, inverse(times(h, h) ^ times(g, g)));
    let tag = times(times(ciphertext, h) ^ lengths, h) ^ mask_h;
    [ciphertext.to_be_bytes(), tag.to_be_bytes()].concat()
}

#[test]
fn a_file_opens_under_one_key_only() {
    let [one, other] = [1, 2].map(|byte| AttachmentKey::new([byte; 32]));
    let forged = colliding(&one, &other);
    let opened = [&one, &other].map(|key| {
        let mut bytes = forged.clone();
        let nonce = Nonce::assume_unique_for_key(NONCE);
        cipher(key).unwrap().open_in_place(nonce, Aad::empty(), &mut bytes).unwrap().to_vec()
    });
    assert_ne!(opened[0], opened[1], "AES-GCM opens the same bytes to two files");

    for (committed, expected) in [(&one, [true, false]), (&other, [false, true])] {
        let sealed = [&NONCE[..], &commitment(committed).unwrap(), &forged].concat();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &sealed);
        let digest = <[u8; 32]>::try_from(digest.as_ref()).unwrap();
        for ((key, file), opens) in [&one, &other].into_iter().zip(&opened).zip(expected) {
            let attachment = Attachment { key: key.clone(), digest, size: 16, ..super::sealed(b"") };
            let due = if opens { Ok(file.clone()) } else { Err(AttachmentError::WrongKey) };
            assert_eq!(open(&sealed, &attachment), due);
        }
    }
}
