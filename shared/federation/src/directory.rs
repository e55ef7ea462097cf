//! Actors and handles of other servers: from memory, from the table, or from their server.

use std::sync::Arc;

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::{Handle, Origin};
use eko_protocol::{deletion, json};
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
        self.memory.forget(id);
        self.forget_stored(id).await
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
        self.forget_stored(id).await?;
        self.memory.note_forgotten(id, now_ms);
        Ok(())
    }

    async fn forget_stored(&self, id: &str) -> Result<(), RemoteError> {
        let user = Origin::of(id).and_then(|origin| Some((origin.parse_actor(id)?, origin)));
        let acct = user.map(|(user, origin)| format!("acct:{user}@{}", origin.authority()));
        Ok(self.store.forget_actor(id, acct.as_deref()).await?)
    }

    /// Returns the actor id of a handle (WebFinger, RFC 7033): from the table with one GetItem, or
    /// from the handle's server and then with a PutItem for the handle and one for the actor, which
    /// is fetched because the link may be an alias. The actor may be on another server than its
    /// handle.
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
            Ok(link) => self.linked_actor(&link, now_ms, limits).await,
            Err(failure) => Err(failure),
        };
        if let Err(error) = self.store.keep_handle(&acct, &CachedLookup::new(now_ms, result.clone())).await {
            tracing::warn!(%acct, %error, "a lookup is not kept");
        }
        result.map_err(|failure| error(&acct, failure))
    }

    /// Returns the id of the actor that a WebFinger link leads to. The actor is kept, so that it is
    /// not fetched again when something is sent to it.
    async fn linked_actor(
        &self,
        link: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<String, LookupFailure> {
        if self.memory.get(link, now_ms).is_some() {
            return Ok(link.to_owned());
        }
        let actor = self.fetch_linked_actor(link, now_ms, limits).await.map_err(LookupFailure::from)?;
        let id = actor.id.clone();
        self.keep(&id, &CachedLookup::new(now_ms, Ok(actor.clone()))).await;
        self.memory.put(&id, CachedActor { actor: Arc::new(actor), fetched_ms: now_ms }, now_ms);
        Ok(id)
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

    /// Asks for a WebFinger document and returns the link to an actor in it.
    async fn web_finger(
        &self,
        base: &Origin,
        acct: &str,
        limits: &ExchangeLimits,
    ) -> Result<String, LookupFailure> {
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
        Ok(actor.to_owned())
    }
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
