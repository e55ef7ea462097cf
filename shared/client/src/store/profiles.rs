//! The profiles of people at whom the user has looked. Each is one value of the account.

use eko_protocol::address::Handle;
use eko_protocol::profile::{DisplayName, Icon, PublicProfile};
use serde::{Deserialize, Serialize};

use super::{DeviceStore, DeviceStoreError, Transaction};

/// The beginning of the names under which the store keeps profiles. The actor id follows.
const PREFIX: &str = "profile/";

/// The profile of a person, as the person's server showed it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeptProfile {
    /// The display name and the avatar.
    pub(crate) shown: PublicProfile,
    /// The handle at another domain than the server's, which names the person.
    pub(crate) handle: Option<Handle>,
}

/// The form in which the store keeps a profile.
#[derive(Serialize, Deserialize)]
struct StoredProfile {
    name: Option<String>,
    icon: Option<(String, String)>,
    handle: Option<String>,
}

impl DeviceStore {
    /// Returns the handle at another domain than the server's by which people know this user, if the user
    /// has looked and both sides name each other.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn own_handle(&self) -> Result<Option<Handle>, DeviceStoreError> {
        self.read(|tx| {
            let Some(account) = tx.account()? else { return Ok(None) };
            Ok(tx.profile(&account.origin.actor(&account.user))?.and_then(|kept| kept.handle))
        })
    }
}

impl Transaction<'_> {
    /// Returns the profile of an actor, if the user has looked at it.
    pub(crate) fn profile(&self, actor: &str) -> Result<Option<KeptProfile>, DeviceStoreError> {
        let Some(stored) = self.json::<StoredProfile>(&format!("{PREFIX}{actor}"))? else { return Ok(None) };
        let name = stored.name.as_deref().and_then(DisplayName::of_another);
        let icon = stored.icon.and_then(|(url, media_type)| Icon::new(&url, &media_type).ok());
        let handle = stored.handle.and_then(|handle| Handle::parse(&handle).ok());
        Ok(Some(KeptProfile { shown: PublicProfile { name, icon }, handle }))
    }

    /// Keeps the profile of an actor. A handle is that of one actor: another one loses it.
    pub(crate) fn keep_profile(&self, actor: &str, profile: &KeptProfile) -> Result<(), DeviceStoreError> {
        if let Some(handle) = &profile.handle
            && let Some(other) = self.actor_with_handle(handle)?.filter(|other| other != actor)
            && let Some(kept) = self.profile(&other)?
        {
            self.put_profile(&other, &KeptProfile { handle: None, ..kept })?;
        }
        self.put_profile(actor, profile)
    }

    fn put_profile(&self, actor: &str, profile: &KeptProfile) -> Result<(), DeviceStoreError> {
        let PublicProfile { name, icon } = &profile.shown;
        let stored = StoredProfile {
            name: name.as_ref().map(|name| name.as_str().to_owned()),
            icon: icon.as_ref().map(|icon| (icon.url().to_owned(), icon.media_type().to_owned())),
            handle: profile.handle.as_ref().map(Handle::acct),
        };
        self.put_json(&format!("{PREFIX}{actor}"), &stored)
    }

    /// Returns the actor whose handle at another domain this is.
    pub(crate) fn actor_with_handle(&self, handle: &Handle) -> Result<Option<String>, DeviceStoreError> {
        for actor in self.names(PREFIX)? {
            let kept = self.profile(&actor)?.and_then(|kept| kept.handle);
            if kept.is_some_and(|kept| kept.is_same(handle)) {
                return Ok(Some(actor));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_that_of_one_actor() {
        let store = DeviceStore::in_memory().unwrap();
        let me = Handle::parse("@me@example.org").unwrap();
        let (old, new) = ("https://old.example/user/me", "https://new.example/user/me");
        let named = |name: &str| KeptProfile {
            shown: PublicProfile { name: DisplayName::of_another(name), icon: None },
            handle: Some(me.clone()),
        };
        let write = |actor: &str, kept: &KeptProfile| {
            store.write(|tx| tx.keep_profile(actor, kept)).unwrap();
            store.read(|tx| tx.actor_with_handle(&me)).unwrap()
        };
        assert_eq!(write(old, &named("Old")).as_deref(), Some(old));
        assert_eq!(write(new, &named("New")).as_deref(), Some(new));
        let kept = store.read(|tx| tx.profile(old)).unwrap().unwrap();
        assert_eq!((kept.handle, kept.shown.name.unwrap().as_str()), (None, "Old"));
    }
}
