//! The sealed group states of the device's user (section 9).

use eko_protocol::Invalid;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::json::{optional_text, required_list, text};
use http::{Method, StatusCode};
use serde_json::Value;

use super::Device;
use crate::{Auth, Body, ClientError, Transport};

/// A page of the user's group states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatePage {
    /// The states, by their ids.
    pub states: Vec<(GroupStateId, SealedGroupState)>,
    /// The address of the next page, if there may be more states.
    pub next: Option<String>,
}

/// The outcome of storing or deleting a group state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupStateAnswer {
    /// The state is stored, or deleted.
    Done,
    /// The server has a state of this epoch, which is not older.
    Stale(u64),
}

impl<T: Transport> Device<T> {
    /// GET `/user/{name}/groupState`: reads the first page of the user's group states.
    ///
    /// # Errors
    /// The problem `device-pending` or `device-revoked` if the device is not active.
    pub async fn group_states(&self) -> Result<GroupStatePage, ClientError> {
        self.group_states_after(&self.origin.group_states(&self.user)).await
    }

    /// GET on [`GroupStatePage::next`]: reads the page after another one.
    ///
    /// # Errors
    /// The problem `device-pending` or `device-revoked` if the device is not active.
    pub async fn group_states_after(&self, next: &str) -> Result<GroupStatePage, ClientError> {
        let answer = self.get(next, Auth::Device).await?;
        let body = answer.json()?;
        let wrong = |fault: Invalid| answer.unexpected(fault.to_string());
        let read = |(index, item): (usize, &Value)| {
            self.state_of(item).map_err(|fault| fault.under(format!("/orderedItems/{index}")))
        };
        let items = required_list(&body, "orderedItems").map_err(wrong)?;
        let states = items.iter().enumerate().map(read).collect::<Result<_, _>>().map_err(wrong)?;
        let next = optional_text(&body, "next").map_err(wrong)?.map(str::to_owned);
        Ok(GroupStatePage { states, next })
    }

    /// GET `/user/{name}/groupState/{id}`: reads one group state, or `None` if there is none.
    ///
    /// # Errors
    /// The problem `device-pending` or `device-revoked` if the device is not active.
    pub async fn group_state(&self, id: &GroupStateId) -> Result<Option<SealedGroupState>, ClientError> {
        let url = self.origin.group_state(&self.user, id);
        let answer = self.call(Method::GET, &url, Body::Empty, Auth::Device).await?;
        if answer.problem().is_some_and(|problem| problem.slug() == "not-found") {
            return Ok(None);
        }
        let answer = answer.expect(StatusCode::OK)?;
        let state = SealedGroupState::parse(&answer.json()?);
        state.map(Some).map_err(|fault| answer.unexpected(fault.to_string()))
    }

    /// PUT `/user/{name}/groupState/{id}`: stores a group state, if its epoch is greater than that
    /// of the stored one. It may be repeated.
    ///
    /// # Errors
    /// The problem `invalid` if the user has as many states as are allowed, `too-many` over the
    /// account's budget.
    pub async fn keep_group_state(
        &self,
        id: &GroupStateId,
        state: &SealedGroupState,
    ) -> Result<GroupStateAnswer, ClientError> {
        let url = self.origin.group_state(&self.user, id);
        self.write_state(Method::PUT, &url, Body::Json(&state.to_document(None))).await
    }

    /// DELETE `/user/{name}/groupState/{id}`: deletes a group state whose epoch is at most `epoch`.
    ///
    /// # Errors
    /// The problem `too-many` over the account's budget.
    pub async fn drop_group_state(
        &self,
        id: &GroupStateId,
        epoch: u64,
    ) -> Result<GroupStateAnswer, ClientError> {
        let url = format!("{}?epoch={epoch}", self.origin.group_state(&self.user, id));
        self.write_state(Method::DELETE, &url, Body::Empty).await
    }

    async fn write_state(
        &self,
        method: Method,
        url: &str,
        body: Body<'_>,
    ) -> Result<GroupStateAnswer, ClientError> {
        let answer = self.call(method, url, body, Auth::Device).await?;
        match answer.problem().filter(|problem| problem.slug() == "stale-epoch").and_then(|p| p.epoch) {
            Some(epoch) => Ok(GroupStateAnswer::Stale(epoch)),
            None => answer.expect(StatusCode::NO_CONTENT).map(|_| GroupStateAnswer::Done),
        }
    }

    /// Reads an item of a page.
    fn state_of(&self, item: &Value) -> Result<(GroupStateId, SealedGroupState), Invalid> {
        let list = format!("{}/", self.origin.group_states(&self.user));
        let id = text(item, "id")?.strip_prefix(&list).map(GroupStateId::parse);
        let id = id.ok_or_else(|| Invalid::at("/id", "is not a group state of this user"))?;
        Ok((id.map_err(|fault| fault.under("/id"))?, SealedGroupState::parse(item)?))
    }
}
