//! VAPID (RFC 8292): a push service learns which server sends, and whom it can write to.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;
use url::{Host, Url};

/// The lifetime of a token in seconds: 12 hours. Push services refuse more than 24.
const TOKEN_SECONDS: i64 = 12 * 3600;

/// The length of a line of base64 in PEM, in characters (RFC 7468, section 2).
const LINE: usize = 64;

/// The top-level domains that lead nowhere (RFC 2606, RFC 6761, RFC 6762). Push services refuse
/// them in a contact.
const NOWHERE: &[&str] = &["example", "internal", "invalid", "local", "localhost", "test"];

/// The reason why a VAPID key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not a P-256 key in PKCS#8 PEM.
    #[error("is not a P-256 private key in PKCS#8 PEM")]
    NotAKey,
    /// The key could not be generated, or could not sign.
    #[error("cannot be generated or used")]
    Failed,
}

/// The reason why a contact address cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContactError {
    /// The text is neither a `mailto:` address nor an https URL.
    #[error("must be a mailto: address or an https URL")]
    NotAnAddress,
    /// The domain cannot be reached from the Internet.
    #[error("must be on a public domain: push services refuse localhost, .invalid and the like")]
    NotPublic,
}

/// The operator's contact address: `mailto:` or `https:`, on a public domain.
///
/// ```
/// use eko_web_push::Contact;
///
/// assert!(Contact::parse("mailto:operator@eko.chat").is_ok());
/// assert!(Contact::parse("mailto:operator@localhost").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(String);

impl Contact {
    /// Reads a contact address.
    ///
    /// # Errors
    /// [`ContactError`] for another kind of address, and for a domain that leads nowhere.
    pub fn parse(text: &str) -> Result<Self, ContactError> {
        let url = Url::parse(text).map_err(|_| ContactError::NotAnAddress)?;
        let host = match url.scheme() {
            "mailto" => {
                let (_, domain) = url.path().rsplit_once('@').ok_or(ContactError::NotAnAddress)?;
                Host::parse(domain).map_err(|_| ContactError::NotAnAddress)?
            }
            "https" => url.host().ok_or(ContactError::NotAnAddress)?.to_owned(),
            _ => return Err(ContactError::NotAnAddress),
        };
        let Host::Domain(name) = host else { return Err(ContactError::NotPublic) };
        match name.rsplit_once('.') {
            Some((_, last)) if !NOWHERE.contains(&last) => Ok(Self(text.to_owned())),
            _ => Err(ContactError::NotPublic),
        }
    }

    /// Returns the contact of a local server, which real push services refuse.
    pub fn of_local_server() -> Self {
        Self("mailto:operator@localhost".to_owned())
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key with which this server identifies itself to push services.
pub struct VapidKey {
    signing: EncodingKey,
    public: String,
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VapidKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl VapidKey {
    /// Reads a P-256 key in PKCS#8 PEM.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.trim_ascii().as_bytes())
            .map_err(|_| KeyError::NotAKey)?;
        let pkcs8 = der.secret_pkcs8_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
        let pair = pair.map_err(|_| KeyError::NotAKey)?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        Ok(Self { signing: EncodingKey::from_ec_der(pkcs8), public })
    }

    /// Generates a key and returns it as PEM, for a local server.
    ///
    /// # Errors
    /// [`KeyError::Failed`].
    pub fn generate() -> Result<String, KeyError> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let mut text = "-----BEGIN PRIVATE KEY-----".to_owned();
        for (place, character) in STANDARD.encode(pkcs8.map_err(|_| KeyError::Failed)?).chars().enumerate() {
            if place % LINE == 0 {
                text.push('\n');
            }
            text.push(character);
        }
        text.push_str("\n-----END PRIVATE KEY-----\n");
        Ok(text)
    }

    /// Returns the public key in base64url: the `applicationServerKey` with which a client
    /// subscribes.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Returns the `Authorization` of a request to this endpoint.
    ///
    /// # Errors
    /// [`KeyError::Failed`] if the token cannot be signed.
    pub(crate) fn authorization(
        &self,
        endpoint: &Url,
        contact: &Contact,
        now_ms: i64,
    ) -> Result<String, KeyError> {
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now_ms.div_euclid(1000).saturating_add(TOKEN_SECONDS),
            "sub": contact.as_str(),
        });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.signing);
        Ok(format!("vapid t={}, k={}", token.map_err(|_| KeyError::Failed)?, self.public))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_contact_must_be_reachable() {
        for good in ["mailto:a@eko.chat", "mailto:a%2Bb@x.eko.chat", "https://eko.chat/contact"] {
            assert_eq!(Contact::parse(good).unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("", ContactError::NotAnAddress),
            ("operator@eko.chat", ContactError::NotAnAddress),
            ("mailto:operator", ContactError::NotAnAddress),
            ("mailto:operator@", ContactError::NotAnAddress),
            ("http://eko.chat", ContactError::NotAnAddress),
            ("mailto:a@localhost", ContactError::NotPublic),
            ("mailto:a@LOCALHOST", ContactError::NotPublic),
            ("mailto:a@eko.invalid", ContactError::NotPublic),
            ("mailto:a@eko.example", ContactError::NotPublic),
            ("mailto:a@eko.test", ContactError::NotPublic),
            ("mailto:a@10.0.0.1", ContactError::NotPublic),
            ("https://localhost/contact", ContactError::NotPublic),
            ("https://printer.local/", ContactError::NotPublic),
            ("https://[::1]/", ContactError::NotPublic),
        ] {
            assert_eq!(Contact::parse(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn a_token_names_the_origin_and_ends_within_a_day() {
        let key = VapidKey::from_pem(&VapidKey::generate().unwrap()).unwrap();
        let endpoint = Url::parse("https://push.example:8443/send/1?x=y").unwrap();
        let now_ms = 1_769_715_000_000;
        let contact = Contact::parse("mailto:operator@eko.chat").unwrap();
        let header = key.authorization(&endpoint, &contact, now_ms).unwrap();
        let (token, public) = header.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(public, key.public());
        let point = URL_SAFE_NO_PAD.decode(public).unwrap();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.set_audience(&["https://push.example:8443"]);
        let verifying = DecodingKey::from_ec_components(&x, &y).unwrap();
        let claims = jsonwebtoken::decode::<Value>(token, &verifying, &validation).unwrap().claims;
        assert_eq!(claims["sub"], "mailto:operator@eko.chat");
        assert_eq!(claims["exp"], now_ms / 1000 + 12 * 3600);
    }

    #[test]
    fn only_p256_keys_in_pem_are_taken() {
        let good = VapidKey::generate().unwrap();
        assert!(VapidKey::from_pem(&format!("\n{good}\n")).is_ok());
        for bad in ["", "a key", &good.replace("PRIVATE", "PUBLIC"), &good.replace("MIG", "MIH")] {
            assert_eq!(VapidKey::from_pem(bad).unwrap_err(), KeyError::NotAKey, "{bad}");
        }
    }
}
