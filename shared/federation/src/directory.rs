//! Actors and handles of other servers: from memory, from the table, or from their server.

use std::collections::BTreeSet;
use std::sync::Arc;

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::{Handle, Origin};
use eko_protocol::{deletion, json};
use eko_store::inbound::site;
use eko_store::remote::{BRIEFLY_KEPT_MS, CachedLookup, KEPT_MS, LookupFailure};
use serde_json::Value;

use crate::client::{ExchangeLimits, GuardRefusal, MediaTypes};
use crate::error::reason;
use crate::fetch::{document, error};
use crate::memory::CachedActor;
use crate::{Federation, RemoteError};

/// The time for which a server counts as out of reach after a failure, in milliseconds.
pub(crate) const UNREACHABLE_MS: i64 = 60_000;

/// The copy of a remote actor in the table, as far as the caller of [`Federation::recipient`] knows
/// it.
#[derive(Debug, Clone)]
pub enum StoredActor {
    /// The caller has not read the table.
    Unread,
    /// The caller has read the table and found this copy, or none.
    Read(Option<CachedLookup<RemoteActor>>),
}

impl Federation {
    /// Returns the origin of an id, if this server federates with the server of the id.
    ///
    /// # Errors
    /// [`RemoteError::NotFederated`] if the policy excludes the server, if the text is not an id of
    /// a server, or if the server is this one.
    pub fn permitted(&self, id: &str) -> Result<Origin, RemoteError> {
        let origin = Origin::of(id).ok_or_else(|| RemoteError::NotFederated(reason(id)))?;
        self.permit(&origin)?;
        Ok(origin)
    }

    /// Checks that this server federates with the server at `origin`.
    ///
    /// # Errors
    /// [`RemoteError::NotFederated`] if the policy excludes the server, if the client could not ask
    /// it, or if it is this one.
    pub fn permit(&self, origin: &Origin) -> Result<(), RemoteError> {
        let reachable = self.client.check_url(origin.as_str()).is_ok();
        let permitted = reachable && origin != self.origin() && self.settings.policy.permits(origin);
        if permitted { Ok(()) } else { Err(RemoteError::NotFederated(origin.authority().to_owned())) }
    }

    /// Checks the server of a URL before it is fetched, also of the target of a redirect.
    pub(crate) fn permit_url(&self, url: &url::Url) -> Result<(), GuardRefusal> {
        let origin = Origin::parse(&url.origin().ascii_serialization()).ok();
        match origin.is_some_and(|origin| self.permit(&origin).is_ok()) {
            true => Ok(()),
            false => Err(GuardRefusal::NotFederated { host: url.host_str().unwrap_or_default().to_owned() }),
        }
    }

