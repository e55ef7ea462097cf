//! One fetch of a device chain, for a device here.

use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::ChainNode;
use eko_protocol::{deletion, json};
use eko_store::remote::LookupFailure;
use serde_json::Value;
use url::Url;

use crate::client::{ExchangeLimits, GuardRefusal, MediaTypes};
use crate::error::reason;
use crate::fetch::{document, error};
use crate::{Federation, RemoteError};

impl Federation {
    /// Fetches the device chain of a user of another server. The nodes are well formed and the
    /// user's, and nothing else of the answer is returned. They are not verified: whoever asks for
    /// the chain replays it.
    ///
    /// The request carries no signature, since a chain is public: the other server learns which
    /// server asks, and not for whom. It follows no redirect, so that one request here causes one
    /// request there.
    ///
    /// # Errors
    /// [`RemoteError::NotFederated`], [`RemoteError::Gone`] if there is no such user,
    /// [`RemoteError::Deleted`] if the account was deleted,
    /// [`RemoteError::Unusable`], [`RemoteError::Unconnected`], [`RemoteError::Unreachable`].
    pub async fn device_chain(
        &self,
        origin: &Origin,
        user: &UserName,
        limits: &ExchangeLimits,
    ) -> Result<Vec<ChainNode>, RemoteError> {
        self.permit(origin)?;
        let id = origin.devices(user);
        let unsigned = |url: &Url| match url.as_str() == id {
            true => Ok(Vec::new()),
            false => Err(GuardRefusal::Redirected { host: origin.authority().to_owned() }),
        };
        let fetched = self.client.get_json(&id, MediaTypes::ACTIVITY, unsigned, limits).await;
        let is_tombstone = |value: &Value| deletion::is_tombstone(value, &id);
        let document = document(fetched, origin.authority(), is_tombstone);
        let document = document.map_err(|failure| error(&id, failure))?;
        read(origin, user, &document.body)
            .map_err(|why| error(&id, LookupFailure::Unusable(reason(format_args!("{id}: {why}")))))
    }
}

/// Reads the nodes of a chain. Returns the reason, for a person, if they are not well formed or of
/// somebody else.
fn read(origin: &Origin, user: &UserName, body: &[u8]) -> Result<Vec<ChainNode>, String> {
    let value = json::parse(body).map_err(|error| error.to_string())?;
    let items = json::required_list(&value, "orderedItems").map_err(|fault| fault.to_string())?;
    let nodes = items.iter().map(ChainNode::parse).collect::<Result<Vec<_>, _>>();
    let nodes = nodes.map_err(|fault| fault.to_string())?;
    let actor = origin.actor(user);
    match nodes.iter().all(|node| node.actor() == actor) && !nodes.is_empty() {
        true => Ok(nodes),
        false => Err(format!("is no chain of {actor}")),
    }
}
