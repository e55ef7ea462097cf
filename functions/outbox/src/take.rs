//! `Take` through the outbox: a device asks its own server for another user's key packages, here or on another
//! server (`docs/protocol.md`, section 4).

use axum::response::Response;
use bytes::Bytes;
use eko_federation::post::refusal;
use eko_federation::{Federation, STEP_TIME, StoredActor, limits};
use eko_protocol::Invalid;
use eko_protocol::activity::context;
use eko_protocol::address::Origin;
use eko_protocol::json;
use eko_protocol::key_package::{PackageCollection, TakeActivity, Target};
use eko_service::caller::{Caller, inactive};
use eko_service::dispatch::Attempted;
use eko_service::{AppState, Federated, Problem, acceptance, dispatch, respond, take};
use http::StatusCode;
use serde_json::{Value, json};

pub(crate) async fn take(state: &Federated, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    let asked = TakeActivity::parse(body, state.origin())?;
    if asked.actor != state.origin().actor(&caller.user) {
        return Err(Problem::NotYours(Invalid::at("/actor", "must be the caller")));
    }
    let collection = match asked.target {
        Target::Handle(_) | Target::Remote(..) => remote(state, caller, asked.target).await?,
        target => {
            let (user, wanted) = take::local_target(target)?;
            take::by_device(state, caller, &user, wanted).await?
        }
    };
    Ok(respond::uncached(respond::activity(StatusCode::OK, &collection)))
}

/// Where a `Take` is posted, and what it asks for.
struct Errand {
    origin: Origin,
    url: String,
    object: Value,
}

/// Packages of a user of another server, asked for on the caller's behalf: one GetItem for the own devices and
/// an UpdateItem for the budget side by side, a GetItem for how the other server fares, what finds the user
/// (see [`Federation::resolve`] and [`Federation::recipient`]), and the POST.
async fn remote(state: &Federated, caller: &Caller, target: Target) -> Result<Value, Problem> {
    let federation = state.federation("/object")?;
    let actor = state.origin().actor(&caller.user);
    let subject = match &target {
        Target::Handle(handle) => handle.acct(),
        Target::Remote(origin, _) => origin.to_string(),
        Target::All(_) | Target::Some(..) => String::new(),
    };
    let (own, spent) = tokio::join!(
        state.store().device_set(&caller.user),
        acceptance::spend_bytes(state, &actor, &subject, 0)
    );
    let own = own?.ok_or(Problem::DeviceRevoked)?;
    if !own.active.contains_key(&caller.device) {
        return Err(inactive(&own, &caller.device));
    }
    spent?;
    let errand = errand(state, federation, target).await?;
    let origin = &errand.origin;
    let host = state.store().host(origin.authority()).await?;
    if dispatch::admitted(state, origin, &host).await?.is_err() {
        return Err(Problem::RemoteUnreachable(host.why));
    }
    let body = json!({
        "@context": context(state.origin()),
        "type": "Take",
        "actor": actor,
        "object": errand.object,
    });
    let body = Bytes::from(body.to_string());
    let (scheme, limits) = (dispatch::scheme(&host), limits(STEP_TIME));
    let posted = federation.post(&errand.url, &actor, &body, scheme, state.now_ms(), &limits).await;
    let failed = |why: &str| Problem::RemoteFailed(format!("{}: {why}", origin.authority()));
    match dispatch::note(state, origin, &host, posted).await? {
        Attempted::Answered(response) => match response.status() {
            StatusCode::OK => packages(state, origin, response.body()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Problem::NotFound("user")),
            StatusCode::FORBIDDEN => Err(Problem::NotFederated(format!(
                "{} does not federate with this server",
                origin.authority()
            ))),
            _ => Err(failed(&refusal(&response))),
        },
        Attempted::Later { why, .. } => Err(Problem::RemoteUnreachable(why)),
        Attempted::Never(why) => Err(Problem::RemoteFailed(why)),
    }
}

/// A handle is looked up; addresses are those of the contract (`docs/protocol.md`, section 2), by which a
/// package names its collection.
async fn errand(state: &AppState, federation: &Federation, target: Target) -> Result<Errand, Problem> {
    let limits = limits(STEP_TIME);
    let unknown = || Invalid::at("/object", "is no collection of key packages and no key package");
    match target {
        Target::Handle(handle) => {
            let id = federation.resolve(&handle, state.now_ms(), &limits).await?;
            let known = federation.recipient(&id, StoredActor::Unread, state.now_ms(), &limits).await?;
            let url = known.actor.key_packages.clone();
            let url = url.ok_or_else(|| Problem::RemoteFailed(format!("{handle} has no key packages")))?;
            let origin = federation.permitted(&url)?;
            Ok(Errand { origin, object: json!(url), url })
        }
        Target::Remote(origin, ids) => {
            federation.permit(&origin)?;
            let first = ids.first().map(String::as_str).unwrap_or_default();
            let package = origin.parse_key_package(first);
            match (package, origin.parse_key_packages(first)) {
                (Some((user, _)), _) => {
                    let url = origin.key_packages(&user);
                    let of_user =
                        |id: &String| origin.parse_key_package(id).is_some_and(|(other, _)| other == user);
                    if !ids.iter().all(of_user) {
                        return Err(unknown().into());
                    }
                    Ok(Errand { url, object: json!(ids), origin })
                }
                (None, Some(_)) if ids.len() == 1 => {
                    Ok(Errand { url: first.to_owned(), object: json!(first), origin })
                }
                _ => Err(unknown().into()),
            }
        }
        Target::All(_) | Target::Some(..) => Err(unknown().into()),
    }
}

/// The answer with the members that are known, each package on the server that was asked.
fn packages(state: &AppState, origin: &Origin, body: &Bytes) -> Result<Value, Problem> {
    let failed = |why: String| Problem::RemoteFailed(format!("{}: {why}", origin.authority()));
    let value = json::parse(body).map_err(|e| failed(e.to_string()))?;
    let taken = PackageCollection::parse(&value, origin).map_err(|e| failed(e.to_string()))?;
    Ok(taken.to_value(state.origin()))
}