    /// Returns an actor that something is to be sent to: from memory, from the copy in the table
    /// (one GetItem, if the caller has not read it), or from its server and then with a PutItem.
    ///
    /// It asks the actor's server even if that was out of reach a moment ago: a sender consults the
    /// circuit breaker of the server instead. A failure is kept as well.
    ///
    /// # Errors
    /// [`RemoteError::NotFederated`], [`RemoteError::Gone`], [`RemoteError::Unusable`],
    /// [`RemoteError::Unconnected`], [`RemoteError::Unreachable`], or the store's error.
    pub async fn recipient(
        &self,
        id: &str,
        stored: StoredActor,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<CachedActor, RemoteError> {
        self.permitted(id)?;
        if let Some(known) = self.memory.get(id, now_ms) {
            return Ok(known);
        }
        let copy = match stored {
            StoredActor::Read(copy) => copy,
            StoredActor::Unread => self.store.remote_actor(id).await?,
        };
        if let Some(copy) = copy {
            let age_ms = now_ms.saturating_sub(copy.fetched_ms);
            let counts = age_ms < copy.kept_ms();
            match copy.result {
                Ok(actor) if counts => {
                    let known = CachedActor { actor: Arc::new(actor), fetched_ms: copy.fetched_ms };
                    self.memory.put(id, known.clone(), now_ms);
                    return Ok(known);
                }
                Err(failure) if counts && !is_out_of_reach(&failure) => return Err(error(id, failure)),
                _ => {}
            }
        }
        let result = self.fetch_actor(id, None, now_ms, limits).await.map_err(LookupFailure::from);
        self.keep(id, &CachedLookup::new(now_ms, result.clone())).await;
        let actor = result.map_err(|failure| error(id, failure))?;
        let known = CachedActor { actor: Arc::new(actor), fetched_ms: now_ms };
        self.memory.put(id, known.clone(), now_ms);
        Ok(known)
    }

    /// Keeps a lookup of an actor in the table. If that fails, the lookup is made again the next
    /// time: nothing depends on it.
    pub(crate) async fn keep(&self, id: &str, lookup: &CachedLookup<RemoteActor>) {
        if let Err(error) = self.store.keep_actor(id, lookup).await {
            tracing::warn!(actor = id, %error, "a lookup is not kept");
        }
    }

    /// Removes an actor, who was deleted or has changed, and the actor's handle from memory and table. The
    /// next signature of the actor is verified with a document that is fetched then. The handle is known
    /// of ids in the layout of this protocol; that of another actor is forgotten after a day.
    ///
    /// One BatchWriteItem. Other processes use their memory for up to five minutes more.
    ///
    /// # Errors
    /// [`RemoteError`] with the store's error.
    pub async fn forget(&self, id: &str) -> Result<(), RemoteError> {
        let known = self.memory.forget(id);
        self.forget_stored(id, known.as_ref().and_then(|known| known.actor.handle.as_ref())).await
    }

    /// Removes what the table keeps of an actor that is gone, and who says so: document, keys and handle.
    /// The actor may not be kept any more while the handle is, or be kept as one that could not be had.
    ///
    /// One BatchWriteItem; none for ten minutes after it, as far as this process knows, since nobody has
    /// verified who says so. What memory has of the actor is the failed lookup, which stays.
    ///
    /// # Errors
    /// [`RemoteError`] with the store's error.
    pub async fn forget_gone(&self, id: &str, now_ms: i64) -> Result<(), RemoteError> {
        if self.memory.is_forgotten(id, now_ms) {
            return Ok(());
        }
        self.forget_stored(id, None).await?;
        self.memory.note_forgotten(id, now_ms);
        Ok(())
    }

    /// `claimed` is the handle that the actor has claimed, as far as it is known. It is forgotten if it is
    /// at the site of the actor's server: nobody has others' handles forgotten. Any other one is kept until
    /// its day is over.
    async fn forget_stored(&self, id: &str, claimed: Option<&Handle>) -> Result<(), RemoteError> {
        let user = Origin::of(id).and_then(|origin| Some((origin.parse_actor(id)?, origin)));
        let is_near = |claimed: &&Handle| {
            user.as_ref().is_some_and(|(_, origin)| site(claimed.authority()) == site(origin.authority()))
        };
        let claimed = claimed.filter(is_near).map(Handle::acct);
        let own = user.as_ref().map(|(user, origin)| Handle::new(user.clone(), origin).acct());
        let accts: BTreeSet<String> = own.into_iter().chain(claimed).collect();
        Ok(self.store.forget_actor(id, &accts).await?)
    }

    /// Returns the actor id of a handle (WebFinger, RFC 7033): from the table with one GetItem, or
    /// from the handle's server and then with a PutItem for the handle and one for the actor, which
    /// is fetched because the link may be an alias. The actor may be on another server than its
    /// handle, if the actor names the handle, too: so nobody gives somebody else's actor a handle.
    ///
    /// # Errors
    /// [`RemoteError::NotFederated`] for the server of the handle or of the actor,
    /// [`RemoteError::Gone`], [`RemoteError::Unusable`], [`RemoteError::Unconnected`],
    /// [`RemoteError::Unreachable`], or the store's error.
    pub async fn resolve(
        &self,
        handle: &Handle,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<String, RemoteError> {
        let base = self.base_of(handle)?;
        let acct = handle.acct();
        if let Some(copy) = self.store.remote_handle(&acct).await? {
            let age = now_ms.saturating_sub(copy.fetched_ms);
            match copy.result {
                Ok(actor) if age < KEPT_MS => return Ok(actor),
                Err(failure) if age < remembered_ms(&failure) => return Err(error(&acct, failure)),
                _ => {}
            }
        }
        let result = match self.web_finger(&base, &acct, limits).await {
            Ok(found) if Origin::of(&found.link).as_ref() == Some(&base) => {
                self.linked_actor(&found.link, now_ms, limits).await.map(|actor| actor.id.clone())
            }
            Ok(found) => self.delegated_actor(handle, &found, now_ms, limits).await,
            Err(failure) => Err(failure),
        };
        if let Err(error) = self.store.keep_handle(&acct, &CachedLookup::new(now_ms, result.clone())).await {
            tracing::warn!(%acct, %error, "a lookup is not kept");
        }
        result.map_err(|failure| error(&acct, failure))
    }

    /// Returns the actor that a WebFinger link leads to. The actor is kept, so that it is not fetched
    /// again when something is sent to it.
    async fn linked_actor(
        &self,
        link: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<Arc<RemoteActor>, LookupFailure> {
        if let Some(known) = self.memory.get(link, now_ms) {
            return Ok(known.actor);
        }
        let actor = self.fetch_linked_actor(link, now_ms, limits).await.map_err(LookupFailure::from)?;
        self.keep(&actor.id, &CachedLookup::new(now_ms, Ok(actor.clone()))).await;
        let actor = Arc::new(actor);
        let known = CachedActor { actor: Arc::clone(&actor), fetched_ms: now_ms };
        self.memory.put(&actor.id, known, now_ms);
        Ok(actor)
    }

    /// Returns the id of an actor on another server than its handle, if that server names the handle,
    /// too: in the actor document, as the subject of the answer that came from it by a redirect, or as
    /// the subject of its own WebFinger, which is asked if the document says nothing. The time of
    /// `limits` is that of all of it.
    async fn delegated_actor(
        &self,
        handle: &Handle,
        found: &WebFingerAnswer,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<String, LookupFailure> {
        let looking = async {
            let actor = self.linked_actor(&found.link, now_ms, limits).await?;
            let origin = actor.origin().filter(|origin| found.served_by.as_ref() != Some(origin));
            let named = match (&actor.handle, origin) {
                (Some(claimed), _) => Some(claimed.clone()),
                (None, None) => found.subject.clone(),
                (None, Some(origin)) => {
                    let answer = self.web_finger(&origin, &actor.id, limits).await?;
                    answer.subject.filter(|_| answer.link == actor.id)
                }
            };
            match named.is_some_and(|named| named.is_same(handle)) {
                true => Ok(actor.id.clone()),
                false => Err(LookupFailure::Unusable(reason(format_args!("{} is not {handle}", actor.id)))),
            }
        };
        let late = || LookupFailure::Unreachable(reason(format_args!("{} took too long", found.link)));
        tokio::time::timeout(limits.time, looking).await.unwrap_or_else(|_| Err(late()))
    }

    /// Returns the origin to ask for a handle's WebFinger document: https, or http for a server of
    /// local mode.
    fn base_of(&self, handle: &Handle) -> Result<Origin, RemoteError> {
        let authority = handle.authority();
        let local = Origin::parse(&format!("http://{authority}")).ok();
        let origin = match local.filter(|_| self.client.allows_loopback_http()) {
            Some(local) => local,
            None => Origin::parse(&format!("https://{authority}"))
                .map_err(|_| RemoteError::NotFederated(authority.to_owned()))?,
        };
        self.permit(&origin)?;
        Ok(origin)
    }

    /// Asks for the WebFinger document of a handle (`acct:…`) or an actor id, and reads the link to an
    /// actor in it.
    async fn web_finger(
        &self,
        base: &Origin,
        acct: &str,
        limits: &ExchangeLimits,
    ) -> Result<WebFingerAnswer, LookupFailure> {
        let mut url = url::Url::parse(base.as_str()).map_err(|e| LookupFailure::Unusable(reason(e)))?;
        url.set_path("/.well-known/webfinger");
        url.query_pairs_mut().append_pair("resource", acct);
        let permit = |url: &url::Url| self.permit_url(url).map(|()| Vec::new());
        let fetched = self.client.get_json(url.as_str(), MediaTypes::WEBFINGER, permit, limits).await;
        let document = document(fetched, base.authority(), deletion::is_user_deleted)?;
        let unusable =
            |why: &str| LookupFailure::Unusable(reason(format_args!("WebFinger of {acct}: {why}")));
        let value = json::parse(&document.body).map_err(|e| unusable(&e.to_string()))?;
        let is_own =
            |link: &&Value| json::text(link, "rel").is_ok_and(|rel| rel.eq_ignore_ascii_case("self"));
        let own = || json::list(&value, "links").iter().filter(is_own);
        let is_actor =
            |link: &&Value| json::text(link, "type").is_ok_and(|kind| MediaTypes::ACTIVITY.takes(kind));
        // A link may leave its type out (RFC 7033, section 4.4.4.2). What is fetched shows it.
        let link = own().find(is_actor).or_else(|| own().find(|link| json::list(link, "type").is_empty()));
        let actor = link.and_then(|link| json::text(link, "href").ok());
        let actor = actor.ok_or_else(|| unusable("it links to no actor"))?;
        self.permitted(actor).map_err(|e| unusable(&e.to_string()))?;
        let subject = json::text(&value, "subject").ok().and_then(|subject| Handle::parse(subject).ok());
        let served_by = Origin::parse(&document.url.origin().ascii_serialization()).ok();
        Ok(WebFingerAnswer { link: actor.to_owned(), subject, served_by })
    }
}

/// An answer of WebFinger.
struct WebFingerAnswer {
    /// The link to the actor.
    link: String,
    /// The handle that the answer is about, if it names one.
    subject: Option<Handle>,
    /// The server that the answer came from, after redirects.
    served_by: Option<Origin>,
}

/// True if the server may answer the same lookup later.
pub(crate) fn is_out_of_reach(failure: &LookupFailure) -> bool {
    matches!(failure, LookupFailure::Unconnected(_) | LookupFailure::Unreachable(_))
}

/// Returns the time for which a failure counts.
pub(crate) fn remembered_ms(failure: &LookupFailure) -> i64 {
    match failure {
        LookupFailure::Gone | LookupFailure::Deleted | LookupFailure::Unusable(_) => BRIEFLY_KEPT_MS,
        LookupFailure::Unconnected(_) | LookupFailure::Unreachable(_) => UNREACHABLE_MS,
    }
}
