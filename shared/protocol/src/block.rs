//! Blocks: the actors and servers whose envelopes a user does not get (`docs/protocol.md`, section
//! 6).

use serde_json::{Value, json};

use crate::Invalid;
use crate::address::{Origin, UserName, check_url};
use crate::json::{has_type, only, optional_text, text};
use crate::timestamp;

/// An actor, or all actors of a domain, that a user blocks.
///
/// ```
/// use eko_protocol::block::BlockedParty;
///
/// let domain = BlockedParty::parse("https://b.example")?;
/// assert!(domain.covers("https://b.example/user/eve") && domain.covers("https://x.b.example:8443/eve"));
/// assert!(!domain.covers("https://notb.example/user/eve"));
///
/// let server = BlockedParty::parse("https://b.example:8443")?;
/// assert!(!server.covers("https://b.example/user/eve"));
///
/// let eve = BlockedParty::parse("https://b.example/user/eve")?;
/// assert!(eve.covers("https://b.example/user/eve") && !eve.covers("https://b.example/user/bob"));
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockedParty {
    /// One actor, by its id.
    Actor(String),
    /// All actors of a server. An origin without a port stands for its host, all hosts under it,
    /// and all of their ports.
    Domain(Origin),
}

impl BlockedParty {
    /// Reads an actor id, or the origin of a server.
    ///
    /// # Errors
    /// [`Invalid`] if the text is neither, in normal form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if let Some(origin) = Origin::parse(text).ok().filter(|origin| origin.as_str() == text) {
            return Ok(Self::Domain(origin));
        }
        check_url(text)?;
        let has_path =
            Origin::of(text).is_some_and(|origin| text.len() > origin.as_str().len().saturating_add(1));
        if has_path {
            Ok(Self::Actor(text.to_owned()))
        } else {
            Err(Invalid::whole("must be an actor id, or the origin of a server without a slash at its end"))
        }
    }

    /// Returns the text that [`BlockedParty::parse`] reads.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Actor(id) => id,
            Self::Domain(origin) => origin.as_str(),
        }
    }

    /// Returns the one of the [`names_of`] an actor by which the block finds it.
    pub fn name(&self) -> &str {
        match self {
            Self::Actor(id) => id,
            Self::Domain(origin) => origin.authority(),
        }
    }

    /// True if the block is about this actor.
    pub fn covers(&self, actor: &str) -> bool {
        names_of(actor).contains(&self.name())
    }

    /// Checks that a user of the server at `origin` may block the party.
    ///
    /// # Errors
    /// [`Invalid`] for the user itself, for the user's own server, and for an address of that server
    /// which is no actor id.
    pub fn check_for(&self, origin: &Origin, user: &UserName) -> Result<(), Invalid> {
        let own = origin.actor(user);
        let why = match self {
            Self::Actor(id) if *id == own => "nobody can block themselves",
            Self::Actor(id) if origin.owns(id) && origin.parse_actor(id).is_none() => {
                "there is no user of this name on this server"
            }
            Self::Domain(_) if self.covers(&own) => "nobody can block their own server",
            Self::Actor(_) | Self::Domain(_) => return Ok(()),
        };
        Err(Invalid::whole(why))
    }
}

/// Returns the names by which an actor may be blocked: its id, the authority of its server if that
/// has a port, its host, and every domain that the host is under.
///
/// ```
/// use eko_protocol::block::names_of;
///
/// let eve = "https://x.b.example:8443/eve";
/// assert_eq!(names_of(eve), [eve, "x.b.example:8443", "x.b.example", "b.example", "example"]);
/// ```
pub fn names_of(actor: &str) -> Vec<&str> {
    let mut names = vec![actor];
    let Some(origin) = Origin::of(actor) else { return names };
    let authority = actor.split_once("://").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
    let host = authority.get(..origin.host().len()).unwrap_or(authority);
    if host != authority {
        names.push(authority);
    }
    let mut domain = Some(host);
    while let Some(name) = domain {
        names.push(name);
        domain = name.split_once('.').map(|(_, parent)| parent);
    }
    names
}

/// The activity `Block`, or the `Undo` of one, that a device posts to its user's outbox.
///
/// ```text
/// {"type": "Block", "actor": <URL>, optional, "object": <actor id or origin>}
/// {"type": "Undo", "actor": <URL>, optional, "object": {"type": "Block", "object": <as above>}}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockActivity {
    /// The actor id that the device states, if it states one.
    pub actor: Option<String>,
    /// The party.
    pub party: BlockedParty,
    /// True for `Undo`.
    pub is_undone: bool,
}

impl BlockActivity {
    /// Reads the activity of a device of `user`, who has the account at `origin`.
    ///
    /// # Errors
    /// [`Invalid`] for another type, for a member that is missing or has the wrong shape, and for a
    /// block that [`BlockedParty::check_for`] refuses. What cannot be blocked can be undone.
    pub fn parse(value: &Value, origin: &Origin, user: &UserName) -> Result<Self, Invalid> {
        let actor = optional_text(value, "actor")?.map(str::to_owned);
        if has_type(value, "Block") {
            let party = BlockedParty::parse(text(value, "object")?);
            let party = party.and_then(|party| party.check_for(origin, user).map(|()| party));
            let party = party.map_err(|fault| fault.under("/object"))?;
            return Ok(Self { actor, party, is_undone: false });
        }
        if !has_type(value, "Undo") {
            return Err(Invalid::at("/type", "must be Block or Undo"));
        }
        let block = only(value, "object")?;
        if !has_type(block, "Block") {
            return Err(Invalid::at("/object/type", "must be Block"));
        }
        let party = text(block, "object").map_err(|fault| fault.under("/object"))?;
        let party = BlockedParty::parse(party).map_err(|fault| fault.under("/object/object"))?;
        Ok(Self { actor, party, is_undone: true })
    }

    /// Writes the activity, without a context.
    pub fn to_value(&self) -> Value {
        let block = json!({ "type": "Block", "object": self.party.as_str() });
        let mut value = if self.is_undone { json!({ "type": "Undo", "object": block }) } else { block };
        if let (Some(members), Some(actor)) = (value.as_object_mut(), &self.actor) {
            members.insert("actor".to_owned(), json!(actor));
        }
        value
    }
}

/// A block in the list of its owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedBlock {
    /// The party.
    pub party: BlockedParty,
    /// The time of the first `Block`, in epoch milliseconds.
    pub since_ms: i64,
}

impl ListedBlock {
    /// Writes the item of the list: `{"type": "Block", "object": …, "published": …}`.
    pub fn to_value(&self) -> Value {
        let published = timestamp::format(self.since_ms);
        json!({ "type": "Block", "object": self.party.as_str(), "published": published })
    }

    /// Reads an item of the list.
    ///
    /// # Errors
    /// [`Invalid`] for the first member that is missing or has the wrong shape.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let party = BlockedParty::parse(text(value, "object")?).map_err(|fault| fault.under("/object"))?;
        let since_ms = timestamp::parse(text(value, "published")?);
        Ok(Self { party, since_ms: since_ms.map_err(|fault| fault.under("/published"))? })
    }
}

#[cfg(test)]
mod tests;
