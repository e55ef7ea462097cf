//! RSA keys: texts that are accepted and refused, and signatures of the standards.

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

mod peers;

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../testdata/keys/", $name, ".pem"))
    };
}

fn relabelled(pem: &str, label: &str) -> String {
    let old = pem.split_once("-----BEGIN ").unwrap().1.split_once("-----").unwrap().0;
    pem.replace(&format!(" {old}-"), &format!(" {label}-"))
}

#[test]
fn keys_of_strangers_that_are_used() {
    let signature = SigningKey::from_pem(key!("rsa.private")).unwrap().sign(b"base").unwrap();
    for text in [
        key!("rsa").to_owned(),
        key!("rsa.pkcs1").to_owned(),
        key!("rsa").replace('\n', "\r\n"),
        format!("\n  {}\n\n", key!("rsa")),
        // Some servers write the base64 in one line.
        key!("rsa").replace("-----\n", "-----#").replace('\n', "").replace('#', "\n"),
    ] {
        let key = PublicKey::from_pem(&text).unwrap();
        assert!(key.verify(b"base", &signature), "{text}");
        assert!(!key.verify(b"Base", &signature));
        assert!(!key.verify(b"", &signature));
        assert!(!key.verify(b"base", &signature[1..]));
        assert!(!key.verify(b"base", &[signature.clone(), vec![0]].concat()));
        assert!(!key.verify(b"base", &[0; 256]));
        assert!(!key.verify(b"base", &[]));
        assert_eq!(format!("{key:?}"), "PublicKey { .. }");
    }
    for text in [key!("bits-2048"), key!("bits-8192"), key!("exponent-2-32-plus-1")] {
        assert!(PublicKey::from_pem(text).is_ok(), "{text}");
    }
    assert!(!PublicKey::from_pem(key!("bits-2048")).unwrap().verify(b"base", &signature));
}

#[test]
fn keys_of_strangers_that_are_refused() {
    let rsa = key!("rsa");
    let twice = [rsa, rsa].concat();
    let beside = [key!("certificate"), rsa].concat();
    let long = format!("{}{rsa}", " ".repeat(16 * 1024));
    let trailing = {
        let (_, mut der) = pem::read(rsa).unwrap();
        der.push(0);
        pem::write("PUBLIC KEY", &der)
    };
    for (text, fault) in [
        // Faults of the text
        ("", KeyFault::NotPem),
        ("-----BEGIN PUBLIC KEY-----", KeyFault::NotPem),
        ("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", KeyFault::NotRsa),
        ("-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----", KeyFault::NotRsa),
        (&rsa.replace("-----END PUBLIC KEY-----", ""), KeyFault::NotPem),
        (&rsa.replace("END PUBLIC", "END RSA PUBLIC"), KeyFault::NotPem),
        (&format!("x{rsa}"), KeyFault::NotPem),
        (&format!("{rsa}x"), KeyFault::NotPem),
        (&rsa.replacen("MII", "MI!", 1), KeyFault::NotPem),
        (&rsa.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1), KeyFault::NotPem),
        (&twice, KeyFault::NotPem),
        (&beside, KeyFault::NotPem),
        (&long, KeyFault::TooLong),
        // Other labels
        (key!("certificate"), KeyFault::Label),
        (key!("request"), KeyFault::Label),
        (key!("rsa.private"), KeyFault::Label),
        (key!("rsa.private.pkcs1"), KeyFault::Label),
        (key!("p256.private"), KeyFault::Label),
        (&relabelled(rsa, "public key"), KeyFault::Label),
        (&relabelled(rsa, "X PUBLIC KEY"), KeyFault::Label),
        // Other contents
        (&relabelled(key!("certificate"), "PUBLIC KEY"), KeyFault::NotRsa),
        (&relabelled(key!("rsa.private"), "PUBLIC KEY"), KeyFault::NotRsa),
        (&relabelled(key!("rsa.private.pkcs1"), "RSA PUBLIC KEY"), KeyFault::NotRsa),
        (&relabelled(rsa, "RSA PUBLIC KEY"), KeyFault::NotRsa),
        (&relabelled(key!("rsa.pkcs1"), "PUBLIC KEY"), KeyFault::NotRsa),
        (&trailing, KeyFault::NotRsa),
        (key!("p256"), KeyFault::NotRsa),
        (key!("ed25519"), KeyFault::NotRsa),
        // An RSA key for RSASSA-PSS only
        (key!("rsa-pss"), KeyFault::NotRsa),
        // Size and exponent
        (key!("bits-512"), KeyFault::Modulus(512)),
        (key!("bits-1024"), KeyFault::Modulus(1024)),
        (key!("bits-2047"), KeyFault::Modulus(2047)),
        (key!("bits-8193"), KeyFault::Modulus(8193)),
        (key!("rsa-1024"), KeyFault::Modulus(1024)),
        (key!("cavage"), KeyFault::Modulus(1024)),
        (key!("exponent-3"), KeyFault::Exponent),
        (key!("rsa-exponent-3"), KeyFault::Exponent),
        (key!("exponent-65535"), KeyFault::Exponent),
        (key!("exponent-1"), KeyFault::Exponent),
        (key!("exponent-65536"), KeyFault::Exponent),
        (key!("exponent-65538"), KeyFault::Exponent),
        (key!("exponent-2-64-plus-1"), KeyFault::Exponent),
    ] {
        assert_eq!(PublicKey::from_pem(text).err(), Some(fault), "{text}");
    }
}

