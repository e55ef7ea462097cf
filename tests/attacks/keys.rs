//! Keys in an actor's document that must not be trusted, although their signatures are right.

use std::sync::Arc;

use eko_federation::keys::SigningKey;

use crate::scene::{AttackScene, SCHEMES};

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../shared/federation/testdata/keys/", $name, ".pem"))
    };
}

/// Returns the same PEM under another label.
fn relabelled(pem: &str, label: &str) -> String {
    let (_, rest) = pem.split_once("-----BEGIN ").unwrap();
    let (old, _) = rest.split_once("-----").unwrap();
    pem.replace(&format!(" {old}-"), &format!(" {label}-"))
}

#[tokio::test]
async fn that_are_weak_or_no_such_keys() {
    let scene = AttackScene::new().await;
    // Each signature is made by this good key. Only the published key is wrong.
    let signer = Arc::new(SigningKey::from_pem(key!("rsa.private")).unwrap());
    let right = key!("rsa");
    let cases = [
        ("512-bits", key!("bits-512").to_owned()),
        ("1024-bits", key!("bits-1024").to_owned()),
        ("2047-bits", key!("bits-2047").to_owned()),
        ("8193-bits", key!("bits-8193").to_owned()),
        ("a-real-1024", key!("rsa-1024").to_owned()),
        ("exponent-1", key!("exponent-1").to_owned()),
        ("exponent-3", key!("exponent-3").to_owned()),
        ("a-real-exponent-3", key!("rsa-exponent-3").to_owned()),
        ("exponent-even", key!("exponent-65536").to_owned()),
        ("p256", key!("p256").to_owned()),
        ("ed25519", key!("ed25519").to_owned()),
        ("pss", key!("rsa-pss").to_owned()),
        ("certificate", key!("certificate").to_owned()),
        ("certificate-as-key", relabelled(key!("certificate"), "PUBLIC KEY")),
        ("request", key!("request").to_owned()),
        ("private", key!("rsa.private").to_owned()),
        ("private-pkcs1", key!("rsa.private.pkcs1").to_owned()),
        ("private-as-key", relabelled(key!("rsa.private"), "PUBLIC KEY")),
        ("pkcs1-as-spki", relabelled(key!("rsa.pkcs1"), "PUBLIC KEY")),
        ("spki-as-pkcs1", relabelled(right, "RSA PUBLIC KEY")),
        ("two", format!("{right}{right}")),
        ("another-first", format!("{}{right}", key!("bits-2048"))),
        ("text-before", format!("Key: {right}")),
        ("encrypted", right.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1)),
        ("long", format!("{}{right}", " ".repeat(16 * 1024))),
        ("empty", String::new()),
        ("another-good-key", key!("bits-2048").to_owned()),
    ];
    for (number, (name, pem)) in cases.into_iter().enumerate() {
        let actor = scene.actor(name, |document| document["publicKey"]["publicKeyPem"] = pem.into());
        for scheme in SCHEMES {
            assert_eq!(
                deliver_signed(&scene, &signer, scheme, &actor, number).await,
                "401 bad-signature",
                "{name}"
            );
        }
    }
    scene.assert_unchanged("an envelope under a bad key").await;
}

#[tokio::test]
async fn that_sign_what_they_cannot_hold() {
    let scene = AttackScene::new().await;
    // The signatures have the right size and are no signatures: all zeros, and more than the
    // modulus.
    for (name, bytes) in [("zeros", [0; 256]), ("ones", [0xff; 256])] {
        let request = scene.signed(SCHEMES[1], "/inbox", &scene.envelope(&scene.eve.actor, 1));
        let (mut parts, body) = request.into_parts();
        let forged = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        parts.headers.insert("signature", format!("sig1=:{forged}:").parse().unwrap());
        let request = http::Request::from_parts(parts, body);
        assert_eq!(scene.send(request).await, "401 bad-signature", "{name}");
    }
    scene.assert_unchanged("an envelope under a forged signature").await;
}

#[tokio::test]
async fn in_both_good_forms_are_taken() {
    let scene = AttackScene::new().await;
    let signer = Arc::new(SigningKey::from_pem(key!("rsa.private")).unwrap());
    for (number, (name, pem)) in [
        ("spki", key!("rsa").to_owned()),
        ("pkcs1", key!("rsa.pkcs1").to_owned()),
        ("line-ends", key!("rsa").replace('\n', "\r\n")),
    ]
    .into_iter()
    .enumerate()
    {
        let actor = scene.actor(name, |document| document["publicKey"]["publicKeyPem"] = pem.into());
        for scheme in SCHEMES {
            assert_eq!(deliver_signed(&scene, &signer, scheme, &actor, number).await, "202", "{name}");
        }
    }
    scene.world.deliver().await;
    assert_eq!(scene.world.messages(&scene.bob).await.len(), 3);
}

/// Delivers an envelope of an actor, signed by this key, and returns the answer in one line.
async fn deliver_signed(
    scene: &AttackScene,
    signer: &SigningKey,
    scheme: eko_protocol::http_signature::Scheme,
    actor: &str,
    number: usize,
) -> String {
    let body = scene.envelope(actor, number).to_string();
    scene.send(scene.signed_by(signer, &format!("{actor}#main-key"), scheme, body)).await
}
