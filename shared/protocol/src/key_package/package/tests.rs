//! Key packages: members, faults and signatures.

use proptest::prelude::*;

use super::*;
use crate::signer::{Signer, kyber};

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
    let value = package(1, true, true).to_value();
    insta::assert_json_snapshot!(value, { ".kyberPreKey" => "[1569 bytes]" }, @r#"
    {
      "device": "https://a.example/user/bob/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
      "eko:deviceSet": {
        "head": "abababababababababababababababababababababababababababababababab",
        "length": 2
      },
      "id": "https://a.example/user/bob/keyPackage/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
      "identityKey": "BTyZYEZRDcVsZNjj/9w+TQOyJCadUKQ2d3V+TdEYGfkR",
      "kyberPreKey": "[1569 bytes]",
      "kyberPreKeyId": 7,
      "kyberPreKeySignature": "ahStcfiHZC8qWs5d/YXv67h0KTf3MuQP9fmowyLdA+DC8396krXHXxdkT7smP8sMX9yuHfc8WTh1bGr6fhdOiA==",
      "preKey": "BTOOeikm5GK4EM/AgKTJ+1H+0oBpSoUDbyqa8+UD4ztg",
      "preKeyId": 1001,
      "registrationId": 4711,
      "signedPreKey": "BQeu59v78SlKTJ8MZ8dVI4YBe5h0LXsjpi8lopD+3bBp",
      "signedPreKeyId": 1,
      "signedPreKeySignature": "50nKTSbpp29KWMNu3I8A4TqisIp+gaKeLA/5zfmaA2IDuOwgQdcB14AZKcsaBIfQiOV966Foct23/LTJcWWRiQ==",
      "type": [
        "Object",
        "KeyPackage"
      ]
    }
    "#);
    let bare = package(1, false, false).to_value();
    assert!(bare.get("preKey").is_none() && bare.get("kyberPreKey").is_none());
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
        let mut value = package(1, true, true).to_value();
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
        prop_assert_eq!(KeyPackage::parse(&package.to_value()), Ok(package));
    }
}
