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
    /// group, or written to later. For others it asks their server's WebFinger (RFC 7033), over https
    /// unless the server is on this machine.
    ///
    /// # Errors
    /// [`MessengerError::NoSuchPerson`] if there is no such user; [`MessengerError::PersonDeleted`];
    /// [`ClientError::Unfetchable`](crate::ClientError::Unfetchable) if that server may not be
    /// asked; [`MessengerError::Store`] if the store cannot be read.
    pub async fn find(&self, handle: &Handle) -> Result<Person, MessengerError> {
        let own = self.device.origin();
        let nobody = || MessengerError::NoSuchPerson(handle.to_string());
        if handle.authority() == own.authority() {
            let user = handle.user().ok_or_else(nobody)?;
            return Ok(Person { origin: own.clone(), user });
        }
        if let Some(known) = self.known_person(handle)? {
            return Ok(known);
        }
        let host = host_of(handle.authority());
        let scheme = if matches!(host, "localhost" | "127.0.0.1") { "http" } else { "https" };
        let query: String = form_urlencoded::byte_serialize(handle.acct().as_bytes()).collect();
        let url = format!("{scheme}://{}/.well-known/webfinger?resource={query}", handle.authority());
        let answer = self.device.fetch_public(&url).await?;
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
        let (people, groups) =
            self.store.read(|tx| Ok::<_, DeviceStoreError>((tx.people()?, tx.groups()?)))?;
        let members = groups.iter().flat_map(|group| group.current.members());
        let mut known = people.iter().chain(members).filter_map(|actor| Person::of(actor));
        Ok(known.find(|person| person.handle() == *handle))
    }
}
