//! One fetch of an actor document, and the meaning of what comes back.

use eko_protocol::actor::RemoteActor;
use eko_protocol::address::Origin;
use eko_protocol::http_signature::OutgoingRequest;
use eko_protocol::{deletion, json};
use eko_store::remote::LookupFailure;
use serde_json::Value;
use url::Url;

use crate::client::{ExchangeLimits, FetchError, FetchOutcome, FetchedDocument, GuardRefusal, MediaTypes};
use crate::directory::UNREACHABLE_MS;
use crate::error::reason;
use crate::{Federation, RemoteError, Scheme, Signing};

/// The maximum size of an actor document, in bytes: 64 KiB (`docs/protocol.md`, section 12).
const MAX_ACTOR_BYTES: usize = 64 << 10;

/// The reason why a fetch has no actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FetchFault {
    /// The server did not answer within the time. Holds the reason, for a person.
    TooSlow(String),
    /// The fetch failed in another way.
    Failed(LookupFailure),
}

impl From<FetchFault> for LookupFailure {
    fn from(fault: FetchFault) -> Self {
        match fault {
            FetchFault::TooSlow(why) => Self::Unreachable(why),
            FetchFault::Failed(failure) => failure,
        }
    }
}

impl Federation {
    /// Fetches an actor document, and one document of a key if the actor only links that: the key
    /// `wanted`, or the first one if no key is wanted and the actor holds none. The time of `limits`
    /// is that of both.
    pub(crate) async fn fetch_actor(
        &self,
        id: &str,
        wanted: Option<&str>,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<RemoteActor, FetchFault> {
        within(id, limits, self.actor_with_key(id, wanted, now_ms, limits)).await
    }

    /// Fetches the document of the key `wanted`, which the copy of an actor only links, and returns
    /// the copy with the key. It makes one request.
    pub(crate) async fn fetch_key(
        &self,
        copy: &RemoteActor,
        wanted: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<RemoteActor, FetchFault> {
        within(&copy.id, limits, self.with_linked_key(copy.clone(), Some(wanted), now_ms, limits)).await
    }

    /// Fetches the actor document that a WebFinger link leads to. The link may be an alias: then the
    /// document has another id on the same origin, and is fetched by its own id, once (FEP-fe34).
    pub(crate) async fn fetch_linked_actor(
        &self,
        link: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<RemoteActor, FetchFault> {
        let fetching = async {
            let document = self.fetch_document(link, now_ms, limits).await?;
            let actor = read_document(link, &document).map_err(FetchFault::Failed)?;
            match actor.id == link {
                true => self.with_linked_key(actor, None, now_ms, limits).await,
                false if actor.origin() == Origin::of(link) => {
                    self.actor_with_key(&actor.id, None, now_ms, limits).await
                }
                false => Err(FetchFault::Failed(is_another(link, &actor))),
            }
        };
        within(link, limits, fetching).await
    }

    async fn actor_with_key(
        &self,
        id: &str,
        wanted: Option<&str>,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<RemoteActor, FetchFault> {
        let document = self.fetch_document(id, now_ms, limits).await?;
        let actor = read_document(id, &document).map_err(FetchFault::Failed)?;
        if actor.id != id {
            return Err(FetchFault::Failed(is_another(id, &actor)));
        }
        self.with_linked_key(actor, wanted, now_ms, limits).await
    }

    /// Adds a key that an actor links instead of holding it ([`RemoteActor::key_link`]). A document
    /// that is gone or of no use adds none, and is not asked for again with this copy of the actor.
    async fn with_linked_key(
        &self,
        mut actor: RemoteActor,
        wanted: Option<&str>,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<RemoteActor, FetchFault> {
        let Some(link) = actor.key_link(wanted).map(str::to_owned) else { return Ok(actor) };
        match self.fetch_document(&link, now_ms, limits).await {
            Ok(document) => {
                if let Ok(value) = json::parse(&document.body) {
                    actor.add_linked_key(&link, &value, document.url.as_str());
                }
            }
            Err(FetchFault::Failed(
                LookupFailure::Gone | LookupFailure::Deleted | LookupFailure::Unusable(_),
            )) => {}
            Err(fault) => return Err(fault),
        }
        actor.key_links.retain(|other| *other != link);
        Ok(actor)
    }

    /// Fetches a document, with both signature schemes if necessary.
    async fn fetch_document(
        &self,
        id: &str,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<FetchedDocument, FetchFault> {
        let limits = &ExchangeLimits { body_bytes: MAX_ACTOR_BYTES, ..*limits };
        let knock = async {
            let first = Scheme::Rfc9421;
            let fetched = self.get(id, &Signing::Usual(first), now_ms, limits).await;
            let Err(FetchError::Status { status, accept_signature, .. }) = &fetched else { return fetched };
            let key_id = crate::key_id(&self.origin().server_actor());
            match Signing::second(first, *status, accept_signature.as_deref(), false, &key_id) {
                Some(second) => self.get(id, &second, now_ms, limits).await,
                None => fetched,
            }
        };
        let late = || FetchError::TimedOut { host: id.to_owned(), after: limits.time };
        let fetched = tokio::time::timeout(limits.time, knock).await.unwrap_or_else(|_| Err(late()));
        if let Err(error @ FetchError::TimedOut { .. }) = &fetched {
            return Err(FetchFault::TooSlow(reason(error)));
        }
        let origin = Origin::of(id);
        let is_tombstone = |value: &Value| deletion::is_tombstone(value, id);
        let document = document(fetched, origin.as_ref().map_or("", Origin::authority), is_tombstone);
        // A time-out does not count: one slow address must not exclude the whole server.
        if let (Err(LookupFailure::Unconnected(_)), Some(origin)) = (&document, origin) {
            self.memory.silence(origin, now_ms.saturating_add(UNREACHABLE_MS), now_ms);
        }
        document.map_err(FetchFault::Failed)
    }

    /// Fetches a document, signed by the server's own actor.
    ///
    /// A redirect is followed within the origin only. A document counts for the origin that serves
    /// it, so that one of another origin would be of no use; and whoever names an actor could have
    /// this server send several requests for each to a third one.
    async fn get(
        &self,
        url: &str,
        signing: &Signing,
        now_ms: i64,
        limits: &ExchangeLimits,
    ) -> Result<FetchOutcome, FetchError> {
        let key_id = crate::key_id(&self.origin().server_actor());
        let first = self.client.check_url(url)?;
        let sign = |url: &Url| {
            if url.origin() != first.origin() {
                return Err(GuardRefusal::Redirected {
                    host: first.host_str().unwrap_or_default().to_owned(),
                });
            }
            self.permit_url(url)?;
            let request = OutgoingRequest { method: "GET", url, body: None, key_id: &key_id };
            Ok(self.signed_headers(signing, &request, now_ms))
        };
        self.client.get_json(url, MediaTypes::ACTIVITY, sign, limits).await
    }
}

/// Runs the fetches of an actor within the time of one.
async fn within(
    id: &str,
    limits: &ExchangeLimits,
    fetching: impl Future<Output = Result<RemoteActor, FetchFault>>,
) -> Result<RemoteActor, FetchFault> {
    let late = || FetchError::TimedOut { host: id.to_owned(), after: limits.time };
    tokio::time::timeout(limits.time, fetching)
        .await
        .unwrap_or_else(|_| Err(FetchFault::TooSlow(reason(late()))))
}

/// Reads an actor document that came from the URL `id` or from where that redirects.
fn read_document(id: &str, document: &FetchedDocument) -> Result<RemoteActor, LookupFailure> {
    let unusable = |why: String| LookupFailure::Unusable(reason(format_args!("{id}: {why}")));
    let value = json::parse(&document.body).map_err(|e| unusable(e.to_string()))?;
    RemoteActor::parse(&value, document.url.as_str()).map_err(|e| unusable(e.to_string()))
}

/// Returns the failure of a lookup that led to another actor.
fn is_another(id: &str, actor: &RemoteActor) -> LookupFailure {
    LookupFailure::Unusable(reason(format_args!("{id}: it says that its id is {}", actor.id)))
}

/// Sorts the result of a fetch into a document and the kinds of failures that are kept.
/// `authority` is that of the server that was asked first. A redirect may lead to a server that
/// cannot be connected to, which says nothing about the first one. A 410 tells of a deletion if
/// `proves_deletion` says so of its body, and otherwise no more than a 404: it may pass.
pub(crate) fn document(
    fetched: Result<FetchOutcome, FetchError>,
    authority: &str,
    proves_deletion: impl Fn(&Value) -> bool,
) -> Result<FetchedDocument, LookupFailure> {
    match fetched {
        Ok(FetchOutcome::Document(document)) => Ok(document),
        Ok(FetchOutcome::Gone(body)) if json::parse(&body).is_ok_and(|value| proves_deletion(&value)) => {
            Err(LookupFailure::Deleted)
        }
        Ok(FetchOutcome::Gone(_)) => Err(LookupFailure::Gone),
        Ok(FetchOutcome::NotFound) => Err(LookupFailure::Gone),
        Err(error) if error.unconnected() == Some(authority) => {
            Err(LookupFailure::Unconnected(reason(error)))
        }
        Err(error) if error.is_transient() => Err(LookupFailure::Unreachable(reason(error))),
        Err(error) => Err(LookupFailure::Unusable(reason(error))),
    }
}

/// Returns the error of a failed lookup.
pub(crate) fn error(id: &str, failure: LookupFailure) -> RemoteError {
    match failure {
        LookupFailure::Gone => RemoteError::Gone(id.to_owned()),
        LookupFailure::Deleted => RemoteError::Deleted(id.to_owned()),
        LookupFailure::Unusable(why) => RemoteError::Unusable(why),
        LookupFailure::Unconnected(why) => RemoteError::Unconnected(why),
        LookupFailure::Unreachable(why) => RemoteError::Unreachable(why),
    }
}
