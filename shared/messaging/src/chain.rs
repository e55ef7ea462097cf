//! Reading a device chain for a device here (`docs/protocol.md`, section 3), so that the server of
//! the chain's user learns nothing of that device.

use eko_federation::{Federation, RemoteError, STEP_TIME, limits};
use eko_protocol::address::UserName;
use eko_protocol::chain::ChainNode;
use eko_protocol::chain_request::ChainRequest;
use eko_store::device::DeviceAddress;
use eko_store::inbound::site;

use crate::dispatch::Admission;
use crate::{Messaging, Refusal, Result};

impl Messaging {
    /// Returns the chain of a user here to the device `caller`.
    ///
    /// GetItem of the own device set beside the UpdateItem of the account's budget, and the Query
    /// of the chain.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`],
    /// [`Refusal::UnknownUser`]; the store is broken or out of reach.
    pub async fn chain_of_user(&self, caller: DeviceAddress<'_>, user: &UserName) -> Result<Vec<ChainNode>> {
        let account = self.request_charge(caller.user);
        let (own, spending) =
            tokio::join!(self.store().device_set(caller.user), self.spend(Some(account), None));
        self.check_caller(caller, own, spending).await?;
        Ok(self.store().chain(user).await?.stored().map_err(Refusal::from)?)
    }

    /// Returns the chain of a user of another server to the device `caller`. It is not verified and
    /// not kept: the device replays it.
    ///
    /// GetItem of the own device set beside the two UpdateItem of the budgets, of the account and of
    /// the other server's site; GetItem of that server's record; the GET. The budgets are those of
    /// [`Messaging::take_from_server`], so that chains and packages together are asked for as often
    /// as packages alone were. What was asked stays charged. An UpdateItem if the record of the
    /// other server changes.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`];
    /// [`RemoteError`]; the store is broken or out of reach.
    pub async fn chain_from_server(
        &self,
        federation: &Federation,
        caller: DeviceAddress<'_>,
        request: &ChainRequest,
    ) -> Result<Vec<ChainNode>> {
        let ChainRequest { origin, user } = request;
        let actor = self.origin().actor(caller.user);
        let (account, subject) =
            (self.request_charge(caller.user), self.take_charge(&actor, site(origin.authority())));
        let (own, spending) =
            tokio::join!(self.store().device_set(caller.user), self.spend(Some(account), Some(subject)));
        self.check_caller(caller, own, spending).await?;
        federation.permit(origin)?;
        let host = self.store().host(origin.authority()).await?;
        let why = host.why.clone();
        let Admission::Admitted(host) = self.admit(origin, host).await? else {
            return Err(RemoteError::Unreachable(why).into());
        };
        let fetched = federation.device_chain(origin, user, &limits(STEP_TIME)).await;
        self.note_fetch(origin, &host, &fetched).await?;
        Ok(fetched?)
    }
}
