//! A key package with its signatures, and the digest of a `Check`.

use eko_protocol::key_package::{KeyPackage, check_digest};
use eko_protocol::vocabulary::in_context;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{hex, origin, sha256};
use crate::cast::BOB;

pub(super) fn vectors() -> Value {
    let (identity, signed, last_resort) = (BOB.identity(), BOB.signed_pre_key(), BOB.kyber_pre_key(1));
    let user = BOB.user();
    let mut package = KeyPackage::new(
        &origin(),
        &user,
        &BOB.device_id(),
        identity.public(),
        BOB.registration_id(),
        signed.clone(),
        Some(last_resort.clone()),
    );
    package.pre_key = Some(BOB.pre_key(1));
    package.verify().unwrap();

    let mut input = identity.public().as_bytes().to_vec();
    input.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    input.extend(signed.key.as_bytes());
    let without = check_digest(&identity.public(), &signed, None);
    assert_eq!(Sha256::digest(&input).as_slice(), without);
    let short = hex(&input);
    input.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    input.extend(last_resort.key.as_bytes());
    let with = check_digest(&identity.public(), &signed, Some(&last_resort));
    assert_eq!(Sha256::digest(&input).as_slice(), with);
    let digest = |digest: [u8; 32]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(digest)
    };
    json!({
        "identityPrivate": hex(identity.secret()),
        "signedPreKeyPrivate": hex(BOB.signed().secret()),
        "preKeyPrivate": hex(BOB.one_time(1).secret()),
        "kyberSeed": hex(BOB.kyber(1).seed()),
        "package": in_context(package.to_value()),
        "check": {
            "withoutLastResort": { "input": short, "digest": digest(without) },
            "withLastResort": { "inputSha256": sha256(&input), "inputBytes": input.len(), "digest": digest(with) },
        },
    })
}