#[test]
fn keys_of_our_own() {
    let key = SigningKey::from_pem(key!("rsa.private")).unwrap();
    assert_eq!(key.public_pem(), key!("rsa"));
    assert_eq!(format!("{key:?}"), "SigningKey { .. }");
    let other = SigningKey::from_pem(key!("rsa.private.pkcs1")).unwrap();
    assert_eq!(other.public_pem(), key.public_pem());
    assert_eq!(other.sign(b"base"), key.sign(b"base"));
    for (text, fault) in [
        ("", KeyFault::NotPem),
        (key!("rsa"), KeyFault::Label),
        (key!("certificate"), KeyFault::Label),
        (&relabelled(key!("rsa.private"), "ENCRYPTED PRIVATE KEY"), KeyFault::Label),
        (&relabelled(key!("rsa.private"), "RSA PRIVATE KEY"), KeyFault::NotRsa),
        (&relabelled(key!("rsa.private.pkcs1"), "PRIVATE KEY"), KeyFault::NotRsa),
        (&relabelled(key!("rsa"), "PRIVATE KEY"), KeyFault::NotRsa),
        (key!("p256.private"), KeyFault::NotRsa),
        (key!("ed25519.private"), KeyFault::NotRsa),
        (key!("rsa-pss.private"), KeyFault::NotRsa),
        (key!("rsa-exponent-3.private"), KeyFault::Exponent),
    ] {
        assert_eq!(SigningKey::from_pem(text).err(), Some(fault), "{text}");
    }
    assert!(SigningKey::from_pem(key!("rsa-1024.private")).is_err());
}

#[test]
fn a_new_key_is_good() {
    let pem = SigningKey::generate().unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n") && pem.lines().all(|line| line.len() <= 64));
    let key = SigningKey::from_pem(&pem).unwrap();
    let public = PublicKey::from_pem(key.public_pem()).unwrap();
    assert!(public.verify(b"base", &key.sign(b"base").unwrap()));
    assert_ne!(SigningKey::generate().unwrap(), pem);
}

/// RFC 9421, section 4.3, prints a signature with `test-key-rsa`. Ours is equal to it.
#[test]
fn rfc_9421_section_4_3() {
    let base = r#""@method": POST
"@authority": origin.host.internal.example
"@path": /foo
"content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
"content-type": application/json
"content-length": 18
"forwarded": for=192.0.2.123;host=example.com;proto=https
"@signature-params": ("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded");created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540"#;
    let printed = "S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==";
    let printed = STANDARD.decode(printed).unwrap();
    assert!(PublicKey::from_pem(key!("rfc9421.pkcs1")).unwrap().verify(base.as_bytes(), &printed));
    let key = SigningKey::from_pem(key!("rfc9421.private.pkcs1")).unwrap();
    assert_eq!(key.sign(base.as_bytes()), Ok(printed));
}

/// draft-cavage-http-signatures-12, appendix C.2 and C.3, prints signatures over the texts that
/// [`eko_protocol::http_signature`] builds. The key has 1024 bits, so [`PublicKey`] would refuse
/// it.
#[test]
fn draft_cavage_appendix_c() {
    let (_, der) = pem::read(key!("cavage")).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, der);
    let basic = "(request-target): post /foo?param=value&pet=dog\nhost: example.com\ndate: Sun, 05 Jan 2014 21:31:40 GMT";
    let all = format!(
        "{basic}\ncontent-type: application/json\n\
         digest: SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=\ncontent-length: 18"
    );
    for (base, signature) in [
        (
            basic,
            "qdx+H7PHHDZgy4y/Ahn9Tny9V3GP6YgBPyUXMmoxWtLbHpUnXS2mg2+SbrQDMCJypxBLSPQR2aAjn7ndmw2iicw3HMbe8VfEdKFYRqzic+efkb3nndiv/x1xSHDJWeSWkx3ButlYSuBskLu6kd9Fswtemr3lgdDEmn04swr2Os0=",
        ),
        (
            all.as_str(),
            "vSdrb+dS3EceC9bcwHSo4MlyKS59iFIrhgYkz8+oVLEEzmYZZvRs8rgOp+63LEM3v+MFHB32NfpB2bEKBIvB1q52LaEUHFv120V01IL+TAD48XaERZFukWgHoBTLMhYS2Gb51gWxpeIq8knRmPnYePbF5MOkR0Zkly4zKH7s1dE=",
        ),
    ] {
        key.verify(base.as_bytes(), &STANDARD.decode(signature).unwrap()).unwrap();
    }
}

proptest! {
    #[test]
    fn no_text_is_too_strange(
        text in "(-----BEGIN (RSA )?PUBLIC KEY-----)?[ -~\n]{0,80}(-----END (RSA )?PUBLIC KEY-----)?",
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        prop_assert!(PublicKey::from_pem(&text).is_err());
        prop_assert!(SigningKey::from_pem(&text).is_err());
        for (label, pem) in [("PUBLIC KEY", key!("rsa")), ("RSA PUBLIC KEY", key!("rsa.pkcs1"))] {
            let (_, mut der) = pem::read(pem).unwrap();
            let at = place.index(der.len());
            der[at] = byte;
            // The changed bytes may be a key or not; reading them must not panic.
            let _ = PublicKey::from_pem(&pem::write(label, &der));
        }
    }

    #[test]
    fn pem_round_trip(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = pem::write("PUBLIC KEY", &content);
        prop_assert!(text.lines().all(|line| line.len() <= 64));
        prop_assert_eq!(pem::read(&text), Ok(("PUBLIC KEY", content)));
    }
}
