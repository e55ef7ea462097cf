//! Taking key packages (`docs/protocol.md`, section 4): by a device here, by another server, and by
//! a device here from another server.

use bytes::Bytes;
use eko_federation::post::{Posted, PostedKind, ServerAnswer, TakeAnswer, may_have_moved};
use eko_federation::{CachedActor, Federation, RemoteError, STEP_TIME, StoredActor, limits};
use eko_protocol::activity::activity_type;
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use eko_protocol::key_package::{KeyPackage, LocalPackages, RemotePackages, RequestedDevices};
use eko_protocol::vocabulary::context;
use eko_protocol::{Invalid, collection};
use eko_store::device::DeviceAddress;
use eko_store::devices::UserDevices;
use eko_store::inbound::site;
use eko_store::one_time_keys::{TakeBudget, TakenPackage, TakerLimit};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Builder;

use crate::active_device::{require_reachable, require_sending};
use crate::budget::share_of_others;
use crate::dispatch::{Admission, DispatchOutcome, first_scheme};
use crate::{Messaging, Refusal, Result};

/// The name of all other servers together among the takers. No actor id and no site begins so.
const OTHER_SERVERS: &str = "*";

/// A `Take` that is posted to another server.
struct RemoteTake {
    /// The other server.
    origin: Origin,
    /// The inbox of the user whose packages are taken.
    inbox: String,
    /// The `object` of the `Take`.
    object: Value,
    /// The copy of the actor that names inbox and object; `None` if the layout of ids does.
    named_by: Option<CachedActor>,
}

impl RemoteTake {
    /// Creates the `Take` of all packages of an actor.
    ///
    /// # Errors
    /// [`RemoteError::Unusable`] if the actor has no key packages; [`RemoteError::NotFederated`].
    fn of_actor(federation: &Federation, known: CachedActor) -> std::result::Result<Self, RemoteError> {
        let actor = &known.actor;
        let packages = actor.key_packages.as_ref();
        let packages =
            packages.ok_or_else(|| RemoteError::Unusable(format!("{} has no key packages", actor.id)))?;
        let origin = federation.permitted(packages)?;
        Ok(Self { origin, object: json!(packages), inbox: actor.inbox.clone(), named_by: Some(known) })
    }
}

impl Messaging {
    /// Takes packages of a user here for the device `caller`. Returns the collection.
    ///
    /// BatchGetItem of both device sets, GetItem of the acquaintance if the owner lets only known
    /// actors write, an UpdateItem per device that claims places in the pools,
    /// BatchGetItem of the keys.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::UnknownUser`],
    /// [`Refusal::UserMoved`], [`Refusal::AccountMoved`];
    /// [`Refusal::Invalid`] if a package is of a device that is not active; the store is broken or
    /// out of reach.
    pub async fn take_for_device(&self, caller: DeviceAddress<'_>, packages: LocalPackages) -> Result<Value> {
        let [own, owner] = self.store().device_sets([caller.user, &packages.user]).await?;
        require_sending(own, caller.device)?;
        let owner = require_reachable(owner)?;
        let taker = self.origin().actor(caller.user);
        let limits = self.limits();
        let budget = TakeBudget {
            each: vec![TakerLimit { taker: &taker, most: limits.take_budget }],
            total: limits.take_total_budget,
            withholds: self.withholds_from(&packages.user, &owner, &taker).await?,
            server: None,
        };
        self.take(&budget, packages, &owner).await
    }

    /// Takes packages of a user here for an actor of another server. Returns the collection.
    ///
    /// GetItem of the device set, GetItem of the acquaintance if the owner lets only known actors
    /// write, an UpdateItem per device, BatchGetItem of the keys. The site of
    /// the actor's server has a budget beside the actor's own, since a server may have as many
    /// actors as it likes, and a domain as many servers. All other servers together have three
    /// quarters of the total.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`]; [`Refusal::Invalid`] for a package of a device that is not active;
    /// the store is broken or out of reach.
    pub async fn take_for_server(&self, actor: &RemoteActor, packages: LocalPackages) -> Result<Value> {
        let owner = require_reachable(self.store().device_set(&packages.user).await?)?;
        let origin = actor.origin();
        let site = origin.as_ref().map(|origin| site(origin.authority())).unwrap_or_default();
        let limits = self.limits();
        let budget = TakeBudget {
            each: vec![
                TakerLimit { taker: &actor.id, most: limits.take_budget },
                TakerLimit { taker: site, most: limits.take_server_budget },
                TakerLimit { taker: OTHER_SERVERS, most: share_of_others(limits.take_total_budget) },
            ],
            total: limits.take_total_budget,
            withholds: self.withholds_from(&packages.user, &owner, &actor.id).await?,
            server: origin.as_ref(),
        };
        self.take(&budget, packages, &owner).await
    }

