//! Actors and handles of other servers: from memory, from the table, or from their server.

use std::sync::Arc;

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::{Handle, Origin};
use eko_protocol::http_signature::OutgoingRequest;
use eko_protocol::json;
use eko_protocol::json::has_type;
use eko_store::remote::{CachedLookup, LookupFailure};
use serde_json::Value;

use crate::client::{ExchangeLimits, FetchError, FetchOutcome, FetchedDocument, GuardRefusal, MediaTypes};
use crate::error::reason;
use crate::memory::CachedActor;
use crate::{Federation, RemoteError, Scheme, asks_for_another};

/// The time for which a copy is used without a new fetch, in milliseconds: 24 hours
/// (`docs/protocol.md`, section 7).
const FRESH_MS: i64 = 24 * 3_600_000;
/// The time for which the answer that an actor does not exist is used without a new fetch, in
/// milliseconds.
const GONE_MS: i64 = 3_600_000;
/// The time for which an unusable answer is not fetched again, in milliseconds.
const UNUSABLE_MS: i64 = 600_000;
/// The time for which a server counts as out of reach after a failure, in milliseconds.
const UNREACHABLE_MS: i64 = 60_000;

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
    fn permit_url(&self, url: &url::Url) -> Result<(), GuardRefusal> {
        let origin = Origin::parse(&url.origin().ascii_serialization()).ok();
        match origin.is_some_and(|origin| self.permit(&origin).is_ok()) {
            true => Ok(()),
            false => Err(GuardRefusal::NotFederated { host: url.host_str().unwrap_or_default().to_owned() }),
        }
    }

    /// Returns an actor: from memory, or with one GetItem, or from its server and then with a
    /// PutItem.
    ///
    /// A failure is stored as well, and a server out of reach is noted, so that many messages from
    /// one server do not become many fetches.
    ///
    /// # Errors
    /// [`RemoteError::NotFederated`], [`RemoteError::Gone`], [`RemoteError::Unusable`],
    /// [`RemoteError::Unconnected`], [`RemoteError::Unreachable`], or the store's error.
    pub async fn actor(
        &self,
        id: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<CachedActor, RemoteError> {
        let origin = self.permitted(id)?;
        if let Some(known) = self.memory.get(id, now_ms) {
            return Ok(known);
        }
        let copy = self.store.remote_actor(id).await?;
        if copy.is_none() && self.memory.is_silent(&origin, now_ms) {
            let authority = origin.authority();
            return Err(RemoteError::Unreachable(format!("{authority} was out of reach a moment ago")));
        }
        self.actor_from_copy(id, copy, now_ms, limits).await
    }

    /// Returns an actor that something is to be sent to. Unlike [`Federation::actor`], it asks the
    /// actor's server even if that was out of reach a moment ago: a sender consults the circuit
    /// breaker of the server instead.
    ///
    /// # Errors
    /// Those of [`Federation::actor`].
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
        let copy = copy.filter(|copy| !copy.result.as_ref().is_err_and(is_out_of_reach));
        self.actor_from_copy(id, copy, now_ms, limits).await
    }

    /// Returns an actor from the copy in the table if that is recent, and fetches it otherwise.
    async fn actor_from_copy(
        &self,
        id: &str,
        copy: Option<CachedLookup<RemoteActor>>,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<CachedActor, RemoteError> {
        let Some(copy) = copy else { return self.refetch(id, now_ms, limits).await };
        let age = now_ms.saturating_sub(copy.fetched_ms);
        match copy.result {
            Ok(actor) => {
                let known = CachedActor { actor: Arc::new(actor), fetched_ms: copy.fetched_ms };
                if age < FRESH_MS {
                    self.memory.put(id, known.clone(), now_ms);
                    return Ok(known);
                }
                match self.refetch(id, now_ms, limits).await {
                    // If the server is out of reach, its users are still known.
                    Err(RemoteError::Unreachable(_) | RemoteError::Unconnected(_)) => Ok(known),
                    fetched => fetched,
                }
            }
            Err(silence) if age < remembered_ms(&silence) => Err(error(id, silence)),
            Err(_) => self.refetch(id, now_ms, limits).await,
        }
    }

    /// Fetches an actor from its server and puts it into the table and into memory.
    ///
    /// # Errors
    /// Those of [`Federation::actor`].
    pub async fn refetch(
        &self,
        id: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<CachedActor, RemoteError> {
        self.permitted(id)?;
        let result = self.fetch_actor(id, now_ms, limits).await;
        if let Err(silence) = &result
            && is_out_of_reach(silence)
            && let Some(CachedLookup { fetched_ms, result: Ok(actor) }) = self.store.remote_actor(id).await?
        {
            // The existing copy stays. In memory it gets the time of this attempt, so that forged
            // signatures and an old copy do not cause another attempt at once.
            tracing::debug!(actor = id, fetched_ms, ?silence, "not refetched");
            self.memory.put(id, CachedActor { actor: Arc::new(actor), fetched_ms: now_ms }, now_ms);
            return Err(error(id, silence.clone()));
        }
        self.store.keep_actor(id, &CachedLookup { fetched_ms: now_ms, result: result.clone() }).await?;
        match result {
            Ok(actor) => {
                let known = CachedActor { actor: Arc::new(actor), fetched_ms: now_ms };
                self.memory.put(id, known.clone(), now_ms);
                Ok(known)
            }
            Err(silence) => {
                self.memory.forget(id);
                Err(error(id, silence))
            }
        }
    }

    /// Removes an actor that was deleted from memory and table.
    ///
    /// # Errors
    /// [`RemoteError`] with the store's error.
    pub async fn forget(&self, id: &str) -> Result<(), RemoteError> {
        self.memory.forget(id);
        Ok(self.store.forget_actor(id).await?)
    }

    /// Returns the actor id of a handle (WebFinger, RFC 7033): from the table with one GetItem, or
    /// from the handle's server and then with a PutItem. The actor may be on another server than
    /// its handle.
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
                Ok(actor) if age < FRESH_MS => return Ok(actor),
                Err(silence) if age < remembered_ms(&silence) => return Err(error(&acct, silence)),
                _ => {}
            }
        }
        let result = self.web_finger(&base, &acct, limits).await;
        self.store.keep_handle(&acct, &CachedLookup { fetched_ms: now_ms, result: result.clone() }).await?;
        result.map_err(|silence| error(&acct, silence))
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

    /// Fetches an actor document, with both signature schemes if necessary.
    async fn fetch_actor(
        &self,
        id: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<RemoteActor, LookupFailure> {
        let knock = async {
            let fetched = self.get(id, Scheme::Rfc9421, now_ms, limits).await;
            match &fetched {
                Err(FetchError::Status { status, .. }) if asks_for_another(*status) => {
                    self.get(id, Scheme::Rfc9421.other(), now_ms, limits).await
                }
                _ => fetched,
            }
        };
        let late = || FetchError::TimedOut { host: id.to_owned(), after: limits.time };
        let fetched = tokio::time::timeout(limits.time, knock).await.unwrap_or_else(|_| Err(late()));
        let origin = Origin::of(id);
        let authority = origin.as_ref().map_or("", Origin::authority);
        let document = document(fetched, authority);
        // A time-out does not count: one slow address must not exclude the whole server.
        if let (Err(LookupFailure::Unconnected(_)), Some(origin)) = (&document, &origin) {
            self.memory.silence(origin.clone(), now_ms.saturating_add(UNREACHABLE_MS), now_ms);
        }
        let document = document?;
        let unusable = |why: String| LookupFailure::Unusable(reason(format_args!("{id}: {why}")));
        let value = json::parse(&document.body).map_err(|e| unusable(e.to_string()))?;
        let actor = RemoteActor::parse(&value, document.url.as_str()).map_err(|e| unusable(e.to_string()))?;
        if actor.id == id { Ok(actor) } else { Err(unusable(format!("it says that its id is {}", actor.id))) }
    }

    /// Fetches a document, signed by the server's own actor.
    async fn get(
        &self,
        url: &str,
        scheme: Scheme,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<FetchOutcome, FetchError> {
        let key_id = crate::key_id(&self.origin().server_actor());
        let sign = |url: &url::Url| {
            self.permit_url(url)?;
            let request = OutgoingRequest { method: "GET", url, body: None, key_id: &key_id };
            Ok(self.signed_headers(scheme, &request, now_ms))
        };
        self.client.get_json(url, MediaTypes::ACTIVITY, sign, limits).await
    }

    /// Asks for a WebFinger document and returns the actor id that it links to.
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
        let document = document(fetched, base.authority())?;
        let unusable =
            |why: &str| LookupFailure::Unusable(reason(format_args!("WebFinger of {acct}: {why}")));
        let value = json::parse(&document.body).map_err(|e| unusable(&e.to_string()))?;
        let links = value.get("links").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_actor = |link: &&Value| {
            let member = |name: &str| link.get(name).and_then(Value::as_str);
            member("rel") == Some("self")
                && member("type").is_some_and(|kind| MediaTypes::ACTIVITY.takes(kind))
        };
        let link = links.iter().find(is_actor).ok_or_else(|| unusable("it links to no actor"))?;
        let actor = link.get("href").and_then(Value::as_str).unwrap_or_default();
        self.permitted(actor).map_err(|e| unusable(&e.to_string()))?;
        Ok(actor.to_owned())
    }

    /// True if an activity is a `Delete` of the actor who sends it.
    pub fn is_own_deletion(activity: &Value, actor: &str) -> bool {
        let object = activity.get("object");
        let deleted = object.and_then(Value::as_str).or_else(|| object?.get("id")?.as_str());
        has_type(activity, "Delete") && deleted == Some(actor)
    }
}

