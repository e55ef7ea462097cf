//! The public profile of a user, in the device set.
//!
//! The device set is what an actor document is made of, so that the profile costs no call, and what a
//! deletion replaces by the tombstone. The attributes are listed in [`crate::devices`].

use eko_protocol::profile::{DisplayName, Icon, PartChange, PublicProfile, UpdateProfile};

use crate::attribute::{Item, ReadItem, corrupt, s};
use crate::blocks::{CALLER_IS_ACTIVE, OwnChangeOutcome};
use crate::device::DeviceAddress;
use crate::devices::attr::{ACTIVE, ICON_TYPE, ICON_URL, NAME};
use crate::{Result, Store, key};

impl Store {
    /// Changes the profile of the user of the calling device, on condition that the device is active.
    ///
    /// One UpdateItem: 1 write unit for each KB of the device set. It may be repeated.
    ///
    /// # Errors
    ///
    /// [`StoreError::Call`](crate::StoreError::Call) if the call fails;
    /// [`StoreError::GaveUp`](crate::StoreError::GaveUp) after 7 conflicts with transactions.
    pub async fn change_profile(
        &self,
        caller: DeviceAddress<'_>,
        change: &UpdateProfile,
    ) -> Result<OwnChangeOutcome> {
        let mut update = self
            .dynamodb()
            .update_item()
            .table_name(self.table())
            .set_key(Some(key::devices(caller.user).item()))
            .condition_expression(CALLER_IS_ACTIVE)
            .expression_attribute_names("#a", ACTIVE)
            .expression_attribute_names("#device", caller.device.as_str());
        let (mut set, mut removed) = (Vec::new(), Vec::new());
        for (name, change) in attributes(change) {
            let text = match change {
                PartChange::Keep => continue,
                PartChange::Remove => None,
                PartChange::Set(text) => Some(text),
            };
            update = update.expression_attribute_names(format!("#{name}"), name);
            match text {
                None => removed.push(format!("#{name}")),
                Some(text) => {
                    update = update.expression_attribute_values(format!(":{name}"), s(text));
                    set.push(format!("#{name} = :{name}"));
                }
            }
        }
        let clauses = [("SET", set), ("REMOVE", removed)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        let expression: Vec<String> =
            clauses.map(|(clause, parts)| format!("{clause} {}", parts.join(", "))).collect();
        let written = self.update_beside_transactions(update.update_expression(expression.join(" "))).await?;
        Ok(OwnChangeOutcome::of(written.is_done()))
    }
}

/// Returns the change of each attribute.
fn attributes(change: &UpdateProfile) -> [(&'static str, PartChange<&str>); 3] {
    fn part<'a, T>(change: &'a PartChange<T>, text: impl Fn(&'a T) -> &'a str) -> PartChange<&'a str> {
        match change {
            PartChange::Keep => PartChange::Keep,
            PartChange::Remove => PartChange::Remove,
            PartChange::Set(part) => PartChange::Set(text(part)),
        }
    }
    [
        (NAME, part(&change.name, DisplayName::as_str)),
        (ICON_URL, part(&change.icon, Icon::url)),
        (ICON_TYPE, part(&change.icon, Icon::media_type)),
    ]
}

/// Reads the profile of a device set.
pub(crate) fn of_item(item: &Item) -> Result<PublicProfile> {
    // A name may have been chosen when more names were allowed.
    let name = item.get_s(NAME).and_then(DisplayName::of_another);
    let icon = item.get_s(ICON_URL).zip(item.get_s(ICON_TYPE));
    let icon = icon.map(|(url, media_type)| Icon::new(url, media_type)).transpose().map_err(corrupt)?;
    Ok(PublicProfile { name, icon })
}