    async fn take(
        &self,
        budget: &TakeBudget<'_>,
        packages: LocalPackages,
        owner: &UserDevices,
    ) -> Result<Value> {
        let user = &packages.user;
        let devices = match packages.devices {
            RequestedDevices::All => owner.active.keys().cloned().collect(),
            RequestedDevices::Named(devices) => {
                if let Some(index) = devices.iter().position(|device| !owner.active.contains_key(device)) {
                    let pointer = format!("/object/{index}");
                    return Err(Invalid::at(pointer, "is no package of an active device").into());
                }
                devices
            }
        };
        let taken = self.store().take_keys(user, &devices, budget, self.now_ms()).await?;
        let packages: Vec<KeyPackage> =
            taken.into_iter().map(|(device, taken)| package(self.origin(), user, &device, taken)).collect();
        Ok(collection::key_packages(self.origin(), user, &packages, Some(&owner.set)))
    }

    /// Takes packages of a user of another server for the device `caller`. Returns the collection.
    ///
    /// GetItem of the own device set beside the two UpdateItem of the budgets, of the account and of
    /// what is asked for; then the calls that find the user ([`Federation::resolve`],
    /// [`Federation::recipient`]); GetItem of the other server's record; the POST. If the inbox is
    /// not there, the user may be fetched once more ([`Federation::renewed`]), and another inbox is
    /// asked. Nobody is asked for a device that is not active, or for an account over its budget.
    /// What was asked stays charged.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`],
    /// [`Refusal::UnknownUser`]; [`RemoteError`]; the store is broken or out of reach.
    pub async fn take_from_server(
        &self,
        federation: &Federation,
        caller: DeviceAddress<'_>,
        packages: RemotePackages,
    ) -> Result<Value> {
        let actor = self.origin().actor(caller.user);
        let subject = match &packages {
            RemotePackages::OfHandle(handle) => handle.acct(),
            RemotePackages::OnServer { origin, .. } => site(origin.authority()).to_owned(),
        };
        let (account, subject) = (self.request_charge(caller.user), self.take_charge(&actor, &subject));
        let (own, spending) =
            tokio::join!(self.store().device_set(caller.user), self.spend(Some(account), Some(subject)));
        self.check_sender(caller, own, spending).await?;
        let take = self.remote_take(federation, packages).await?;
        let answer = self.post_take(federation, &actor, &take).await?;
        let renewed = match &take.named_by {
            Some(known) if may_have_moved(answer.status()) => {
                federation.renewed(known, self.now_ms(), &limits(STEP_TIME)).await?
            }
            _ => None,
        };
        let (take, answer) = match renewed.map(|known| RemoteTake::of_actor(federation, known)).transpose()? {
            Some(moved) if (&moved.inbox, &moved.object) != (&take.inbox, &take.object) => {
                let answer = self.post_take(federation, &actor, &moved).await?;
                (moved, answer)
            }
            _ => (take, answer),
        };
        let authority = take.origin.authority();
        match TakeAnswer::of(&answer, &take.origin) {
            TakeAnswer::Packages(packages) => Ok(packages.to_value()),
            TakeAnswer::UnknownUser => Err(Refusal::UnknownUser.into()),
            TakeAnswer::DeletedUser => Err(Refusal::UserDeleted.into()),
            TakeAnswer::MovedUser(to) => Err(Refusal::UserMoved(to).into()),
            TakeAnswer::NotFederated => Err(RemoteError::Excluded(authority.to_owned()).into()),
            TakeAnswer::Unusable(why) => Err(RemoteError::Unusable(format!("{authority}: {why}")).into()),
        }
    }

