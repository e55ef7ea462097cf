//! The plan of a publication for the lasting keys.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use eko_protocol::Invalid;
use eko_protocol::key_package::{KyberPreKey, Publication, PublicationKind, PublishedKeys, SignedPreKey};

use crate::attribute::{Item, ReadItem, n};
use crate::device::DeviceAddress;
use crate::device_keys::{LastingKeys, attr, replaceable};
use crate::key::EXISTS;
use crate::{Result, Store, key};

/// The effect of a publication on the lasting keys.
pub(super) struct LastingPlan {
    signed_pre_key: Option<SignedPreKey>,
    last_resort: Option<KyberPreKey>,
    /// True if the device had a last-resort key and has none any more.
    drops_last_resort: bool,
}

impl LastingPlan {
    /// Plans a publication for the lasting keys in `item`. The inner error is the fault of a
    /// publication that may not change them.
    pub(super) fn new(
        item: &Item,
        publication: &Publication,
        kind: PublicationKind,
    ) -> Result<std::result::Result<Self, Invalid>> {
        let current = LastingKeys::from_item(item)?;
        let keys = &publication.keys;
        let mut plan = Self {
            signed_pre_key: keys.signed_pre_key.clone(),
            last_resort: keys.last_resort.clone(),
            drops_last_resort: false,
        };
        if kind == PublicationKind::Replacement {
            plan.drops_last_resort = plan.last_resort.is_none() && current.last_resort.is_some();
        } else {
            if let Some(invalid) = reused_id(&current, keys) {
                return Ok(Err(invalid.under("/object")));
            }
            plan.signed_pre_key.take_if(|key| *key == current.signed_pre_key);
            plan.last_resort.take_if(|key| Some(&*key) == current.last_resort.as_ref());
        }
        let changes = plan.signed_pre_key.is_some() || plan.last_resort.is_some();
        let stored_ms = item.get_n(attr::PUBLISHED_MS);
        if changes && stored_ms.is_some_and(|stored_ms| publication.published_ms < stored_ms) {
            let detail = "is before the time of the publication of the current signed keys";
            return Ok(Err(Invalid::at("/published", detail)));
        }
        Ok(Ok(plan))
    }
}

/// Returns the refusal of a signed prekey or last-resort key that has the id of the current one and
/// other bytes.
fn reused_id(current: &LastingKeys, new: &PublishedKeys) -> Option<Invalid> {
    let signed = new.signed_pre_key.as_ref().filter(|new| new.id == current.signed_pre_key.id);
    if signed.is_some_and(|new| new.key != current.signed_pre_key.key) {
        return Some(Invalid::at("/signedPreKey/keyId", "this id belongs to another key"));
    }
    let (current, new) = (current.last_resort.as_ref()?, new.last_resort.as_ref()?);
    (new.id == current.id && new.key != current.key)
        .then(|| Invalid::at("/lastResortKyberPreKey/keyId", "this id belongs to another key"))
}

impl Store {
    /// Builds the update of the lasting keys, on condition that no later publication has changed
    /// them. Returns `None` if they stay.
    pub(super) fn lasting_write(
        &self,
        address: DeviceAddress<'_>,
        lasting: &LastingPlan,
        published_ms: i64,
    ) -> Result<Option<TransactWriteItem>> {
        let replaced: Vec<(&str, AttributeValue)> =
            replaceable(lasting.signed_pre_key.as_ref(), lasting.last_resort.as_ref()).collect();
        if replaced.is_empty() {
            return Ok(None);
        }
        let write = self.update(&key::prekeys(address), |mut update| {
            let mut expression = "SET #pm = :pm".to_owned();
            for (name, value) in replaced {
                expression.push_str(&format!(", #{name} = :{name}"));
                update = update
                    .expression_attribute_names(format!("#{name}"), name)
                    .expression_attribute_values(format!(":{name}"), value);
            }
            if lasting.drops_last_resort {
                expression.push_str(" REMOVE #li, #lp, #ls");
                let names = [attr::LAST_RESORT_ID, attr::LAST_RESORT_KEY, attr::LAST_RESORT_SIGNATURE];
                for name in names {
                    update = update.expression_attribute_names(format!("#{name}"), name);
                }
            }
            update
                .update_expression(expression)
                .condition_expression(format!("{EXISTS} AND (attribute_not_exists(#pm) OR #pm <= :pm)"))
                .expression_attribute_names("#pm", attr::PUBLISHED_MS)
                .expression_attribute_values(":pm", n(published_ms))
        });
        write.map(Some)
    }
}
