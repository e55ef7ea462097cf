//! Users of any server, and finding them by their handles.

use eko_protocol::address::{Handle, Origin, UserName, host_of};
use eko_protocol::json::{list, text};
use http::StatusCode;
use url::form_urlencoded;

use super::{Messenger, MessengerError};
use crate::store::DeviceStoreError;
use crate::{ClientError, SignalSessions, Transport};

/// A user of any server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Person {
    /// The user's server.
    pub origin: Origin,
    /// The user's name on that server.
    pub user: UserName,
}

impl Person {
    /// Reads an actor id, if it has the form that Eko's servers use.
    pub fn of(actor: &str) -> Option<Self> {
        let origin = Origin::of(actor)?;
        let user = origin.parse_actor(actor)?;
        Some(Self { origin, user })
    }

    /// Returns the actor id.
    pub fn actor(&self) -> String {
        self.origin.actor(&self.user)
    }

    /// Returns the handle: `@name@host`.
    pub fn handle(&self) -> Handle {
        Handle::new(self.user.clone(), &self.origin)
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Finds the user of a handle. A user of the own server needs no request, and neither does a
    /// user whom this device knows: so nobody's server decides whether they can be removed from a
    /// group, or written to later. For others it asks the WebFinger (RFC 7033) of the handle's domain,
    /// over https unless it is on this machine. If the domain names a user of another server, that
    /// server is asked for the user, who must claim the handle.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] if there is no such user; [`MessengerError::PersonDeleted`];
    /// [`ClientError::Unfetchable`](crate::ClientError::Unfetchable) if that server may not be
    /// asked; [`MessengerError::Store`] if the store cannot be used.
    pub async fn find(&self, handle: &Handle) -> Result<Person, MessengerError> {
        let own = self.device.origin();
        if handle.authority() == own.authority() {
            let nobody = || MessengerError::NoSuchPerson(handle.to_string());
            let user = handle.user().ok_or_else(nobody)?;
            return Ok(Person { origin: own.clone(), user });
        }
        if let Some(known) = self.known_person(handle)? {
            return Ok(known);
        }
        let person = self.person_of_web_finger(handle).await?;
        if person.origin.authority() != handle.authority() {
            self.confirm_handle(&person, handle).await?;
        }
        Ok(person)
    }

    /// Returns the user whom the WebFinger of a handle's domain names. The user's server may be another
    /// one, and has not said yet that the handle is the user's.
    pub(super) async fn person_of_web_finger(&self, handle: &Handle) -> Result<Person, MessengerError> {
        let nobody = || MessengerError::NoSuchPerson(handle.to_string());
        let host = host_of(handle.authority());
        let scheme = if matches!(host, "localhost" | "127.0.0.1") { "http" } else { "https" };
        let query: String = form_urlencoded::byte_serialize(handle.acct().as_bytes()).collect();
        let url = format!("{scheme}://{}/.well-known/webfinger?resource={query}", handle.authority());
        let answer = self.device.fetch_redirected(&url).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(nobody());
        }
        if answer.problem().is_some_and(|problem| problem.slug() == "user-deleted") {
            return Err(MessengerError::PersonDeleted(handle.to_string()));
        }
        let document = answer.expect(StatusCode::OK)?.json()?;
        let own = list(&document, "links").iter().find(|link| {
            let has = |name: &str, is: fn(&str) -> bool| text(link, name).is_ok_and(is);
            has("rel", |rel| rel.eq_ignore_ascii_case("self"))
                && has("type", |kind| kind.starts_with("application/"))
        });
        let actor = own.and_then(|link| text(link, "href").ok());
        actor.and_then(Person::of).ok_or_else(nobody)
    }

    /// True if there is a user of this name on the own server. One call, which asks for the user's chain and
    /// keeps nothing.
    ///
    /// # Errors
    /// [`MessengerError::PersonDeleted`], and those of every call.
    pub async fn is_user_here(&self, person: &Person) -> Result<bool, MessengerError> {
        match self.device.chain(&person.user).await {
            Ok((nodes, _)) => Ok(!nodes.is_empty()),
            Err(ClientError::Problem(problem)) if problem.status == 404 => Ok(false),
            Err(error) if error.is_gone() => Err(MessengerError::PersonDeleted(person.handle().to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the user with this handle of whom this device keeps the devices, or who is in a group
    /// with this user.
    fn known_person(&self, handle: &Handle) -> Result<Option<Person>, DeviceStoreError> {
        let (named, people, groups) = self.store.read(|tx| {
            Ok::<_, DeviceStoreError>((tx.actor_with_handle(handle)?, tx.people()?, tx.groups()?))
        })?;
        if let Some(named) = named.as_deref().and_then(Person::of) {
            return Ok(Some(named));
        }
        let members = groups.iter().flat_map(|group| group.current.members());
        let mut known = people.iter().chain(members).filter_map(|actor| Person::of(actor));
        Ok(known.find(|person| person.handle() == *handle))
    }
}