    /// Posts a `Take` of `actor`, an actor id of this server, and returns the final answer: GetItem
    /// of the other server's record, the POST, and an UpdateItem if the record changes.
    ///
    /// # Errors
    /// [`RemoteError::Unreachable`], [`RemoteError::Unusable`]; the store is broken or out of
    /// reach.
    async fn post_take(
        &self,
        federation: &Federation,
        actor: &str,
        take: &RemoteTake,
    ) -> Result<ServerAnswer> {
        let RemoteTake { origin, inbox, object, .. } = take;
        let host = self.store().host(origin.authority()).await?;
        let why = host.why.clone();
        let Admission::Admitted(host) = self.admit(origin, host).await? else {
            return Err(RemoteError::Unreachable(why).into());
        };
        let body = json!({
            "@context": context(),
            "type": activity_type("Take"),
            "id": self.origin().activity(&Builder::from_random_bytes(self.random()).into_uuid()),
            "actor": actor,
            "object": object,
        });
        let body = Bytes::from(body.to_string());
        let ends = Instant::now() + STEP_TIME;
        let posted = Posted { kind: PostedKind::Take, body: &body };
        let posted = federation.post(inbox, actor, posted, first_scheme(&host), self.now_ms(), ends).await;
        // The sender has chosen the address, so that its silence is no evidence.
        match self.note_outcome(origin, &host, None, posted).await? {
            DispatchOutcome::Answered(answer) => Ok(answer),
            DispatchOutcome::Later(wait) => Err(RemoteError::Unreachable(wait.why).into()),
            DispatchOutcome::Never(why) => Err(RemoteError::Unusable(why).into()),
        }
    }

    /// Decides where a `Take` is posted and what it asks for.
    ///
    /// A handle is looked up, and its actor names the inbox. Ids have the layout of
    /// `docs/protocol.md`, section 1, by which a package or a collection names its user, and a user
    /// the inbox.
    async fn remote_take(&self, federation: &Federation, packages: RemotePackages) -> Result<RemoteTake> {
        let limits = limits(STEP_TIME);
        match packages {
            RemotePackages::OfHandle(handle) => {
                let id = federation.resolve(&handle, self.now_ms(), &limits).await?;
                let known = federation.recipient(&id, StoredActor::Unread, self.now_ms(), &limits).await?;
                Ok(RemoteTake::of_actor(federation, known)?)
            }
            RemotePackages::OnServer { origin, ids } => {
                federation.permit(&origin)?;
                let (user, object) = match (packages_owner(&origin, &ids), ids.as_slice()) {
                    (Some(user), ids) => (user, json!(ids)),
                    (None, [id]) => match origin.parse_key_packages(id) {
                        Some(user) => (user, json!(id)),
                        None => return Err(no_packages().into()),
                    },
                    (None, _) => return Err(no_packages().into()),
                };
                Ok(RemoteTake { inbox: origin.inbox(&user), object, origin, named_by: None })
            }
        }
    }
}

/// Returns the fault of a `Take` whose `object` names no packages.
fn no_packages() -> Invalid {
    Invalid::at("/object", "is no collection of key packages and no key package")
}

/// Returns the owner of key packages if all of them are packages of one user of the server at
/// `origin`.
fn packages_owner(origin: &Origin, ids: &[String]) -> Option<UserName> {
    let mut owners = ids.iter().map(|id| origin.parse_key_package(id).map(|(user, _)| user));
    let first = owners.next()??;
    owners.all(|owner| owner.as_ref() == Some(&first)).then_some(first)
}

/// Returns the package that a take gives of a device. A one-time Kyber key takes the place of the
/// last-resort key.
fn package(origin: &Origin, user: &UserName, device: &DeviceId, taken: TakenPackage) -> KeyPackage {
    let TakenPackage { keys, pre_key, kyber_pre_key } = taken;
    let mut package = keys.package(origin, user, device);
    package.pre_key = pre_key;
    if kyber_pre_key.is_some() {
        package.kyber_pre_key = kyber_pre_key;
    }
    package
}