/// Returns the time for which a failure counts.
fn remembered_ms(silence: &LookupFailure) -> i64 {
    match silence {
        LookupFailure::Gone => GONE_MS,
        LookupFailure::Unusable(_) => UNUSABLE_MS,
        LookupFailure::Unconnected(_) | LookupFailure::Unreachable(_) => UNREACHABLE_MS,
    }
}

/// True if the server may answer the same lookup later.
fn is_out_of_reach(silence: &LookupFailure) -> bool {
    matches!(silence, LookupFailure::Unconnected(_) | LookupFailure::Unreachable(_))
}

/// Sorts the result of a fetch into a document and the kinds of failures that are stored.
/// `authority` is that of the server that was asked first. A redirect may lead to a server that
/// cannot be connected to, which says nothing about the first one.
fn document(
    fetched: Result<FetchOutcome, FetchError>,
    authority: &str,
) -> Result<FetchedDocument, LookupFailure> {
    match fetched {
        Ok(FetchOutcome::Document(document)) => Ok(document),
        Ok(FetchOutcome::Gone | FetchOutcome::NotFound) => Err(LookupFailure::Gone),
        Err(error) if error.unconnected() == Some(authority) => {
            Err(LookupFailure::Unconnected(reason(error)))
        }
        Err(error) if error.is_transient() => Err(LookupFailure::Unreachable(reason(error))),
        Err(error) => Err(LookupFailure::Unusable(reason(error))),
    }
}

/// Returns the error of a failed lookup.
fn error(id: &str, silence: LookupFailure) -> RemoteError {
    match silence {
        LookupFailure::Gone => RemoteError::Gone(id.to_owned()),
        LookupFailure::Unusable(why) => RemoteError::Unusable(why),
        LookupFailure::Unconnected(why) => RemoteError::Unconnected(why),
        LookupFailure::Unreachable(why) => RemoteError::Unreachable(why),
    }
}
