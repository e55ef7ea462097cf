//! Profiles: what people call themselves, and their handles at other domains than their servers'.
//!
//! Nobody verifies a display name, and no decision depends on one. A handle at another domain counts
//! once both sides name each other: the domain's WebFinger names the actor, and the actor document
//! names the handle. This device asks both itself. It looks at a profile when its user asks for it, and
//! at no other time, but for the user's own at a sign-in: the other server sees who looks.

use eko_protocol::address::Handle;
use eko_protocol::json::text;
use eko_protocol::profile::{DisplayName, Icon, PartChange, PublicProfile, UpdateProfile, claimed_handle};
use http::StatusCode;

use super::{Messenger, MessengerError, Person};
use crate::store::{DeviceStoreError, KeptProfile};
use crate::{SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Changes the display name and the avatar of this user: one call. Each may be kept, replaced or
    /// removed. Everybody may read them.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn change_profile(
        &self,
        name: PartChange<DisplayName>,
        icon: PartChange<Icon>,
    ) -> Result<(), MessengerError> {
        let update = UpdateProfile { actor: None, name, icon };
        self.signed_in(async || self.device.change_profile(&update).await).await
    }

    /// Looks at the profile of a person, and keeps it: one call to the person's server, without a token,
    /// and one to the domain of the handle, if the person claims one at another domain.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`]; [`MessengerError::PersonDeleted`];
    /// [`ClientError::Unfetchable`](crate::ClientError::Unfetchable) if that server may not be asked;
    /// [`MessengerError::Store`] if the store cannot be used.
    pub async fn look_at_profile(&self, person: &Person) -> Result<PublicProfile, MessengerError> {
        let (shown, claimed) = self.shown_profile(person).await?;
        let elsewhere = claimed.filter(|claimed| claimed.authority() != person.origin.authority());
        let handle = match elsewhere {
            None => None,
            Some(claimed) => match self.person_of_web_finger(&claimed).await {
                Ok(named) => (named == *person).then_some(claimed),
                Err(error @ MessengerError::Store(_)) => return Err(error),
                // A handle that was named before stays while its domain is out of reach.
                Err(error) if error.retry_after_s().is_some() => {
                    let kept = self.store.read(|tx| tx.profile(&person.actor()))?;
                    kept.and_then(|kept| kept.handle).filter(|kept| kept.is_same(&claimed))
                }
                Err(_) => None,
            },
        };
        let kept = KeptProfile { shown: shown.clone(), handle };
        self.store.write(|tx| tx.keep_profile(&person.actor(), &kept))?;
        Ok(shown)
    }

    /// Returns the profile of an actor as the user has last looked at it. It is empty if the user has not.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn profile(&self, actor: &str) -> Result<PublicProfile, DeviceStoreError> {
        Ok(self.store.read(|tx| tx.profile(actor))?.unwrap_or_default().shown)
    }

    /// Returns the handle by which people know a person: that at another domain, if the user has looked
    /// and both sides name each other, and otherwise the one at the person's server.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn handle_of(&self, person: &Person) -> Result<Handle, DeviceStoreError> {
        let kept = self.store.read(|tx| tx.profile(&person.actor()))?;
        Ok(kept.and_then(|kept| kept.handle).unwrap_or_else(|| person.handle()))
    }

    /// Checks that a person, whom the domain of a handle names, claims the handle, and keeps the profile.
    pub(super) async fn confirm_handle(
        &self,
        person: &Person,
        handle: &Handle,
    ) -> Result<(), MessengerError> {
        let (shown, claimed) = self.shown_profile(person).await?;
        match claimed.filter(|claimed| claimed.is_same(handle)) {
            None => Err(MessengerError::NoSuchPerson(handle.to_string())),
            Some(claimed) => {
                let kept = KeptProfile { shown, handle: Some(claimed) };
                Ok(self.store.write(|tx| tx.keep_profile(&person.actor(), &kept))?)
            }
        }
    }

    /// Fetches an actor document. Returns the profile and the handle that it claims.
    async fn shown_profile(
        &self,
        person: &Person,
    ) -> Result<(PublicProfile, Option<Handle>), MessengerError> {
        let actor = person.actor();
        let answer = self.device.fetch_public(&actor).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(MessengerError::NoSuchPerson(person.handle().to_string()));
        }
        let deleted = |error| match error {
            crate::ClientError::Deleted(_) => MessengerError::PersonDeleted(person.handle().to_string()),
            other => other.into(),
        };
        let answer = answer.unless_deleted(&actor).map_err(deleted)?.expect(StatusCode::OK)?;
        let document = answer.json()?;
        if text(&document, "id") != Ok(actor.as_str()) {
            return Err(answer.unexpected("it is another actor's document").into());
        }
        Ok((PublicProfile::of_actor(&document), claimed_handle(&document)))
    }
}
