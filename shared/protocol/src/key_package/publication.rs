//! Publications: the activity `Add`, by which a device publishes keys. The device signs it.

use serde_json::{Value, json};

use super::PublishedKeys;
use crate::json::{canonical, text};
use crate::key::{IdentityKey, Signature};
use crate::limits::MAX_PUBLICATION_OFF_MS;
use crate::{Invalid, multibase, timestamp, xeddsa};

/// The effect of a publication on the keys that the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicationKind {
    /// One-time keys are added to the pools; signed keys replace the former ones.
    Addition,
    /// All keys of the device are dropped, and these take their place.
    Replacement,
}

/// A publication of keys (section 4). It is well formed, but not verified.
///
/// ```text
/// {"type": "Add", "published": <RFC 3339, UTC>, "object": <the keys, see PublishedKeys>,
///  "eko:replacesAll": true,                                                      optional
///  "eko:signature": <multibase of the signature over publication_base>}
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The keys.
    pub keys: PublishedKeys,
    /// The effect.
    pub kind: PublicationKind,
    /// The time at which the device signed, by its own clock, in epoch milliseconds.
    pub published_ms: i64,
    published: String,
    object: Value,
    signature: Signature,
}

/// Returns the bytes that a device signs to publish keys.
///
/// ```text
/// ┌──────────────────────┬──────┬────────────────────────────────────────────────────────────────┐
/// │ "eko-publication-v1" │ 0x00 │ canonical {"actor","device","object","published","replacesAll"} │
/// └──────────────────────┴──────┴────────────────────────────────────────────────────────────────┘
/// ```
///
/// `actor` and `device` are addresses. `object` and `published` are the members of the activity, as
/// they are sent. `replacesAll` is true for a replacement and false otherwise.
///
/// # Errors
/// [`Invalid`] if `object` holds a number that [`canonical`] refuses. The pointer begins with
/// `/object`.
pub fn publication_base(
    actor: &str,
    device: &str,
    object: &Value,
    published: &str,
    kind: PublicationKind,
) -> Result<Vec<u8>, Invalid> {
    let mut base = b"eko-publication-v1\0".to_vec();
    base.extend(canonical(&json!({
        "actor": actor,
        "device": device,
        "object": object,
        "published": published,
        "replacesAll": kind == PublicationKind::Replacement,
    }))?);
    Ok(base)
}

impl Publication {
    /// Reads an `Add`. The keys keep their order.
    ///
    /// # Errors
    /// [`Invalid`] for the first member that is missing or has the wrong shape, for an `object`
    /// without keys, and for a replacement without `signedPreKey`.
    pub fn parse(activity: &Value) -> Result<Self, Invalid> {
        let object = activity.get("object").ok_or(Invalid::at("/object", "is missing"))?;
        let keys = PublishedKeys::parse(object).map_err(|fault| fault.under("/object"))?;
        if keys.is_empty() {
            return Err(Invalid::at("/object", "holds no keys"));
        }
        let kind = match activity.get("eko:replacesAll") {
            None | Some(Value::Bool(false)) => PublicationKind::Addition,
            Some(Value::Bool(true)) => PublicationKind::Replacement,
            Some(_) => return Err(Invalid::at("/eko:replacesAll", "must be true or false")),
        };
        if kind == PublicationKind::Replacement && keys.signed_pre_key.is_none() {
            return Err(Invalid::at("/object/signedPreKey", "is missing: a replacement replaces it too"));
        }
        let published = text(activity, "published")?;
        let published_ms = timestamp::parse_utc(published).map_err(|fault| fault.under("/published"))?;
        let signature = multibase::decode(text(activity, "eko:signature")?)
            .map_err(|fault| fault.under("/eko:signature"))?;
        Ok(Self {
            keys,
            kind,
            published_ms,
            published: published.to_owned(),
            object: object.clone(),
            signature,
        })
    }

    /// Verifies that the device with this address and identity key made the publication, at most
    /// [`MAX_PUBLICATION_OFF_MS`] before or after `now_ms`, and that its keys are good.
    ///
    /// # Errors
    /// [`Invalid`] at `/published`, at `/eko:signature`, or for the faults of
    /// [`PublishedKeys::validate`] under `/object`.
    pub fn verify(
        &self,
        actor: &str,
        device: &str,
        identity: &IdentityKey,
        now_ms: i64,
    ) -> Result<(), Invalid> {
        if self.published_ms.abs_diff(now_ms) > MAX_PUBLICATION_OFF_MS {
            let now = timestamp::format(now_ms);
            let detail = format!("is more than a day away from this server's time, which is {now}");
            return Err(Invalid::at("/published", detail));
        }
        let base = publication_base(actor, device, &self.object, &self.published, self.kind)?;
        if !xeddsa::verify(identity, &base, &self.signature) {
            let detail = "is not the identity key's signature over this publication";
            return Err(Invalid::at("/eko:signature", detail));
        }
        self.keys.validate(identity).map_err(|fault| fault.under("/object"))
    }
}

#[cfg(test)]
mod tests;
