//! The calls about the user's blocks and the setting of who may write (section 6).

use eko_protocol::block::{BlockActivity, BlockedParty, ListedBlock};
use eko_protocol::json::required_list;
use eko_protocol::settings::AccountSettings;
use eko_protocol::vocabulary::in_context;
use http::{Method, StatusCode};
use serde_json::json;

use super::Device;
use crate::{Auth, Body, ClientError, Transport};

impl<T: Transport> Device<T> {
    /// POST `/user/{name}/outbox` with `Block`, or with `Undo` of one: has the server drop what a
    /// party sends to this user, or no longer. May be repeated.
    ///
    /// # Errors
    /// The problem `invalid` for the user, for the user's own server, and for more blocks than a user
    /// may have.
    pub async fn change_block(&self, party: &BlockedParty, is_undone: bool) -> Result<(), ClientError> {
        let activity = BlockActivity { actor: Some(self.actor()), party: party.clone(), is_undone };
        let body = in_context(activity.to_value());
        self.post(&self.origin.outbox(&self.user), &body, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// POST `/user/{name}/outbox` with `Accept`: the actor may write to this user, whatever the setting
    /// is. May be repeated.
    ///
    /// # Errors
    /// The problem `invalid` for this user, and for more actors than a user may know.
    pub async fn accept_actor(&self, actor: &str) -> Result<(), ClientError> {
        let body = in_context(json!({ "type": "Accept", "actor": self.actor(), "object": actor }));
        self.post(&self.origin.outbox(&self.user), &body, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// POST `/user/{name}/outbox` with `Undo` of an `Accept`: the actor is a stranger to this user. May be
    /// repeated.
    pub async fn forget_actor(&self, actor: &str) -> Result<(), ClientError> {
        let accept = json!({ "type": "Accept", "object": actor });
        let body = in_context(json!({ "type": "Undo", "actor": self.actor(), "object": accept }));
        self.post(&self.origin.outbox(&self.user), &body, StatusCode::NO_CONTENT).await.map(drop)
    }

    /// GET `/user/{name}/settings`: reads the settings of the account.
    ///
    /// # Errors
    /// The answer is no settings.
    pub async fn settings(&self) -> Result<AccountSettings, ClientError> {
        let answer = self.get(&self.origin.settings(&self.user), Auth::Device).await?;
        AccountSettings::parse(&answer.json()?).map_err(|fault| answer.unexpected(fault.to_string()))
    }

    /// PUT `/user/{name}/settings`: changes the settings of the account.
    pub async fn change_settings(&self, settings: AccountSettings) -> Result<(), ClientError> {
        let url = self.origin.settings(&self.user);
        let body = settings.to_value();
        let answer = self.call(Method::PUT, &url, Body::Json(&body), Auth::Device).await?;
        answer.expect(StatusCode::NO_CONTENT).map(drop)
    }

    /// GET `/user/{name}/blocked`: reads what the user blocks, the latest first.
    ///
    /// # Errors
    /// The answer is not such a list.
    pub async fn blocks(&self) -> Result<Vec<ListedBlock>, ClientError> {
        let answer = self.get(&self.origin.blocked(&self.user), Auth::Device).await?;
        let body = answer.json()?;
        let items =
            required_list(&body, "orderedItems").map_err(|fault| answer.unexpected(fault.to_string()))?;
        let read = |(index, item)| {
            ListedBlock::parse(item)
                .map_err(|fault| answer.unexpected(fault.under(format!("/orderedItems/{index}")).to_string()))
        };
        items.iter().enumerate().map(read).collect()
    }
}
