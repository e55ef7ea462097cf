//! Key packages: members, faults, signatures, and the published example.

use proptest::prelude::*;

use super::*;
use crate::signer::{Signer, kyber};

/// The published key package, which the documentation uses too.
const PUBLISHED: &str = include_str!("../../../testdata/key-package.json");

fn origin() -> Origin {
    Origin::parse("https://a.example").unwrap()
}

/// Returns a package whose keys follow from `seed`.
pub(in crate::key_package) fn package(seed: u64, with_one_time: bool, with_kyber: bool) -> KeyPackage {
    let signer = Signer::new(seed);
    let device = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap();
    let key = Signer::new(seed ^ 1).curve();
    let signed = SignedPreKey { id: KeyId::new(1).unwrap(), key, signature: signer.sign(key.as_bytes()) };
    let kyber_key = kyber(9);
    let signature = signer.sign(kyber_key.as_bytes());
    let last_resort =
        with_kyber.then(|| KyberPreKey { id: KeyId::new(7).unwrap(), key: kyber_key, signature });
    let bob = UserName::parse("bob").unwrap();
    let registration = RegistrationId::new(4711).unwrap();
    let identity = signer.identity();
    let mut package = KeyPackage::new(&origin(), &bob, &device, identity, registration, signed, last_resort);
    package.pre_key = with_one_time
        .then(|| OneTimePreKey { id: KeyId::new(1001).unwrap(), key: Signer::new(seed ^ 2).curve() });
    package.device_set = DeviceSetRef::new(2, "ab".repeat(32)).ok();
    package
}

#[test]
fn the_members_of_section_4() {
    let value = package(1, true, true).to_value(&origin());
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "@context",
            "device",
            "eko:deviceSet",
            "id",
            "identityKey",
            "kyberPreKey",
            "kyberPreKeyId",
            "kyberPreKeySignature",
            "preKey",
            "preKeyId",
            "registrationId",
            "signedPreKey",
            "signedPreKeyId",
            "signedPreKeySignature",
            "type",
        ]
    );
    assert_eq!(value["@context"], "https://a.example/ns");
    assert_eq!(value["type"], json!(["Object", "KeyPackage"]));
    assert_eq!(value["id"], "https://a.example/user/bob/keyPackage/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11");
    let bare = package(1, false, false).to_value(&origin());
    assert!(bare.get("preKey").is_none() && bare.get("kyberPreKey").is_none());
}

#[test]
fn the_published_package_is_what_is_made_here() {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    let made = package(1, true, true).to_value(&origin());
    assert_eq!(published, made, "{made}");
}

#[test]
fn half_a_key_is_refused() {
    for (missing, pointer) in [
        ("preKey", "/preKey"),
        ("preKeyId", "/preKey"),
        ("kyberPreKeyId", "/kyberPreKey"),
        ("kyberPreKeySignature", "/kyberPreKey"),
        ("signedPreKey", "/signedPreKey"),
        ("identityKey", "/identityKey"),
        ("type", "/type"),
    ] {
        let mut value = package(1, true, true).to_value(&origin());
        value.as_object_mut().unwrap().remove(missing);
        assert_eq!(KeyPackage::parse(&value).unwrap_err().pointer, pointer, "{missing}");
    }
}

#[test]
fn another_devices_signature_is_refused() {
    let mut package = package(1, true, true);
    assert_eq!(package.verify(), Ok(()));
    package.kyber_pre_key.as_mut().unwrap().signature = Signer::new(2).sign(kyber(9).as_bytes());
    assert_eq!(package.verify().unwrap_err().pointer, "/kyberPreKeySignature");
    package.identity_key = Signer::new(2).identity();
    assert_eq!(package.verify().unwrap_err().pointer, "/signedPreKeySignature");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn round_trip(seed in any::<u64>(), with_one_time: bool, with_kyber: bool) {
        let package = package(seed, with_one_time, with_kyber);
        prop_assert_eq!(KeyPackage::parse(&package.to_value(&origin())), Ok(package));
    }
}
